"""Encoder of observations that are vectors of numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.networks import mlp


class VectorEncoder(nn.Module):
    """Vector (n,) -> latent.

    Args:
        inputs: n.
        hidden: width.
        latent_dim: D.

    Attributes:
        mean, spread: (n,) of the training data, see `standardise`; 0 and 1 before.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int, hidden: int, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.layers = mlp(inputs, hidden, latent_dim, layers=2)

    def standardise(self, vectors: Tensor) -> None:
        """Measure what numbers are like in the training data (N, n), so that each counts alike."""
        self.mean.copy_(vectors.mean(0))
        self.spread.copy_(vectors.std(0).clamp_min(1e-6))

    def forward(self, observation: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, n) -> (P, N, D); memory is not read."""
        return self.layers((observation.float() - self.mean) / self.spread)


def make_vector(given: Given) -> VectorEncoder:
    """An encoder of what is seen."""
    assert given.world.sight is not None
    settings = given.settings
    return VectorEncoder(given.world.sight.shape[0], settings.hidden, settings.latent_dim)
