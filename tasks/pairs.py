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
    free, at, cells = ~walls.reshape(count, -1), np.arange(count), np.arange(side**2)
    if tasks == "far":
        where = quadrants(side, np.stack(np.divmod(cells, side), -1))
        opposite = np.where(where >= 0, 3 - where, 4)
        members = np.stack([*((free & (where == each)).sum(1) for each in range(4)), np.zeros(count, int)], 1)
        goals = free * members[:, opposite]
    else:
        goals = free * (free.sum(1)[:, None] - 1)
    until = goals.cumsum(1)
    if not until[:, -1].all():
        raise ValueError(no_pair(tasks))
    drawn = streams.integers(np.stack([until[:, -1], *np.full((2, count), 4)], 1), rows)
    first = (until <= drawn[:, :1]).sum(1)
    left = drawn[:, 0] - until[at, first] + goals[at, first]
    fits = free & (where == opposite[first, None] if tasks == "far" else cells != first[:, None])
    second = (fits.cumsum(1) <= left[:, None]).sum(1)
    start, goal = (
        np.stack([*np.divmod(cell, side), drawn[:, i]], 1) for i, cell in ((1, first), (2, second))
    )
    return start, goal


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
