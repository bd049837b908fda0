"""Rooms of many sizes: a square that is divided again and again, anywhere, with an opening in every wall."""

from __future__ import annotations

import numpy as np

LEAST = 2
"""Cells along a side of a room, at least. With fewer, openings could be where another wall ends."""

LARGEST = 5
"""Cells along a side from which on a room is always divided."""

AGAIN = 0.75
"""How often a room is divided that need not be."""

SECOND = 0.3
"""How often a wall has a second opening."""


def rooms(rng: np.random.Generator, side: int) -> np.ndarray:
    """Rooms that are joined by openings of one cell.

    Args:
        rng: source of every draw.
        side: of the grid, odd.

    Returns:
        (W, W) bool.
    """
    walls = np.ones((side, side), dtype=bool)
    walls[1:-1, 1:-1] = False
    built: list[np.ndarray] = []
    _divide(rng, walls, np.array([1, 1]), np.array([side - 2, side - 2]), built)
    for wall in built:
        across = np.array([0, 1]) if wall[0, 1] == wall[-1, 1] else np.array([1, 0])
        before, behind = wall - across, wall + across
        clear = ~walls[before[:, 0], before[:, 1]] & ~walls[behind[:, 0], behind[:, 1]]
        openings = wall[clear][rng.permutation(int(clear.sum()))[: 1 + (rng.random() < SECOND)]]
        walls[openings[:, 0], openings[:, 1]] = False
    return walls


def _divide(
    rng: np.random.Generator, walls: np.ndarray, corner: np.ndarray, size: np.ndarray, built: list[np.ndarray]
) -> None:
    """Divide the room at ``corner`` (x, y) of ``size`` cells; the cells (L, 2) of its walls are added to ``built``."""
    can = size >= 2 * LEAST + 1
    if not can.any() or (size.max() <= LARGEST and rng.random() > AGAIN):
        return
    axis = int(size.argmax()) if size[0] != size[1] else int(rng.integers(2))
    at = int(rng.integers(LEAST, size[axis] - LEAST))
    wall = np.repeat(corner[None], size[1 - axis], 0)
    wall[:, axis] += at
    wall[:, 1 - axis] += np.arange(size[1 - axis])
    walls[wall[:, 0], wall[:, 1]] = True
    built.append(wall)
    first, second, behind = size.copy(), size.copy(), corner.copy()
    first[axis], second[axis], behind[axis] = at, size[axis] - at - 1, corner[axis] + at + 1
    _divide(rng, walls, corner, first, built)
    _divide(rng, walls, behind, second, built)
