"""Encoder of observations that are vectors of numbers.

A network of smooth units learns what changes slowly with its inputs first, and a wall across a maze is a jump. With
``octaves`` every number is also given as sines and cosines of waves, each half as long as the one before (Mildenhall et
al., arXiv 2003.08934, equation 4; Tancik et al., arXiv 2006.10739), by which places close together differ.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.networks import mlp, waves


class VectorEncoder(nn.Module):
    """Vector (n,) -> latent.

    Args:
        inputs: n.
        hidden: width.
        latent_dim: D.
        octaves: waves that each number is given as; the longest has a period of two spreads. 0: the number alone.

    Attributes:
        mean, spread: (n,) of the training data, see `standardise`; 0 and 1 before.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int, hidden: int, latent_dim: int, octaves: int = 0) -> None:
        super().__init__()
        self.octaves = octaves
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.layers = mlp(inputs * (1 + 2 * octaves), hidden, latent_dim, layers=2)

    def standardise(self, vectors: Tensor) -> None:
        """Measure what numbers are like in the training data (N, n), so that each counts alike."""
        self.mean.copy_(vectors.mean(0))
        self.spread.copy_(vectors.std(0).clamp_min(1e-6))

    def forward(self, observation: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, n) -> (P, N, D); memory is not read."""
        numbers = (observation.float() - self.mean) / self.spread
        return self.layers(waves(numbers, self.octaves) if self.octaves else numbers)


def make_vector(given: Given) -> VectorEncoder:
    """An encoder of what is seen."""
    assert given.world.sight is not None
    settings = given.settings
    return VectorEncoder(given.world.sight.shape[0], settings.hidden, settings.latent_dim, settings.octaves)
