"""Encoders of the latent below: a space of its own, or the same one at another time scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.networks import mlp
from levels.reading import Reader, make_reader
from levels.settings import LevelSettings, World


class LatentEncoder(nn.Module):
    """Latent of the level below -> latent of this level, optionally with a look at the memory.

    Places stay as they are: they are where this level's readers look, and what it forgets is for the rest to say.

    Args:
        below_dim: D of the level below.
        places: leading numbers of its latent that are places on the picture, see `levels.encoders.picture`.
        world: what is seen.
        settings: of this level.
    """

    def __init__(self, below_dim: int, places: int, world: World, settings: LevelSettings) -> None:
        super().__init__()
        self.places = places
        self.reader: Reader | None = None
        inputs = below_dim
        if settings.encoder_reads:
            assert settings.memory is not None
            self.reader = make_reader(below_dim, places, world, settings.memory)
            inputs += self.reader.outputs
        self.layers = mlp(inputs, settings.hidden, settings.latent_dim - places, layers=2)

    def forward(self, below: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, D_below), memory (P, W, H, C) -> (P, N, D)."""
        seen = below
        if self.reader is not None:
            assert memory is not None
            seen = torch.cat([below, self.reader(below, memory)], -1)
        own = self.layers(seen)
        return torch.cat([below[..., : self.places], own], -1) if self.places else own


class SharedEncoder(nn.Module):
    """The latent of the level below, unchanged: this level abstracts time only.

    Args:
        places: leading numbers of the latent that are places on the picture.
    """

    def __init__(self, places: int = 0) -> None:
        super().__init__()
        self.places = places

    def forward(self, below: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, D) -> the same."""
        return below


def make_latent(given: Given) -> LatentEncoder:
    """An encoder with a latent space of its own."""
    return LatentEncoder(given.below_dim, given.below_places, given.world, given.settings)


def make_shared(given: Given) -> SharedEncoder:
    """The latent of the level below as it is.

    Raises:
        ValueError: a latent of another size than the one below.
    """
    if given.below_dim != given.settings.latent_dim:
        raise ValueError(
            f"a shared latent has {given.below_dim} numbers at the level below but latent_dim is"
            f" {given.settings.latent_dim}; make them equal or choose encoder mlp"
        )
    return SharedEncoder(given.below_places)
