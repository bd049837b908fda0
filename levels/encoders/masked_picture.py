"""Encoder of pictures that looks through an encoder which masked prediction has trained and which does not change.

Its patches' features take the place of the first convolution of `levels.encoders.picture`; where something stands out
among them, and what is there, is learned as there. A picture is seen as the last frame of a clip whose other frames are
not given. Weights come from a stack to begin with (`hjepa.training.masked_start`); without, they are random.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from levels.encoders.given import Given
from levels.encoders.picture import PictureEncoder
from levels.masked import MaskedSettings, PatchEncoder, patches_of
from levels.pictures import near, standing_out
from levels.settings import LevelSettings, Sight


class FrozenStem(nn.Module):
    """Picture (N, H, W, C) -> features (N, channels, W', H'): of frozen patches, compared, mixed and smoothed.

    Args:
        sight: an image.
        channels: of the features.
        patch: pixels a side of a patch.

    Raises:
        ValueError: pictures that patches do not divide.
    """

    def __init__(self, sight: Sight, channels: int, patch: int) -> None:
        super().__init__()
        height, width, colours = *sight.shape[:2], sight.colours
        if height % patch or width % patch:
            raise ValueError(
                f"pictures of {width} x {height} pixels are not divided by patches of {patch}; choose another patch"
            )
        settings = MaskedSettings(patch=patch)
        self.patch = patch
        self.frozen = PatchEncoder((width // patch, height // patch), colours, settings).requires_grad_(False)
        self.inner = nn.Conv2d(settings.width, channels, 1)
        self.around = near(channels, channels)

    def forward(self, observation: Tensor) -> Tensor:
        """See the class; no gradient reaches the frozen encoder."""
        with torch.no_grad():
            tokens = self.frozen(patches_of(observation.unsqueeze(1), self.patch))
        width, height = self.frozen.sides
        seen = standing_out(rearrange(tokens, "n (w h) c -> n c w h", w=width, h=height))
        return self.around(torch.nn.functional.gelu(self.inner(seen)))


class MaskedPictureEncoder(PictureEncoder):
    """`PictureEncoder` over frozen features.

    Args:
        sight: an image.
        settings: channels, maps, patch, width and latent size.
    """

    def __init__(self, sight: Sight, settings: LevelSettings) -> None:
        super().__init__(sight, settings)
        self.stem = FrozenStem(sight, settings.channels, settings.patch)


def make_masked(given: Given) -> MaskedPictureEncoder:
    """An encoder of pictures."""
    assert given.world.sight is not None
    return MaskedPictureEncoder(given.world.sight, given.settings)
