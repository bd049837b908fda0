"""What a stack makes of every state of a floor plan: its latents at one level, and values of states as maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hjepa.errors import InputError
from hjepa.model.perception import draw
from hjepa.tensors import as_tensor
from tasks.observations import grid_to_walls

if TYPE_CHECKING:
    from hjepa.model.stack import Stack

ENCODED = 512
"""States that are encoded at once."""


@dataclass(frozen=True)
class LatentMap:
    """All states of one floor plan at one level of a stack.

    Attributes:
        stack: that made it.
        level: from 1.
        grid: (W, H, 3) the world without the agent.
        walls: (W, H) bool.
        states: (S, 3) x, y, heading of every free cell and heading, the four headings of a cell side by side.
        latents: (S, D) of these states.
        layout: (1, ...) what the stack reads the floor plan from: the grid where it is told, a picture where it sees.
        memories: per level, what the stack wrote of the layout, or None.
    """

    stack: Stack
    level: int
    grid: np.ndarray
    walls: np.ndarray
    states: np.ndarray
    latents: Tensor
    layout: Tensor
    memories: Sequence[Tensor | None]

    def encode(self, agents: np.ndarray, level: int | None = None) -> Tensor:
        """Latents (N, D) of agents (N, 3), x, y, heading, on this floor plan; level None: this map's."""
        upto = self.level if level is None else level
        return encode_states(self.stack, self.grid, agents, self.memories, upto)[-1]

    def number(self, agent: np.ndarray) -> int:
        """Which of the states an agent (3,) is in.

        Raises:
            InputError: it stands in a wall.
        """
        found = np.flatnonzero((self.states == np.asarray(agent)[:3]).all(-1))
        if not len(found):
            raise InputError(f"agent {np.asarray(agent).tolist()}", "figures", "put it on a free cell")
        return int(found[0])

    def as_map(self, values: np.ndarray | Tensor) -> np.ndarray:
        """Values of the states (S,) as a map (W, H): the least of a cell's four headings, NaN at walls.

        Raises:
            InputError: another number of values.
        """
        values = np.asarray(values, float)
        if values.shape != (len(self.states),):
            raise InputError(
                f"values of shape {values.shape}",
                "figures",
                f"give one for each of {len(self.states)} states",
            )
        found = np.full(self.walls.shape, np.nan)
        cells = self.states[::4, :2]
        found[cells[:, 0], cells[:, 1]] = values.reshape(-1, 4).min(-1)
        return found


@torch.no_grad()
def latent_map(stack: Stack, grid: np.ndarray, seen_from: np.ndarray, level: int = 1) -> LatentMap:
    """The latents of every free cell and heading of a floor plan.

    Args:
        stack: trained levels, told or seeing symbols or images.
        grid: (W, H, 3) the world without the agent, as `tasks.EpisodeBatch.grid[e]`.
        seen_from: (3,) x, y, heading of the agent when a stack that sees writes its memories; others do not look.
        level: from 1.

    Raises:
        InputError: no such level.
    """
    if not 1 <= level <= stack.depth:
        raise InputError(
            f"level {level} of a stack of {stack.depth}", "figures", f"choose 1 to {stack.depth}"
        )
    walls = grid_to_walls(grid[None])[0]
    states = free_states(walls)
    shown = np.ascontiguousarray(grid)[None]
    if stack.sees:
        assert stack.world.sight is not None
        shown = draw(stack.world.sight, shown, np.asarray(seen_from)[None])
    layout = torch.from_numpy(shown).to(stack.step_distance.device)
    memories = stack.write(layout)
    latents = encode_states(stack, grid, states, memories, level)[-1]
    return LatentMap(stack, level, grid, walls, states, latents, layout, memories)


def free_states(walls: np.ndarray) -> np.ndarray:
    """Cell and heading (S, 3) of every free cell of walls (W, H), x first, and in each the four headings."""
    cells = np.argwhere(~walls)
    headings = np.tile(np.arange(4), len(cells))[:, None]
    return np.concatenate([np.repeat(cells, 4, 0), headings], -1)


@torch.no_grad()
def encode_states(
    stack: Stack,
    grid: np.ndarray,
    states: np.ndarray,
    memories: Sequence[Tensor | None],
    upto: int | None = None,
) -> list[Tensor]:
    """Latents (N, D_k) per level of states of one grid, told or drawn as the stack sees them.

    Args:
        stack: trained levels.
        grid: (W, H, 3) the world without the agent.
        states: (N, A) agents.
        memories: per level, written of the one floor plan.
        upto: the highest level; None: all.
    """
    parts = []
    for first in range(0, len(states), ENCODED):
        some = states[first : first + ENCODED]
        if not stack.sees:
            seen = as_tensor(np.ascontiguousarray(some))
        else:
            assert stack.world.sight is not None
            grids = np.broadcast_to(grid, (len(some), *grid.shape))
            seen = torch.from_numpy(draw(stack.world.sight, np.ascontiguousarray(grids), some))
        encoded = stack.encode(seen[None].to(stack.step_distance.device), memories, upto=upto)
        parts.append([latent[0] for latent in encoded])
    return [torch.cat(level) for level in zip(*parts)]
