"""Cells an agent must keep out of: lava in a floor plan, and zones that somebody draws on one.

Both are laid across the shortest way, where going round is longer but possible, so that an agent that does not care
walks into them.
"""

from __future__ import annotations

import numpy as np

from tasks.observations import HEADINGS
from tasks.oracles import distances

ACROSS = 3
"""Cells that are laid across the way of an episode."""


def lay_across(
    rng: np.random.Generator,
    walls: np.ndarray,
    start: tuple[int, ...],
    goal: tuple[int, ...],
    longest: int,
    cells: int = ACROSS,
) -> np.ndarray:
    """Forbid cells one after another, each on a shortest way that is still left and longer without it.

    Args:
        rng: source of every draw.
        walls: (W, H) bool.
        start: x, y, heading.
        goal: x, y.
        longest: steps that the way round may take.
        cells: how many, at most.

    Returns:
        (W, H) bool; nothing is forbidden where no cell can be: no way round, or only ways as short.
    """
    closed, end = walls.copy(), np.array([goal[:2]])
    x, y, heading = start[:3]
    for _ in range(cells):
        table = distances(closed, end)
        way = rng.permutation(_way(table[0], start, rng))
        if not len(way):
            break
        tried = np.repeat(closed[None], len(way), 0)
        tried[np.arange(len(way)), way[:, 0], way[:, 1]] = True
        around = distances(tried, np.repeat(end, len(way), 0))[:, x, y, heading]
        fits = np.flatnonzero((around > table[0, x, y, heading]) & (around <= longest))
        if not len(fits):
            break
        closed = tried[fits[0]]
    return closed & ~walls


def _way(table: np.ndarray, start: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(N, 2) cells between the ends of one shortest way, by the steps (W, H, 4) to its end."""
    steps = table.tolist()  # a walk in Python, where plain lists are many times as fast
    x, y, heading = start[:3]
    cells: list[tuple[int, int]] = []
    while (left := steps[x][y][heading]) > 0:
        ahead_x, ahead_y = (int(part) for part in HEADINGS[heading] + (x, y))
        following = ((ahead_x, ahead_y, heading), (x, y, (heading - 1) % 4), (x, y, (heading + 1) % 4))
        good = [(i, j, h) for i, j, h in following if steps[i][j][h] == left - 1]
        x, y, heading = good[int(rng.integers(len(good)))]
        cells += [(x, y)] if (x, y) != start[:2] and [(x, y)] != cells[-1:] else []
    return np.array(cells[:-1], dtype=np.int64).reshape(-1, 2)
