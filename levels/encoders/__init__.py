"""Encoders: an observation becomes level 1's latent, a latent becomes the latent of the level above."""

from __future__ import annotations

from torch import nn

from levels.encoders.latent import LatentEncoder, SharedEncoder
from levels.encoders.picture import PictureEncoder
from levels.encoders.vector import VectorEncoder
from levels.grid.agent_encoders import AgentEncoder, PointEncoder
from levels.settings import LevelSettings, World


def make_encoder(below_dim: int, places: int, world: World, settings: LevelSettings) -> nn.Module:
    """The encoder that ``settings.encoder`` names.

    Args:
        below_dim: numbers in the latent of the level below; ignored at level 1.
        places: how many of them, the first ones, are places on a picture.
        world: what is seen.
        settings: of the level.

    Raises:
        ValueError: a shared latent of another size than the one below, or an encoder of something else than is seen.
    """
    name, sight = settings.encoder, world.sight
    if name == "agent":
        told = PointEncoder if world.continuous else AgentEncoder
        return told(world, settings.hidden, settings.latent_dim)
    if name in ("symbols", "image", "vector"):
        if sight is None or sight.kind != name:
            raise ValueError(
                f"encoder {name} for a world that shows {'a state' if sight is None else sight.kind}"
            )
        if name == "vector":
            return VectorEncoder(sight.shape[0], settings.hidden, settings.latent_dim)
        return PictureEncoder(sight, settings)
    if name == "mlp":
        return LatentEncoder(below_dim, places, world, settings)
    if below_dim != settings.latent_dim:
        raise ValueError(
            f"a shared latent has {below_dim} numbers at the level below but latent_dim is"
            f" {settings.latent_dim}; make them equal or choose encoder mlp"
        )
    return SharedEncoder()
