"""The adapter against plain Gymnasium environments that are stepped by hand."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from typing import Any

import gymnasium
import minigrid  # registers its environments  # noqa: F401
import numpy as np
import pytest
from minigrid.wrappers import FullyObsWrapper, RGBImgObsWrapper

import tasks
from tasks.gymnasium_world import GymnasiumWorld, draw_actions, gymnasium_spec
from tasks.worlds import Sense, World

MUJOCO = pytest.param(
    "Reacher-v5",
    None,
    marks=pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco"),
)

USERS = '''
"""A user's module: environments in wrappers, and some that cannot be worlds."""
import gymnasium
import minigrid
import numpy as np
from gymnasium import spaces


class Permuted(gymnasium.ActionWrapper):
    def action(self, action):
        return [2, 0, 1, 3, 4, 5, 6][int(action)]


class Penalty(gymnasium.RewardWrapper):
    def reward(self, reward):
        return reward - 0.01


class Inverted(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return {**observation, "image": 255 - observation["image"]}


def permuted():
    return Permuted(gymnasium.make("MiniGrid-SimpleCrossingS9N1-v0"))


def inverted():
    return Inverted(minigrid.wrappers.RGBImgObsWrapper(gymnasium.make("MiniGrid-Empty-5x5-v0")))


class Stepwise(gymnasium.Wrapper):
    def reset(self, **given):
        observation, info = super().reset(**given)
        return {**observation, "image": observation["image"] // 2}, info

    def step(self, action):
        observation, *rest = super().step(action)
        return {**observation, "image": observation["image"] // 2}, *rest


def stepwise():
    return Stepwise(minigrid.wrappers.RGBImgObsWrapper(gymnasium.make("MiniGrid-Empty-5x5-v0")))


class Walk(gymnasium.Env):
    """A line: an action moves, the end is a goal; every third seed starts one step before it."""

    observation_space = spaces.Dict(
        {
            "place": spaces.Box(-np.inf, np.inf, (1,), np.float64),
            "inner": spaces.Dict({"steps": spaces.Box(0, 99, (1,), np.float32), "note": spaces.Text(9)}),
        }
    )
    action_space = spaces.Discrete(2, start=-1)

    def __init__(self, said=None, goal=3, honest=True):
        self.said, self.goal, self.honest = said, goal, honest

    def look(self):
        place = np.array([self.place]) + (0 if self.honest else np.random.default_rng().random())
        return {"place": place, "inner": {"steps": np.array([self.steps], np.float32), "note": "no"}}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = (self.goal - 1 if seed % 3 == 0 else 0), 0
        return self.look(), {}

    def step(self, action):
        assert action in (-1, 0)
        self.place, self.steps = self.place + 1 + int(action), self.steps + 1
        info = {} if self.said is None else {self.said: self.place == 2}
        return self.look(), float(self.place == self.goal), self.place == self.goal, False, info


class Odd(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, actions):
        self.action_space = actions


class Blind(Odd):
    observation_space = spaces.Dict({"note": spaces.Text(9), "cube": spaces.Box(0, 1, (2, 2, 2), np.float32)})


def dimmed():
    return Stepwise(gymnasium.make("MiniGrid-Empty-5x5-v0"))


for entry in (permuted, inverted, stepwise, dimmed):
    gymnasium.register(f"{entry.__name__.title()}-v0", entry_point=entry)
gymnasium.register("Walk-v0", entry_point=Walk, max_episode_steps=6)
gymnasium.register("Endless-v0", entry_point=Walk)
gymnasium.register("Odd-v0", entry_point=Odd, max_episode_steps=6)
gymnasium.register("Blind-v0", entry_point=Blind, max_episode_steps=6)
gymnasium.register(
    "Penalty-v0", entry_point=lambda: Penalty(gymnasium.make("MiniGrid-Empty-5x5-v0")), max_episode_steps=30
)
'''


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("users")
    (folder / "users_worlds.py").write_text(USERS)
    sys.path.insert(0, str(folder))
    yield "users_worlds"
    sys.path.remove(str(folder))


def plain(env_id: str, observe: str | None) -> gymnasium.Env[Any, Any]:
    if observe == "symbols":
        return FullyObsWrapper(gymnasium.make(env_id))
    if observe == "image" and env_id.startswith("MiniGrid"):
        return RGBImgObsWrapper(gymnasium.make(env_id, highlight=False))
    return gymnasium.make(env_id)


def entry(observation: Any) -> np.ndarray:
    return observation["image"] if isinstance(observation, dict) else np.asarray(observation, np.float32)


@pytest.mark.parametrize(
    ("env_id", "observe"),
    [
        ("MiniGrid-DoorKey-5x5-v0", "image"),
        ("MiniGrid-DoorKey-5x5-v0", "symbols"),
        ("MiniGrid-SimpleCrossingS9N1-v0", "symbols"),
        ("MiniGrid-LavaGapS5-v0", "symbols"),
        ("Pendulum-v1", None),
        ("MountainCarContinuous-v0", None),
        ("CartPole-v1", None),
        MUJOCO,
    ],
)
def test_equals_the_environment_stepped_by_hand(env_id: str, observe: str | None) -> None:
    spec = gymnasium_spec(env_id, observe)
    world = GymnasiumWorld(replace(spec, step_budget=min(spec.step_budget, 120)))
    assert isinstance(world, World)
    (name,) = spec.senses
    episodes, rng = 5, np.random.default_rng(3)
    seen = world.reset(tasks.plain_tasks(np.arange(20, 20 + episodes)))
    envs = [plain(env_id, observe) for _ in range(episodes)]
    wanted = [entry(env.reset(seed=20 + i)[0]) for i, env in enumerate(envs)]
    over, cut, ended = np.zeros((3, episodes), dtype=bool)
    for time in range(130):
        assert seen[name].dtype == (np.float32 if spec.senses[name].kind == "vector" else np.uint8)
        assert np.array_equal(seen[name], np.stack(wanted))
        action = draw_actions(spec.actions, rng, episodes)
        step = world.step(action)
        for i, env in enumerate(envs):
            if not ended[i]:
                raw, _, over[i], cut[i], _ = env.step(action[i])
                wanted[i] = entry(raw)
                cut[i] |= time + 1 == world.spec.step_budget
        ended = over | cut
        assert np.array_equal(step.terminated, over) and np.array_equal(step.truncated, cut)
        seen = step.observation
    assert ended.all()
    world.close()


def test_registered_limit_is_the_step_budget() -> None:
    assert gymnasium_spec("Pendulum-v1").step_budget == 200
    assert gymnasium_spec("MiniGrid-DoorKey-5x5-v0").step_budget == 250
    assert gymnasium_spec("MiniGrid-DoorKey-5x5-v0", max_steps=40).step_budget == 40
    assert gymnasium_spec("Pendulum-v1", step_budget=9).step_budget == 9


def test_what_is_observed() -> None:
    spec = gymnasium_spec("Pendulum-v1", "image")
    assert spec.senses["image"].shape == (64, 64, 3)
    assert gymnasium_spec("Pendulum-v1", "image", pixels=40).senses["image"].shape == (40, 40, 3)
    assert gymnasium_spec("MiniGrid-DoorKey-5x5-v0").senses["image"].codes == (11, 6, 4)
    assert gymnasium_spec("FrozenLake-v1").senses["vector"].shape == (16,)
    world = GymnasiumWorld(gymnasium_spec("Pendulum-v1", "image", pixels=100))
    seen = world.reset(tasks.plain_tasks(np.array([4])))["image"][0]
    env = gymnasium.make("Pendulum-v1", render_mode="rgb_array")
    env.reset(seed=4)
    frame = env.render()
    assert frame.shape == (500, 500, 3)
    means = frame.reshape(100, 5, 100, 5, 3).mean((1, 3))
    assert np.abs(means - seen).max() <= 0.51 and len(np.unique(seen)) > 20


def test_users_wrappers_are_stepped(users: str) -> None:
    world = GymnasiumWorld(gymnasium_spec(f"{users}:Permuted-v0"))
    bare = FullyObsWrapper(gymnasium.make("MiniGrid-SimpleCrossingS9N1-v0"))
    first = world.reset(tasks.plain_tasks(np.array([1])))["image"][0]
    assert np.array_equal(first, bare.reset(seed=1)[0]["image"])
    turned = world.step(np.array([1])).observation["image"][0]
    assert np.array_equal(turned, bare.step(0)[0]["image"]), "1 is a turn to the left in the user's wrapper"
    assert not np.array_equal(turned, bare.step(1)[0]["image"])


def test_a_picture_that_a_user_made_is_used_as_it_is(users: str) -> None:
    spec = gymnasium_spec(f"{users}:Inverted-v0", "image")
    world = GymnasiumWorld(spec)
    env = RGBImgObsWrapper(gymnasium.make("MiniGrid-Empty-5x5-v0"))
    seen = world.reset(tasks.plain_tasks(np.array([1])))["image"][0]
    assert np.array_equal(seen, 255 - env.reset(seed=1)[0]["image"])
    goal = world.goal()
    env.unwrapped.agent_pos, env.unwrapped.agent_dir = (3, 3), 0
    assert goal is not None
    assert np.array_equal(goal["image"][0], 255 - env.observation(env.unwrapped.gen_obs())["image"])


def test_a_view_that_a_user_changed_without_a_word_is_not_replaced(users: str) -> None:
    world = GymnasiumWorld(gymnasium_spec(f"{users}:Dimmed-v0"))
    env = gymnasium.make("MiniGrid-Empty-5x5-v0")
    seen = world.reset(tasks.plain_tasks(np.array([1])))
    assert set(seen) == {"image", "direction"} and seen["direction"].tolist() == [[1, 0, 0, 0]]
    assert np.array_equal(seen["image"][0], env.reset(seed=1)[0]["image"] // 2)


def test_a_picture_of_the_goal_that_nobody_can_draw_is_not_made_up(users: str) -> None:
    world = GymnasiumWorld(gymnasium_spec(f"{users}:Stepwise-v0", "image"))
    seen = world.reset(tasks.plain_tasks(np.array([1])))["image"]
    assert seen.max() <= 127 and world.goal() is None
    with pytest.raises(ValueError, match="shows no goal of its own"):
        tasks.world_tasks(world, episodes=2)


def test_success_with_a_penalty_for_every_step(users: str) -> None:
    spec = gymnasium_spec(f"{users}:Penalty-v0")
    assert spec.step_budget == 30
    world = GymnasiumWorld(spec)
    world.reset(tasks.plain_tasks(np.array([1, 2])))
    goal = world.goal()
    assert goal is not None
    for action in (2, 2, 1, 2):
        step = world.step(np.array([action, 2]))
        assert not step.success.any()
    step = world.step(np.array([2, 2]))
    assert step.success.tolist() == [True, False] and step.terminated.tolist() == [True, False]
    cells = step.observation["image"][0], goal["image"][0]
    places = [np.argwhere(cell[..., 0] == 10).tolist() for cell in cells]
    assert places[0] == places[1] == [[3, 3]]


def test_paid_for_staying_alive_is_no_success() -> None:
    world = GymnasiumWorld(gymnasium_spec("CartPole-v1"))
    world.reset(tasks.plain_tasks(np.arange(3)))
    for _ in range(60):
        step = world.step(np.ones(3, dtype=np.int64))
    assert step.terminated.all() and not step.success.any()


def test_frozen_lake_and_what_info_says_are_success(users: str) -> None:
    world = GymnasiumWorld(gymnasium_spec("FrozenLake-v1", is_slippery=False))
    world.reset(tasks.plain_tasks(np.array([0])))
    for action in (1, 1, 2, 1, 2, 2):
        step = world.step(np.array([action]))
    assert step.success.all() and step.terminated.all()
    for said in ("success", "is_success"):
        world = GymnasiumWorld(gymnasium_spec(f"{users}:Walk-v0", said=said))
        world.reset(tasks.plain_tasks(np.array([1])))
        found = [bool(world.step(np.array([1])).success[0]) for _ in range(3)]
        assert found == [False, True, True], "the world said so at place 2, and it stays so"


def test_alignment_where_episodes_end_at_different_times(users: str) -> None:
    spec = gymnasium_spec(f"{users}:Walk-v0")
    assert list(spec.senses) == ["inner.steps", "place"] and spec.actions.count == 2
    world = GymnasiumWorld(spec)
    first = world.reset(tasks.plain_tasks(np.array([1, 3, 2])))
    assert first["place"].tolist() == [[0], [2], [0]], "the frame of the reset is the first"
    places, steps, ends = [], [], []
    for _ in range(8):
        step = world.step(np.array([1, 1, 0]))
        places.append(step.observation["place"][:, 0].tolist())
        steps.append(step.observation["inner.steps"][:, 0].tolist())
        ends.append((step.terminated.tolist(), step.truncated.tolist(), step.success.tolist()))
    assert places[:4] == [[1, 3, 0], [2, 3, 0], [3, 3, 0], [3, 3, 0]] and places[-1] == [3, 3, 0]
    assert steps[-1] == [3, 1, 6], "whoever is over takes no more steps"
    assert ends[0] == ([False, True, False], [False] * 3, [False, True, False])
    assert ends[-1] == ([True, True, False], [False, False, True], [True, True, False])


def test_a_prefix_leads_to_the_start_and_budget_begins_there() -> None:
    spec = replace(gymnasium_spec("Pendulum-v1"), step_budget=180)
    world, rng = GymnasiumWorld(spec), np.random.default_rng(0)
    given = tasks.plain_tasks(np.array([5, 6]))
    prefix = rng.uniform(-2, 2, (2, 90, 1)).astype(np.float32)
    given = replace(given, prefix=prefix, prefix_length=np.array([90, 17]))
    seen = world.reset(given)["vector"]
    env = gymnasium.make("Pendulum-v1")
    for slot, length in enumerate((90, 17)):
        raw, _ = env.reset(seed=5 + slot)
        for action in prefix[slot, :length]:
            raw, *_ = env.step(action)
        assert np.array_equal(seen[slot], raw.astype(np.float32))
    for time in range(180):
        assert time < 180 and not world._truncated.any()
        step = world.step(np.zeros((2, 1)))
    assert step.truncated.all()
    assert np.array_equal(world.reset(given)["vector"], seen), "and again"
    grid = GymnasiumWorld(replace(gymnasium_spec("MiniGrid-DoorKey-5x5-v0"), step_budget=240))
    turns = replace(
        tasks.plain_tasks(np.array([1])), prefix=np.zeros((1, 30), np.int64), prefix_length=np.array([30])
    )
    grid.reset(turns)
    for _ in range(239):
        assert not grid.step(np.array([0])).truncated.any()
    assert grid.step(np.array([0])).truncated.all()


@pytest.mark.parametrize("length", [0, 1, 25])
def test_frames_are_the_latest_moments_also_after_a_prefix(length: int) -> None:
    spec = gymnasium_spec("Pendulum-v1", "image", pixels=40, frames=3)
    assert spec.senses == {"image": Sense("image", (40, 40, 9), frames=3)}
    prefix = np.random.default_rng(0).uniform(-2, 2, (1, 25, 1)).astype(np.float32)
    start = tasks.plain_tasks(np.array([5]))
    one = GymnasiumWorld(gymnasium_spec("Pendulum-v1", "image", pixels=40))
    moments = [one.reset(start)["image"]] * 3  # as if it had stood still
    moments += [one.step(prefix[:, time]).observation["image"] for time in range(25)]
    world = GymnasiumWorld(spec)
    for _ in range(2):  # nothing is left over from the episode before
        seen = world.reset(replace(start, prefix=prefix, prefix_length=np.array([length])))["image"]
        assert np.array_equal(seen, np.concatenate(moments[length : length + 3], -1))
        for time in range(length, 25):
            seen = world.step(prefix[:, time]).observation["image"]
            assert np.array_equal(seen, np.concatenate(moments[time + 1 : time + 4], -1))
    assert not np.array_equal(seen[..., :3], seen[..., -3:])


def test_frames_of_a_world_without_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="2 frames of MountainCarContinuous-v0, which shows no image"):
        gymnasium_spec("MountainCarContinuous-v0", frames=2)
    with pytest.raises(ValueError, match="frames is 0"):
        gymnasium_spec("Pendulum-v1", "image", frames=0)


def test_what_happened_before_the_start_is_no_success(users: str) -> None:
    world = GymnasiumWorld(gymnasium_spec(f"{users}:Walk-v0", said="success"))
    given = replace(
        tasks.plain_tasks(np.array([1])), prefix=np.ones((1, 2), np.int64), prefix_length=np.array([2])
    )
    world.reset(given)
    assert world.step(np.array([0])).success.all(), "it is still at place 2"
    world.reset(given)
    assert not world.step(np.array([1])).success.any()


def test_a_prefix_that_ends_the_episode_or_arrives_elsewhere_is_refused(users: str) -> None:
    world = GymnasiumWorld(gymnasium_spec(f"{users}:Walk-v0"))
    given = replace(
        tasks.plain_tasks(np.array([1])), prefix=np.ones((1, 4), np.int64), prefix_length=np.array([4])
    )
    with pytest.raises(ValueError, match=r"prefix of task 0 .* ends the episode"):
        world.reset(given)
    fine = replace(given, prefix_length=np.array([2]))
    place = world.reset(replace(fine, start={"place": np.array([[2.0]], np.float32)}))["place"]
    assert place.tolist() == [[2]]
    with pytest.raises(ValueError, match="does not begin as it was recorded: place differs"):
        world.reset(replace(fine, start={"place": np.array([[1.0]], np.float32)}))


def test_state_is_what_the_simulator_knows() -> None:
    world = GymnasiumWorld(gymnasium_spec("MiniGrid-DoorKey-5x5-v0"))
    assert world.state() == {}
    world.reset(tasks.plain_tasks(np.array([1, 2])))
    state = world.state()
    assert state["agent"].shape == (2, 3) and state["carried"].shape == (2, 3)
    assert state["grid"].shape == (2, 5, 5, 3) and (state["grid"][..., 0] == 5).sum() == 2, "two keys lie"
    pendulum = GymnasiumWorld(gymnasium_spec("Pendulum-v1"))
    seen = pendulum.reset(tasks.plain_tasks(np.array([1])))["vector"]
    assert np.allclose(np.cos(pendulum.state()["state"][:, 0]), seen[:, 0])


def refused(match: str, env_id: str, observe: str | None = None, **arguments: Any) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        gymnasium_spec(env_id, observe, **arguments)
    assert "\n" not in str(caught.value)


def test_refusals(users: str) -> None:
    box, many = gymnasium.spaces.Box, gymnasium.spaces.MultiDiscrete([2, 3])
    odd = f"{users}:Odd-v0"
    refused(r"MultiDiscrete.* neither Discrete nor Box; wrap", odd, actions=many)
    refused("bounds that are not finite", odd, actions=box(-np.inf, np.inf, (2,)))
    refused("not one row of numbers", odd, actions=box(-1, 1, (2, 2)))
    refused("no limit of steps; give a step budget", f"{users}:Endless-v0")
    refused("choose 1 to 200", "Pendulum-v1", step_budget=201)
    refused("choose 1 to 200", "Pendulum-v1", step_budget=0)
    refused("nothing can be sensed", f"{users}:Blind-v0", actions=many)
    refused("nothing of kind symbols can be sensed", "Pendulum-v1", "symbols")
    refused("observe is 'pixels'; choose from", "Pendulum-v1", "pixels")
    refused("unknown environment 'NoSuch-v0'", "NoSuch-v0")
    refused("module that cannot be imported", "no_such_module:Id-v0")
    refused("cannot be made with", "Pendulum-v1", wings=2)
    refused("does not repeat itself.*np_random", f"{users}:Walk-v0", honest=False)
    assert gymnasium_spec(f"{users}:Endless-v0", step_budget=5).step_budget == 5


def test_actions_that_do_not_fit_are_refused() -> None:
    world = GymnasiumWorld(gymnasium_spec("CartPole-v1"))
    with pytest.raises(ValueError, match="step before reset"):
        world.step(np.array([0]))
    world.reset(tasks.plain_tasks(np.array([1, 2])))
    for wrong in (np.array([0]), np.array([0, 2]), np.array([0.5, 0.5])):
        with pytest.raises(ValueError, match="actions"):
            world.step(wrong)
    pendulum = GymnasiumWorld(gymnasium_spec("Pendulum-v1"))
    pendulum.reset(tasks.plain_tasks(np.array([1, 1])))
    with pytest.raises(ValueError, match="not finite"):
        pendulum.step(np.array([[np.nan], [0.0]]))
    seen = pendulum.step(np.array([[9.0], [2.0]])).observation["vector"]
    assert np.array_equal(seen[0], seen[1]), "clipped to the bound"
