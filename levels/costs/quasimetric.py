"""Steps to the goal as a quasimetric: never negative, 0 from a state to itself, and no way is longer than one by a
third state; there and back may differ.

Trajectories say how far apart two moments in a row are at most: one step. Of all quasimetrics that agree, the largest
is the way itself, so distances between any two states of a layout are made as large as the single steps allow
(quasimetric reinforcement learning, Wang et al., arXiv 2304.01203). Nothing is needed of whole ways: steps of one
trajectory join with those of another. The distance is an interval quasimetric embedding (Wang and Isola, arXiv
2211.15120) of what a network makes of a latent, and, where there is a picture, of what it reads there: by attention
anywhere, and at the latent's own places. Tokens, no map. Without the read at its own places, a place that nobody leaves
was as near to everything as the free one beside it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.costs.base import Ahead, CostHead
from levels.costs.hindsight import LOOK_AHEAD, claim_loss
from levels.costs.kinds import Given
from levels.costs.single_steps import FARTHEST, farthest_apart, first_price, price_of
from levels.encoders.picture import PLACE
from levels.gathering import own_noise
from levels.networks import mlp, waves
from levels.pictures import Stem
from levels.settings import Sight

PARTS, INTERVALS = 16, 8
"""Components of an embedding, and intervals in each."""

PAIRS = 256
"""Pairs of states of a layout whose distance is made large, in one step of training, and as many single steps."""

HEADS = 4
"""Attention heads over a picture's tokens."""

OCTAVES = 4
"""Waves that say where a token is: of plain places a product with what is asked for has no maximum inside a picture."""


def interval_distance(first: Tensor, second: Tensor) -> Tensor:
    """From embeddings (..., K, L) to others that broadcast: the lengths of K unions of L intervals, (..., K).

    Interval j of a component runs from the first's number to the second's where that is larger, and is empty where it
    is not (arXiv 2211.15120).
    """
    low, order = first.expand(torch.broadcast_shapes(first.shape, second.shape)).sort(-1)
    high = torch.maximum(first, second).gather(-1, order)
    covered = high.cummax(-1).values[..., :-1]
    begin = torch.cat([low[..., :1], torch.maximum(low[..., 1:], covered)], -1)
    return (high - begin).clamp_min(0).sum(-1)


class QuasimetricCost(CostHead):
    """Steps to go of latents; see the module. It gives no field that ways could be led around in.

    Args:
        latent_dim: D, numbers in a latent.
        hidden: width of the network, and channels of what is read off a picture.
        unit: steps of the agent in one unit of distance: such that the longest way has about a third of `FARTHEST`.
        sight: what pictures are; None: there are none, and all trajectories are in one layout.
        patch: pixels a side of a token, for images.
        places: leading numbers of a latent that are places on the picture, two for each.
        scale: tokens along one of the latent's places.
    """

    leads_around = False

    def __init__(
        self,
        latent_dim: int,
        hidden: int,
        unit: float = 1.0,
        sight: Sight | None = None,
        patch: int = 8,
        places: int = 0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.unit = unit
        self.headings = PARTS * INTERVALS + (0 if sight is None else 2 * hidden)
        self.seen = None if sight is None else _Looked(sight, latent_dim, places, hidden, patch, scale)
        inputs = latent_dim + (0 if self.seen is None else self.seen.outputs)
        self.embed = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, PARTS * INTERVALS),
        )
        self.mixing = nn.Parameter(torch.zeros(()))
        self.price = first_price()

    def costs(self, picture: Tensor) -> Tensor:
        """What attention reads of pictures (P, ...): keys and values, (P, 2C, W, H); nothing where there are none."""
        return super().costs(picture) if self.seen is None else self.seen.tokens(picture)

    def field(self, picture: Tensor, goal: Tensor, sweeps: int, closed: Tensor | None = None) -> Tensor:
        """What belongs to a goal: its embedding, and what is read of the picture: (P, C, W, H).

        Args:
            picture: (P, ...).
            goal: (P, D) latents.
            sweeps: not used, nothing spreads.
            closed: must be None.

        Raises:
            ValueError: closed places, which this distance knows nothing of.
        """
        if closed is not None:
            raise ValueError("a quasimetric critic cannot lead around closed places; use kind field")
        tokens = None if self.seen is None else self.seen.tokens(picture)
        embedded = self.embedded(goal.unsqueeze(1), tokens)[:, 0].flatten(1)
        if tokens is None:
            return embedded[:, :, None, None]
        spread = embedded[:, :, None, None].expand(-1, -1, *tokens.shape[-2:])
        return torch.cat([spread, tokens], 1)

    def embedded(self, latent: Tensor, tokens: Tensor | None) -> Tensor:
        """Latents (P, N, D) and what `costs` reads of their layouts (P, 2C, W, H) -> (P, N, PARTS, INTERVALS)."""
        if tokens is not None:
            assert self.seen is not None
            latent = torch.cat([latent, self.seen(latent, tokens)], -1)
        return rearrange(self.embed(latent), "p n (k l) -> p n k l", k=PARTS)

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Units from embeddings to others that broadcast: (..., K, L) -> (...)."""
        parts = interval_distance(first, second)
        most = torch.sigmoid(self.mixing)
        return most * parts.amax(-1) + (1 - most) * parts.mean(-1)

    def forward(self, latent: Tensor, field: Tensor) -> Tensor:
        """Steps of the agent to go: latents (P, ..., D), `field` (P, C, W, H) -> (P, ...)."""
        count = PARTS * INTERVALS
        goal = rearrange(field[:, :count, 0, 0], "p (k l) -> p 1 k l", k=PARTS)
        tokens = None if self.seen is None else field[:, count:]
        embedded = self.embedded(latent.flatten(1, -2), tokens)
        return self.unit * self.between(embedded, goal).view(latent.shape[:-1])

    def loss(
        self,
        latent: Tensor,
        picture: Tensor,
        goal: tuple[Tensor, Tensor],
        sweeps: int,
        under: float,
        farthest: int | None = None,
        ahead: Ahead | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on whole trajectories of P layouts; see `CostHead.loss`.

        Args:
            latent: (P, n, L, D), what the gradient does not reach.
            picture: (P, ...).
            goal: of claims.
            sweeps, under: not used.
            farthest: steps at which half as much is gained by more distance; None: `FARTHEST` units.
            ahead: claims to be nearer than imagined steps bear out.

        Returns:
            scalar, and its terms: ``steps`` is by how many steps two moments in a row are too far apart, ``apart`` the
            mean distance in steps, ``price`` that of an excess.
        """
        latent = latent.detach()
        layouts, trajectories, length, _ = latent.shape
        tokens = None if self.seen is None else self.seen.tokens(picture)
        like = latent.new_empty(layouts, PAIRS)
        moment = own_noise(lambda all: torch.randint(length - 1, all.shape, device=all.device), like)
        row = own_noise(lambda all: torch.randint(trajectories, all.shape, device=all.device), like)
        layout = torch.arange(layouts, device=latent.device)[:, None]
        states = torch.cat([latent[layout, row, moment], latent[layout, row, moment + 1]], 1)
        now, then = self.embedded(states, tokens).chunk(2, 1)
        # All are drawn apart, so neighbours in the list are any two states of the layout.
        far = self.between(now, now.roll(1, 1))
        excess = (self.between(now, then) - 1 / self.unit).clamp_min(0) * self.unit
        total = farthest_apart(far, excess, self.price, FARTHEST if farthest is None else farthest / self.unit)
        terms = {"steps": excess.mean(), "apart": far.mean() * self.unit, "price": price_of(self.price)}
        if ahead is not None:
            here, later, share = ahead
            trajectory, at = goal
            aim = self.embedded(latent[layout[:, 0], trajectory, at].unsqueeze(1), tokens)
            with torch.no_grad():
                flat = self.embedded(later.flatten(1, 2), tokens)
                best = self.between(flat, aim).view(later.shape[:-1]).amin(-1) + LOOK_AHEAD / self.unit
            claimed = self.between(self.embedded(here.detach(), tokens), aim)
            claims = claim_loss(claimed, best)
            total, terms = total + share * claims, terms | {"ahead": claims}
        return total, {name: value.detach() for name, value in terms.items()}

    def field_operations(self, sweeps: int, size: tuple[int, int]) -> float:
        """Operations of embedding one goal; ``size`` is not used, a picture has as many places as it has patches."""
        layers = [part for part in self.embed if isinstance(part, nn.Linear)]
        read = 0.0 if self.seen is None else self.seen.operations
        return read + 2.0 * sum(part.in_features * part.out_features for part in layers)


class _Looked(nn.Module):
    """What latents read of a picture by attention (Vaswani et al., arXiv 1706.03762), with keys made once a picture.

    Products are written out: fused attention is not counted on every device, and planning counts what it spends.

    Args:
        sight: what pictures are.
        latent_dim: D.
        hidden: C, of tokens.
        patch: pixels a side of a token, for images.
        scale: tokens along one of the latent's places.

    Attributes:
        outputs: numbers that are read.
    """

    def __init__(
        self, sight: Sight, latent_dim: int, places: int, hidden: int, patch: int, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.maps, self.scale = places // 2, scale
        self.outputs = (1 + self.maps) * hidden
        self.stem = Stem(sight, hidden, patch)
        tall, wide = sight.shape[:2]
        self.tokens_seen = tall * wide if sight.kind == "symbols" else (tall // patch) * (wide // patch)
        self.place = nn.Linear(2 + 4 * OCTAVES, hidden)
        self.ask = mlp(latent_dim, hidden, hidden)
        self.read = nn.Linear(hidden, 2 * hidden)
        self.out = nn.Linear(hidden, hidden)

    def tokens(self, picture: Tensor) -> Tensor:
        """Pictures (P, ...) -> keys and values, (P, 2C, W, H)."""
        seen = self.stem(picture)
        width, height = seen.shape[-2:]
        x = torch.linspace(-1, 1, width, device=seen.device)[:, None].expand(width, height)
        y = torch.linspace(-1, 1, height, device=seen.device)[None].expand(width, height)
        placed = rearrange(seen, "p c w h -> p w h c") + self.place(waves(torch.stack([x, y], -1), OCTAVES))
        return rearrange(self.read(placed), "p w h c -> p c w h")

    def forward(self, latent: Tensor, tokens: Tensor) -> Tensor:
        """Latents (P, N, D), `tokens` (P, 2C, W, H) -> what they read, (P, N, `outputs`): by attention anywhere, and
        where their own places are."""
        keys, values = rearrange(tokens, "p (two head c) w h -> two p head (w h) c", two=2, head=HEADS)
        asked = rearrange(self.ask(latent), "p n (head c) -> p head n c", head=HEADS)
        looked = (asked @ keys.mT / math.sqrt(keys.shape[-1])).softmax(-1)
        found = self.out(rearrange(looked @ values, "p head n c -> p n (head c)"))
        if not self.maps:
            return found
        width, height = tokens.shape[-2:]
        x, y = (latent[..., : 2 * self.maps] * (self.scale / PLACE)).unflatten(-1, (2, self.maps)).unbind(-2)
        at = torch.stack([2 * y / max(height - 1, 1), 2 * x / max(width - 1, 1)], -1)
        here = F.grid_sample(tokens.chunk(2, 1)[1], at, padding_mode="border", align_corners=True)
        return torch.cat([found, rearrange(here, "p c n m -> p n (m c)")], -1)

    @property
    def operations(self) -> float:
        """Floating point operations of reading for one latent."""
        width = self.read.in_features
        asked = sum(part.in_features for part in self.ask if isinstance(part, nn.Linear))
        return 2.0 * width * (asked + self.out.in_features + 2 * self.tokens_seen)


def make_quasimetric(given: Given) -> QuasimetricCost:
    """A quasimetric over latents, and over the picture where there is one.

    Raises:
        ValueError: nothing is seen, or a width that attention heads cannot share.
    """
    sight = given.world.sight
    if sight is None:
        raise ValueError("critic kind quasimetric of a level that is told; choose grid")
    sight = None if sight.kind == "vector" or not given.looks else sight
    if sight is not None and given.hidden % HEADS:
        raise ValueError(f"critic.hidden is {given.hidden} for a quasimetric over pictures; give a multiple of {HEADS}")
    return QuasimetricCost(given.latent_dim, given.hidden, given.unit, sight, given.patch, given.places, given.scale)
