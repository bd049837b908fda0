"""Combs and spirals: corridors whose widths are drawn, so that there are many of them at every size.

They are drawn one way round; `tasks.layouts.families` turns and mirrors them.
"""

from __future__ import annotations

import numpy as np

WIDTHS, SHARES = (1, 2, 3), (0.6, 0.25, 0.15)
"""Cells across a corridor, and how often."""


def comb(rng: np.random.Generator, side: int) -> np.ndarray:
    """Teeth that open on one corridor and end blind, on one side of it or on both.

    Args:
        rng: source of every draw.
        side: of the grid, odd.

    Returns:
        (W, W) bool.
    """
    walls = np.ones((side, side), dtype=bool)
    back = int(rng.integers(1, 3))
    first = side - 1 - back
    if rng.random() < 0.5:
        first = int(rng.integers(side // 3, side - side // 3 - back + 1))
    walls[1:-1, first : first + back] = False
    _cut_teeth(rng, walls[:, first - 1 : 0 : -1])
    _cut_teeth(rng, walls[:, first + back : -1])
    return walls


def _cut_teeth(rng: np.random.Generator, part: np.ndarray) -> None:
    """Cut teeth into solid walls (W, L) that begin at the corridor."""
    longest = part.shape[1]
    x = 1
    while longest and x < len(part) - 1:
        width = min(_width(rng), len(part) - 1 - x)
        length = longest if rng.random() < 0.7 else int(rng.integers(1 + longest // 2, longest + 1))
        part[x : x + width, :length] = False
        x += width + 1


def spiral(rng: np.random.Generator, side: int) -> np.ndarray:
    """One corridor that winds along the border and ever further inwards.

    Args:
        rng: source of every draw.
        side: of the grid, odd.

    Returns:
        (W, W) bool.
    """
    walls = np.ones((side, side), dtype=bool)
    walls[1:-1, 1:-1] = False
    area, width = walls[1:-1, 1:-1], _width(rng)
    while True:
        after = _width(rng)
        # A wall beside this arm, as far as where the next arm, which is as wide as `after`, goes round its end.
        if area.shape[0] < width + 2 or area.shape[1] < after + 1:
            return walls
        area[width, : area.shape[1] - after] = True
        area = np.rot90(area[width + 1 :])
        width = after


def _width(rng: np.random.Generator) -> int:
    return int(rng.choice(WIDTHS, p=SHARES))
