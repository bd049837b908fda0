"""Encoders of an agent whose coordinates, heading and doors are handed over: level 1 where it is told."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.networks import begin_normal, mlp
from levels.settings import World

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
            begin_normal(self.doors.weight)  # as loud as the coordinates, which are embedded
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


def make_told(given: Given) -> AgentEncoder | PointEncoder:
    """The encoder of what a world tells: a position, or a cell with a heading."""
    told = PointEncoder if given.world.continuous else AgentEncoder
    return told(given.world, given.settings.hidden, given.settings.latent_dim)
