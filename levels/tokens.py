"""Tokens: features of the places of one picture, written once, and read around where a latent is.

Perception writes features of every place of a picture with a small convolutional network. A state then glimpses those
around its own places, between them by bilinear interpolation, so that what it sees follows continuously from where it
is. A glimpse knows no absolute place: what holds in one corner of a picture holds in all of them, and on pictures of
another size. (Glimpses: Mnih et al., arXiv 1406.6247; differentiable sampling: Jaderberg et al., arXiv 1506.02025.)
"""

from __future__ import annotations

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
