"""How a level's memory is written and read: tokens where it sees, the told grid where it does not."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from levels.grid.memory import MemoryReader, MemoryWriter
from levels.settings import LevelSettings, MemorySettings, World
from levels.tokens import Glimpse, TokenWriter


class Reader(Protocol):
    """Reads memories.

    Attributes:
        outputs: numbers that one state reads.
    """

    outputs: int

    def __call__(self, latent: Tensor, memory: Tensor) -> Tensor:
        """Latent (P, N, D), memory (P, W, H, C) -> (P, N, outputs)."""
        ...


def make_writer(world: World, settings: LevelSettings) -> nn.Module | None:
    """What writes a level's memory; None for a level without one.

    Raises:
        ValueError: a memory of observations that are no pictures.
    """
    if settings.memory is None:
        return None
    if world.sight is None:
        return MemoryWriter(settings.memory)
    if world.sight.kind == "vector":
        raise ValueError("a memory needs a picture, and the world shows a vector; set memory null")
    return TokenWriter(world.sight, settings.memory, settings.patch)


def make_reader(
    latent_dim: int, places: int, world: World, settings: MemorySettings
) -> MemoryReader | Glimpse:
    """What reads a memory, given latents of ``latent_dim`` numbers of which the first ``places`` are places."""
    if world.sight is None:
        return MemoryReader(latent_dim, world.size, settings)
    return Glimpse(places, settings)
