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
        self._cells: tuple[np.ndarray, ...] = ()  # where agents were drawn

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
            self._down = np.arange(self.tile) * width
        elif (grid != self._grid).any():
            code = tile_codes(grid)
            self._paint(np.nonzero(code != self._code), code)
            self._grid, self._code = grid.copy(), code
            self._paint(self._cells, code)
        else:
            self._paint(self._cells, self._code)
        self._cells = np.arange(count), agent[:, 0].copy(), agent[:, 1].copy()
        self._paint(self._cells, self._code, with_agent(agent))
        return self._frames

    def _paint(self, cells: tuple[np.ndarray, ...], code: np.ndarray, more: np.ndarray | int = 0) -> None:
        """Draw cells, given as episodes, x and y: what ``code`` (E, W, H) says and ``more`` is added to."""
        (row, x, y), (_, width, height) = cells, code.shape
        first = (row * height + y) * (self.tile * width) + x
        # A view of now, see `tasks.batched`: a copy of this object has frames of its own.
        pixel_rows(self._frames, self.tile)[first[:, None] + self._down] = self._tiles.rows(
            code[cells] + more
        )
