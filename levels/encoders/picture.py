"""Encoder of pictures and of grids of symbols: where something stands out, and what is there.

A few attention maps look at features of the picture. Each gives its mean place, and the mean feature under it; a small
network makes the rest of the latent of these features. The places are the first numbers of the latent, so that whoever
reads the picture knows from the first step where to look.

Attention looks at features of mean 0 and spread 1 over the places of each picture (instance normalisation, Ulyanov et
al., arXiv 1607.08022): what is rare in a picture then stands out, and the attention finds what moves within minutes,
without a label. Over raw features it does not. (Mean places under attention maps: spatial softmax, Levine et al.,
arXiv 1504.00702.)

Of an image one place of the feature map is a patch of many pixels. With ``fine`` what is under a map also says where in
its patch it is: a small network adds that to the mean place, and begins with nothing.

An image that shows several moments is looked at moment by moment with the same eyes; how far each place has moved from
one to the next follows the latest places in the latent. One picture says where something is, two say how fast it goes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.gathering import own_noise
from levels.networks import begin_normal, begin_nothing, mlp
from levels.pictures import Stem, moved, near, standing_out
from levels.settings import LevelSettings, Sight

PLACE = 0.5
"""A latent's units in one place of the feature map, so that places weigh about as much as numbers of spread 1."""

SHARP = 2.5
"""Spread of the scores that attention maps begin with, in nats."""


PACE = 16.0
"""Latent's units in one unit that a place moves from a moment to the next, before training: moves are small."""

LEAST = 0.005
"""Spread of moves, in a latent's units, below which they are noise of the eyes."""

SETTLED = 2.0
"""Factor of the scores once a level has learned to see. Attention that is not quite on one place leaks to all others,
the more of them there are; twice as sharp, places are as exact in pictures of many times the size of those it learned
from."""


class PictureEncoder(nn.Module):
    """Picture (H, W, C) or symbols (W, H, C) -> latent, whose first 2 M numbers are M places (x of each, y of each).

    Of F frames the next 2 M (F - 1) are how the places have moved.

    Args:
        sight: what is seen.
        settings: channels, maps M, width and latent size.

    Attributes:
        places: 2 M.

    Raises:
        ValueError: a latent too small for what it has to hold.
    """

    sharpness: Tensor

    def __init__(self, sight: Sight, settings: LevelSettings) -> None:
        super().__init__()
        self.maps, channels = settings.maps, settings.channels
        self.places = 2 * self.maps
        self.patch, self.sight = settings.patch, sight
        self.frames = sight.frames
        if settings.latent_dim <= self.places * self.frames:
            raise ValueError(
                f"latent_dim {settings.latent_dim} with {self.maps} maps and {self.frames} frames; give more than"
                f" {self.places * self.frames}, which places and their moves take"
            )
        self.stem: nn.Module = Stem(sight, channels, settings.patch, compares=True)
        self.features = near(channels, channels)
        self.attention = nn.Conv2d(channels, self.maps, 1)
        # Maps begin with a few places each: from a mean over the whole picture nothing can be learned of one of them.
        begin_normal(self.attention.weight, std=SHARP / channels**0.5)
        self.register_buffer("sharpness", torch.ones(()))
        self.pace = nn.Parameter(torch.full((self.places,), PACE)) if self.frames > 1 else None
        self.within = mlp(channels, settings.head, 2) if settings.fine else None
        if self.within is not None:
            begin_nothing(self.within)
        self.rest = mlp(
            self.maps * channels, settings.hidden, settings.latent_dim - self.places * self.frames
        )

    def forward(self, observation: Tensor, memory: Tensor | None = None) -> Tensor:
        """(P, N, ...) pictures -> (P, N, D); memory is not read."""
        if self.pace is None:
            latent = torch.cat(self._look(observation.flatten(0, 1)), -1)
            return latent.view(*observation.shape[:2], -1)
        places, what = self._moments(observation.flatten(0, 1))
        moves = [self.pace * (later - earlier) for earlier, later in pairwise(places)]
        return torch.cat([places[-1], *moves, what], -1).view(*observation.shape[:2], -1)

    @torch.no_grad()
    def standardise(self, observation: Tensor) -> None:
        """Measure how far places move in training pictures (N, ...), so that moves have spread 1.

        For eyes that know how to look already, and have seen one moment at a time. Of what hardly moves, less.
        """
        if self.pace is not None:
            places, _ = self._moments(observation)
            moved = torch.cat([later - earlier for earlier, later in pairwise(places)])
            self.pace.copy_(1 / moved.std(0).clamp_min(LEAST))

    def _moments(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        """Pictures (N, ...) -> places (N, 2 M) of every moment, and what is there at the latest."""
        moments = rearrange(pictures, "n h w (f c) -> f n h w c", f=self.frames)
        places, what = zip(*(self._look(moment) for moment in moments))
        return list(places), what[-1]

    def _look(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, ...) of one moment -> places (N, 2 M), and what is there."""
        seen = F.gelu(self.features(F.gelu(self.stem(pictures))))
        seen = standing_out(seen)
        scores = self.sharpness * self.attention(seen)
        weight = rearrange(rearrange(scores, "n m w h -> n m (w h)").softmax(-1), "n m p -> n m p 1")
        width, height = seen.shape[-2:]
        what = (rearrange(seen, "n c w h -> n c (w h)") @ weight.squeeze(-1).transpose(1, 2)).transpose(1, 2)
        along = weight.view(len(seen), self.maps, width, height)
        x = (along.sum(3) * centred(width, seen)).sum(-1)
        y = (along.sum(2) * centred(height, seen)).sum(-1)
        if self.within is not None:
            finer = PLACE * self.within(what)
            x, y = x + finer[..., 0], y + finer[..., 1]
        return torch.cat([x, y], -1), self.rest(what.flatten(1))

    def shift_loss(self, pictures: Tensor, latent: Tensor) -> Tensor:
        """Squared error, in places, of how places follow their picture when all of it moves by up to one of them.

        Nothing else says that a place is where something is: any bent map of the picture predicts as well, and
        attention that leaks to all of it makes small ways of long ones. (Landmarks that have to move with their
        picture: Thewlis et al., arXiv 1705.02193.)

        What stands in the outermost places may leave the picture, and is asked to follow all the same: a rim of walls
        does no harm, things at an open edge do.

        Args:
            pictures: (P, N, ...), each of P layouts moved by as many pixels.
            latent: (P, N, D) of them.

        Returns:
            a scalar.
        """
        image = self.sight.kind == "image"
        patch = self.patch if image else 1
        by = own_noise(
            lambda like: torch.randint(-patch, patch + 1, like.shape, device=like.device),
            pictures.new_empty(len(pictures), 2),
        )
        there = torch.stack(
            [moved(seen, *(way.flip(0) if image else way)) for seen, way in zip(pictures, by)]
        )
        went = (self(there) - latent)[..., : self.places].unflatten(-1, (2, self.maps)) / PLACE
        return (went - by[:, None, :, None] / patch).square().mean()

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
