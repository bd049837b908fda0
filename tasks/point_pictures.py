"""Pictures of worlds in which a point moves continuously."""

from __future__ import annotations

import numpy as np

from tasks.observations import grid_to_walls
from tasks.point_dynamics import RADIUS
from tasks.rendering import TILE

WALL_GREY, BODY_RED = (100, 100, 100), (255, 0, 0)
"""Colours of a point's picture; floor is black."""


def draw_points(floor: np.ndarray, agent: np.ndarray, tile: int = TILE) -> np.ndarray:
    """Pictures of floor plans (E, W, H, 3) and points (E, 2), (E, H * tile, W * tile, 3) uint8.

    Each pixel is mixed from floor and body by the share of it that the body covers, so that places closer together than
    a pixel look different.

    Raises:
        ValueError: no pixels.
    """
    if tile < 1:
        raise ValueError(f"tile is {tile}; give the pixels a side of one cell")
    walls = grid_to_walls(floor).swapaxes(1, 2)
    cells = np.array([(0, 0, 0), WALL_GREY], dtype=np.uint8)[walls.astype(np.intp)]
    picture = np.repeat(np.repeat(cells, tile, 1), tile, 2)
    columns, across = _covered(agent[:, 0], picture.shape[2], tile)
    rows, down = _covered(agent[:, 1], picture.shape[1], tile)
    around = np.arange(len(picture))[:, None, None], rows[:, :, None], columns[:, None, :]
    under = picture[around].astype(np.float64)
    share = (down[:, :, None] * across[:, None, :])[..., None]
    picture[around] = np.rint(under + share * (np.array(BODY_RED) - under)).astype(np.uint8)
    return picture


def _covered(places: np.ndarray, pixels: int, tile: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels (E, K) of a row that bodies at places (E,), in cells, may touch, and the share they cover of each."""
    low, high = ((places.astype(np.float64) + side * RADIUS)[:, None] * tile for side in (-1, 1))
    touched = int(np.ceil(2 * RADIUS * tile)) + 1
    first = np.clip(np.floor(low).astype(np.int64), 0, max(pixels - touched, 0))
    edges = first + np.arange(min(touched, pixels))
    return edges, np.clip(np.minimum(high, edges + 1) - np.maximum(low, edges), 0, 1)
