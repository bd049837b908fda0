"""Pictures: what MiniGrid draws of a grid and an agent, for many episodes at once.

A frame is put together from tiles, one per cell, which MiniGrid itself draws (``Grid.render_tile``), once for each
symbol that occurs. So frames equal ``env.get_frame(highlight=False)``, and what ``RGBImgObsWrapper`` shows of an
environment made with ``highlight=False``, to the bit.
"""

from __future__ import annotations

import functools

import numpy as np

from tasks.observations import AGENT, compose_image, world_grid

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
    if tile < 1:
        raise ValueError(f"tile is {tile}; give the pixels a side of one cell")
    compose_image(grid, agent)  # for its checks
    if (grid >= np.array(SYMBOLS)).any() or (grid[..., 0] == AGENT).any():
        wrong = np.argwhere((grid >= np.array(SYMBOLS)).any(-1) | (grid[..., 0] == AGENT))[0]
        raise ValueError(
            f"the grid holds {grid[tuple(wrong)].tolist()} at {wrong[1:].tolist()}; pass MiniGrid's symbols, without"
            " the agent"
        )
    shown = world_grid(grid, agent).astype(np.int64)
    code = np.ravel_multi_index(tuple(np.moveaxis(shown, -1, 0)), SYMBOLS) * VIEWS
    code[np.arange(len(grid)), agent[:, 0], agent[:, 1]] += 1 + agent[:, 2]
    tiles = np.zeros((int(np.prod(SYMBOLS)) * VIEWS, tile, tile, 3), dtype=np.uint8)
    used = np.unique(code)
    tiles[used] = [_tile(int(each), tile) for each in used]
    episodes, width, height = code.shape
    frames = tiles[code].transpose(
        0, 2, 3, 1, 4, 5
    )  # rows of pixels are y, and tiles are drawn that way round
    return frames.reshape(episodes, height * tile, width * tile, 3)


@functools.lru_cache(maxsize=4096)
def _tile(code: int, tile: int) -> np.ndarray:
    """(tile, tile, 3) uint8 of one symbol and view, as MiniGrid draws it."""
    from minigrid.core.grid import Grid
    from minigrid.core.world_object import WorldObj

    symbol, view = divmod(code, VIEWS)
    what = WorldObj.decode(*(int(part) for part in np.unravel_index(symbol, SYMBOLS)))
    return Grid.render_tile(what, agent_dir=view - 1 if view else None, tile_size=tile)
