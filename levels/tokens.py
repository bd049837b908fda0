"""Tokens: features of the places of one picture, written once, and read around where a latent is.

Perception writes features of every place of a picture with a small convolutional network. A state then glimpses those
around its own places, between them by bilinear interpolation, so that what it sees follows continuously from where it
is. A glimpse knows no absolute place: what holds in one corner of a picture holds in all of them, and on pictures of
another size. (Glimpses: Mnih et al., arXiv 1406.6247; differentiable sampling: Jaderberg et al., arXiv 1506.02025.)

What is read goes into a linear layer, and reading between places is linear as well. So the layer can be applied first,
to the tokens around every place of a picture, once (`Glimpse.fold`); a state then reads its result between four places
(`Glimpse.read_folded`), instead of every token it glimpses, and the layer costs it nothing.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.encoders.picture import PLACE
from levels.grid.memory import wide_view
from levels.pictures import Stem
from levels.settings import MemorySettings, Sight


class TokenWriter(nn.Module):
    """Picture -> features of every place.

    Args:
        sight: what is seen.
        settings: channels, dilations and what is seen at once.
        patch: pixels a side of a place, for images.
    """

    def __init__(self, sight: Sight, settings: MemorySettings, patch: int) -> None:
        super().__init__()
        channels = settings.local if settings.wide else settings.channels
        self.stem = Stem(sight, max(channels, 24), patch)
        self.inputs = nn.Conv2d(max(channels, 24), channels, 1)
        self.layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in settings.dilations
        )
        self.wide = wide_view(channels, settings) if settings.wide else None

    def forward(self, observation: Tensor) -> Tensor:
        """(P, ...) -> (P, W, H, C)."""
        hidden = self.inputs(F.gelu(self.stem(observation)))
        for layer in self.layers:
            hidden = hidden + layer(F.gelu(hidden))
        if self.wide is not None:
            hidden = self.wide(F.gelu(hidden))
        return rearrange(hidden, "p c w h -> p w h c").contiguous()


class Glimpse(nn.Module):
    """Latent and tokens -> the tokens around the latent's places.

    Args:
        places: leading numbers of a latent that are places, two for each.
        settings: channels C, and how far a glimpse reaches.

    Raises:
        ValueError: a latent without places.
    """

    offsets: Tensor

    def __init__(self, places: int, settings: MemorySettings) -> None:
        super().__init__()
        if places < 2:
            raise ValueError(
                "tokens are read around the places of a latent, and this one has none; set memory null"
            )
        self.maps = places // 2
        self.settings = settings
        # Numbers, which are few, wherever the weights are made: see `levels.networks.begin_normal`.
        around = torch.arange(-settings.glimpse, settings.glimpse + 1, dtype=torch.float32, device="cpu")
        around = around * settings.apart
        self.register_buffer("offsets", torch.cartesian_prod(around, around), persistent=False)
        self.outputs = self.maps * len(self.offsets) * settings.channels

    def forward(self, latent: Tensor, memory: Tensor) -> Tensor:
        """Latent (P, N, D), tokens (P, W, H, C) -> (P, N, outputs)."""
        plans, states, _ = latent.shape
        width, height = memory.shape[1:3]
        x, y = latent[..., : 2 * self.maps].unflatten(-1, (2, self.maps)).unbind(-2)
        x = (x / PLACE)[..., None] + self.offsets[:, 0]
        y = (y / PLACE)[..., None] + self.offsets[:, 1]
        # Of grid_sample's own coordinates the first runs along the last axis; 1 is the middle of the last place.
        where = torch.stack([2 * y / max(height - 1, 1), 2 * x / max(width - 1, 1)], -1)
        tokens = rearrange(memory, "p w h c -> p c w h")
        read = F.grid_sample(
            tokens, where.view(plans, states, -1, 2), align_corners=True, padding_mode="border"
        )
        return rearrange(read, "p c n k -> p n (k c)")

    @property
    def foldable(self) -> bool:
        """Whether tokens are read whole places apart, so that `fold` can be exact."""
        return float(self.settings.apart).is_integer()

    def fold(self, memory: Tensor, weight: Tensor) -> Tensor:
        """What a layer makes of all that is glimpsed at every place.

        Beyond the edge as well, as far as a glimpse reaches; further out nothing changes any more.

        Args:
            memory: tokens (P, W, H, C).
            weight: of the layer, (F, outputs).

        Returns:
            (P, M, W', H', F), for each of the latent's M places.

        Raises:
            ValueError: tokens that are not read whole places apart.
        """
        if not self.foldable:
            raise ValueError(
                f"tokens {self.settings.apart} places apart cannot be folded; read whole places apart"
            )
        side, apart = 2 * self.settings.glimpse + 1, int(self.settings.apart)
        features = len(weight)
        kernel = rearrange(weight, "f (m x y c) -> (m f) c x y", m=self.maps, x=side, y=side)
        reach = self.settings.glimpse * apart
        around = reach + max(reach, 1)  # two places at least, or there would be nothing to read between
        tokens = F.pad(rearrange(memory, "p w h c -> p c w h"), (around,) * 4, mode="replicate")
        folded = F.conv2d(tokens, kernel, dilation=apart)
        return rearrange(folded, "p (m f) w h -> p m w h f", f=features).contiguous()

    def read_folded(self, latent: Tensor, folded: Tensor) -> Tensor:
        """Latents (P, N, D), from `fold` (P, M, W', H', F) -> what the layer makes of what they glimpse, (P, N, F)."""
        plans, maps, width, height, features = folded.shape
        states = latent.shape[1]
        last, pictures, corners = _numbers(maps, width, height, latent.device)
        where = (latent[..., : 2 * maps] / PLACE + 0.5 * last).clamp(torch.zeros_like(last), last)
        # The place before each; of the last one the one before, as there is none behind it.
        first = torch.minimum(where.detach().floor(), last - 1)
        share = where - first
        shares = torch.stack([1 - share, share], -1)
        weights = shares[..., :maps, :, None] * shares[..., maps:, None, :]
        number = (first[..., :maps] * height + first[..., maps:]).long() + pictures
        number = number + torch.arange(plans, device=number.device)[:, None, None] * (maps * width * height)
        # What is no number is nowhere; it reads what is there and stays no number by its weights.
        number = number.clamp(0, plans * maps * width * height - height - 2)
        read = F.embedding_bag(
            (number[..., None] + corners).view(plans * states, 4 * maps),
            folded.reshape(-1, features),
            mode="sum",
            per_sample_weights=weights.view(plans * states, 4 * maps).to(folded.dtype),
        )
        return read.view(plans, states, features)


@lru_cache(maxsize=64)
def _numbers(maps: int, width: int, height: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Of folded tokens: the last place in each direction (2 M,), the first row of each map (M,), rows from one place to
    the four that it is read between (4,). Kept, because a device would wait for numbers from the host at every step; so
    they may not depend on torch's modes of the moment."""
    with torch.inference_mode(False):
        last = torch.tensor([width - 1.0] * maps + [height - 1.0] * maps, dtype=torch.float32, device=device)
        pictures = width * height * torch.arange(maps, device=device)
        return last, pictures, torch.tensor([0, 1, height, height + 1], device=device)
