"""Goals from trajectories: which ones are drawn, what is there at their ends, and what counts as reaching them."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

import tasks
from tasks.goals import Reached, Recorded
from tasks.gymnasium_world import draw_actions
from tasks.observations import AGENT, DONE, DOOR, EMPTY, GOAL, KEY, LOCKED, OPEN

MUJOCO = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco")
GOLDEN = ([107, 109, 105, 111, 110, 102, 108, 106, 101], [21, 7, 28, 7, 17, 14, 20, 10, 28])
"""Seeds and starts of nine tasks."""


def walk(world: tasks.World, seeds: list[int], steps: int) -> Recorded:
    """Random walks, stored row by row as a trajectory store has them."""
    rng = np.random.default_rng(7)
    begun = tasks.plain_tasks(np.array(seeds))
    seen = [world.reset(begun)]
    actions, alive = [], [np.ones(len(seeds), dtype=bool)]
    for _ in range(steps):
        actions.append(draw_actions(world.spec.actions, rng, len(seeds)))
        step = world.step(actions[-1])
        seen.append(step.observation)
        alive.append(alive[-1] & ~(step.terminated | step.truncated))
    actions.append(np.zeros_like(actions[-1]))
    # The frame that ended an episode belongs to it.
    lengths = np.minimum(np.stack(alive).sum(0) + 1, steps + 1)
    order = [(i, t) for i in range(len(seeds)) for t in range(lengths[i])]
    rows = {name: np.stack([seen[t][name][i] for i, t in order]) for name in seen[0]}
    return Recorded(np.array(seeds), lengths, rows, np.stack([actions[t][i] for i, t in order]))


def numbers(lengths: list[int]) -> Recorded:
    """Trajectories whose row r is r, and whose actions are too."""
    rows = np.arange(sum(lengths))
    return Recorded(
        100 + np.arange(len(lengths)), np.array(lengths), {"vector": rows[:, None].astype(np.float32)}, rows
    )


def test_starts_and_goals_are_of_one_trajectory_and_as_far_apart_as_was_asked() -> None:
    recorded = numbers([10, 3, 8, 5])
    drawn = tasks.trajectory_tasks(recorded, 4, None, "key", episodes=6 + 4 + 1)
    first = {100: 0, 102: 13, 103: 21}
    starts = np.array([first[seed] for seed in drawn.seed.tolist()]) + drawn.prefix_length
    assert drawn.start is not None and drawn.goal is not None
    assert np.array_equal(drawn.start["vector"][:, 0], starts)
    assert np.array_equal(drawn.goal["vector"][:, 0], starts + 4)
    assert len(set(starts.tolist())) == 11, "every start there is, once"
    for i in range(11):
        assert drawn.prefix[i, : drawn.prefix_length[i]].tolist() == [
            *range(first[int(drawn.seed[i])], int(starts[i]))
        ]
    assert sorted(drawn.seed[:3].tolist()) == [100, 102, 103], "each trajectory before any comes again"
    assert np.array_equal(drawn.group, drawn.seed) and (drawn.oracle_steps == 4).all()


def test_draws_depend_on_the_key_alone_and_are_prefixes_of_each_other() -> None:
    recorded = numbers([40] * 12)
    many = tasks.trajectory_tasks(recorded, 5, None, "a", 0, episodes=30)
    few = tasks.trajectory_tasks(recorded, 5, None, "a", 0, episodes=9)
    other = tasks.trajectory_tasks(recorded, 5, None, "a", 1, episodes=30)
    for name in ("seed", "prefix_length", "group"):
        assert np.array_equal(getattr(many, name)[:9], getattr(few, name))
    assert not np.array_equal(many.prefix_length, other.prefix_length)
    chosen = many.select(np.array([3, 1]))
    assert np.array_equal(chosen.goal["vector"], many.goal["vector"][[3, 1]]) and len(chosen) == 2
    assert tasks.trajectory_tasks(recorded, 5, None, "a", episodes=9, latest=0).prefix_length.max() == 0
    # A golden list: changed draws would silently change everybody's test tasks.
    assert few.seed.tolist() == GOLDEN[0] and few.prefix_length.tolist() == GOLDEN[1]


def test_starts_that_are_at_their_goals_are_passed_over() -> None:
    rows = np.array([0, 1, 2, 2, 2, 3], dtype=np.float32)[:, None]
    recorded = Recorded(np.array([1]), np.array([6]), {"vector": rows}, np.zeros(6, np.int64))
    drawn = tasks.trajectory_tasks(recorded, 1, Reached(None, {}), "key", episodes=3)
    assert sorted(drawn.prefix_length.tolist()) == [0, 1, 4]
    near = Reached(1.5, {"vector": np.ones(1)})
    assert tasks.trajectory_tasks(recorded, 2, near, "key", episodes=1).prefix_length.tolist() == [0]
    with pytest.raises(ValueError, match="4 tasks .* have 3 that do not start at their goals; collect more"):
        tasks.trajectory_tasks(recorded, 1, Reached(None, {}), "key", episodes=4)


def test_refusals() -> None:
    recorded = numbers([5, 4])
    with pytest.raises(
        ValueError, match="goals 5 steps later: the longest of 2 .* has 4 steps; collect longer"
    ):
        tasks.trajectory_tasks(recorded, 5, None, "key", episodes=1)
    with pytest.raises(ValueError, match="both are 1 or more"):
        tasks.trajectory_tasks(recorded, 0, None, "key", episodes=1)
    with pytest.raises(ValueError, match="actions of trajectories has 9 rows; .* add up to 8"):
        replace(recorded, lengths=np.array([4, 4]))
    assert tasks.read_goals("world") == 0 and tasks.read_goals("offset:25") == 25
    for wrong in ("offset", "offset:0", "offset:x", "25", "world:1"):
        with pytest.raises(ValueError, match="choose world, or offset:K"):
            tasks.read_goals(wrong)


def test_distance_is_in_units_of_the_spread() -> None:
    data = {"vector": np.array([[0, 5, 1], [2, 5, 1], [4, 5, 9]], dtype=np.float32)}
    scale = tasks.spread_of(data)
    rule = tasks.success_rule(tasks.world_spec("Pendulum-v1"), "distance:0.5", scale)
    assert rule is not None
    goal = {"vector": np.zeros((3, 3), np.float32)}
    apart = np.zeros((3, 3), np.float32)
    apart[0, 0], apart[1, 1], apart[2, 2] = scale["vector"][0], 99, 2 * scale["vector"][2]
    # Two numbers vary, so one of them a spread away is sqrt(1 / 2); the one that never varies does not count.
    assert np.allclose(rule.distance({"vector": apart}, goal), [0.5**0.5, 0, 2**0.5])
    assert rule({"vector": apart / 2}, goal).tolist() == [True, True, False]


def test_rules_by_default_and_by_name() -> None:
    scale = {"vector": np.ones(3), "image": np.ones((64, 64, 3))}
    pendulum = tasks.world_spec("Pendulum-v1")
    default = tasks.success_rule(pendulum, None, scale)
    assert default is not None and default.limit == 0.1
    seen = tasks.success_rule(tasks.world_spec("Pendulum-v1", "image"), None, scale)
    assert seen is not None and set(seen.scale) == {"image"}
    for observe in ("symbols", "image"):
        rule = tasks.success_rule(tasks.world_spec("hjepa/NestedRooms-d2-v0", observe))
        assert rule is not None and rule.limit is None
    assert tasks.success_rule(pendulum, "world") is None
    for text in ("near", "distance:-1", "distance:nan", "distance:x"):
        with pytest.raises(ValueError, match="choose same, world, or distance:X"):
            tasks.success_rule(pendulum, text, scale)
    with pytest.raises(ValueError, match="needs the spread of vector over training data"):
        tasks.success_rule(pendulum)
    with pytest.raises(ValueError, match="shows symbols only"):
        tasks.success_rule(tasks.world_spec("hjepa/NestedRooms-d2-v0"), "distance", scale)


@pytest.mark.parametrize(
    ("env_id", "observe"),
    [
        ("Pendulum-v1", None),
        ("MountainCarContinuous-v0", None),
        pytest.param("Reacher-v5", None, marks=MUJOCO),
        ("MiniGrid-DoorKey-5x5-v0", "image"),
        ("MiniGrid-SimpleCrossingS9N1-v0", None),
        ("hjepa/NestedRooms-d2-v0", None),
        ("hjepa/NestedPoint-d2-v0", None),
    ],
)
def test_replaying_the_trajectory_reaches_the_goal(env_id: str, observe: str | None) -> None:
    world = tasks.make_world(env_id, observe)
    recorded = walk(world, list(range(4, 10)), 50)
    rule = tasks.success_rule(world.spec, None, tasks.spread_of(recorded.observations))
    drawn = tasks.trajectory_tasks(recorded, 10, rule, env_id, episodes=8)
    seen = world.reset(drawn)
    assert drawn.start is not None and drawn.goal is not None and world.goal() is drawn.goal
    first = np.cumsum(recorded.lengths) - recorded.lengths
    index = np.array([recorded.seeds.tolist().index(seed) for seed in drawn.seed.tolist()])
    rows = first[index] + drawn.prefix_length
    for name, value in seen.items():
        assert np.array_equal(value, drawn.start[name]), "the prefix arrives where the trajectory was"
    for time in range(10):
        step = world.step(recorded.actions[rows + time])
    assert step.success.all() and step.terminated.all()
    stays = tasks.make_world(env_id, observe).reset(drawn)
    assert rule is not None and not rule(stays, drawn.goal).any()


def test_goals_of_the_world_itself() -> None:
    world = tasks.make_world("MiniGrid-DoorKey-5x5-v0", "image")
    drawn = tasks.world_tasks(world, "test", episodes=5, seed=1)
    assert len(set(drawn.seed.tolist())) == 5 and drawn.reached is None
    fewer = tasks.world_tasks(world, "test", episodes=3, seed=1)
    assert np.array_equal(fewer.seed, drawn.seed[:3])
    twin = tasks.make_world("MiniGrid-FourRooms-v0")
    given = tasks.world_tasks(twin, "test", episodes=4, seed=1)
    assert given.episodes is not None
    wanted = tasks.sample_episodes("MiniGrid-FourRooms-v0", episodes=4, seed=1)
    assert np.array_equal(given.episodes.start, wanted.start)
    with pytest.raises(ValueError, match="shows no goal of its own; choose goals offset:K"):
        tasks.world_tasks(tasks.make_world("Pendulum-v1"), episodes=2)


def test_the_goal_behind_a_locked_door_shows_it_open_and_its_key_taken() -> None:
    world = tasks.make_world("MiniGrid-DoorKey-6x6-v0")
    drawn = tasks.world_tasks(world, "test", episodes=4, seed=1)
    first, goal = world.reset(drawn), world.goal()
    assert goal is not None
    (name,) = goal
    for before, after in zip(first[name], goal[name]):
        (key,), (door,) = (np.argwhere(before[..., 0] == kind) for kind in (KEY, DOOR))
        (agent,), (end,) = np.argwhere(before[..., 0] == AGENT), np.argwhere(before[..., 0] == GOAL)
        assert before[*door, 2] == LOCKED and after[*door, 2] == OPEN
        assert after[*key, 0] == EMPTY and after[*end, 0] == AGENT and after[*agent, 0] == EMPTY
        changed = np.argwhere((before != after).any(-1)).tolist()
        assert sorted(changed) == sorted(each.tolist() for each in (key, door, agent, end))
    still = world.step(np.full(4, DONE)).observation
    assert np.array_equal(still[name], first[name]), "the world is as it was"
