"""Fields with something in them: caves, scattered obstacles, loose walls."""

from __future__ import annotations

import numpy as np

from tasks.floorplans import flood

ROCK, STEPS, SURROUNDED = 0.42, 4, 5
"""Of a cave: share of rock at first, steps of the automaton, and cells of rock, of 9, that turn a cell into rock."""

LEAST_CAVE = 0.35
"""Share of the inner cells that a cave has at least."""

SCATTERED = (0.02, 0.08)
"""Share of an open field's cells that obstacles are drawn for."""

_OBSTACLES = ((1, 1), (1, 1), (2, 1), (1, 2), (2, 2))


def cave(rng: np.random.Generator, side: int) -> np.ndarray:
    """The largest cave that a cellular automaton has washed out of the rock.

    Args:
        rng: source of every draw.
        side: of the grid, odd.

    Returns:
        (W, W) bool.
    """
    while True:
        walls = _border(side)
        walls[1:-1, 1:-1] = rng.random((side - 2, side - 2)) < ROCK
        for _ in range(STEPS):
            rock = np.lib.stride_tricks.sliding_window_view(walls, (3, 3)).sum((-2, -1))
            walls[1:-1, 1:-1] = rock >= SURROUNDED
        largest = _largest(~walls)
        if largest.sum() >= LEAST_CAVE * (side - 2) ** 2:
            return ~largest


def open_field(rng: np.random.Generator, side: int) -> np.ndarray:
    """An open field with a few obstacles of one to four cells.

    Args:
        rng: source of every draw.
        side: of the grid, odd.

    Returns:
        (W, W) bool.
    """
    while True:
        walls = _border(side)
        for _ in range(max(2, round(rng.uniform(*SCATTERED) * (side - 2) ** 2))):
            x, y = rng.integers(1, side - 1, 2)
            wide, high = _OBSTACLES[int(rng.integers(len(_OBSTACLES)))]
            walls[x : x + wide, y : y + high] = True
        if _joined(~walls):
            return walls


def loose_walls(rng: np.random.Generator, side: int) -> np.ndarray:
    """Straight walls of any length up to half the side, wherever they cut nothing off.

    Args:
        rng: source of every draw.
        side: of the grid, odd.

    Returns:
        (W, W) bool.
    """
    walls = _border(side)
    for _ in range(round(rng.uniform(0.6, 1.2) * side)):
        x, y = rng.integers(1, side - 1, 2)
        length = int(rng.integers(2, side // 2 + 1))
        tried = walls.copy()
        if rng.random() < 0.5:
            tried[x : x + length, y] = True
        else:
            tried[x, y : y + length] = True
        if _joined(~tried):
            walls = tried
    return walls


def _border(side: int) -> np.ndarray:
    walls = np.ones((side, side), dtype=bool)
    walls[1:-1, 1:-1] = False
    return walls


def _from(free: np.ndarray, index: int) -> np.ndarray:
    """What is joined to one of the free cells."""
    begun = np.zeros_like(free)
    begun.flat[index] = True
    return flood(free, begun)


def _joined(free: np.ndarray) -> bool:
    return bool(free.any()) and bool((_from(free, int(free.argmax())) == free).all())


def _largest(free: np.ndarray) -> np.ndarray:
    """The largest piece of free cells that are joined."""
    largest, left = np.zeros_like(free), free.copy()
    while left.sum() > largest.sum():
        piece = _from(free, int(left.argmax()))
        left &= ~piece
        largest = piece if piece.sum() > largest.sum() else largest
    return largest
