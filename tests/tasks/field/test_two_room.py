"""Two rooms as published: the door, collisions against a second way to compute them, pictures, data, whole episodes."""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import pytest

import tasks
from tasks.field import two_room
from tasks.field.two_room import TwoRoom, collide, expert, way_steps
from tasks.goals import Recorded, trajectory_tasks
from tasks.randomness import keyed_generator
from tasks.worlds import TaskBatch, World

ID = "hjepa/TwoRoom-v0"


def one_step(place: tuple[float, float], action: tuple[float, float]) -> tuple[float, float]:
    """The published collisions, for one agent and with their numbers written out."""
    x = min(max(place[0] + 5 * action[0], 21.0), 203.0)
    y = min(max(place[1] + 5 * action[1], 21.0), 203.0)
    if not 33.25 <= y <= 64.75:
        if place[0] < 112 and x > 100:
            x = 99.5
        elif place[0] >= 112 and x < 124:
            x = 124.5
    return x, y


def test_collisions_are_those_of_one_agent_at_a_time() -> None:
    rng = keyed_generator("two rooms collide")
    place = rng.uniform(21, 203, (4000, 2))
    place[:2000] = rng.uniform((90, 25), (134, 75), (2000, 2))  # around the door
    action = rng.uniform(-1, 1, (4000, 2))
    found = collide(place, place + 5 * action)
    wanted = [one_step(tuple(p), tuple(a)) for p, a in zip(place.tolist(), action.tolist())]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_the_wall_is_passed_in_the_door_alone(world: World) -> None:
    """Over random walks the middle is in the wall's zone beside the door only, and changes sides there only."""
    world.reset(tasks.plain_tasks(np.arange(300)))
    rng = keyed_generator("two rooms walls")
    drift = rng.uniform(-1, 1, (300, 2))
    crossed = 0
    before = world.state()["place"]
    for time in range(125):
        if time % 12 == 0:
            drift = rng.uniform(-1, 1, (300, 2))
        world.step((drift + 0.3 * rng.standard_normal((300, 2))).astype(np.float32))
        place = world.state()["place"]
        inside = (place[:, 0] > 100) & (place[:, 0] < 124)
        assert (np.abs(place[inside, 1] - 49) <= 15.75).all()
        assert ((place >= 21) & (place <= 203)).all()
        changed = (place[:, 0] < 112) != (before[:, 0] < 112)
        assert (np.abs(place[changed, 1] - 49) <= 15.75).all()
        crossed += int(changed.sum())
        before = place
    assert crossed > 5, "walks pass the door"


@pytest.fixture
def world() -> World:
    return tasks.make_world(ID)


def test_starts_and_goals_of_seeds(world: World) -> None:
    start, goal = TwoRoom().draw(np.arange(200))
    again, _ = TwoRoom().draw(np.array([7, 3]))
    np.testing.assert_array_equal(again["place"], start["place"][[7, 3]])
    left, right = start["place"][:, 0] < 112, goal["place"][:, 0] > 112
    assert (left == right).all() and 0.3 < left.mean() < 0.7
    assert (way_steps(start["place"], goal["place"]) > 24.99).all()
    for place in (start["place"], goal["place"]):
        assert ((place >= 27) & (place <= 196)).all()
        assert ((place[:, 0] <= 100) | (place[:, 0] >= 124)).all()


def test_the_single_environment_is_the_batched_world_step_by_step(world: World) -> None:
    seeds = np.array([5, 11, 1_500_000_003])
    seen = world.reset(tasks.plain_tasks(seeds))
    goal = world.goal()
    assert goal is not None
    rng = keyed_generator("two rooms single")
    actions = rng.uniform(-1.5, 1.5, (40, 3, 2)).astype(np.float32)
    envs = [gymnasium.make(ID) for _ in seeds]
    for slot, (env, seed) in enumerate(zip(envs, seeds)):
        raw, info = env.reset(seed=int(seed))
        np.testing.assert_array_equal(raw["image"], seen["image"][slot])
        np.testing.assert_array_equal(info["goal"]["image"], goal["image"][slot])
    over = np.zeros(3, dtype=bool)
    for action in actions:
        step = world.step(action)
        for slot, env in enumerate(envs):
            if over[slot]:
                continue
            raw, reward, terminated, truncated, info = env.step(action[slot])
            np.testing.assert_array_equal(raw["image"], step.observation["image"][slot])
            assert terminated == step.terminated[slot] and truncated == step.truncated[slot]
            assert info["success"] == step.success[slot] == bool(reward)
        over |= step.terminated | step.truncated


def test_any_gymnasium_adapter_sees_the_same(world: World) -> None:
    """The environment itself, stepped as somebody's, shows what its twin shows."""
    real = tasks.make_world(ID, real=True, step_budget=30)
    twin = tasks.make_world(ID, step_budget=30)
    assert real.spec.senses == twin.spec.senses and real.spec.actions == twin.spec.actions
    batch = tasks.plain_tasks(np.arange(4))
    np.testing.assert_array_equal(real.reset(batch)["image"], twin.reset(batch)["image"])
    goals = real.goal(), twin.goal()
    assert goals[0] is not None and goals[1] is not None
    np.testing.assert_array_equal(goals[0]["image"], goals[1]["image"])
    rng = keyed_generator("two rooms real")
    for _ in range(31):
        action = rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        one, other = real.step(action), twin.step(action)
        np.testing.assert_array_equal(one.observation["image"], other.observation["image"])
        np.testing.assert_array_equal(one.truncated, other.truncated)
        np.testing.assert_array_equal(one.success, other.success)
    assert one.truncated.all()


def test_the_picture_is_the_published_drawing() -> None:
    simulator = TwoRoom(pixels=224)
    place = np.array([[60.0, 150.0], [112.0, 49.0]], dtype=np.float32)
    frames = simulator.show({"place": place})["image"]
    assert frames.shape == (2, 224, 224, 3) and frames.dtype == np.uint8
    first = frames[0].astype(int)
    assert first[150, 60].tolist() == [255, 0, 0]
    # One deviation away the colour is exp(-1/2) of red on white.
    share = math.exp(-0.5)
    assert first[150, 67].tolist() == [255, round(255 * (1 - share)), round(255 * (1 - share))]
    assert first[100, 107].tolist() == first[100, 117].tolist() == [0, 0, 0]
    assert first[100, 106].tolist() == first[100, 118].tolist() == [255] * 3
    assert first[35, 112].tolist() == first[63, 112].tolist() == [255] * 3, "the door's ends"
    assert first[34, 112].tolist() == first[64, 112].tolist() == [0, 0, 0]
    for k in (10, 13, 210, 213):
        assert first[k, 160].tolist() == first[180, k].tolist() == [0, 0, 0]
    for k in (9, 14, 209, 214):
        assert first[k, 160].tolist() == [255] * 3
    assert frames[1, 49, 112].tolist() == [255, 0, 0]


def test_small_pictures_tell_near_places_apart() -> None:
    place = np.array([[60.0, 150.0], [61.0, 150.0], [60.0, 149.0]], dtype=np.float32)
    frames = TwoRoom(pixels=64).show({"place": place})["image"]
    assert len(np.unique(frames.reshape(3, -1), axis=0)) == 3
    # The dot's middle, read back from the picture, is where the agent is.
    red = 255.0 - frames[0, :, :, 1].astype(float)
    red[:, 30:34] = 0
    red[:4], red[60:], red[:, :4], red[:, 60:] = 0, 0, 0, 0
    rows, columns = np.mgrid[:64, :64]
    middle = np.array([(red * columns).sum(), (red * rows).sum()]) / red.sum()
    np.testing.assert_allclose((middle + 0.5) * 3.5 - 0.5, [60, 150], atol=0.3)


def test_the_expert_without_noise_gets_there_in_the_steps_of_its_way() -> None:
    simulator = TwoRoom()
    state, goal = simulator.draw(np.arange(100))
    steps = np.zeros(100)
    done = np.zeros(100, dtype=bool)
    for time in range(1, 120):
        state = simulator.advance(state, expert(state["place"], goal["place"]).astype(np.float32))
        reached = simulator.reached(state, goal)
        steps[reached & ~done] = time
        done |= reached
    assert done.all()
    start, _ = simulator.draw(np.arange(100))
    ratio = steps / way_steps(start["place"], goal["place"])
    # Success is 16 units before the goal; whoever comes along the wall is pushed back on the way into the door.
    assert ratio.min() > 0.7 and ratio.max() < 1.2


def test_success_ends_an_episode_below_16_units() -> None:
    simulator = TwoRoom()
    goal = {"place": np.array([[50.0, 50.0]], np.float32)}
    for apart, wanted in ((15.9, True), (16.0, False), (16.1, False)):
        near = {"place": np.array([[50.0 + apart, 50.0]], np.float32)}
        assert simulator.reached(near, goal)[0] == wanted


def recorded(world: World, count: int = 40, length: int = 60) -> Recorded:
    """Trajectories of random drifts, also beyond a goal of their own."""
    rng = keyed_generator("two rooms recorded")
    seeds = np.arange(count) + 1_500_000_000
    simulator = TwoRoom()
    state, _ = simulator.draw(seeds)
    frames, actions = [simulator.show(state)["image"]], []
    for _ in range(length - 1):
        actions.append(rng.uniform(-1, 1, (count, 2)).astype(np.float32))
        state = simulator.advance(state, actions[-1])
        frames.append(simulator.show(state)["image"])
    actions.append(np.zeros((count, 2), np.float32))
    rows = np.stack(frames, 1).reshape(-1, 64, 64, 3)
    return Recorded(seeds, np.full(count, length), {"image": rows}, np.stack(actions, 1).reshape(-1, 2))


def offset_tasks(world: World, offset: int = 25) -> TaskBatch:
    rule = tasks.success_rule(world.spec)
    assert rule is None, "the published rule"
    return trajectory_tasks(recorded(world), offset, rule, "two rooms", episodes=20)


def test_goals_from_trajectories_are_judged_by_the_published_rule(world: World) -> None:
    """Whoever repeats what was done arrives exactly; whoever stands still does not, unless it was near anyway."""
    batch = offset_tasks(world)
    seen = world.reset(batch)
    np.testing.assert_array_equal(seen["image"], batch.start["image"])
    np.testing.assert_array_equal(world.goal()["image"], batch.goal["image"])
    goal = world.goal_state()["place"]
    apart = np.linalg.norm(world.state()["place"] - goal, axis=1)
    still = world.step(np.zeros((20, 2), np.float32))
    np.testing.assert_array_equal(still.success, apart < 16)
    world.reset(batch)
    for time in range(25):
        step = world.step(batch.way[:, time])
    assert step.success.all()
    world.reset(batch)
    assert not world.step(np.zeros((20, 2), np.float32)).terminated[apart >= 16].any()


def test_tasks_of_another_world_are_refused(world: World) -> None:
    batch = offset_tasks(world)
    from dataclasses import replace

    other = {"image": batch.goal["image"][::-1].copy()}
    with pytest.raises(ValueError, match="does not end as it was recorded"):
        world.reset(replace(batch, goal=other))
    with pytest.raises(ValueError, match="without the way"):
        world.reset(replace(batch, way=None))
    with pytest.raises(ValueError, match="does not begin as it was recorded"):
        world.reset(replace(batch, seed=batch.seed + 1))


def test_states_are_set(world: World) -> None:
    start = {"place": np.array([[40.0, 40.0], [50.0, 60.0]], np.float32)}
    goal = {"place": np.array([[180.0, 40.0], [52.0, 60.0]], np.float32)}
    world.place(start, goal)
    np.testing.assert_array_equal(world.state()["place"], start["place"])
    np.testing.assert_array_equal(world.step(np.zeros((2, 2), np.float32)).success, [False, True])
    with pytest.raises(ValueError, match="states of hjepa/TwoRoom-v0"):
        world.place({"place": np.zeros((2, 3), np.float32)}, goal)
    env = gymnasium.make(ID)
    env.reset(seed=0, options={"state": {"place": np.array([40, 41.0])}})
    assert env.unwrapped.state["place"].tolist() == [40, 41]
    with pytest.raises(ValueError, match="unknown option"):
        env.reset(options={"place": 1})


def test_the_explorer_has_the_published_noise_and_repeats() -> None:
    simulator = TwoRoom()
    state, goal = simulator.draw(np.arange(500))
    act = simulator.explorer(500, keyed_generator("two rooms explorer"))
    actions = np.stack([act(state, goal) for _ in range(40)])
    assert np.abs(actions).max() <= 1
    repeats = (actions[1:] == actions[:-1]).all(-1).mean()
    # By chance both numbers are at the same bounds again in about a tenth of the steps more.
    assert 0.05 < repeats < 0.25
    free = expert(state["place"], goal["place"])
    assert (actions * free).sum(-1).mean() > 0.2, "it goes its way on average"
    equal = simulator.explorer(500, keyed_generator("two rooms explorer"))
    np.testing.assert_array_equal(equal(state, goal), actions[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"observe": "symbols"}, "choose image"),
        ({"pixels": 3}, "from 16 to 4096"),
        ({"tile": 8}, "takes no argument 'tile'"),
        ({"step_budget": 0}, "whole number from 1 up"),
    ],
)
def test_what_it_does_not_have_is_refused(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tasks.make_world(ID, **arguments)


def test_constants_fit_together() -> None:
    assert two_room.LOW == 21 and two_room.HIGH == 203
    assert two_room.LEFT == 100 and two_room.RIGHT == 124
    assert two_room.DRAWN == 27, "stable-worldmodel's least and greatest start are 27 and 196"
