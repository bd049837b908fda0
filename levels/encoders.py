"""Encoders: an observation becomes level 1's latent, a latent becomes the latent of the level above."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.memory import MemoryReader
from levels.networks import mlp
from levels.settings import LevelSettings

HEADINGS = 4


class AgentEncoder(nn.Module):
    """Agent (x, y, heading) on a symbolic grid -> latent.

    Each coordinate is one-hot, so the encoder sees the agent as three sparse planes; it learns in minutes
    where an unstructured table of states does not.

    Args:
        size: (W, H) of the grid.
        hidden: width.
        latent_dim: D.
    """

    def __init__(self, size: tuple[int, int], hidden: int, latent_dim: int) -> None:
        super().__init__()
        self.size = size
        self.x = nn.Embedding(size[0], hidden)
        self.y = nn.Embedding(size[1], hidden)
        self.heading = nn.Embedding(HEADINGS, hidden)
        self.layers = mlp(hidden, hidden, latent_dim)

    def forward(self, agent: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, 3) integers -> (P, N, D); memory is not read."""
        x, y, heading = agent.long().unbind(-1)
        return self.layers(F.gelu(self.x(x) + self.y(y) + self.heading(heading)))


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


def make_encoder(below_dim: int, size: tuple[int, int], settings: LevelSettings) -> nn.Module:
    """The encoder that ``settings.encoder`` names; ``below_dim`` is ignored at level 1.

    Raises:
        ValueError: a shared latent of another size than the one below.
    """
    if settings.encoder == "agent":
        return AgentEncoder(size, settings.hidden, settings.latent_dim)
    if settings.encoder == "mlp":
        return LatentEncoder(below_dim, size, settings)
    if below_dim != settings.latent_dim:
        raise ValueError(
            f"a shared latent has {below_dim} numbers at the level below but latent_dim is"
            f" {settings.latent_dim}; make them equal or choose encoder mlp"
        )
    return SharedEncoder()
