"""Pictures of episodes that go on: a step changes few cells, and only those are drawn anew."""

from __future__ import annotations

import numpy as np

from tasks.observations import check_inside
from tasks.rendering import TILE, pixel_rows, tile_codes, tiles_of, with_agent


class Frames:
    """Pictures of E episodes, kept.

    Args:
        tile: pixels a side of one cell.

    Raises:
        ValueError: no pixels.
    """

    def __init__(self, tile: int = TILE) -> None:
        self._tiles, self.tile = tiles_of(tile), tile
        self._grid = np.empty((0, 0, 0, 3), dtype=np.uint8)
        self._cells = np.empty(0, dtype=np.int64)  # where agents were drawn

    def draw(self, grid: np.ndarray, agent: np.ndarray) -> np.ndarray:
        """What `tasks.rendering.render_frames` draws, in memory that the next call draws into, too.

        Args:
            grid: (E, W, H, 3) uint8, the worlds without the agent, with doors as they are drawn.
            agent: (E, 3 or more) integers, of which x, y and heading are read.

        Raises:
            ValueError: symbols that MiniGrid does not have, an agent in the grid or outside it.
        """
        count, width, height, _ = grid.shape
        check_inside(agent, width, height)
        if grid.shape != self._grid.shape:
            self._grid, self._code = grid.copy(), tile_codes(grid)
            self._frames = self._tiles.frames(self._code)
            self._rows = pixel_rows(self._frames, self.tile)
        elif (grid != self._grid).any():
            code = tile_codes(grid)
            self._paint(np.flatnonzero(code != self._code), code)
            self._grid, self._code = grid.copy(), code
            self._paint(self._cells, code)
        else:
            self._paint(self._cells, self._code)
        self._cells = (np.arange(count) * width + agent[:, 0]) * height + agent[:, 1]
        self._paint(self._cells, self._code, with_agent(agent))
        return self._frames

    def _paint(self, cells: np.ndarray, code: np.ndarray, more: np.ndarray | int = 0) -> None:
        """Draw cells (N,), counted through all episodes: what ``code`` says and ``more`` is added to."""
        _, width, height = code.shape
        column, y = np.divmod(cells, height)
        row, x = np.divmod(column, width)
        first = ((row * height + y) * self.tile) * width + x
        at = first[:, None] + np.arange(self.tile) * width
        self._rows[at] = self._tiles.rows(code.reshape(-1).take(cells) + more)
