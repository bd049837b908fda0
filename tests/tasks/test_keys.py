"""Keys and locks: dynamics, images and the oracle against rules and searches written once more, state by state."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import observations as o
from tasks.dynamics import step_agents
from tasks.key_oracles import key_actions, key_arrival, key_distances, steps_from
from tasks.oracles import distances

State = tuple[int, ...]
RULES = ((1, 0), (0, 1), (-1, 0), (0, -1))


def random_world(seed: int, doors: int, side: int = 6) -> np.ndarray:
    """A closed grid (side, side + 1, 3) with random walls, up to ``doors`` doors and a key anywhere."""
    rng = np.random.default_rng(seed)
    walls = rng.random((side, side + 1)) < 0.25
    walls[[0, -1]] = walls[:, [0, -1]] = True
    walls[1, 1:3] = False
    grid = o.walls_to_grid(walls)
    cells = rng.permutation(np.argwhere(~walls))
    grid[tuple(cells[0])] = o.KEY_CELL
    for x, y in cells[1 : 1 + min(doors, len(cells) - 2)]:
        grid[x, y] = o.DOOR_CELL
    return grid


def random_agents(grid: np.ndarray, rng: np.random.Generator, count: int, doors: int) -> np.ndarray:
    """Agents (count, 3 + doors + 1) in any states, on cells that are free in them."""
    barriers = o.grid_to_barriers(grid, doors, 1)
    cells = np.argwhere(barriers == o.FREE)
    there = np.arange(doors) < (barriers >= o.FIRST_DOOR).sum()
    states = [rng.integers(0, 3, (count, doors)) * there, rng.integers(0, 2, (count, 1))]
    return np.concatenate(
        [cells[rng.integers(len(cells), size=count)], rng.integers(0, 4, (count, 1)), *states], -1
    )


def plain_step(barriers: np.ndarray, state: State, action: int) -> State:
    """MiniGrid's rules once more, one state at a time, but for ``drop``."""
    x, y, heading, *doors, key = state
    ahead = x + RULES[heading][0], y + RULES[heading][1]
    what = int(barriers[ahead])
    if action == o.LEFT:
        heading = (heading + 3) % 4
    elif action == o.RIGHT:
        heading = (heading + 1) % 4
    elif action == o.FORWARD:
        in_the_way = what == 1 or (what >= 2 and doors[what - 2] != 0) or (what == -1 and key == 1)
        x, y = (x, y) if in_the_way else ahead
    elif action == o.TOGGLE and what >= 2:
        before = doors[what - 2]
        doors[what - 2] = {0: 1, 1: 0, 2: 0 if key == 0 else 2}[before]
    elif action == o.PICKUP and what == -1:
        key = 0
    return (x, y, heading, *doors, key)


def brute_force(barriers: np.ndarray, start: State, goal: tuple[int, ...]) -> int:
    """Fewest steps over all states; -1 for no way. A goal of two numbers may be entered at any heading."""
    steps, queue = {start: 0}, deque([start])
    while queue:
        state = queue.popleft()
        if state[: len(goal)] == goal:
            return steps[state]
        for action in range(7):
            after = plain_step(barriers, state, action)
            if after not in steps:
                steps[after] = steps[state] + 1
                queue.append(after)
    return -1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), doors=st.sampled_from([1, 2]))
def test_the_oracle_equals_a_search_over_all_states(seed: int, doors: int) -> None:
    rng, grid = np.random.default_rng(seed), random_world(seed, doors)
    barriers, count = o.grid_to_barriers(grid, doors, 1), 10
    start = random_agents(grid, rng, count, doors)
    cells = np.argwhere(barriers != o.BARRIER)
    goal = cells[rng.integers(len(cells), size=count)]
    many = np.repeat(barriers[None], count, 0)
    expected = [brute_force(barriers, tuple(s), tuple(g)) for s, g in zip(start.tolist(), goal.tolist())]
    steps, arrived = key_arrival(many, start, goal)
    assert steps.tolist() == expected
    there = steps >= 0
    assert (arrived[there, :2] == goal[there]).all(), "following the actions takes exactly that many steps"
    # Ties broken at random lead there as fast.
    table, agent = key_distances(many, goal, doors), start
    for _ in range(max(expected)):
        agent = step_agents(many, agent, key_actions(many, table, agent, rng))
    assert (agent[there, :2] == goal[there]).all()
    # And with a heading, in part of the goals.
    facing = np.concatenate([goal, rng.integers(-1, 4, (count, 1))], -1)
    ends = [tuple(g[:2]) if g[2] < 0 else tuple(g) for g in facing.tolist()]
    expected = [brute_force(barriers, tuple(s), end) for s, end in zip(start.tolist(), ends)]
    assert steps_from(key_distances(many, facing, doors), start).tolist() == expected


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), doors=st.sampled_from([0, 1, 3]))
def test_dynamics_equal_the_plain_rules(seed: int, doors: int) -> None:
    rng, grid = np.random.default_rng(seed), random_world(seed, doors)
    barriers, states = o.grid_to_barriers(grid, doors, 1), random_agents(grid, rng, 60, doors)
    # Beside a door or the key there is most to get wrong: half of the agents stand there.
    things = np.argwhere((barriers < 0) | (barriers >= o.FIRST_DOOR))
    for i in range(30):
        heading = int(rng.integers(4))
        cell = things[rng.integers(len(things))] - RULES[heading]
        if barriers[tuple(cell)] == o.FREE:
            states[i, :3] = (*cell, heading)
    actions = rng.integers(0, 7, 60)
    after = step_agents(barriers, states, actions)
    assert after.tolist() == [
        list(plain_step(barriers, tuple(s), a)) for s, a in zip(states.tolist(), actions.tolist())
    ]
    assert (after == step_agents(np.repeat(barriers[None], 60, 0), states, actions)).all()
    assert (after[0] == step_agents(barriers, states[0], actions[0])).all(), "single agents work as well"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), lead=st.sampled_from([(), (3,), (2, 3)]))
def test_split_undoes_compose(seed: int, lead: tuple[int, ...]) -> None:
    rng, floor = np.random.default_rng(seed), random_world(seed, 2)
    count = int(np.prod(lead))
    agent = random_agents(floor, rng, count, 3).reshape(*lead, 7)
    image = o.compose_image(floor, agent)
    lies = agent[..., -1] == o.LYING
    assert ((image[..., 0] == o.KEY).any((-1, -2)) == lies).all()
    known = np.broadcast_to(floor, image.shape)
    grid, found = o.split_image(image, doors=3, floor=known, keys=1)
    assert (grid == floor).all() and (found == agent).all()
    # Without a floor plan the image tells the states as well, and the plan as far as it shows it.
    grid, found = o.split_image(image, doors=3, keys=1)
    assert (found == agent).all() and (grid[lies] == floor).all()
    assert (grid[~lies][..., 0] != o.KEY).all()
    # An agent may stand where the key lay, and in an open doorway.
    flat = random_agents(floor, rng, 4, 3)
    flat[:2, :2], flat[:, -1] = np.argwhere(floor[..., 0] == o.KEY)[0], o.IN_HAND
    doors = o.door_cells(floor, 3)
    flat[2:, :2], flat[2:, 3] = doors[0], o.OPEN
    grid, found = o.split_image(o.compose_image(floor, flat), 3, np.repeat(floor[None], 4, 0), 1)
    assert (grid == floor).all() and (found == flat).all()


def test_states_are_drawn_beside_floor_plans_without_a_key() -> None:
    """A floor plan seen with the key in hand already has none; the agent vector is as long as ever."""
    floor = random_world(0, 1)
    empty = np.where(floor[..., :1] == o.KEY, np.array(o.EMPTY_CELL, np.uint8), floor)
    agents = random_agents(floor, np.random.default_rng(0), 2, 1)
    agents[:, -1] = o.IN_HAND
    image = o.compose_image(np.stack([floor, empty]), agents[:1].repeat(2, 0))
    assert (image[0] == image[1]).all()
    assert (o.world_grid(floor[None].repeat(2, 0), agents)[..., 0] != o.KEY).all()


def test_keys_are_checked() -> None:
    floor = random_world(0, 1)
    with pytest.raises(ValueError, match="shows 1 keys, asked for are 0"):
        o.grid_to_barriers(floor, 1)
    floor[1, 1] = floor[1, 2] = o.KEY_CELL
    with pytest.raises(ValueError, match="0 or 1 can be"):
        o.grid_to_barriers(floor, 1, 1)
    barriers = o.grid_to_barriers(random_world(1, 1), 1, 1)
    with pytest.raises(ValueError, match=r"use tasks\.key_oracles"):
        distances(barriers, np.array([[1, 1]]))
    with pytest.raises(ValueError, match=r"goal \[0, 0\] is in a wall"):
        key_distances(barriers[None], np.array([[0, 0]]))
    with pytest.raises(ValueError, match="pass \\(B, W, H\\)"):
        key_distances(barriers, np.array([[1, 1]]))
    barriers[0, 3] = o.FREE
    with pytest.raises(ValueError, match="outer border"):
        key_distances(barriers[None], np.array([[1, 1]]))
