"""Pictures: what MiniGrid draws of a grid and an agent, for many episodes at once.

A frame is put together from tiles, one per cell, which MiniGrid itself draws (``Grid.render_tile``), once for each
symbol that occurs. So frames equal ``env.get_frame(highlight=False)``, and what ``RGBImgObsWrapper`` shows of an
environment made with ``highlight=False``, to the bit.
"""

from __future__ import annotations

import functools

import numpy as np

from tasks.observations import AGENT, check_inside, world_grid

TILE = 8
"""Pixels a side of one cell, as in MiniGrid's own wrapper."""

SYMBOLS = (11, 6, 4)
"""Numbers of object types, colours and object states."""

VIEWS = 5
"""Of one cell: without the agent, and with it at each heading."""


def render_frames(grid: np.ndarray, agent: np.ndarray, tile: int = TILE) -> np.ndarray:
    """Draw grids with their agents.

    Args:
        grid: (E, W, H, 3) uint8, the world without the agent.
        agent: (E, 3 + M) integers (x, y, heading, door states). Without door states the doors are drawn as ``grid`` has
            them. The agent is drawn on top of what it stands on.
        tile: pixels a side of one cell.

    Returns:
        (E, H * tile, W * tile, 3) uint8, red, green and blue of each row of pixels.

    Raises:
        ValueError: shapes that do not fit, symbols that MiniGrid does not have, an agent in the grid or outside it.
    """
    grid, agent = np.asarray(grid), np.asarray(agent)
    if grid.ndim != 4 or agent.ndim != 2 or len(grid) != len(agent):
        raise ValueError(f"grids {grid.shape} and agents {agent.shape}; pass (E, W, H, 3) and (E, 3 + M)")
    check_inside(agent, *grid.shape[1:3])
    code = tile_codes(world_grid(grid, agent) if agent.shape[1] > 3 else grid)
    code[np.arange(len(code)), agent[:, 0], agent[:, 1]] += with_agent(agent)
    return tiles_of(tile).frames(code)


def tile_codes(grid: np.ndarray) -> np.ndarray:
    """Which of `Tiles` each cell of grids (E, W, H, 3) shows, (E, W, H) int16.

    Raises:
        ValueError: symbols that MiniGrid does not have, or an agent in a grid.
    """
    things, colours, states = (grid[..., channel] for channel in range(3))
    wrong = (things >= AGENT) | (colours >= SYMBOLS[1]) | (states >= SYMBOLS[2])
    if wrong.any():
        row, x, y = np.argwhere(wrong)[0]
        raise ValueError(
            f"the grid holds {grid[row, x, y].tolist()} at {[int(x), int(y)]}; pass MiniGrid's symbols, without the"
            " agent"
        )
    code = things.astype(np.int16)
    for numbers, values in ((SYMBOLS[1], colours), (SYMBOLS[2], states)):
        code *= numbers
        code += values
    code *= VIEWS
    return code


def with_agent(agent: np.ndarray) -> np.ndarray:
    """What agents (E, 3 or more) add to the codes of the cells that they stand on, (E,) int16."""
    return (1 + agent[:, 2]).astype(np.int16)


class Tiles:
    """What every symbol looks like, drawn when it first occurs.

    Args:
        tile: pixels a side.

    Raises:
        ValueError: no pixels.
    """

    def __init__(self, tile: int) -> None:
        if tile < 1:
            raise ValueError(f"tile is {tile}; give the pixels a side of one cell")
        self.tile = tile
        count = int(np.prod(SYMBOLS)) * VIEWS
        self._pixels = np.zeros((count, tile, tile, 3), dtype=np.uint8)
        self._rows = pixel_rows(self._pixels, tile).reshape(-1, tile)
        self._drawn = np.zeros(count, dtype=bool)

    def rows(self, code: np.ndarray) -> np.ndarray:
        """The rows of pixels (N, tile) of tiles (N,), each row one item as in `pixel_rows`."""
        self._draw(code)
        return self._rows.take(code, axis=0)

    def frames(self, code: np.ndarray) -> np.ndarray:
        """Frames (E, H * tile, W * tile, 3) uint8 of codes (E, W, H)."""
        self._draw(code)
        episodes, width, height = code.shape
        # Rows of pixels are y, and tiles are drawn that way round.
        first = code.swapaxes(1, 2).astype(np.int64)[:, :, None] * self.tile
        rows = self._rows.reshape(-1).take(first + np.arange(self.tile)[:, None])
        return rows.view(np.uint8).reshape(episodes, height * self.tile, width * self.tile, 3)

    def _draw(self, code: np.ndarray) -> None:
        drawn = self._drawn.take(code)
        if drawn.all():
            return
        for each in np.unique(code[~drawn]):
            self._pixels[each], self._drawn[each] = _tile(int(each), self.tile), True


@functools.lru_cache(maxsize=8)
def tiles_of(tile: int) -> Tiles:
    """`Tiles` of this size, shared.

    Raises:
        ValueError: no pixels.
    """
    return Tiles(tile)


def pixel_rows(pictures: np.ndarray, tile: int) -> np.ndarray:
    """Contiguous pictures as a flat array of their own memory, one item for each row of pixels in a tile."""
    return pictures.reshape(-1, 3 * tile).view(f"V{3 * tile}")[:, 0]


def _tile(code: int, tile: int) -> np.ndarray:
    """(tile, tile, 3) uint8 of one symbol and view, as MiniGrid draws it."""
    from minigrid.core.grid import Grid
    from minigrid.core.world_object import WorldObj

    symbol, view = divmod(code, VIEWS)
    what = WorldObj.decode(*(int(part) for part in np.unravel_index(symbol, SYMBOLS)))
    return Grid.render_tile(what, agent_dir=view - 1 if view else None, tile_size=tile)
