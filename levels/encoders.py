"""Encoders: an observation becomes level 1's latent, a latent becomes the latent of the level above."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.memory import MemoryReader
from levels.networks import mlp
from levels.settings import LevelSettings, World

HEADINGS = 4

PER_CELL = 4
"""Places per cell and direction that a continuous position is told by."""


class AgentEncoder(nn.Module):
    """Agent (x, y, heading, door states, key states) on a symbolic grid -> latent.

    Each coordinate is one-hot, so the encoder sees the agent as three sparse planes; it learns in minutes
    where an unstructured table of states does not. So are the states of doors and keys where there are keys.

    Args:
        world: size of the grid, doors and keys.
        hidden: width.
        latent_dim: D.
    """

    def __init__(self, world: World, hidden: int, latent_dim: int) -> None:
        super().__init__()
        self.x = nn.Embedding(world.size[0], hidden)
        self.y = nn.Embedding(world.size[1], hidden)
        self.heading = nn.Embedding(HEADINGS, hidden)
        self.slots = world.slots
        states = sum(world.slots) or world.doors
        self.doors = nn.Linear(states, hidden, bias=False) if states else None
        if self.doors is not None:
            nn.init.normal_(self.doors.weight)  # as loud as the coordinates, which are embedded
        self.layers = mlp(hidden, hidden, latent_dim)

    def forward(self, agent: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, 3 + M + K) integers -> (P, N, D); memory is not read."""
        x, y, heading = agent[..., :3].long().unbind(-1)
        seen = self.x(x) + self.y(y) + self.heading(heading)
        if self.doors is not None:
            states = agent[..., 3:]
            if self.slots:
                planes = [F.one_hot(states[..., i].long(), n) for i, n in enumerate(self.slots)]
                states = torch.cat(planes, -1)
            seen = seen + self.doors(states.to(seen))
        return self.layers(F.gelu(seen))


class PointEncoder(nn.Module):
    """Position (x, y) on a grid -> latent.

    Each coordinate is told by how near it is to places a quarter of a cell apart: one-hot planes for a position
    between them, so that the encoder can bend sharply at walls and doors.

    Args:
        world: size of the grid.
        hidden: width.
        latent_dim: D.
    """

    def __init__(self, world: World, hidden: int, latent_dim: int) -> None:
        super().__init__()
        self.size = world.size
        self.inputs = nn.Linear(sum(PER_CELL * side + 1 for side in world.size), hidden)
        self.layers = mlp(hidden, hidden, latent_dim)

    def forward(self, agent: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, 2) positions in cells -> (P, N, D); memory is not read."""
        near = []
        for axis, side in enumerate(self.size):
            places = torch.arange(PER_CELL * side + 1, device=agent.device) / PER_CELL
            near.append((1 - PER_CELL * (agent[..., axis, None] - places).abs()).clamp_min(0.0))
        return self.layers(F.gelu(self.inputs(torch.cat(near, -1).float())))


class LatentEncoder(nn.Module):
    """Latent of the level below -> latent of this level, optionally with a look at the floor plan.

    Args:
        below_dim: D of the level below.
        size: (W, H) of the grid.
        settings: of this level.
    """

    def __init__(self, below_dim: int, size: tuple[int, int], settings: LevelSettings) -> None:
        super().__init__()
        self.reader = None
        inputs = below_dim
        if settings.encoder_reads:
            assert settings.memory is not None
            self.reader = MemoryReader(below_dim, size, settings.memory)
            inputs += self.reader.outputs
        self.layers = mlp(inputs, settings.hidden, settings.latent_dim, layers=2)

    def forward(self, below: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, D_below), memory (P, W, H, C) -> (P, N, D)."""
        if self.reader is not None:
            assert memory is not None
            below = torch.cat([below, self.reader(below, memory)], -1)
        return self.layers(below)


class SharedEncoder(nn.Module):
    """The latent of the level below, unchanged: this level abstracts time only."""

    def forward(self, below: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, D) -> the same."""
        return below


def make_encoder(below_dim: int, world: World, settings: LevelSettings) -> nn.Module:
    """The encoder that ``settings.encoder`` names; ``below_dim`` is ignored at level 1.

    Raises:
        ValueError: a shared latent of another size than the one below.
    """
    if settings.encoder == "agent":
        kind = PointEncoder if world.continuous else AgentEncoder
        return kind(world, settings.hidden, settings.latent_dim)
    if settings.encoder == "mlp":
        return LatentEncoder(below_dim, world.size, settings)
    if below_dim != settings.latent_dim:
        raise ValueError(
            f"a shared latent has {below_dim} numbers at the level below but latent_dim is"
            f" {settings.latent_dim}; make them equal or choose encoder mlp"
        )
    return SharedEncoder()
