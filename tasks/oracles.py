"""Ground truth about the world: shortest paths, optimal actions, the random floor.

A state is (x, y, heading); turning costs a step. Oracles are for evaluation, data collection and diagnostics:
no agent that is evaluated may use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.dynamics import step_agents
from tasks.observations import ACTIONS, DONE, FORWARD, HEADINGS, LEFT, RIGHT
from tasks.randomness import keyed_generator

if TYPE_CHECKING:
    from tasks.episodes import EpisodeBatch

UNREACHABLE = -1
_BLOCKED = -2


def distances(walls: np.ndarray, goal_cells: np.ndarray) -> np.ndarray:
    """Steps from every state to a goal cell at any heading, turns counted.

    One breadth-first search runs backwards from all goals at once, each plan in its own part of one flat
    state array, so the cost grows with the number of reachable states and not with plans x path length in
    Python.

    Args:
        walls: (B, W, H) bool with closed outer borders, or (W, H) for one plan shared by all goals.
        goal_cells: (B, 2) or (B, 3) integers; only x, y are read.

    Returns:
        (B, W, H, 4) int32; -1 for walls and unreachable states.

    Raises:
        ValueError: shapes that do not fit, an open outer border, or a goal in a wall or outside the grid.
    """
    goals = np.asarray(goal_cells)
    if goals.ndim != 2 or goals.shape[1] not in (2, 3):
        raise ValueError(f"goal_cells has shape {goals.shape}; pass (B, 2) with x, y")
    walls = _checked_walls(walls, len(goals))
    headings = np.arange(4)
    states = np.concatenate(
        [np.repeat(goals[:, None, :2], 4, 1), np.tile(headings[:, None], (len(goals), 1, 1))], -1
    )
    return _search(walls, states)


def cell_distances(walls: np.ndarray, any_heading: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of states on one plan, for diagnostics.

    Args:
        walls: (W, H) bool with a closed outer border.
        any_heading: True: steps to the *cell* of the target state (its heading is free, as in success);
            False: steps to exactly the target state.

    Returns:
        states (S, 3) int64 (x, y, heading), free cells sorted by x, y and then heading; steps (S, S) int16
        from state i (row) to state j (column), -1 where there is no way.
    """
    cells = np.argwhere(~np.asarray(walls))
    states = np.concatenate([np.repeat(cells, 4, 0), np.tile(np.arange(4), len(cells))[:, None]], -1)
    if any_heading:
        found = np.repeat(distances(walls, cells), 4, 0)
    else:
        found = _search(_checked_walls(walls, len(states)), states[:, None])
    return states, found[:, states[:, 0], states[:, 1], states[:, 2]].T.astype(np.int16)


def shortest_actions(
    walls: np.ndarray,
    steps: np.ndarray,
    agent: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """An optimal action, towards the goal that ``steps`` was made for.

    Args:
        walls: (B, W, H) or (W, H) bool.
        steps: (B, W, H, 4) from :func:`distances`.
        agent: (B, 3) integers (x, y, heading), or None for a table over all states.
        rng: breaks ties at random; without it ties prefer forward, then left.

    Returns:
        uint8, (B,) for given agents, otherwise (B, W, H, 4). ``done`` where the state is on the goal, in a
        wall, or has no way to the goal.
    """
    table = agent is None
    if agent is None:
        _, width, height, _ = steps.shape
        states = np.stack(np.meshgrid(np.arange(width), np.arange(height), np.arange(4), indexing="ij"), -1)
        # Walls on the outer border have no neighbours to look up; an inner cell stands in for them.
        agent = np.where((steps > 0)[..., None], states, np.array([1, 1, 0]))
        walls = np.asarray(walls)[..., None, None, None, :, :]
    agent = np.asarray(agent)
    rows = np.arange(len(steps)).reshape(-1, *[1] * (agent.ndim - 2))
    here = steps[rows, agent[..., 0], agent[..., 1], agent[..., 2]]
    best = np.full(here.shape, DONE, dtype=np.uint8)
    preference = np.zeros(here.shape)
    for rank, action in enumerate((RIGHT, LEFT, FORWARD), start=1):
        after = step_agents(walls, agent, np.array(action))
        there = steps[rows, after[..., 0], after[..., 1], after[..., 2]]
        weight = np.full(here.shape, float(rank)) if rng is None else rng.random(here.shape)
        better = (here > 0) & (there == here - 1) & (weight > preference)
        best = np.where(better, np.uint8(action), best)
        preference = np.where(better, weight, preference)
    return np.where(steps > 0, best, np.uint8(DONE)) if table else best


def random_success(episodes: EpisodeBatch, step_budget: int, seed: int = 0, repeats: int = 1) -> float:
    """Success rate of the uniform random policy over the 7 actions within the step budget.

    Args:
        episodes: the evaluated episodes.
        step_budget: steps before an episode is given up.
        seed: key of the random actions.
        repeats: independent runs of every episode that are averaged.
    """
    walls = np.repeat(episodes.walls, repeats, 0)
    agent = np.repeat(episodes.start, repeats, 0)
    goal = np.repeat(episodes.goal, repeats, 0)
    rng = keyed_generator("random success", int(seed))
    arrived = np.zeros(len(agent), dtype=bool)
    for _ in range(step_budget):
        agent = step_agents(walls, agent, rng.integers(0, len(ACTIONS), len(agent)))
        arrived |= (agent[:, :2] == goal[:, :2]).all(-1)
    return float(arrived.mean())


def _checked_walls(walls: np.ndarray, batch: int) -> np.ndarray:
    walls = np.asarray(walls, dtype=bool)
    if walls.ndim == 2:
        walls = np.broadcast_to(walls, (batch, *walls.shape))
    if walls.ndim != 3 or len(walls) != batch:
        raise ValueError(f"walls have shape {walls.shape} for {batch} goals; pass ({batch}, W, H) or (W, H)")
    if not (walls[:, [0, -1]].all() and walls[:, :, [0, -1]].all()):
        raise ValueError("walls leave the outer border open; close it, the search relies on it")
    return walls


def _search(walls: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Backward breadth-first search. walls (B, W, H), targets (B, T, 3) -> steps (B, W, H, 4) int32."""
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
    frontier = (((rows * width + x) * height + y) * 4 + heading).reshape(-1)
    marks = np.zeros(len(steps), dtype=np.int64)
    steps[frontier] = 0
    step = 0
    while frontier.size:
        step += 1
        at = frontier & 3
        cell = frontier - at
        before = np.concatenate([cell + ((at + 1) & 3), cell + ((at - 1) & 3), frontier + back[at]])
        before = before[steps[before] == UNREACHABLE]
        # Two states can share a predecessor: of each value keep the entry whose mark was written last.
        order = np.arange(len(before))
        marks[before] = order
        frontier = before[marks[before] == order]
        steps[frontier] = step
    steps[steps == _BLOCKED] = UNREACHABLE
    return steps.reshape(batch, width, height, 4)
