"""Partial views: what MiniGrid's agent sees of the grid from where it stands, for many agents at once.

A view is (V, V, 3) uint8, indexed [i, j, channel] and turned so that the agent looks up: it stands at (V // 2, V - 1),
column i grows to its right, row j towards it. What walls and closed doors hide is `UNSEEN`, what lies outside of the
grid is wall. Equal to ``minigrid.minigrid_env.MiniGridEnv.gen_obs``, whose sweep over the view is done here for all
agents side by side.
"""

from __future__ import annotations

import numpy as np

from tasks.observations import DOOR, EMPTY_CELL, HEADINGS, OPEN, WALL, WALL_CELL

UNSEEN = 0
"""Object code of a cell that is not seen, MiniGrid's."""


def view_cells(pose: np.ndarray, size: int) -> np.ndarray:
    """Which cell of the grid each cell of a view shows.

    Args:
        pose: (E, 3 or more) integers, x, y and heading first.
        size: V, odd.

    Returns:
        (E, V, V, 2) int64 (x, y), some of them outside of the grid.
    """
    ahead = HEADINGS[pose[:, 2]]
    right = np.stack([-ahead[:, 1], ahead[:, 0]], -1)
    steps = np.arange(size)
    aside, forward = steps - size // 2, size - 1 - steps
    return (
        pose[:, None, None, :2]
        + right[:, None, None] * aside[:, None, None]
        + ahead[:, None, None] * forward[None, :, None]
    )


def partial_views(grid: np.ndarray, pose: np.ndarray, size: int = 7) -> np.ndarray:
    """What agents see.

    Args:
        grid: (E, W, H, 3) uint8, the worlds without the agents, doors as they are now.
        pose: (E, 3 or more) integers, x, y and heading first.
        size: V, cells a side of the view, odd.

    Returns:
        (E, V, V, 3) uint8; the agents' own cells are shown as empty floor.
    """
    width, height = grid.shape[1:3]
    cells = view_cells(pose, size)
    x, y = cells[..., 0], cells[..., 1]
    outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    rows = np.arange(len(grid))[:, None, None]
    view = grid[rows, x.clip(0, width - 1), y.clip(0, height - 1)]
    view[outside] = WALL_CELL
    hides = (view[..., 0] == WALL) | ((view[..., 0] == DOOR) & (view[..., 2] != OPEN))
    view[~_visible(hides)] = UNSEEN
    view[:, size // 2, size - 1] = EMPTY_CELL
    return view


def _visible(hides: np.ndarray) -> np.ndarray:
    """Which cells (E, V, V) are seen past those that hide what is behind them: `Grid.process_vis`."""
    size = hides.shape[1]
    seen = np.zeros_like(hides)
    seen[:, size // 2, size - 1] = True
    for j in reversed(range(size)):
        for way, columns in ((1, range(size - 1)), (-1, range(size - 1, 0, -1))):
            for i in columns:
                onward = seen[:, i, j] & ~hides[:, i, j]
                seen[:, i + way, j] |= onward
                if j > 0:
                    seen[:, i + way, j - 1] |= onward
                    seen[:, i, j - 1] |= onward
    return seen
