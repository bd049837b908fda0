"""Shortest paths against brute force, their consistency, and the random floor."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks.dynamics import check_actions, step_agents
from tasks.floorplans import floor_plan, plan_walls
from tasks.observations import DONE, FORWARD, HEADINGS, LEFT, RIGHT
from tasks.oracles import cell_distances, distances, shortest_actions
from tasks.random_policy import random_success


def brute_force(walls: np.ndarray, start: tuple[int, int, int]) -> dict[tuple[int, int, int], int]:
    """Steps from start to every state, by a plain forward search with its own copy of the rules."""
    steps, queue = {start: 0}, deque([start])
    while queue:
        x, y, heading = state = queue.popleft()
        dx, dy = ((1, 0), (0, 1), (-1, 0), (0, -1))[heading]
        ahead = (x, y, heading) if walls[x + dx, y + dy] else (x + dx, y + dy, heading)
        for after in (ahead, (x, y, (heading + 1) % 4), (x, y, (heading + 3) % 4)):
            if after not in steps:
                steps[after] = steps[state] + 1
                queue.append(after)
    return steps


def random_walls(seed: int, side: int = 7, share: float = 0.4) -> np.ndarray:
    """Any closed world, also with unreachable parts, with at least one free cell."""
    walls = np.random.default_rng(seed).random((side, side + 1)) < share
    walls[[0, -1]] = walls[:, [0, -1]] = True
    walls[2, 3] = False
    return walls


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), planned=st.booleans())
def test_distances_equal_brute_force(seed: int, planned: bool) -> None:
    walls = floor_plan(seed, 2).walls if planned else random_walls(seed)
    cells = np.argwhere(~walls)
    goals = cells[np.random.default_rng(seed).integers(len(cells), size=3)]
    found = distances(walls, goals)
    assert found.shape == (3, *walls.shape, 4) and found.dtype == np.int32
    assert (found[:, walls] == -1).all()
    for x, y in cells:
        for heading in range(4):
            steps = brute_force(walls, (int(x), int(y), heading))
            for table, (gx, gy) in zip(found, goals.tolist(), strict=True):
                ways = [steps[(gx, gy, h)] for h in range(4) if (gx, gy, h) in steps]
                assert table[x, y, heading] == (min(ways) if ways else -1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), depth=st.integers(2, 4))
def test_distances_satisfy_bellman(seed: int, depth: int) -> None:
    plan = floor_plan(seed, depth)
    cells = plan.free_cells()
    goal = cells[seed % len(cells)]
    table = distances(plan.walls, goal[None])[0]
    states = np.stack(np.meshgrid(*(np.arange(n) for n in table.shape), indexing="ij"), -1)[~plan.walls]
    states = states.reshape(-1, 3)
    after = np.stack([step_agents(plan.walls, states, np.array(a)) for a in (LEFT, RIGHT, FORWARD)])
    best = 1 + table[tuple(np.moveaxis(after, -1, 0))].min(0)
    here = table[tuple(states.T)]
    on_goal = (states[:, :2] == goal).all(-1)
    assert (here[on_goal] == 0).all()
    assert (here[~on_goal] == best[~on_goal]).all()


def test_every_plan_of_a_batch_is_searched_on_its_own() -> None:
    walls = plan_walls(np.arange(20), 3, 3)
    goals = np.array([plan[0] for plan in (np.argwhere(~w)[[-1]] for w in walls)])
    together = distances(walls, goals)
    for i in range(20):
        assert (together[i] == distances(walls[i], goals[[i]])[0]).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_pair_distances_are_consistent(seed: int) -> None:
    plan = floor_plan(seed, 2)
    states, exact = cell_distances(plan.walls, any_heading=False)
    _, cells = cell_distances(plan.walls)
    assert exact.dtype == cells.dtype == np.int16 and exact.shape == (len(states), len(states))
    assert (np.diag(exact) == 0).all() and (exact[~np.eye(len(states), dtype=bool)] > 0).all()
    assert (exact[:, :, None] + exact[None] >= exact[:, None, :]).all(), "triangle inequality"
    assert (cells == exact.reshape(len(states), -1, 4).min(-1).repeat(4, 1)).all()
    for i in range(0, len(states), 17):
        steps = brute_force(plan.walls, tuple(states[i].tolist()))
        assert [steps[tuple(state)] for state in states.tolist()] == exact[i].tolist()


@pytest.mark.parametrize("ties", [None, 0, 1])
def test_shortest_actions_take_exactly_the_oracles_steps(ties: int | None) -> None:
    episodes = tasks.sample_episodes("hjepa/NestedRooms-d3-v0", "train", episodes=50, seed=3)
    table = distances(episodes.walls, episodes.goal)
    rng = None if ties is None else np.random.default_rng(ties)
    agent, rows = episodes.start, np.arange(len(episodes))
    for taken in range(int(episodes.oracle_steps.max()) + 1):
        left = table[rows, agent[:, 0], agent[:, 1], agent[:, 2]]
        assert (left == np.maximum(episodes.oracle_steps - taken, 0)).all()
        action = shortest_actions(episodes.walls, table, agent, rng)
        assert ((action == DONE) == (left == 0)).all()
        agent = step_agents(episodes.walls, agent, action)
    assert (agent[:, :2] == episodes.goal[:, :2]).all()


def test_the_table_of_shortest_actions_equals_single_lookups() -> None:
    walls = np.stack([random_walls(seed) for seed in range(4)])
    goals = np.full((4, 2), (2, 3))
    found = distances(walls, goals)
    table = shortest_actions(walls, found)
    assert table.shape == found.shape and (table[found <= 0] == DONE).all()
    for x, y, heading in np.argwhere((found > 0).all(0)):
        agent = np.tile([x, y, heading], (4, 1))
        assert (shortest_actions(walls, found, agent) == table[:, x, y, heading]).all()
    assert len(np.unique(table)) == 4


def test_random_ties_use_more_than_one_shortest_path() -> None:
    episodes = tasks.sample_episodes("hjepa/NestedRooms-d3-v0", "train", episodes=50, seed=3)
    table = distances(episodes.walls, episodes.goal)
    choices = [
        shortest_actions(episodes.walls, table, episodes.start, np.random.default_rng(s)) for s in range(8)
    ]
    assert (np.ptp(choices, axis=0) > 0).any()


def test_bad_goals_and_open_worlds_are_refused() -> None:
    walls = floor_plan(0, 2).walls
    with pytest.raises(ValueError, match="is not a free cell of its 9x9 plan"):
        distances(walls, np.array([[0, 0]]))
    with pytest.raises(ValueError, match="x=40"):
        distances(walls, np.array([[40, 1]]))
    with pytest.raises(ValueError, match="goal_cells has shape"):
        distances(walls, np.array([1, 1]))
    with pytest.raises(ValueError, match="leave the outer border open"):
        distances(np.zeros((5, 5), dtype=bool), np.array([[1, 1]]))
    with pytest.raises(ValueError, match="for 3 goals"):
        distances(np.stack([walls, walls]), np.ones((3, 2), dtype=int))


def test_random_floor_is_seeded_and_counts_arrivals_within_the_budget() -> None:
    episodes = tasks.sample_episodes("hjepa/NestedRooms-d2-v0", "test", "uniform", episodes=100)
    assert random_success(episodes, 64, seed=1) == random_success(episodes, 64, seed=1)
    floors = [random_success(episodes, budget, seed=1, repeats=10) for budget in (0, 8, 64, 4000)]
    assert floors == sorted(floors) and floors[0] == 0.0
    assert 0.02 < floors[2] < 0.4 and floors[3] > 0.9


def test_dynamics_broadcast_and_leave_inputs_alone() -> None:
    walls = plan_walls(np.arange(3), 2, 3)
    cells = np.argwhere(~walls.any(0))
    agent = np.concatenate([cells, np.zeros((len(cells), 1), int)], -1)
    before = agent.copy()
    batched = step_agents(walls[:, None], agent, np.array(FORWARD))
    assert batched.shape == (3, len(cells), 3) and (agent == before).all()
    for i in range(3):
        assert (batched[i] == step_agents(walls[i], agent, np.full(len(cells), FORWARD))).all()
    for action in range(3, 7):
        assert (step_agents(walls[0], agent, np.array(action)) == agent).all()
    turned = agent
    for _ in range(4):
        turned = step_agents(walls[0], turned, np.array(LEFT))
    assert (turned == agent).all()
    assert (HEADINGS.sum(0) == 0).all()


@pytest.mark.parametrize(
    ("action", "message"), [([7], "action 7 does not exist"), ([-1], "action -1"), ([0.5], "dtype")]
)
def test_impossible_actions_are_refused(action: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_actions(np.array(action))
