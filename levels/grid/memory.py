"""Floor-plan memory: written once per episode, read by every imagined step.

Perception writes features of every cell with a small convolutional network. A state then reads them
by cross-attention whose keys are the cells' coordinates: the attention weight of cell (x, y) is the product
of a weight for x and one for y, so that a read costs ``W * H * C`` multiplications and no dot product per
cell, and the rest of an imagined step is an MLP. (Attention that factors over axes: Ho et al.,
arXiv 1912.12180.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.networks import mlp
from levels.settings import MemorySettings

SYMBOLS = (11, 6, 4)
"""Numbers of object types, colours and object states in a symbolic grid."""

QUERY_HIDDEN = 64
"""Width of the network that decides where a state looks."""


WIDE_TAPS = 5
"""Taps a side of the wide convolution."""

DOOR = 4
"""MiniGrid's number of the object type."""


def symbol_planes(grid: Tensor) -> Tensor:
    """(..., 3) integer symbols -> (..., S) integers, one-hot in each of `SYMBOLS`."""
    return torch.cat([F.one_hot(grid[..., i].long(), n) for i, n in enumerate(SYMBOLS)], -1)


def door_numbers(grid: Tensor, numbers: int) -> Tensor:
    """Which door a cell holds: grids (P, W, H, 3) -> (P, W, H, numbers) one-hot, zeros in the others.

    Doors count from 0 by x, then y, the order in which an agent's observation lists their states. Which door stands
    in front of it is a count over the whole floor plan, which convolutions do not learn.
    """
    door = grid[..., 0] == DOOR
    number = (door.flatten(1).cumsum(1).view(door.shape) - 1).masked_fill(~door, numbers).clamp_max(numbers)
    return F.one_hot(number, numbers + 1)[..., :numbers]


class MemoryWriter(nn.Module):
    """Grid -> features of every cell.

    Args:
        settings: channels, dilations and what is seen at once.
    """

    def __init__(self, settings: MemorySettings) -> None:
        super().__init__()
        channels = settings.local if settings.wide else settings.channels
        self.numbers = settings.numbers
        self.inputs = nn.Conv2d(sum(SYMBOLS) + self.numbers, channels, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in settings.dilations
        )
        self.wide = wide_view(channels, settings) if settings.wide else None

    def forward(self, grid: Tensor) -> Tensor:
        """(P, W, H, 3) integer symbols -> (P, W, H, C)."""
        planes = symbol_planes(grid)
        if self.numbers:
            planes = torch.cat([planes, door_numbers(grid, self.numbers)], -1)
        hidden = F.gelu(self.inputs(rearrange(planes, "p w h c -> p c w h").float()))
        for layer in self.layers:
            hidden = hidden + F.gelu(layer(hidden))
        if self.wide is not None:
            hidden = self.wide(hidden)
        return rearrange(hidden, "p c w h -> p w h c").contiguous()

    def embed(self, symbols: Tensor) -> Tensor:
        """What (..., 3) integer symbols bring into the cells around them: (..., F), all that is known of them.

        The numbers of doors are not in it: they are not to be seen in a cell.
        """
        weight = self.inputs.weight[:, : sum(SYMBOLS)]
        return symbol_planes(symbols).float() @ weight.transpose(0, 1).flatten(1)


def wide_view(channels: int, settings: MemorySettings) -> nn.Sequential:
    """The neighbourhood of each cell, seen at once, and a small network on what is seen there."""
    width, spacing = settings.wide, settings.spacing
    return nn.Sequential(
        nn.Conv2d(channels, width, WIDE_TAPS, padding=spacing * (WIDE_TAPS // 2), dilation=spacing),
        nn.GELU(),
        nn.Conv2d(width, width, 1),
        nn.GELU(),
        nn.Conv2d(width, settings.channels, 1),
    )


class MemoryReader(nn.Module):
    """Latent and cell features -> what the latent sees of the floor plan.

    Args:
        latent_dim: D.
        size: (W, H) of the grid.
        settings: channels C and heads.
    """

    def __init__(self, latent_dim: int, size: tuple[int, int], settings: MemorySettings) -> None:
        super().__init__()
        self.size = size
        self.heads = settings.heads
        self.outputs = settings.heads * settings.channels
        self.query = mlp(latent_dim, QUERY_HIDDEN, settings.heads * sum(size))

    def look_loss(self, latent: Tensor, place: Tensor) -> Tensor:
        """Cross-entropy of where the first head looks and where the agent is.

        Attention that starts out looking everywhere sees the same in every state, and learns to look somewhere
        only after thousands of steps, if at all; the observation shows where the agent is, so it can be told.

        Args:
            latent: (P, N, D).
            place: (P, N, 2) integer x, y.
        """
        width, height = self.size
        query = self.query(latent)[..., : width + height].flatten(0, 1)
        x, y = place.long().flatten(0, 1).unbind(-1)
        return F.cross_entropy(query[:, :width], x) + F.cross_entropy(query[:, width:], y)

    def forward(self, latent: Tensor, memory: Tensor) -> Tensor:
        """Latent (P, N, D), memory (P, W, H, C) -> (P, N, heads * C)."""
        width, height = self.size
        plans, channels = len(memory), memory.shape[-1]
        reads = latent.shape[1] * self.heads
        query = self.query(latent).reshape(plans, reads, width + height)
        along_x, along_y = query[..., :width].softmax(-1), query[..., width:].softmax(-1)
        columns = torch.bmm(along_x, memory.reshape(plans, width, height * channels)).view(
            plans, reads, height, channels
        )
        return (along_y.unsqueeze(-1) * columns).sum(2).reshape(plans, latent.shape[1], self.heads * channels)
