"""Encoder of pictures and of grids of symbols: where something stands out, and what is there.

A few attention maps look at features of the picture. Each gives its mean place, and the mean feature under it; a small
network makes the rest of the latent of these features. The places are the first numbers of the latent, so that whoever
reads the picture knows from the first step where to look.

Attention looks at features of mean 0 and spread 1 over the places of each picture (instance normalisation, Ulyanov et
al., arXiv 1607.08022): what is rare in a picture then stands out, and the attention finds what moves within minutes,
without a label. Over raw features it does not. (Mean places under attention maps: spatial softmax, Levine et al.,
arXiv 1504.00702.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.networks import begin_normal, mlp
from levels.pictures import Stem, near, standing_out
from levels.settings import LevelSettings, Sight

PLACE = 0.5
"""A latent's units in one place of the feature map, so that places weigh about as much as numbers of spread 1."""

SHARP = 2.5
"""Spread of the scores that attention maps begin with, in nats."""


SETTLED = 2.0
"""Factor of the scores once a level has learned to see. Attention that is not quite on one place leaks to all others,
the more of them there are; twice as sharp, places are as exact in pictures of many times the size of those it learned
from."""


class PictureEncoder(nn.Module):
    """Picture (H, W, C) or symbols (W, H, C) -> latent, whose first 2 M numbers are M places (x of each, y of each).

    Args:
        sight: what is seen.
        settings: channels, maps M, width and latent size.

    Attributes:
        places: 2 M.
    """

    sharpness: Tensor

    def __init__(self, sight: Sight, settings: LevelSettings) -> None:
        super().__init__()
        self.maps, channels = settings.maps, settings.channels
        self.places = 2 * self.maps
        self.stem: nn.Module = Stem(sight, channels, settings.patch, compares=True)
        self.features = near(channels, channels)
        self.attention = nn.Conv2d(channels, self.maps, 1)
        # Maps begin with a few places each: from a mean over the whole picture nothing can be learned of one of them.
        begin_normal(self.attention.weight, std=SHARP / channels**0.5)
        self.register_buffer("sharpness", torch.ones(()))
        self.rest = mlp(self.maps * channels, settings.hidden, settings.latent_dim - 2 * self.maps)

    def forward(self, observation: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, ...) pictures -> (P, N, D); memory is not read."""
        seen = F.gelu(self.features(F.gelu(self.stem(observation.flatten(0, 1)))))
        seen = standing_out(seen)
        scores = self.sharpness * self.attention(seen)
        weight = rearrange(rearrange(scores, "n m w h -> n m (w h)").softmax(-1), "n m p -> n m p 1")
        width, height = seen.shape[-2:]
        what = (rearrange(seen, "n c w h -> n c (w h)") @ weight.squeeze(-1).transpose(1, 2)).transpose(1, 2)
        along = weight.view(len(seen), self.maps, width, height)
        x = (along.sum(3) * centred(width, seen)).sum(-1)
        y = (along.sum(2) * centred(height, seen)).sum(-1)
        latent = torch.cat([x, y, self.rest(what.flatten(1))], -1)
        return latent.view(*observation.shape[:2], -1)

    def settle(self) -> None:
        """Look sharply from now on: what is to be seen has been learned."""
        self.sharpness.fill_(SETTLED)


def make_picture(given: Given) -> PictureEncoder:
    """An encoder of what is seen."""
    assert given.world.sight is not None
    return PictureEncoder(given.world.sight, given.settings)


def centred(side: int, like: Tensor) -> Tensor:
    """(side,) coordinates of places in latent units, 0 in the middle of the picture."""
    return PLACE * (torch.arange(side, device=like.device, dtype=like.dtype) - (side - 1) / 2)
