"""Ground truth about the world: shortest paths and optimal actions.

A state is (x, y, heading); turning costs a step, and so does opening a door. Oracles are for evaluation, data
collection and diagnostics: no agent that is evaluated may use them.

Doors do not multiply the states. An open door is never in the way, so a shortest path closes none; it gains
nothing from a door before it walks through, so it may as well open it right before; and it never comes back to
a cell, because turning on the spot is shorter. A closed door is therefore a cell that costs two steps to enter
(toggle, forward) instead of one, given the door states at the start, and the search over (x, y, heading) is
exact. Tests compare it with a search over all door states. Locked doors and keys do, see :mod:`tasks.key_oracles`.
"""

from __future__ import annotations

import numpy as np

from tasks.breadth_first import UNREACHABLE, breadth_first
from tasks.dynamics import cell_ahead, step_agents
from tasks.observations import (
    BARRIER,
    CLOSED,
    DONE,
    FIRST_DOOR,
    FORWARD,
    HEADINGS,
    KEY_SPOT,
    LEFT,
    OPEN,
    RIGHT,
    TOGGLE,
)

_BLOCKED = -2


def distances(walls: np.ndarray, goal_cells: np.ndarray, doors: np.ndarray | None = None) -> np.ndarray:
    """Steps from every state to a goal cell at any heading, turns counted.

    One breadth-first search runs backwards from all goals at once, each plan in its own part of one flat
    state array, so the cost grows with the number of reachable states and not with plans x path length in
    Python.

    Args:
        walls: (B, W, H) bool or barrier maps (int8) with closed outer borders, or (W, H) for one plan shared
            by all goals.
        goal_cells: (B, 2 or more) integers; only x, y are read.
        doors: (B, M) door states that the paths begin with; None: all doors are closed.

    Returns:
        (B, W, H, 4) int32; -1 for walls and unreachable states. The entry of a closed door's cell counts from
        when it is open and entered.

    Raises:
        ValueError: shapes that do not fit, an open outer border, or a goal in a wall or outside the grid.
    """
    goals = np.asarray(goal_cells)
    if goals.ndim != 2 or goals.shape[1] < 2:
        raise ValueError(f"goal_cells has shape {goals.shape}; pass (B, 2) with x, y")
    walls, closed = _checked_walls(walls, len(goals), doors)
    headings = np.arange(4)
    states = np.concatenate(
        [np.repeat(goals[:, None, :2], 4, 1), np.tile(headings[:, None], (len(goals), 1, 1))], -1
    )
    return _search(walls, closed, states)


def cell_distances(walls: np.ndarray, any_heading: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of states on one plan, for diagnostics.

    Args:
        walls: (W, H) bool or a barrier map with a closed outer border; doors are closed at the start of each
            way.
        any_heading: True: steps to the *cell* of the target state (its heading is free, as in success);
            False: steps to exactly the target state.

    Returns:
        states (S, 3) int64 (x, y, heading), free cells sorted by x, y and then heading; steps (S, S) int16
        from state i (row) to state j (column), -1 where there is no way.
    """
    cells = np.argwhere(np.asarray(walls) != BARRIER)
    states = np.concatenate([np.repeat(cells, 4, 0), np.tile(np.arange(4), len(cells))[:, None]], -1)
    if any_heading:
        found = np.repeat(distances(walls, cells), 4, 0)
    else:
        found = _search(*_checked_walls(walls, len(states), None), states[:, None])
    return states, found[:, states[:, 0], states[:, 1], states[:, 2]].T.astype(np.int16)


def shortest_actions(
    walls: np.ndarray,
    steps: np.ndarray,
    agent: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """An optimal action, towards the goal that ``steps`` was made for.

    An agent that follows these actions may keep the table while it opens doors on its way.

    Args:
        walls: (B, W, H) or (W, H) bool or barrier maps.
        steps: (B, W, H, 4) from :func:`distances`.
        agent: (B, 3 + M) integers (x, y, heading, door states), or None for a table over all states, with the
            doors closed.
        rng: breaks ties at random; without it ties prefer forward (or opening the door ahead), then left.

    Returns:
        uint8, (B,) for given agents, otherwise (B, W, H, 4). ``done`` where the state is on the goal, in a
        wall, or has no way to the goal.
    """
    table = agent is None
    walls = np.asarray(walls)
    if agent is None:
        _, width, height, _ = steps.shape
        states = np.stack(np.meshgrid(np.arange(width), np.arange(height), np.arange(4), indexing="ij"), -1)
        # Walls on the outer border have no neighbours to look up; an inner cell stands in for them.
        agent = np.where((steps > 0)[..., None], states, np.array([1, 1, 0]))
        walls = walls[..., None, None, None, :, :]
    agent = np.asarray(agent)
    place = agent[..., :3]
    rows = np.arange(len(steps)).reshape(-1, *[1] * (agent.ndim - 2))
    here = steps[rows, agent[..., 0], agent[..., 1], agent[..., 2]]
    ahead = cell_ahead(walls, place)
    door, shut = _doors_ahead(ahead, agent)
    solid = walls == BARRIER  # doors are no obstacle to a path
    best = np.full(here.shape, DONE, dtype=np.uint8)
    preference = np.zeros(here.shape)
    for rank, action in enumerate((RIGHT, LEFT, FORWARD), start=1):
        after = step_agents(solid, place, np.array(action))
        there = steps[rows, after[..., 0], after[..., 1], after[..., 2]]
        weight = np.full(here.shape, float(rank)) if rng is None else rng.random(here.shape)
        good = there == here - 1
        if action == FORWARD:
            # The table counts two steps where it knew the door ahead closed. If it is open by now, nothing is
            # better. If the table knew it open and it was closed since, that is the last resort.
            counted = door & (there == here - 2) & (there >= 0)
            weight = np.where(counted & ~shut, 4.0, np.where(good & shut, 1e-9, weight))
            good = good | counted
        better = (here > 0) & good & (weight > preference)
        chosen = np.where(shut, np.uint8(TOGGLE), np.uint8(action)) if action == FORWARD else np.uint8(action)
        best = np.where(better, chosen, best)
        preference = np.where(better, weight, preference)
    return np.where(steps > 0, best, np.uint8(DONE)) if table else best


def _doors_ahead(ahead: np.ndarray, agent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which agents (...) face a door, and which of them a closed one (all, for agents without door states)."""
    door = ahead >= FIRST_DOOR if ahead.dtype != np.bool_ else np.zeros(ahead.shape, dtype=bool)
    if agent.shape[-1] == 3 or not door.any():
        return door, door
    slot = np.where(door, 3 + ahead.astype(np.int64) - FIRST_DOOR, 0)
    return door, door & (np.take_along_axis(agent, slot[..., None], -1)[..., 0] == CLOSED)


def arrival(walls: np.ndarray, start: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk a shortest path.

    Args:
        walls: (E, W, H) bool or barrier maps.
        start: (E, 3 + M).
        goal: (E, 2 or more), cells.

    Returns:
        steps (E,) int64 to the goal cell at any heading, -1 where there is no way, and the agents (E, 3 + M)
        as they arrive, with the doors that the path opened.
    """
    steps, agent = np.empty(len(start), dtype=np.int64), np.array(start, dtype=np.int64)
    for first in range(0, len(start), 512):  # bounds the memory of the search
        part = slice(first, first + 512)
        table = distances(walls[part], goal[part], start[part, 3:])
        steps[part] = table[np.arange(len(table)), start[part, 0], start[part, 1], start[part, 2]]
        if start.shape[1] > 3:
            for _ in range(steps[part].max(initial=0)):
                action = shortest_actions(walls[part], table, agent[part])
                agent[part] = step_agents(walls[part], agent[part], action)
    return steps, agent


def _checked_walls(
    walls: np.ndarray, batch: int, doors: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Walls (B, W, H) bool, and which cells (B, W, H) are closed doors; None where there are none."""
    walls = np.asarray(walls)
    if walls.ndim == 2:
        walls = np.broadcast_to(walls, (batch, *walls.shape))
    if walls.ndim != 3 or len(walls) != batch:
        raise ValueError(f"walls have shape {walls.shape} for {batch} goals; pass ({batch}, W, H) or (W, H)")
    if (walls == KEY_SPOT).any():
        raise ValueError("walls have a key, which these oracles do not know; use tasks.key_oracles")
    solid = walls == BARRIER
    if not (solid[:, [0, -1]].all() and solid[:, :, [0, -1]].all()):
        raise ValueError("walls leave the outer border open; close it, the search relies on it")
    if walls.dtype == np.bool_ or not (walls >= FIRST_DOOR).any():
        return solid, None
    closed = walls >= FIRST_DOOR
    if doors is not None:
        slots = np.pad(np.asarray(doors), ((0, 0), (FIRST_DOOR, 0)), constant_values=OPEN)
        closed = slots[np.arange(batch)[:, None, None], walls] == CLOSED
    return solid, closed


def _search(walls: np.ndarray, closed: np.ndarray | None, targets: np.ndarray) -> np.ndarray:
    """Backward search. walls, closed doors (B, W, H), targets (B, T, 3) -> steps (B, W, H, 4) int32."""
    batch, width, height = walls.shape
    x, y, heading = np.moveaxis(np.asarray(targets, dtype=np.int64), -1, 0)
    wrong = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    rows = np.arange(batch)[:, None]
    if not wrong.any():
        wrong = walls[rows, x, y]
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"goal {row} at (x={x[row, column]}, y={y[row, column]}) is not a free cell of its"
            f" {width}x{height} plan; choose a cell where walls is False"
        )
    steps = np.where(np.repeat(walls.reshape(-1), 4), np.int32(_BLOCKED), np.int32(UNREACHABLE))
    back = -4 * (HEADINGS[:, 0] * height + HEADINGS[:, 1])
    slow = None if closed is None else closed.reshape(-1)

    def before(frontier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = frontier & 3
        cell = frontier - at
        behind = frontier + back[at]
        turned = [cell + ((at + 1) & 3), cell + ((at - 1) & 3)]
        if slow is None:
            return np.concatenate([*turned, behind]), behind[:0]
        late = slow[frontier >> 2]
        return np.concatenate([*turned, behind[~late]]), behind[late]

    breadth_first(steps, (((rows * width + x) * height + y) * 4 + heading).reshape(-1), before)
    steps[steps == _BLOCKED] = UNREACHABLE
    return steps.reshape(batch, width, height, 4)
