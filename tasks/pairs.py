"""Starts and goals of many episodes, drawn all at once.

The pairs are those that :func:`tasks.episodes.draw_episode` draws one by one from the same generators. It numbers the
pairs of cells that are allowed, start by start, and draws a number; here the number is resolved without a table of
pairs: how many goals each cell has says which start it belongs to, and what is left over which of that start's goals.
"""

from __future__ import annotations

import numpy as np

from tasks.episodes import fixed_pairs, no_pair, quadrants
from tasks.streams import Streams


def draw_pairs(
    streams: Streams, walls: np.ndarray, tasks: str, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and goals on floor plans that have no key.

    Args:
        streams: what is drawn from.
        walls: (R, W, W) bool.
        tasks: ``far`` or ``uniform``.
        rows: (R,) of the streams; None: all.

    Returns:
        start, goal (R, 3) int64, x, y, heading each.

    Raises:
        ValueError: walls that allow no pair.
    """
    count, side, _ = walls.shape
    free, cells = ~walls.reshape(count, -1), np.arange(side**2)
    if tasks == "far":
        where = quadrants(side, np.stack(np.divmod(cells, side), -1))
        # As products of matrices, exact far beyond the numbers there are: free cells of each quadrant, and of these
        # the goals of each cell, which are those of the quadrant opposite.
        inside = (where[:, None] == np.arange(4)).astype(float)
        goals = free * (free.astype(float) @ inside @ inside[:, ::-1].T)
    else:
        goals = free * (np.count_nonzero(free, axis=1) - 1.0)[:, None]
    pairs = goals.sum(1).astype(np.int64)
    if not pairs.all():
        raise ValueError(no_pair(tasks))
    drawn = streams.integers(np.stack([pairs, *np.full((2, count), 4)], 1), rows)
    first, left = _numbered(goals.reshape(walls.shape), drawn[:, 0])
    begun = first[:, 0] * side + first[:, 1]
    fits = free & (where == 3 - where[begun, None] if tasks == "far" else cells != begun[:, None])
    second, _ = _numbered(fits.reshape(walls.shape).astype(float), left)
    return np.concatenate([first, drawn[:, 1:2]], 1), np.concatenate([second, drawn[:, 2:]], 1)


def _numbered(weights: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells (R, 2) that hold these numbers (R,), where each cell holds as many as its weight (R, W, H) says.

    Returns:
        the cells, and how many numbers (R,) of a cell's own are below the one that it was looked up for.
    """
    x, left = _place(weights @ np.ones(weights.shape[2]), number)
    y, left = _place(weights[np.arange(len(weights)), x], left)
    return np.stack([x, y], 1), left


def _place(weights: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`_numbered` in a row of places (R, N): which place (R,), and how many of its numbers (R,) are below."""
    rows, until = np.arange(len(weights)), weights.cumsum(1)
    at = (until <= number[:, None]).sum(1)
    return at, number - (until[rows, at] - weights[rows, at]).astype(np.int64)


def draw_fixed_pairs(
    streams: Streams, plan: int, depth: int, room: int, tasks: str, split: str, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and goals (R, 3) int64 of the pairs that a split owns on a fixed plan, see `fixed_pairs`.

    Raises:
        ValueError: it owns none.
    """
    cells, allowed = fixed_pairs(plan, depth, room, tasks, split)
    pairs = np.argwhere(allowed)
    if not len(pairs):
        raise ValueError(no_pair(tasks))
    drawn = streams.integers(np.broadcast_to([len(pairs), 4, 4], (len(rows), 3)), rows)
    start, goal = (np.concatenate([cells[pairs[drawn[:, 0], i]], drawn[:, 1 + i, None]], 1) for i in (0, 1))
    return start, goal
