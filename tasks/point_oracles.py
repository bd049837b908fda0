"""Ground truth about the continuous point: exact path lengths on a lattice, least steps.

A full step moves at most SPEED in each coordinate, so the length of a path is measured in the maximum norm. Where
the body can be is a union of rectangles whose corners are multiples of RADIUS = 1/4 cell. Between two points of
the lattice of these multiples a shortest path may always be taken from lattice point to lattice point by king's
moves: a shortest path bends at corners, which are lattice points, and a straight piece between lattice points that
is rounded down to the lattice stays inside the same rectangles and is as long in the maximum norm. A breadth-first
search on the lattice is therefore exact, not an approximation, for lattice points; starts and goals are such
points.

*Least steps* is that length to the goal's square (see GOAL_RADIUS), divided by SPEED and rounded up: no policy needs
fewer. Around corners an optimal policy may need a few more, because a step is one straight piece.
"""

from __future__ import annotations

import numpy as np

from tasks.breadth_first import UNREACHABLE, breadth_first
from tasks.point_dynamics import RADIUS, SPEED, step_points
from tasks.streams import Streams

GOAL_RADIUS = 0.5
"""The goal is reached when both coordinates are within this of the goal's, in cells."""
UNIT = RADIUS
"""Lattice spacing, in cells."""

_PER_CELL = round(1 / UNIT)
_PER_STEP = round(SPEED / UNIT)
_BLOCKED = -2
_KING = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]


def at_goal(agent: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Whether positions (..., 2) are at goals (..., 2): (...) bool."""
    return (np.abs(agent - goal) <= GOAL_RADIUS).all(-1)


def place_in_cells(rng: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    """A random lattice point in each of the free cells (N, 2 or more): (N, 2) float32."""
    steps = rng.integers(-1, 2, (len(cells), 2))
    return (cells[:, :2] + 0.5 + steps * UNIT).astype(np.float32)


def place_many_in_cells(streams: Streams, cells: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """`place_in_cells` of the cells (R, N, 2 or more) of every row: (R, N, 2) float32.

    Args:
        streams: what is drawn from.
        cells: free ones.
        rows: (R,) of the streams; None: all.
    """
    steps = streams.integers(np.full((1, 2 * cells.shape[1]), 3), rows).reshape(*cells.shape[:2], 2) - 1
    return (cells[..., :2] + 0.5 + steps * UNIT).astype(np.float32)


def lattice_distances(walls: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Path lengths from every lattice point to the square around a goal, exact.

    Args:
        walls: (B, W, H) bool with closed outer borders.
        goal: (B, 2) positions on the lattice (see :func:`place_in_cells`).

    Returns:
        (B, 4 W + 1, 4 H + 1) int32, in lattice units of 1/4 cell; -1 where the body cannot be and where there
        is no way. Entry [b, i, j] is position (i / 4, j / 4).

    Raises:
        ValueError: a goal inside a wall.
    """
    batch = len(walls)
    squares, points = _lattice(walls)
    _, width, height = points.shape
    steps = np.where(points, np.int32(UNREACHABLE), np.int32(_BLOCKED)).reshape(-1)
    centre = np.rint(np.asarray(goal) / UNIT).astype(np.int64)
    reach = round(GOAL_RADIUS / UNIT)
    around = np.arange(-reach, reach + 1)
    x = np.clip(centre[:, 0, None, None] + around[:, None], 0, width - 1)
    y = np.clip(centre[:, 1, None, None] + around[None, :], 0, height - 1)
    inside = points[np.arange(batch), centre[:, 0], centre[:, 1]]
    if not inside.all():
        row = int(np.argmin(inside))
        raise ValueError(
            f"goal {row} at {np.asarray(goal)[row].tolist()} is inside a wall; choose a free place"
        )
    first = ((np.arange(batch)[:, None, None] * width + x) * height + y).reshape(-1)
    allowed = _king_moves(squares, points).reshape(-1)
    offsets = np.array([dx * height + dy for dx, dy in _KING])
    bits = 1 << np.arange(len(_KING))

    def before(frontier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Moves are allowed both ways, so the neighbours of a state are its predecessors.
        moves = (allowed[frontier, None] & bits) != 0
        return (frontier[:, None] + offsets)[moves], frontier[:0]

    breadth_first(steps, first[steps[first] == UNREACHABLE], before)
    steps[steps == _BLOCKED] = UNREACHABLE
    return steps.reshape(points.shape)


def remaining(table: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """Path length in cells to the goal that ``table`` (E, ., .) was made for, from positions (E, ..., 2).

    Exact at lattice points, elsewhere by way of the best corner of the position's lattice square (too long by
    less than 1/2 cell); infinite where there is no way.
    """
    return _remaining(table, agent)[0]


def _remaining(table: np.ndarray, agent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Path lengths (E, ...) and the lattice points (E, ..., 2) that the paths begin with, in cells."""
    scaled = np.asarray(agent, dtype=np.float64) / UNIT
    rows = np.arange(len(table)).reshape(-1, *[1] * (scaled.ndim - 2))
    best, corner = np.full(scaled.shape[:-1], np.inf), scaled.copy()
    low, high = np.floor(scaled).astype(np.int64), np.ceil(scaled).astype(np.int64)
    for x in (low[..., 0], high[..., 0]):
        for y in (low[..., 1], high[..., 1]):
            found = table[rows, x, y]
            way = np.maximum(np.abs(scaled[..., 0] - x), np.abs(scaled[..., 1] - y))
            length = np.where(found >= 0, found + way, np.inf)
            better = length < best
            best = np.where(better, length, best)
            corner = np.where(better[..., None], np.stack([x, y], -1), corner)
    return best * UNIT, corner * UNIT


def least_steps(walls: np.ndarray, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The least number of steps (E,) int64 from lattice positions (E, 2) to goals (E, 2) on walls (E, W, H)."""
    steps = np.empty(len(start), dtype=np.int64)
    for first in range(0, len(start), 64):  # bounds the memory of the search
        part = slice(first, first + 64)
        place = np.rint(np.asarray(start[part]) / UNIT).astype(np.int64)
        length = lattice_distances(walls[part], goal[part])[np.arange(len(place)), place[:, 0], place[:, 1]]
        steps[part] = -(-length // _PER_STEP)
    return steps


_STEPS = (1.0, 0.5, 0.0, -0.5, -1.0)
_ACTIONS = np.array([(x, y) for x in _STEPS for y in _STEPS if x or y], dtype=np.float32)


def greedy_point_actions(walls: np.ndarray, table: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """Good actions (E, 2) float32 towards the goal of ``table``: of 24 the one that leaves the shortest path.

    They reach the goal from everywhere; now and then they need a step more than the best policy.

    Args:
        walls: (E, W, H) bool.
        table: (E, 4 W + 1, 4 H + 1) from :func:`lattice_distances`.
        agent: (E, 2) float32.
    """
    count, many = len(agent), len(_ACTIONS)
    after = step_points(np.repeat(walls, many, 0), np.repeat(agent, many, 0), np.tile(_ACTIONS, (count, 1)))
    left, _ = _remaining(table, after.reshape(count, many, 2))
    best = _ACTIONS[left.argmin(-1)]
    # Off the lattice every one of them can be a step back; the corner that the path begins with never is.
    here, corner = _remaining(table, agent)
    stuck = left.min(-1) >= here
    return np.where(stuck[:, None], (corner - agent) / SPEED, best).astype(np.float32)


def _lattice(walls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the body may be: lattice squares (B, 4W, 4H) open inside, and lattice points (B, 4W+1, 4H+1)."""
    fine = np.repeat(np.repeat(walls, _PER_CELL, 1), _PER_CELL, 2)
    squares = ~_grown(fine)
    points = np.zeros((len(walls), fine.shape[1] + 1, fine.shape[2] + 1), dtype=bool)
    # A point is allowed when a square next to it is: the body then touches walls but covers none.
    for x in (slice(0, -1), slice(1, None)):
        for y in (slice(0, -1), slice(1, None)):
            points[:, x, y] |= squares
    return squares, points


def _grown(fine: np.ndarray) -> np.ndarray:
    """Walls on the fine grid (B, ., .) widened by the body's RADIUS (one square) on all sides."""
    wide = fine.copy()
    wide[:, 1:] |= fine[:, :-1]
    wide[:, :-1] |= fine[:, 1:]
    tall = wide.copy()
    tall[:, :, 1:] |= wide[:, :, :-1]
    tall[:, :, :-1] |= wide[:, :, 1:]
    return tall


def _king_moves(squares: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Bit k of entry (B, ., .) uint8 tells whether the king's move k is allowed from that lattice point."""
    open_squares = np.pad(squares, ((0, 0), (1, 1), (1, 1)))  # square [i, j] lies before point [i, j]
    moves = np.zeros(points.shape, dtype=np.uint8)
    _, width, height = points.shape

    def square(dx: int, dy: int) -> np.ndarray:
        return open_squares[:, dx : dx + width, dy : dy + height]

    for k, (dx, dy) in enumerate(_KING):
        if dx and dy:
            free = square(dx > 0, dy > 0)
        elif dx:  # along the edge between two squares, either of which may be open
            free = square(dx > 0, 0) | square(dx > 0, 1)
        else:
            free = square(0, dy > 0) | square(1, dy > 0)
        moves |= np.where(free, np.uint8(1 << k), np.uint8(0))
    return moves
