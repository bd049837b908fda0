"""What pictures and grids of symbols are to a network: planes, and the first convolution over them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.settings import Sight


def planes(observation: Tensor, sight: Sight) -> Tensor:
    """Observations (N, ...) as float planes (N, C, W, H), first axis of places along x.

    Symbols are one-hot, channel by channel, without knowing what they mean; colours are between -0.5 and 0.5. Of an
    image with several frames the latest is taken: what stands where is asked of it, and `levels.encoders.picture` alone
    asks for more.

    Raises:
        ValueError: a symbol with a code that training has not seen.
    """
    if sight.kind == "image":
        latest = observation[..., -sight.colours :] if sight.frames > 1 else observation
        return rearrange(latest, "n h w c -> n c w h").float() / 255 - 0.5
    limits = torch.tensor(sight.codes, device=observation.device)
    wrong = (observation < 0) | (observation.short() >= limits)
    if bool(wrong.any()):
        channel = int(wrong.flatten(0, -2).any(0).nonzero()[0])
        worst = int(observation[..., channel][wrong[..., channel]][0])
        raise ValueError(
            f"symbols of channel {channel} with code {worst}; seen were 0 to {sight.codes[channel] - 1}"
        )
    parts = [
        observation[..., i, None] == torch.arange(codes, device=observation.device)
        for i, codes in enumerate(sight.codes)
    ]
    # In memory the planes of a place stay side by side: convolutions round by how their input lies there.
    return rearrange(torch.cat(parts, -1), "n w h c -> n c w h").float()


def distinct(observation: Tensor) -> tuple[Tensor, Tensor]:
    """Observations (N, ...) -> those that differ (M, ...), and the number of each one's (N,).

    In small worlds many moments of a batch look the same, and seeing is what training takes longest with.
    """
    flat = observation.flatten(1)
    if flat.dtype == torch.uint8 and flat.shape[1] % 8 == 0:
        # Images are long to compare: by a number each, and then with the one that has the same number.
        words = flat.view(torch.int64)
        odd = torch.arange(words.shape[1], device=flat.device) * 2 + 1
        mark = (words * (odd * 0x1E3779B97F4A7C15)).sum(1)  # sums wrap around
        _, number = torch.unique(mark, return_inverse=True)
        first = torch.full((int(number.max()) + 1,), len(flat), device=flat.device)
        first = first.scatter_reduce(0, number, torch.arange(len(flat), device=flat.device), "amin")
        if torch.equal(flat[first][number], flat):
            return observation[first], number
    different, number = torch.unique(flat, dim=0, return_inverse=True)
    return different.view(-1, *observation.shape[1:]), number


def moved(observation: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Observations (N, A, B, ...) moved by whole numbers along A and B; at the edge they go on as they end."""
    first = torch.arange(observation.shape[1], device=observation.device) - down
    second = torch.arange(observation.shape[2], device=observation.device) - right
    return observation[:, first.clamp(0, len(first) - 1)][:, :, second.clamp(0, len(second) - 1)]


def near(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution that goes on at a picture's edge as the picture ends: an edge of zeros would stand out."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


def standing_out(features: Tensor) -> Tensor:
    """Features (N, C, W, H), each channel of a picture at mean 0 and spread 1 over its places."""
    count, channels = features.shape[-1] * features.shape[-2], features.shape[1]
    # A group norm of one channel a group is the fast way to say it; it divides by the biased spread.
    unbiased = (count - 1) / count
    scale = features.new_full((channels,), unbiased**0.5)
    return F.group_norm(features, channels, scale, None, 1e-3 * unbiased)


class Stem(nn.Module):
    """The first convolution: 3 x 3 over symbols; over images one tap per patch, what is rare among patches, then 3 x 3.

    Args:
        sight: what is seen.
        channels: C of the features.
        patch: pixels a side of the patch that one place of the feature map stands for; 1 for symbols.
        compares: whether patches of an image are seen against all others of it. A memory's are not: what it holds of a
            place depends on nothing far away.
    """

    def __init__(self, sight: Sight, channels: int, patch: int, compares: bool = False) -> None:
        super().__init__()
        self.sight, self.compares = sight, compares
        self.patches: nn.Conv2d | None
        if sight.kind == "image":
            self.patches = nn.Conv2d(sight.colours, channels, patch, stride=patch)
            self.inner = nn.Conv2d(channels, channels, 1)
            self.around = near(channels, channels)
        else:
            self.patches = None
            self.around = near(sum(sight.codes), channels)

    def forward(self, observation: Tensor) -> Tensor:
        """(N, ...) -> (N, C, W', H')."""
        seen = planes(observation, self.sight)
        if self.patches is not None:
            seen = self.patches(seen)
            # Most of a patch's features say wall or floor. At mean 0 and spread 1 over the picture, what is rare has a
            # voice, and the attention finds what moves; without, it did not in 3,000 steps.
            seen = F.gelu(self.inner(F.gelu(standing_out(seen) if self.compares else seen)))
        return self.around(seen)
