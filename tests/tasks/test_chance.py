"""Worlds of chance: environments are their twins step by step, seeds repeat them, and chance comes as often as said."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import tasks
from tasks.chance import CHANCE_ROOMS, SLIPS, closing_step, slippery_step
from tasks.chance_rooms import ClosingDoorRooms, SlipperyRooms
from tasks.observations import CLOSED, FORWARD, OPEN, PICKUP, TOGGLE, grid_to_barriers


def agent_of(env: SlipperyRooms | ClosingDoorRooms) -> np.ndarray:
    return np.array([[*env.agent_pos, env.agent_dir, *env._states()]])


def chances(seed: int, count: int) -> list[float]:
    """What an environment whose floor plan and goal are given draws after a reset."""
    env = SlipperyRooms(depth=2)
    env.reset(seed=seed)
    return [float(env.np_random.random()) for _ in range(count)]


def test_the_slippery_floor_is_its_twin_step_by_step() -> None:
    env, slid = SlipperyRooms(depth=2, slips=0.5, step_budget=300), 0
    for seed in range(6):
        env.reset(seed=seed)
        env.move_goal(None)
        agent, walls = agent_of(env), env.plan.walls[None]
        again, rng = chances(seed, 120), np.random.default_rng(seed)
        for step in range(120):
            action = int(rng.choice([0, 1, FORWARD, FORWARD]))
            env.step(action)
            agent = slippery_step(walls, agent, np.array([action]), np.array([again[step]]), 0.5)
            certain = tasks.step_agents(walls, agent_of(env), np.array([6]))
            np.testing.assert_array_equal(agent, agent_of(env))
            np.testing.assert_array_equal(agent, certain)
            slid += again[step] < 0.5
    assert slid > 100


def test_one_slides_as_often_as_said_and_never_through_walls() -> None:
    walls = np.ones((7, 5), bool)
    walls[1:6, 2] = False
    agent = np.tile([1, 2, 0], (20_000, 1))
    chance = np.random.default_rng(0).random(20_000)
    after = slippery_step(walls, agent, np.full(20_000, FORWARD), chance)
    assert set(after[:, 0]) == {2, 3} and (after[:, 0] == 3).mean() == pytest.approx(SLIPS, abs=0.01)
    agent[:, 0] = 4
    assert (slippery_step(walls, agent, np.full(20_000, FORWARD), chance)[:, 0] == 5).all()
    agent[:, 0] = 5
    assert (slippery_step(walls, agent, np.full(20_000, FORWARD), chance) == agent).all()
    turned = slippery_step(walls, agent, np.zeros(20_000, int), chance)
    assert (turned[:, :2] == agent[:, :2]).all() and (turned[:, 2] == 3).all()


def test_the_closing_door_is_its_twin_step_by_step() -> None:
    env, closed = ClosingDoorRooms(depth=2, closes=0.4, step_budget=400), 0
    for seed in range(4):
        env.reset(seed=seed)
        env.move_goal(None)
        reference = ClosingDoorRooms(depth=2)
        reference.reset(seed=seed)
        barriers = grid_to_barriers(env.episode.grid[None], 1, 1)
        agent, rng = agent_of(env), np.random.default_rng(seed)
        for _ in range(300):
            chance = float(reference.np_random.random())
            action = int(rng.choice([0, 1, FORWARD, FORWARD, FORWARD, PICKUP, TOGGLE, TOGGLE]))
            env.step(action)
            later = closing_step(barriers, agent, np.array([action]), np.array([chance]), 0.4)
            closed += int((agent[0, 3] == OPEN) and (later[0, 3] == CLOSED))
            agent = later
            np.testing.assert_array_equal(agent, agent_of(env))
    assert closed > 0


def test_a_door_closes_as_often_as_said_and_not_upon_anybody() -> None:
    spec = tasks.task_spec("hjepa/NestedKeys-d2-v0")
    _, barriers = tasks.floor_plans(spec.id, tasks.suite.plan_seeds(spec.id, "test", 1))
    x, y = np.argwhere(barriers[0] >= 2)[0]
    many = np.repeat(barriers, 20_000, 0)
    chance = np.random.default_rng(0).random(20_000)
    free = np.argwhere(barriers[0] == 0)[0]
    agent = np.tile([*free, 0, OPEN, 0], (20_000, 1))
    after = closing_step(many, agent, np.full(20_000, 6), chance, 0.3)
    assert (after[:, 3] == CLOSED).mean() == pytest.approx(0.3, abs=0.01)
    agent[:, :2] = x, y
    assert (closing_step(many, agent, np.full(20_000, 6), chance, 1.0)[:, 3] == OPEN).all()
    agent[:, 3] = CLOSED
    assert (closing_step(many, agent, np.full(20_000, 6), chance, 1.0)[:, 3] == CLOSED).all()


@pytest.mark.parametrize("env_id", CHANCE_ROOMS)
def test_registered_and_the_same_with_the_same_seed(env_id: str) -> None:
    found = []
    for _ in range(2):
        env = gymnasium.make(env_id)
        seen, _ = env.reset(seed=5)
        assert env.observation_space.contains(seen)
        frames = [seen["image"]]
        for action in [2, 2, 1, 2, 2, 2, 1, 2, 2] * 3:
            frames.append(env.step(action)[0]["image"])
        found.append(np.stack(frames))
        env.close()
    np.testing.assert_array_equal(*found)
    assert env.spec is not None and env.spec.kwargs["step_budget"] == CHANCE_ROOMS[env_id][1]


def test_a_slide_onto_the_goal_arrives() -> None:
    env = SlipperyRooms(depth=2, slips=1.0)
    for seed in range(20):
        env.reset(seed=seed)
        x, y, _ = agent_of(env)[0, :3]
        ahead = [
            (x + 2 * dx, y + 2 * dy, turn) for turn, (dx, dy) in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)])
        ]
        for goal_x, goal_y, turn in ahead:
            middle = (x + goal_x) // 2, (y + goal_y) // 2
            inside = 0 <= goal_x < env.width and 0 <= goal_y < env.height
            if not inside or env.plan.walls[middle] or env.plan.walls[goal_x, goal_y]:
                continue
            env.agent_dir = turn
            env.move_goal((goal_x, goal_y, 0))
            assert env.step(FORWARD)[2]
            return
    raise AssertionError("no start with two free cells ahead")


def test_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match="slips is 1.5; give a probability"):
        SlipperyRooms(slips=1.5)
    with pytest.raises(ValueError, match="closes is -1; give a probability"):
        ClosingDoorRooms(closes=-1)
