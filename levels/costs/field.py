"""Steps to the goal as a field that spreads over a picture's own feature map.

What a move from place to place costs is read off the picture by a small convolutional network, and the field of steps
to go spreads from where the goal's latent is: ``V <- min(V, V of a neighbour + move)`` (a value iteration
network, Tamar
et al., arXiv 1602.02867, with the algebra of shortest paths). A latent is on the map where the
one of its places is that wanders as actions have it (`FieldCost.choose`); nobody tells it.

It is trained on latents it cannot change, from the times that trajectories took to a moment of their own or to where
another of the same layout came by. Such a time is at least as long as the way, so estimates that are too low weigh less
(an expectile, as in arXiv 2110.06169 for values).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.costs.base import Ahead, CostHead
from levels.costs.hindsight import FAR, LOOK_AHEAD, claim_loss, hindsight_loss, times_taken
from levels.costs.kinds import Given
from levels.costs.sweeps import settled
from levels.encoders.picture import PLACE
from levels.gathering import gathered
from levels.pictures import Stem, near
from levels.settings import Sight

SLOPE = 8.0
"""Steps by which the field begins to rise with each place that is further from the goal's."""

CLIFF = 4.0
"""Steps by which a neighbour may be further than the nearest place, in a read between them: walls do not count."""

SAME = 0.35
"""Places nearer than this are the same."""

MOVED = 0.05
"""Of the squared step of a place along trajectories, what actions have to account for."""


class FieldCost(CostHead):
    """Steps to go of latents.

    Args:
        sight: what pictures are.
        places: leading numbers of a latent that are places, two for each.
        patch: pixels a side of a place, for images.
        hidden: channels of the network that reads the picture.
        unit: steps of the agent in one of the field's own, in which a move to a neighbour takes 1 or more.
        begins: places from the goal's, along each axis, within which the field begins; None: everywhere, so that no way
            is longer than `SLOPE` for each place that it leads over as the crow flies.
        scale: places of the field along one of the latent's.

    Raises:
        ValueError: a latent without places, or pictures that are no whole number of the field's places.
    """

    headings = 1
    cliff = CLIFF
    share: Tensor

    def __init__(
        self,
        sight: Sight,
        places: int,
        patch: int,
        hidden: int = 32,
        unit: float = 1.0,
        begins: float | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.unit, self.begins, self.scale = unit, begins, scale
        if places < 2:
            raise ValueError("a field needs latents with places; see encoder symbols or image")
        if scale != 1 and any(side % patch for side in sight.shape[:2]):
            raise ValueError(
                f"critic.patch is {patch} of pictures of {sight.shape[1]} x {sight.shape[0]}; choose a divisor of both"
            )
        self.maps = places // 2
        self.register_buffer("share", torch.zeros(self.maps))
        self.stem = Stem(sight, hidden, patch)
        # Two convolutions: the place that attention gives may be the one beside what it looks at.
        self.reader = nn.Sequential(nn.GELU(), near(hidden, hidden), nn.GELU(), nn.Conv2d(hidden, 4, 1))

    def where(self, latent: Tensor) -> Tensor:
        """Places (..., 2) on the map, in places from its middle, of latents (..., D)."""
        both = latent[..., : 2 * self.maps].unflatten(-1, (2, self.maps))
        return (both * self.share).sum(-1) * (self.scale / PLACE)

    @property
    def chosen(self) -> bool:
        """Whether it is known which of the places counts."""
        return bool(self.share.any())

    def choose(self, latent: Tensor, later: Tensor) -> None:
        """Take the place that wanders: it goes far in an episode by small steps, and actions move it.

        What actions do not move is somebody else; what jumps is where something else stands out from moment to moment.

        Args:
            latent: (P, n, L, D) along trajectories.
            later: (..., S, D) latents that different actions lead to from the same moments.
        """
        latent, later = gathered(latent), gathered(later)
        along = latent[..., : 2 * self.maps].unflatten(-1, (2, self.maps))
        step = (along[:, :, 1:] - along[:, :, :-1]).square().mean((0, 1, 2)).sum(0)
        far = along.var(2).mean((0, 1)).sum(0)
        moved = (
            later[..., : 2 * self.maps].unflatten(-1, (2, self.maps)).var(-3).sum(-2).flatten(0, -2).mean(0)
        )
        wanders = far / step.clamp_min(1e-6) * (moved > MOVED * step)
        self.share.copy_(F.one_hot(wanders.argmax(), self.maps))

    def costs(self, picture: Tensor) -> Tensor:
        """Pictures (P, ...) -> moves (P, 4, W, H) to the four neighbours, positive, in the field's steps."""
        # About a step at first: too near, never too far, so that walls are learned and no way is given up. A wall is as
        # long as the longest way round, so costs grow by factors.
        return self.reader(self.stem(picture)).clamp_max(math.log(FAR)).exp()

    def field(self, picture: Tensor, goal: Tensor, sweeps: int, closed: Tensor | None = None) -> Tensor:
        """Steps to go everywhere, the field's own: pictures (P, ...), goals (P, D) -> (P, 1, W, H).

        Args:
            picture: what the layout is read from.
            goal: latents; their place counts alone.
            sweeps: moves of the longest way that is found.
            closed: (P, W, H) bool, places that ways must not lead through; None: none.
        """
        return self.spread(self.costs(picture), goal, sweeps, closed)

    def spread(
        self, moves: Tensor, goal: Tensor, sweeps: int, closed: Tensor | None = None, begins: float | None = None
    ) -> Tensor:
        """The same from what moves cost, (P, 4, W, H) from `costs`; ``begins`` in the place of the head's own."""
        width, height = moves.shape[-2:]
        begins = self.begins if begins is None else begins
        at = self.where(goal) + goal.new_tensor([(width - 1) / 2, (height - 1) / 2])
        if begins is not None:
            # Off the map there is no place to begin at, and reads are of the nearest as well.
            at = at.clamp(at.new_zeros(2), at.new_tensor([width - 1.0, height - 1.0]))
        x, y = at.unbind(-1)
        along_x = (torch.arange(width, device=goal.device) - x[:, None]).abs()
        along_y = (torch.arange(height, device=goal.device) - y[:, None]).abs()
        if closed is not None and closed.shape[-2:] != (width, height):
            # Closed places are the world's; the field's may be finer.
            closed = F.interpolate(closed.unsqueeze(1).float(), (width, height)).squeeze(1).bool()
        field = (SLOPE * (along_x[:, :, None] + along_y[:, None])).clamp_max(FAR)
        if begins is not None:
            field = field.masked_fill(torch.maximum(along_x[:, :, None], along_y[:, None]) >= begins, FAR)
        for _ in range(sweeps):
            before = field
            walled = F.pad(field, (1, 1, 1, 1), value=FAR)
            around = (
                walled[:, 2:, 1:-1],
                walled[:, :-2, 1:-1],
                walled[:, 1:-1, 2:],
                walled[:, 1:-1, :-2],
            )
            field = torch.minimum(field, (torch.stack(around, 1) + moves).amin(1))
            if closed is not None:
                field = field.masked_fill(closed, FAR)
            # What one sweep leaves as it is, all others will. In training their gradients count.
            if not field.requires_grad and settled(field, before):
                break
        return field.unsqueeze(1)

    def forward(self, latent: Tensor, field: Tensor) -> Tensor:
        """Steps of the agent to go: latents (P, ..., D), field (P, 1, W, H) -> (P, ...).

        Between places the four around are weighed; those behind a wall count as `CLIFF` further than the nearest.
        """
        place = self.where(latent.flatten(1, -2))
        width, height = field.shape[-2:]
        x = (place[..., 0] + (width - 1) / 2).clamp(0, width - 1)
        y = (place[..., 1] + (height - 1) / 2).clamp(0, height - 1)
        left, top = x.detach().floor().clamp_max(width - 2), y.detach().floor().clamp_max(height - 2)
        share_x, share_y = x - left, y - top
        corner = (left * height + top).long()
        index = torch.stack([corner, corner + 1, corner + height, corner + height + 1], -1)
        found = field.flatten(1).gather(1, index.flatten(1)).view(index.shape)
        weight = torch.stack(
            [
                (1 - share_x) * (1 - share_y),
                (1 - share_x) * share_y,
                share_x * (1 - share_y),
                share_x * share_y,
            ],
            -1,
        )
        nearest = found.gather(-1, weight.argmax(-1, keepdim=True))
        read = torch.minimum(found, nearest + self.cliff)
        return self.unit * (weight * read).sum(-1).view(latent.shape[:-1])

    def knows(self, latent: Tensor, field: Tensor) -> Tensor:
        """Whether a field (P, 1, W, H) has come to the place nearest to latents (P, ..., D): (P, ...) bool.

        Where it ends, a read between places is a mean of steps and of `FAR`, which are none.
        """
        width, height = field.shape[-2:]
        place = self.where(latent.flatten(1, -2)) + latent.new_tensor([(width - 1) / 2, (height - 1) / 2])
        x, y = place.round().long().unbind(-1)
        corner = x.clamp(0, width - 1) * height + y.clamp(0, height - 1)
        return (field.flatten(1).gather(1, corner) < FAR).view(latent.shape[:-1])

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
        """The loss on whole trajectories of P layouts.

        Args:
            latent: (P, n, L, D), what the gradient does not reach.
            picture: (P, ...).
            goal: number (P,) of the trajectory, and (P,) of the moment in it, whose place is the goal.
            sweeps: of the field.
            under: weight of estimates that are too low, relative to those that are too high.
            farthest: longest time that is learned from; None: any.
            ahead: latents (P, M, D), where each may be `LOOK_AHEAD` steps later (P, M, S, D), and the weight of claims
                that none of these bears out; None: no claim is tested.

        Returns:
            scalar, and its terms: ``steps`` is the mean error in steps, ``move`` what half of the moves cost less than,
            ``ahead`` the claims.
        """
        latent = latent.detach()
        layout = torch.arange(len(latent), device=latent.device)
        trajectory, moment = goal
        aim = latent[layout, trajectory, moment]
        moves = self.costs(picture)
        field = self.spread(moves, aim, sweeps)
        estimate = self(latent, field)
        with torch.no_grad():
            apart = (self.where(latent) - self.where(aim)[:, None, None]).abs().amax(-1)
            taken = times_taken(apart < SAME)
            known = taken.isfinite() & (estimate < self.unit * FAR / 2)
            if self.begins is not None:
                known &= self.knows(latent, field)
            if farthest is not None:
                known &= taken <= farthest
            # The goal itself, or a mean of nothing would be no number.
            known[layout, trajectory, moment] = True
            taken[layout, trajectory, moment] = 0.0
        total = hindsight_loss(estimate[known] / self.unit, taken[known] / self.unit, under)
        terms = {
            "steps": (estimate[known] - taken[known]).detach().abs().mean(),
            "move": moves.detach().median(),
        }
        if ahead is not None:
            now, later, share = ahead
            claims = self.claims(now, later, field)
            total, terms = total + share * claims, terms | {"ahead": claims.detach()}
        return total, terms

    def claims(self, now: Tensor, later: Tensor, field: Tensor) -> Tensor:
        """The loss of claims that imagined actions do not bear out, see `claim_loss`.

        Args:
            now: (P, M, D) latents.
            later: (P, M, S, D), where each of them may be `LOOK_AHEAD` steps later.
            field: (P, 1, W, H).
        """
        with torch.no_grad():
            best = self(later, field)
            if self.begins is not None:
                best = best.masked_fill(~self.knows(later, field), self.unit * FAR)
            best = best.amin(-1) + LOOK_AHEAD
        claimed = self(now.detach(), field)
        if self.begins is not None:
            # Of where nothing is known nothing is claimed; steps of 0 are not judged.
            claimed = claimed.masked_fill(~self.knows(now, field), 0.0)
        return claim_loss(claimed / self.unit, best / self.unit)

    def field_operations(self, sweeps: int, size: tuple[int, int]) -> float:
        """Additions and comparisons of the sweeps of one field; what reading the picture takes comes on top."""
        return 2.0 * sweeps * size[0] * size[1] * 4 * self.scale**2


def make_field(given: Given) -> FieldCost:
    """A field over what is seen.

    Raises:
        ValueError: nothing is seen, or latents have no places.
    """
    if given.world.sight is None:
        raise ValueError("critic kind field of a level that is told; choose grid")
    return FieldCost(
        given.world.sight, given.places, given.patch, given.hidden, given.unit, given.begins, given.scale
    )
