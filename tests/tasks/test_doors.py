"""Doors: agent vectors that carry their states, images, dynamics, and the oracle against a search over all states."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import observations as o
from tasks.dynamics import step_agents
from tasks.episode_batches import reachable_barriers
from tasks.oracles import arrival, cell_distances, distances, shortest_actions
from tasks.walks import random_states, walk

State = tuple[int, ...]
RULES = ((1, 0), (0, 1), (-1, 0), (0, -1))


def random_world(seed: int, doors: int = 3, side: int = 6) -> np.ndarray:
    """A closed grid (side, side + 1, 3) with random walls and up to ``doors`` doors anywhere."""
    rng = np.random.default_rng(seed)
    walls = rng.random((side, side + 1)) < 0.25
    walls[[0, -1]] = walls[:, [0, -1]] = True
    walls[1, 1] = False
    grid = o.walls_to_grid(walls)
    cells = np.argwhere(~walls)[1:]
    for x, y in cells[rng.permutation(len(cells))[:doors]]:
        grid[x, y] = (o.DOOR, rng.integers(6), o.CLOSED)
    return grid


def plain_step(barriers: np.ndarray, state: State, action: int) -> State:
    """MiniGrid's rules once more, one state at a time."""
    x, y, heading, *doors = state
    ahead = x + RULES[heading][0], y + RULES[heading][1]
    slot = int(barriers[ahead]) - 2
    if action == o.LEFT:
        heading = (heading + 3) % 4
    elif action == o.RIGHT:
        heading = (heading + 1) % 4
    elif action == o.FORWARD and barriers[ahead] != 1 and (slot < 0 or not doors[slot]):
        x, y = ahead
    elif action == o.TOGGLE and slot >= 0:
        doors[slot] = 1 - doors[slot]
    return (x, y, heading, *doors)


def brute_force(barriers: np.ndarray, start: State, goal: State) -> int:
    """Fewest steps over all states, door states included, with a toggle in both directions; -1 for no way."""
    steps, queue = {start: 0}, deque([start])
    while queue:
        state = queue.popleft()
        if state[:2] == goal[:2]:
            return steps[state]
        for action in (o.LEFT, o.RIGHT, o.FORWARD, o.TOGGLE):
            after = plain_step(barriers, state, action)
            if after not in steps:
                steps[after] = steps[state] + 1
                queue.append(after)
    return -1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_oracle_equals_a_search_over_all_door_states(seed: int) -> None:
    barriers = o.grid_to_barriers(random_world(seed), 3)
    rng = np.random.default_rng(seed)
    cells = np.argwhere(barriers == o.FREE)
    count = 12
    start = np.concatenate(
        [
            cells[rng.integers(len(cells), size=count)],
            rng.integers(0, 4, (count, 1)),
            rng.integers(0, 2, (count, 3)),
        ],
        -1,
    )
    goal = cells[rng.integers(len(cells), size=count)]
    many = np.repeat(barriers[None], count, 0)
    steps, arrived = arrival(many, start, goal)
    expected = [brute_force(barriers, tuple(s), tuple(g)) for s, g in zip(start.tolist(), goal.tolist())]
    assert steps.tolist() == expected
    there = steps >= 0
    assert (arrived[there, :2] == goal[there]).all(), "following the actions takes exactly that many steps"
    assert (arrived[there, 3:] <= start[there, 3:]).all(), "doors are opened, never closed"
    # Ties broken at random lead there as fast.
    table, agent = distances(many, goal, start[:, 3:]), start
    for _ in range(max(expected)):
        agent = step_agents(many, agent, shortest_actions(many, table, agent, rng))
    assert (agent[there, :2] == goal[there]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_dynamics_equal_the_plain_rules(seed: int) -> None:
    barriers = o.grid_to_barriers(random_world(seed), 4)
    rng = np.random.default_rng(seed)
    states = random_states(np.repeat(barriers[None], 40, 0), rng, 4)
    actions = rng.integers(0, 7, 40)
    after = step_agents(barriers, states, actions)
    assert after.tolist() == [
        list(plain_step(barriers, tuple(s), a)) for s, a in zip(states.tolist(), actions.tolist())
    ]
    assert (after == step_agents(np.repeat(barriers[None], 40, 0), states, actions)).all()
    assert (after[0] == step_agents(barriers, states[0], actions[0])).all(), "single agents work as well"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), lead=st.sampled_from([(), (3,), (2, 3)]))
def test_split_undoes_compose(seed: int, lead: tuple[int, ...]) -> None:
    floor = random_world(seed)
    rng = np.random.default_rng(seed)
    cells = o.door_cells(floor, 5)
    assert (cells[3:] == -1).all() and cells[:3].tolist() == np.argwhere(floor[..., 0] == o.DOOR).tolist()
    free = np.argwhere(floor[..., 0] == o.EMPTY)
    doors = np.concatenate([rng.integers(0, 2, (*lead, 3)), np.zeros((*lead, 2), dtype=int)], -1)
    agent = np.concatenate(
        [free[rng.integers(len(free), size=lead)], rng.integers(0, 4, (*lead, 1)), doors], -1
    )
    image = o.compose_image(floor, agent)
    grid, found = o.split_image(image, doors=5)
    assert (grid == floor).all() and (found == agent).all()
    # In a doorway the agent hides the door: a floor plan known from before brings it back.
    agent[..., :2], agent[..., 3] = cells[0], o.OPEN
    image = o.compose_image(floor, agent)
    grid, found = o.split_image(image, doors=5, floor=np.broadcast_to(floor, image.shape))
    assert (grid == floor).all() and (found == agent).all()
    assert (o.split_image(image)[0][..., 0] == o.DOOR).sum() == 2 * int(np.prod(lead))


def test_codes_and_slots_are_checked() -> None:
    floor = random_world(0)
    with pytest.raises(ValueError, match="shows 3 doors, but there are 2 door slots; ask for doors=3"):
        o.grid_to_barriers(floor, 2)
    with pytest.raises(ValueError, match="there are 0 door slots"):
        o.grid_to_barriers(floor)
    with pytest.raises(ValueError, match="floor has shape"):
        o.split_image(o.compose_image(floor, np.array([1, 1, 0])), doors=3, floor=floor[1:])
    assert o.grid_to_barriers(o.walls_to_grid(floor[..., 0] == o.WALL)).dtype == bool


def test_floor_that_cannot_be_reached_counts_as_wall() -> None:
    grid = o.walls_to_grid(np.zeros((7, 7), dtype=bool))  # open borders, as around MultiRoom's rooms
    grid[2:5, 2] = grid[2:5, 4] = grid[2, 2:5] = grid[4, 2:5] = o.WALL_CELL
    barriers = reachable_barriers(grid[None], np.array([[3, 3, 0]]), 0)[0]
    assert np.argwhere(~barriers).tolist() == [[3, 3]]
    grid[4, 3] = (o.DOOR, 0, o.CLOSED)
    barriers = reachable_barriers(grid[None], np.array([[3, 3, 0]]), 1)[0]
    assert barriers[3, 3] == o.FREE and barriers[4, 3] == o.FIRST_DOOR and barriers[5, 3] == o.FREE


def test_all_pairs_count_closed_doors() -> None:
    walls = np.ones((6, 3), dtype=bool)
    walls[1:5, 1] = False
    barriers = walls.astype(np.int8)
    barriers[3, 1] = o.FIRST_DOOR
    for any_heading in (True, False):
        states, steps = cell_distances(barriers, any_heading)
        row = states.tolist().index([1, 1, 0])
        assert steps[row, states.tolist().index([4, 1, 0])] == 4, "three cells and a toggle"
        assert (cell_distances(walls, any_heading)[1][row] <= steps[row]).all()


@pytest.mark.parametrize("explorer", ["persistent", "goal-seeking", "mixture"])
def test_explorers_open_close_and_bump_into_doors(explorer: str) -> None:
    class Spec:
        continuous, doors, keys = False, 3, 0

    barriers = np.stack([o.grid_to_barriers(random_world(seed), 3) for seed in range(80)])
    barriers = reachable_barriers_of(barriers)
    barriers = barriers[(barriers == o.FREE).sum((1, 2)) >= 6]
    agent, action = walk(barriers, 80, explorer, np.random.default_rng(0), 0, Spec())  # type: ignore[arg-type]
    change = np.diff(agent[..., 3:].astype(int), axis=1)
    assert (change == -1).sum() > 60 and (change == 1).sum() > 10
    for step in range(79):
        after = step_agents(barriers, agent[:, step].astype(int), action[:, step])
        assert (after == agent[:, step + 1]).all()
    started = agent[:, 0, 3:]
    assert 0.1 < (started == o.OPEN).mean() < 0.6 and (started == o.CLOSED).all(-1).mean() > 0.3


def reachable_barriers_of(barriers: np.ndarray) -> np.ndarray:
    """Walls wherever (1, 1) does not lead."""
    for plan in barriers:
        steps = distances(plan, np.array([[1, 1]]))[0].max(-1)
        plan[steps < 0] = o.BARRIER
    return barriers
