"""Masked prediction: what is hidden of a clip is predicted from what is seen of it, in latent space.

A clip is cut into patches of one frame each, the tokens. The encoder sees those that are not hidden and nothing else. A
predictor gets what the encoder made of them and the places of the hidden ones, and says what a slow copy of the
encoder, which sees the whole clip, makes of the hidden ones:

    mean over hidden tokens of  |P(E(seen), place) - norm(E_slow(clip))|,        no gradient through E_slow,

V-JEPA's loss (Bardes et al., arXiv 2404.08471, equation 1). What cannot be predicted, such as noise, need not be: the
slow copy may leave it out. The control predicts the pixels of the hidden patches with the same network, by squared
error (masked autoencoders, arXiv 2111.06377), and has to spend itself on what no one can know.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.ranges import check_ranges, ranged

MASKS = ("blocks", "patches")
TARGETS = ("latent", "pixels")


@dataclass(frozen=True)
class MaskedSettings:
    """What learns from clips, and how.

    Attributes:
        patch: pixels a side of a patch.
        frames: of a clip, T.
        width, depth, heads: of the encoder.
        predictor_width, predictor_depth: of the predictor.
        target: ``latent``, what the slow copy makes of hidden patches, or ``pixels``, the control.
        mask: ``blocks`` hides a few blocks of space and time, ``patches`` as many patches here and there.
        share: of the tokens that is hidden.
        blocks: that are drawn one after another until enough is hidden.
        momentum: of the slow copy: how much of it stays in a step.

    Raises:
        ValueError: a number out of its range, or a name that is not known.
    """

    patch: int = ranged(8, 1, 1024)
    frames: int = ranged(4, 1, 64)
    width: int = ranged(64, 1, 4096)
    depth: int = ranged(4, 1, 64)
    heads: int = ranged(4, 1, 64)
    predictor_width: int = ranged(32, 1, 4096)
    predictor_depth: int = ranged(2, 1, 64)
    target: str = "latent"
    mask: str = "blocks"
    share: float = ranged(0.6, 0, 1, above=True, below=True)
    blocks: int = ranged(8, 1, 64)
    momentum: float = ranged(0.99, 0, 1)

    def __post_init__(self) -> None:
        check_ranges(self, "masked")
        for name, known in (("target", TARGETS), ("mask", MASKS)):
            if getattr(self, name) not in known:
                raise ValueError(f"masked {name} is {getattr(self, name)!r}; choose from {', '.join(known)}")
        for width in (self.width, self.predictor_width):
            if width % self.heads:
                raise ValueError(
                    f"masked width {width} is no multiple of {self.heads} heads; change one of them"
                )


def hidden_tokens(
    generator: torch.Generator, count: int, shape: tuple[int, int, int], settings: MaskedSettings
) -> Tensor:
    """Which tokens of each clip are hidden.

    Blocks are boxes of a third to two thirds of the picture's sides and of half of the frames or all. Those drawn first
    are hidden whole; of the last one, what is needed to hide equally many tokens in every clip.

    Args:
        generator: of every draw.
        count: N clips.
        shape: (T, W, H) tokens.
        settings: kind, share and number of blocks.

    Returns:
        (N, T * W * H) bool, equally many True in each row, at least one and not all.
    """
    total = shape[0] * shape[1] * shape[2]
    hidden = min(max(round(settings.share * total), 1), total - 1)
    order = torch.rand(count, total, generator=generator)
    if settings.mask == "blocks":
        inside = torch.ones(count, settings.blocks, *shape, dtype=torch.bool)
        for axis, side in enumerate(shape):
            low, high = (side / 2, float(side)) if axis == 0 else (side / 3, 2 * side / 3)
            drawn = torch.rand(2, count, settings.blocks, 1, generator=generator)
            extent = (low + drawn[0] * (high - low)).round().clamp(min=1)
            first = (drawn[1] * (side - extent + 1)).floor().clamp(max=side - 1)
            place = torch.arange(side)
            within = (place >= first) & (place < first + extent)
            inside &= within.view(count, settings.blocks, *(side if a == axis else 1 for a in range(3)))
        covered = inside.flatten(2)
        number = torch.where(covered.any(1), covered.int().argmax(1), settings.blocks)
        order = order + number
    rank = order.argsort(1).argsort(1)
    return rank < hidden


def patches_of(clips: Tensor, patch: int) -> Tensor:
    """Clips (N, T, H, W, C) of colours 0 to 255 as tokens (N, T * W' * H', patch * patch * C) between -0.5 and 0.5.

    Raises:
        ValueError: pictures that patches do not divide.
    """
    if clips.shape[2] % patch or clips.shape[3] % patch:
        raise ValueError(
            f"pictures of {clips.shape[3]} x {clips.shape[2]} pixels are not divided by patches of {patch};"
            " choose another patch"
        )
    cut = rearrange(clips, "n t (h a) (w b) c -> n (t w h) (a b c)", a=patch, b=patch)
    return cut.float() / 255 - 0.5


class Block(nn.Module):
    """Attention and a small network, each behind a norm and added to what was there (arXiv 2010.11929)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inputs, self.outputs = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.rest = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, S, D) -> (N, S, D)."""
        parts = self.inputs(self.before(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.outputs(found)
        return tokens + self.rest(self.between(tokens))


class Places(nn.Module):
    """A learned vector for every frame, column and row of the tokens, added up.

    Args:
        shape: (T, W, H) tokens.
        width: of the vectors.
    """

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.along = nn.ParameterList(nn.Parameter(0.02 * torch.randn(side, width)) for side in shape)

    def forward(self) -> Tensor:
        """(T * W * H, D), in the order of `patches_of`."""
        time, x, y = self.along
        return (time[:, None, None] + x[:, None] + y).flatten(0, 2)


class PatchEncoder(nn.Module):
    """Tokens of a clip -> features, each of what it may look at and no more: what is not given is not seen.

    Args:
        sides: (W, H) patches of a picture.
        colours: C.
        settings: patch, frames, width, depth and heads.
    """

    def __init__(self, sides: tuple[int, int], colours: int, settings: MaskedSettings) -> None:
        super().__init__()
        self.frames, self.sides, self.width = settings.frames, sides, settings.width
        self.inputs = nn.Linear(settings.patch**2 * colours, settings.width)
        self.places = Places((settings.frames, *sides), settings.width)
        self.blocks = nn.ModuleList(Block(settings.width, settings.heads) for _ in range(settings.depth))
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, tokens: Tensor, which: Tensor | None = None) -> Tensor:
        """(N, S, P) pixels of patches -> (N, S, D).

        Args:
            tokens: all of them, or those of the last frames of a clip.
            which: (N, V) numbers of the tokens to look at, the same many in each clip; None: all.
        """
        places = self.places()[-tokens.shape[1] :]
        if which is not None:
            # Before anything else, so that nothing of what is hidden can reach what is seen.
            tokens = tokens.gather(1, which.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
            places = places[which]
        seen = self.inputs(tokens) + places
        for block in self.blocks:
            seen = block(seen)
        return self.norm(seen)


class MaskedPredictor(nn.Module):
    """Features of what is seen, and places of what is hidden -> what is there.

    Args:
        shape: (T, W, H) tokens.
        outputs: numbers that are predicted of a hidden token.
        settings: widths, depth and heads.
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int, settings: MaskedSettings) -> None:
        super().__init__()
        width = settings.predictor_width
        self.inputs = nn.Linear(settings.width, width)
        self.unknown = nn.Parameter(0.02 * torch.randn(width))
        self.places = Places(shape, width)
        self.blocks = nn.ModuleList(Block(width, settings.heads) for _ in range(settings.predictor_depth))
        self.outputs = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def forward(self, seen: Tensor, which: Tensor, hidden: Tensor) -> Tensor:
        """(N, V, D) at tokens (N, V) -> (N, M, outputs) at tokens (N, M)."""
        places = self.places()
        tokens = torch.cat([self.inputs(seen) + places[which], self.unknown + places[hidden]], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.outputs(tokens[:, which.shape[1] :])


class Masked(nn.Module):
    """Encoder, slow copy and predictor; see the module.

    Args:
        picture: (H, W, C) pixels of a frame.
        settings: what it is made of.

    Attributes:
        encoder: learns.
        teacher: its slow copy, which no gradient reaches; the control has one as well, and does not ask it.
        shape: (T, W, H) tokens.

    Raises:
        ValueError: pictures that patches do not divide.
    """

    def __init__(self, picture: tuple[int, int, int], settings: MaskedSettings) -> None:
        super().__init__()
        height, width, colours = picture
        if height % settings.patch or width % settings.patch:
            raise ValueError(
                f"pictures of {width} x {height} pixels are not divided by patches of {settings.patch};"
                " choose another patch"
            )
        self.settings = settings
        sides = (width // settings.patch, height // settings.patch)
        self.shape = (settings.frames, *sides)
        self.encoder = PatchEncoder(sides, colours, settings)
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)
        outputs = settings.width if settings.target == "latent" else settings.patch**2 * colours
        self.predictor = MaskedPredictor(self.shape, outputs, settings)

    def loss(self, clips: Tensor, hidden: Tensor) -> Tensor:
        """Of clips (N, T, H, W, C), of which tokens (N, S) bool are hidden, equally many in each; of these alone.

        Raises:
            ValueError: clips of another shape.
        """
        tokens = patches_of(clips, self.settings.patch)
        if tokens.shape[:2] != hidden.shape or clips.shape[1] != self.settings.frames:
            raise ValueError(
                f"clips {tuple(clips.shape)} with {tuple(hidden.shape)} tokens; frames are {self.settings.frames}"
            )
        seen, asked = numbers(~hidden), numbers(hidden)
        said = self.predictor(self.encoder(tokens, seen), seen, asked)
        if self.settings.target == "pixels":
            return F.mse_loss(said, _at(tokens, asked))
        return F.l1_loss(said, _at(self.aim(tokens), asked))

    @torch.no_grad()
    def aim(self, tokens: Tensor) -> Tensor:
        """What the slow copy makes of whole clips (N, S, P): (N, S, D), each feature at mean 0 and spread 1."""
        return F.layer_norm(self.teacher(tokens), (self.settings.width,))

    @torch.no_grad()
    def follow(self) -> None:
        """Let the slow copy follow the encoder by one step."""
        for slow, weight in zip(self.teacher.parameters(), self.encoder.parameters()):
            slow.lerp_(weight, 1 - self.settings.momentum)


def numbers(chosen: Tensor) -> Tensor:
    """(N, S) bool with M True in each row -> (N, M) their numbers, in order."""
    return chosen.nonzero()[:, 1].view(len(chosen), -1)


def _at(tokens: Tensor, which: Tensor) -> Tensor:
    return tokens.gather(1, which.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
