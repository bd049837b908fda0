"""Mazes: corridors of one cell between walls of one cell, on a lattice of rooms of one cell."""

from __future__ import annotations

import numpy as np

NEWEST = (1.0, 0.75, 0.25)
"""How often a maze goes on at its newest room: always makes few long corridors, seldom makes many short ones."""

_AROUND = ((1, 0), (0, 1), (-1, 0), (0, -1))


def maze(rng: np.random.Generator, side: int) -> np.ndarray:
    """A perfect maze: between any two rooms there is exactly one way.

    A tree is grown from one room; each time it goes on from its newest room or from any other.

    Args:
        rng: source of every draw.
        side: of the grid, odd; the rooms are the cells whose x and y are odd.

    Returns:
        (W, W) bool.
    """
    rooms = side // 2
    walls = np.ones((side, side), dtype=bool)
    newest = float(rng.choice(NEWEST))
    first = (int(rng.integers(rooms)), int(rng.integers(rooms)))
    open_ends, joined = [first], {first}
    walls[2 * first[0] + 1, 2 * first[1] + 1] = False
    while open_ends:
        index = len(open_ends) - 1 if rng.random() < newest else int(rng.integers(len(open_ends)))
        x, y = open_ends[index]
        ways = [
            (dx, dy)
            for dx, dy in _AROUND
            if 0 <= x + dx < rooms and 0 <= y + dy < rooms and (x + dx, y + dy) not in joined
        ]
        if not ways:
            del open_ends[index]
            continue
        dx, dy = ways[int(rng.integers(len(ways)))]
        walls[2 * x + 1 + dx, 2 * y + 1 + dy] = walls[2 * (x + dx) + 1, 2 * (y + dy) + 1] = False
        joined.add((x + dx, y + dy))
        open_ends.append((x + dx, y + dy))
    return walls


def braid(rng: np.random.Generator, side: int) -> np.ndarray:
    """A maze without dead ends, so that there are ways round.

    Args:
        rng: source of every draw.
        side: of the grid, odd.

    Returns:
        (W, W) bool.
    """
    walls = maze(rng, side)
    rooms = np.stack(np.meshgrid(*[np.arange(1, side, 2)] * 2, indexing="ij"), -1).reshape(-1, 2)
    for x, y in rng.permutation(rooms).tolist():
        shut = [(dx, dy) for dx, dy in _AROUND if walls[x + dx, y + dy]]
        if len(shut) < len(_AROUND) - 1:
            continue
        inner = [(dx, dy) for dx, dy in shut if 0 < x + dx < side - 1 and 0 < y + dy < side - 1]
        dx, dy = inner[int(rng.integers(len(inner)))]
        walls[x + dx, y + dy] = False
    return walls
