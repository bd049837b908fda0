"""Encoder of whole pictures and boards: convolutions, then all places at once.

Eyes that attend (`levels.encoders.picture`) give a place for each of a few maps, and two things that look alike, as
boxes do, share one. This one has no places: what stands where is mixed by a network over all of a picture, as encoders
of flat world models do. It so belongs to one layout, or to few: it carries over neither to others nor to pictures of
another size. Predictors and critics read the latent alone (`levels.N.memory: null`), for a picture is read at places.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.networks import mlp
from levels.pictures import Stem, near, standing_out
from levels.settings import LevelSettings, Sight


class WholeEncoder(nn.Module):
    """Picture (H, W, C) or symbols (W, H, C) -> latent, without places.

    Args:
        sight: what is seen.
        settings: channels, patch, width and latent size.

    Raises:
        ValueError: pictures of several moments, of which this one looks at the latest alone.
    """

    def __init__(self, sight: Sight, settings: LevelSettings) -> None:
        super().__init__()
        if sight.frames > 1:
            raise ValueError(
                f"encoder {settings.encoder} of pictures of {sight.frames} moments; set frames=1, or choose image"
            )
        self.stem = Stem(sight, settings.channels, settings.patch)
        self.features = near(settings.channels, settings.channels)
        first, second = sight.shape[:2]
        places = (first // settings.patch) * (second // settings.patch) if sight.kind == "image" else first * second
        self.layers = mlp(settings.channels * places, settings.hidden, settings.latent_dim, layers=2)

    def forward(self, observation: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, ...) pictures -> (P, N, D); memory is not read."""
        # Most of a picture is always the same; at mean 0 and spread 1 over it, what is rare has a voice from the start.
        seen = F.gelu(standing_out(self.features(F.gelu(self.stem(observation.flatten(0, 1))))))
        latent: Tensor = self.layers(seen.flatten(1))
        return latent.view(*observation.shape[:2], -1)


def make_whole(given: Given) -> WholeEncoder:
    """An encoder of what is seen."""
    assert given.world.sight is not None
    return WholeEncoder(given.world.sight, given.settings)
