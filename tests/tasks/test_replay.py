"""The environment that a task names has the last word: wrappers, odd floors, other rewards, limits, stale ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import tasks
from tasks.batched import BatchedGridWorld
from tasks.minigrid_suite import layout
from tasks.named import has_twin
from tasks.observations import GOAL, WALL, grid_to_lava
from tasks.oracles import distances, shortest_actions
from tasks.replay import Mismatch, NamedStage, TwinStage, random_success_named, stage

FOUR = "MiniGrid-FourRooms-v0"

WORLDS = """
import gymnasium
import numpy as np
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Floor, Goal
from minigrid.envs.fourrooms import FourRoomsEnv
from minigrid.minigrid_env import MiniGridEnv


class Penalty(gymnasium.Wrapper):
    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, reward - 2.0, *rest


class Swapped(gymnasium.ActionWrapper):
    def action(self, action):
        return {0: 1, 1: 0}.get(int(action), action)


class Endless(gymnasium.Wrapper):
    def step(self, action):
        observation, reward, _, truncated, info = self.env.step(action)
        return observation, reward, False, truncated, info


class Short(gymnasium.Wrapper):
    def reset(self, **given):
        self.left = 3
        return self.env.reset(**given)

    def step(self, action):
        observation, reward, _, truncated, info = self.env.step(action)
        self.left -= 1
        return observation, reward, self.left == 0, truncated, info


class Turned(gymnasium.Wrapper):
    def reset(self, **given):
        observation, info = self.env.reset(**given)
        self.unwrapped.agent_dir = (self.unwrapped.agent_dir + 2) % 4
        return observation, info


class Fence(Floor):
    def can_overlap(self):
        return False


class Fenced(MiniGridEnv):
    def __init__(self, closed=False, goal_inside=False, **kwargs):
        self.closed = closed
        super().__init__(MissionSpace(lambda: "go"), width=9, height=9, max_steps=60, **kwargs)

    def _gen_grid(self, width, height):
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        gap = None if self.closed else int(self.np_random.integers(1, height - 1))
        for y in range(1, height - 1):
            self.put_obj(Floor("blue") if y == gap else Fence("red"), 4, y)
        for _ in range(2):
            self.put_obj(Floor("green"), int(self.np_random.integers(1, 4)), int(self.np_random.integers(1, 8)))
        self.put_obj(Goal(), 7, int(self.np_random.integers(1, height - 1)))
        self.agent_pos, self.agent_dir = (1, 4), int(self.np_random.integers(4))
        self.mission = "go"


class Sometimes(Fenced):
    def __init__(self, **kwargs):
        self.times = 0
        super().__init__(**kwargs)

    def _gen_grid(self, width, height):
        super()._gen_grid(width, height)
        self.times += 1
        self.grid.set(2, 1 + self.times % 7, Floor("grey"))


for name, wrapper in (
    ("Penalty", Penalty), ("Swapped", Swapped), ("Endless", Endless), ("Short", Short), ("Turned", Turned)
):
    gymnasium.register(
        f"{name}-v0",
        entry_point=lambda wrapper=wrapper, **kwargs: wrapper(FourRoomsEnv(**kwargs)),
    )
gymnasium.register("Plain-v0", entry_point=FourRoomsEnv)
gymnasium.register("Limited-v0", entry_point=FourRoomsEnv, max_episode_steps=10)
gymnasium.register("Fenced-v0", entry_point=Fenced)
gymnasium.register("Closed-v0", entry_point=Fenced, kwargs={"closed": True})
gymnasium.register("Sometimes-v0", entry_point=Sometimes)
"""


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a module of a user's own, with the prefix that names environments in it."""
    folder: Path = tmp_path_factory.mktemp("worlds")
    (folder / "replayed_worlds.py").write_text(WORLDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield "replayed_worlds:"


def walk(played: TwinStage | NamedStage, batch: tasks.EpisodeBatch) -> tuple[np.ndarray, np.ndarray]:
    """Shortest paths by the floor plan; success (E,) and steps (E,)."""
    table = distances(batch.barriers, batch.goal, batch.start[:, 3:])
    success = done = np.zeros(len(batch), dtype=bool)
    steps = np.zeros(len(batch), dtype=np.int64)
    while not done.all():
        success, over = played.step(shortest_actions(batch.barriers, table, played.agent))
        steps += ~done
        done = done | over | success
    return success, steps


@pytest.mark.parametrize("task", [FOUR, "MiniGrid-MultiRoom-N2-S4-v0"])
@pytest.mark.parametrize("kind", ["own", "uniform"])
def test_the_environment_confirms_its_twin_and_is_stepped_alike(task: str, kind: str) -> None:
    spec, batch = tasks.task_spec(task), tasks.sample_episodes(task, "train", kind, episodes=8)
    assert has_twin(task)
    twin, named = stage(spec, batch), NamedStage(spec, batch)
    for played in (twin, named):
        for name, value in batch.start_observation.items():
            assert (played.observation[name] == value).all()
        success, steps = walk(played, batch)
        assert success.all() and (steps == batch.oracle_steps).all()
        assert (played.confirm(steps) == (kind == "uniform")).all(), "own episodes need no more than the seed"
    assert all((twin.observation[name] == named.observation[name]).all() for name in twin.observation)


@pytest.mark.parametrize(
    "task", ["Rooms-d2", "Lava-d3", "Keys-d2", "Partial-d2", "PartialKeys-d2", "Point-d2", "RoomsFixed-d3"]
)
def test_our_own_episodes_are_replayed_through_reset_options(task: str) -> None:
    spec = tasks.task_spec(f"hjepa/Nested{task}-v0")
    batch, rng = tasks.sample_episodes(spec.id, episodes=6, seed=3), np.random.default_rng(0)
    twin, named = stage(spec, batch), NamedStage(spec, batch)
    done, steps = np.zeros(6, dtype=bool), np.zeros(6, dtype=np.int64)
    while not done.all():
        action = rng.integers(0, 7, 6)
        if spec.continuous:
            action = rng.uniform(-1, 1, (6, 2)).astype(np.float32)
        (success, over), (theirs, ended) = twin.step(action), named.step(action)
        assert (success == theirs).all() and (over | success == ended | theirs).all()
        assert set(twin.observation) == set(named.observation)
        for name, value in twin.observation.items():
            assert (value == named.observation[name]).all(), name
        steps += ~done
        done = done | over | success
    assert not twin.confirm(steps).any() and not named.placed.any()


@pytest.mark.parametrize("task", ["hjepa/NestedRooms-d2-v0", "hjepa/NestedKeys-d2-v0", FOUR])
def test_the_replay_notices_a_twin_that_is_wrong(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, batch = tasks.task_spec(task), tasks.sample_episodes(task, episodes=2)
    twin, right = stage(spec, batch), BatchedGridWorld._advance
    monkeypatch.setattr(BatchedGridWorld, "_advance", lambda self, action: right(self, (action + 1) % 2))
    twin.step(np.array([0, 0]))
    with pytest.raises(
        Mismatch, match=f"{task}, episode 40, step 1: agent is .* in the environment"
    ) as error:
        twin.confirm(np.array([1, 1]), first=40)
    assert "\n" not in str(error.value)


def test_the_replay_notices_a_success_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, batch = tasks.task_spec(FOUR), tasks.sample_episodes(FOUR, episodes=2)
    monkeypatch.setattr(BatchedGridWorld, "_arrived", lambda self: self._steps >= 2)
    twin = stage(spec, batch)
    for _ in range(3):
        twin.step(np.array([0, 0]))
    with pytest.raises(Mismatch, match="episode 0, step 2: success is False in the environment and True"):
        twin.confirm(np.array([2, 2]))


def test_a_wrapper_that_swaps_actions_is_stepped(worlds: str) -> None:
    task = f"{worlds}Swapped-v0"
    spec, batch = tasks.task_spec(task), tasks.sample_episodes(task, episodes=6)
    assert not has_twin(task) and has_twin(f"{worlds}Plain-v0")
    played = stage(spec, batch)
    assert isinstance(played, NamedStage)
    before = played.agent
    played.step(np.zeros(6, dtype=np.int64))
    assert (played.agent[:, 2] == (before[:, 2] + 1) % 4).all(), "left is right here"
    success, _ = walk(stage(spec, batch), batch)
    assert not success.all(), "who turns the wrong way does not arrive on time"


def test_a_penalty_changes_no_success_and_other_ends_do(worlds: str) -> None:
    plain = tasks.sample_episodes(FOUR, episodes=6, seed=2)
    wanted = {"Penalty-v0": 1.0, "Endless-v0": 0.0, "Short-v0": 0.0}
    for name, rate in wanted.items():
        spec = tasks.task_spec(worlds + name)
        named = tasks.EpisodeBatch(plain.plan_seed, plain.grid, plain.start, plain.goal, plain.oracle_steps)
        success, steps = walk(stage(spec, named), named)
        assert success.mean() == rate, name
        if name == "Penalty-v0":
            assert (steps == plain.oracle_steps).all()
        if name == "Short-v0":
            assert (steps == np.minimum(3, plain.oracle_steps)).all()


def test_layouts_are_those_of_the_wrapped_reset(worlds: str) -> None:
    found, bare = layout(f"{worlds}Turned-v0", 5), layout(FOUR, 5)
    assert (found.agent[:2] == bare.agent[:2]).all() and found.agent[2] == (bare.agent[2] + 2) % 4
    spec = tasks.task_spec(f"{worlds}Turned-v0")
    batch = tasks.sample_episodes(spec.id, episodes=4)
    played = stage(spec, batch)
    success, steps = walk(played, batch)
    assert success.all() and (steps == batch.oracle_steps).all() and not played.confirm(steps).any()


def test_floor_that_cannot_be_walked_on_is_told_as_a_wall(worlds: str) -> None:
    task = f"{worlds}Fenced-v0"
    spec, batch = tasks.task_spec(task), tasks.sample_episodes(task, "train", episodes=8)
    assert (batch.grid[:, 4, :, 0] == WALL).sum(1).tolist() == [8] * 8
    played = stage(spec, batch)
    success, steps = walk(played, batch)
    assert success.all() and (steps == batch.oracle_steps).all() and not played.confirm(steps).any()


def test_goals_that_are_walled_in_are_refused(worlds: str) -> None:
    with pytest.raises(ValueError, match="Closed-v0 with seed .* has a goal that cannot be reached"):
        tasks.sample_episodes(f"{worlds}Closed-v0", "train", episodes=2)


def test_a_reset_that_builds_another_world_is_refused(worlds: str) -> None:
    task = f"{worlds}Sometimes-v0"
    spec, batch = tasks.task_spec(task), tasks.sample_episodes(task, "train", episodes=4)
    with pytest.raises(ValueError, match="the same reset builds another floor plan, first at"):
        stage(spec, batch)


def test_the_random_floor_is_the_environments(worlds: str) -> None:
    batch = tasks.sample_episodes(FOUR, "train", "uniform", episodes=15, seed=1)
    told = tasks.random_success(batch, 100, seed=4)
    assert 0 < told < 0.6, "some arrive, so that the two can differ"
    assert random_success_named(tasks.task_spec(FOUR), batch, seed=4) == told
    assert random_success_named(tasks.task_spec(f"{worlds}Endless-v0"), batch, seed=4) == 0


def test_missions_go_on_from_the_goal() -> None:
    for task in ("hjepa/NestedRooms-d2-v0", FOUR):
        spec, batch = tasks.task_spec(task), tasks.sample_episodes(task, "train", episodes=3)
        played = stage(spec, batch, endless=True)
        table = distances(batch.barriers, batch.goal, batch.start[:, 3:])
        for _ in range(batch.oracle_steps.max() + 2):
            _, over = played.step(shortest_actions(batch.barriers, table, played.agent))
            assert not over.any()
        assert played.confirm(np.full(3, batch.oracle_steps.max() + 2)).all()


def test_the_smaller_limit_counts(worlds: str) -> None:
    assert tasks.task_spec(f"{worlds}Limited-v0").step_budget == 10
    assert tasks.task_spec(f"{worlds}Plain-v0").step_budget == 100
    env = gymnasium.make("hjepa/NestedRooms-d3-v0", max_steps=50)
    env.reset(seed=0)
    cut = [env.step(0)[3] for _ in range(50)]
    assert cut == [False] * 49 + [True] and env.unwrapped.step_budget == 50  # type: ignore[attr-defined]


def test_an_id_registered_anew_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium.envs.registration, "registry", gymnasium.registry)
    name = "Dev-v0"
    first, second = ("minigrid.envs.fourrooms:FourRoomsEnv", "minigrid.envs:CrossingEnv")
    try:
        gymnasium.register(name, entry_point=first)
        assert (tasks.task_spec(name).width, layout(name, 3).grid.shape) == (19, (19, 19, 3))
        del gymnasium.registry[name]
        gymnasium.register(name, entry_point=second, kwargs={"obstacle_type": None, "max_steps": 7} | wall())
        assert tasks.task_spec(name).width == 9 and tasks.task_spec(name).step_budget == 7
        assert layout(name, 3).grid.shape == (9, 9, 3)
        assert tasks.sample_episodes(name, "train", episodes=2).grid.shape == (2, 9, 9, 3)
    finally:
        gymnasium.registry.pop(name, None)


def wall() -> dict[str, object]:
    from minigrid.core.world_object import Wall

    return {"obstacle_type": Wall}


@pytest.mark.parametrize(
    "task", ["Rooms-d2", "Lava-d3", "Keys-d2", "PartialKeys-d2", "RoomsFixed-d3", "Point-d2"]
)
def test_rows_of_episodes_are_reset_options(task: str) -> None:
    name = f"hjepa/Nested{task}-v0"
    batch, env = tasks.sample_episodes(name, episodes=2, seed=5), gymnasium.make(name)
    for i in range(2):
        options = {"plan_seed": batch.plan_seed[i], "start": batch.start[i], "goal": batch.goal[i]}
        if "Lava" in task:
            options["lava"] = batch.grid[i]
        env.reset(seed=0, options=options)
        bare = env.unwrapped
        if "Point" in task:
            assert (bare.batch.agent[0] == batch.start[i]).all() and (
                bare.batch.goal[0] == batch.goal[i]
            ).all()  # type: ignore[attr-defined]
            continue
        assert (*bare.agent_pos, bare.agent_dir) == tuple(batch.start[i, :3])  # type: ignore[attr-defined]
        assert bare.goal == tuple(batch.goal[i, :3])  # type: ignore[attr-defined]
        assert (bare.episode.grid == batch.grid[i]).all()  # type: ignore[attr-defined]
        assert not grid_to_lava(batch.grid[i]).any() or "Lava" in task


def test_reset_options_that_are_wrong_are_refused() -> None:
    env = gymnasium.make("hjepa/NestedRooms-d2-v0").unwrapped
    with pytest.raises(ValueError, match="reset option plan_seed is 1.5; give an integer"):
        env.reset(options={"plan_seed": 1.5})
    with pytest.raises(ValueError, match="reset option start is .*; give integers"):
        env.reset(options={"start": np.zeros((2, 3), dtype=np.int64)})
    with pytest.raises(ValueError, match="unknown reset option 'lava'"):
        env.reset(options={"lava": np.zeros((9, 9, 3))})
    keys = gymnasium.make("hjepa/NestedKeys-d2-v0").unwrapped
    with pytest.raises(ValueError, match="door and key in states"):
        keys.reset(options={"start": np.array([1, 1, 0, 0, 0])})
    point = gymnasium.make("hjepa/NestedPoint-d2-v0").unwrapped
    with pytest.raises(ValueError, match="give all three"):
        point.reset(options={"start": (1.5, 1.5)})
    with pytest.raises(ValueError, match="inside a wall"):
        point.reset(options={"plan_seed": 3, "start": (0.5, 0.5), "goal": (1.5, 1.5)})


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("MiniGrid-LavaCrossingS9N1-v0", r"has lava, which is neither wall, floor, door nor goal, at \(x="),
        ("MiniGrid-DoorKey-5x5-v0", "has a (locked door|key)"),
        ("BabyAI-GoToLocal-v0", "BabyAI-GoToLocal-v0 .*(RoomGridLevel|overrides step)"),
    ],
)
def test_refusals_name_things_and_the_true_reason(task: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.task_spec(task)


def test_an_environment_with_one_geometry_says_which_split_has_it() -> None:
    task = "MiniGrid-Empty-Random-6x6-v0"
    refused = 0
    for split in ("train", "validation", "test"):
        try:
            assert len(tasks.sample_episodes(task, split, episodes=3)) == 3
        except ValueError as error:
            refused += 1
            owner = str(error).rsplit("use split ", 1)[1].split("'")[1]
            assert owner != split and len(tasks.sample_episodes(task, owner, episodes=3)) == 3
    assert refused == 2
    assert (tasks.sample_episodes(task, owner, episodes=3).grid[..., 0] == GOAL).sum() == 3
