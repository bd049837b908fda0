"""The symbolic observation: MiniGrid's (W, H, 3) uint8 encoding, indexed [x, y, channel].

An image is a *grid* (the world without the agent) plus an *agent* (x, y, heading). Trajectories keep the two
apart, because a grid is shared by thousands of observations; :func:`compose_image` and :func:`split_image`
convert. Channels are object, colour, state. Codes and headings are those of ``minigrid.core.constants``
(tests compare them); they are repeated here so that this module needs numpy alone.
"""

from __future__ import annotations

import numpy as np

EMPTY, WALL, GOAL, AGENT = 1, 2, 8, 10
"""Object codes, channel 0."""
RED, GREEN, GREY = 0, 1, 5
"""Colour codes, channel 1."""
EMPTY_CELL = (EMPTY, 0, 0)
WALL_CELL = (WALL, GREY, 0)
GOAL_CELL = (GOAL, GREEN, 0)

HEADINGS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)], dtype=np.int64)
"""(4, 2): the (dx, dy) of heading 0 east, 1 south, 2 west, 3 north; y grows southwards."""

ACTIONS = ("left", "right", "forward", "pickup", "drop", "toggle", "done")
LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)


def walls_to_grid(walls: np.ndarray) -> np.ndarray:
    """Grid (..., W, H, 3) uint8 of walls (..., W, H) bool: walls and empty floor, nothing else."""
    return np.where(walls[..., None], np.array(WALL_CELL, np.uint8), np.array(EMPTY_CELL, np.uint8))


def grid_to_walls(grid: np.ndarray) -> np.ndarray:
    """Walls (..., W, H) bool of a grid (..., W, H, 3): the cells an agent cannot enter."""
    return grid[..., 0] == WALL


def compose_image(grid: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """Draw the agent into the grid, as MiniGrid's FullyObsWrapper does.

    Args:
        grid: (..., W, H, 3) uint8, the world without the agent.
        agent: (..., 3) integers (x, y, heading); leading dimensions broadcast with those of ``grid``.

    Returns:
        (..., W, H, 3) uint8, a new array.

    Raises:
        ValueError: shapes that do not fit, or an agent outside the grid.
    """
    grid, agent = np.asarray(grid), np.asarray(agent)
    if grid.ndim < 3 or grid.shape[-1] != 3:
        raise ValueError(f"grid has shape {grid.shape}; pass (..., W, H, 3)")
    if agent.ndim < 1 or agent.shape[-1] != 3:
        raise ValueError(f"agent has shape {agent.shape}; pass (..., 3) with x, y, heading")
    lead = np.broadcast_shapes(grid.shape[:-3], agent.shape[:-1])
    width, height = grid.shape[-3:-1]
    image = np.array(np.broadcast_to(grid, (*lead, width, height, 3)), dtype=np.uint8, order="C")
    place = np.broadcast_to(agent, (*lead, 3)).reshape(-1, 3).astype(np.int64)
    outside = (place < 0) | (place >= np.array([width, height, 4]))
    if outside.any():
        x, y, heading = place[outside.any(-1)][0]
        raise ValueError(
            f"agent (x={x}, y={y}, heading={heading}) lies outside a {width}x{height} grid with headings 0..3"
        )
    flat = image.reshape(-1, width, height, 3)
    rows = np.arange(len(place))
    flat[rows, place[:, 0], place[:, 1], 0] = AGENT
    flat[rows, place[:, 0], place[:, 1], 1] = RED
    flat[rows, place[:, 0], place[:, 1], 2] = place[:, 2]
    return image


def split_image(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the agent out of an image: the inverse of :func:`compose_image`.

    Args:
        image: (..., W, H, 3) uint8 with exactly one agent in each image.

    Returns:
        grid (..., W, H, 3) uint8, with empty floor where the agent stood, and agent (..., 3) int64 (x, y,
        heading).

    Raises:
        ValueError: wrong shape, or not exactly one agent in an image.
    """
    image = np.asarray(image)
    if image.ndim < 3 or image.shape[-1] != 3:
        raise ValueError(f"image has shape {image.shape}; pass (..., W, H, 3)")
    lead, (width, height) = image.shape[:-3], image.shape[-3:-1]
    grid = np.array(image, dtype=np.uint8, order="C").reshape(-1, width * height, 3)
    here = grid[..., 0] == AGENT
    count = here.sum(-1)
    if (count != 1).any():
        first = int(np.argmax(count != 1))
        raise ValueError(
            f"image {first} of the batch shows {count[first]} agents; pass fully observed images with one"
        )
    rows, cell = np.arange(len(grid)), here.argmax(-1)
    agent = np.stack([cell // height, cell % height, grid[rows, cell, 2].astype(np.int64)], -1)
    grid[rows, cell] = EMPTY_CELL
    return grid.reshape(image.shape), agent.reshape(*lead, 3)
