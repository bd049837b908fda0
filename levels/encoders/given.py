"""What encoders are made of, and how the one of a name is made."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from levels.encoders.kinds import KINDS, seen_by
from levels.settings import LevelSettings, World


@dataclass(frozen=True)
class Given:
    """What an encoder is made of.

    Attributes:
        settings: of the level.
        world: what level 1 sees and does.
        below_dim: numbers in the latent of the level below; of no meaning at level 1.
        below_places: leading numbers of that latent that are places on the picture.
    """

    settings: LevelSettings
    world: World
    below_dim: int
    below_places: int


def make_encoder(given: Given) -> nn.Module:
    """The encoder that ``settings.encoder`` names.

    Raises:
        ValueError: no such encoder, or one of something else than there is to see.
    """
    name = given.settings.encoder
    sees, sight = seen_by(name), given.world.sight
    if sees not in ("agent", "latent") and (sight is None or sight.kind != sees):
        raise ValueError(
            f"encoder {name} for a world that shows {'a state' if sight is None else sight.kind}"
        )
    made = KINDS.get(name)(given)
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"level encoder {name!r} makes a {type(made).__name__}; it has to make a torch Module"
        )
    return made
