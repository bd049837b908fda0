"""The critic: steps to the goal, from a latent and the floor plan, on plans never seen.

A value iteration network (Tamar et al., arXiv 1602.02867) with the algebra of shortest paths: what a move costs in
each cell is read off the floor plan by a small convolutional network, and the field of steps to go spreads from the
goal's cell, ``V <- min(V, V of a neighbour + move, V of another heading + turn)``. It learns local costs alone, so it
holds on plans of any shape. A latent reads the field where it believes to be, as memories are read
(`levels.grid.memory.MemoryReader`).

It is trained on latents it cannot change, from the times that trajectories took from their states to a place they
came to later. Such a time is at least as long as the way, so what is learned is a low expectile of it (Newey and
Powell, Econometrica 1987; as in arXiv 2110.06169 for values).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from levels.costs.hindsight import FAR, LOOK_AHEAD, claim_loss, hindsight_loss, times_taken
from levels.costs.kinds import Given
from levels.costs.sweeps import swept
from levels.gathering import anywhere
from levels.grid.agent_encoders import HEADINGS
from levels.grid.memory import SYMBOLS
from levels.networks import mlp
from levels.settings import World

SHARPNESS = 8.0
"""Steps that a nat less of belief that the goal is there puts a cell away from it."""

HEAD_HIDDEN = 64
"""Width of the network that tells where a latent is."""


class Critic(nn.Module):
    """Steps to go of latents.

    Args:
        latent_dim: D.
        world: size of the grid.
        hidden: channels of the network that reads the floor plan.

    Attributes:
        headings: C, those of the agent; 1 for one that has none.
    """

    def __init__(self, latent_dim: int, world: World, hidden: int = 32) -> None:
        super().__init__()
        self.size, self.headings = world.size, 1 if world.continuous else HEADINGS
        self.head = mlp(latent_dim, HEAD_HIDDEN, sum(world.size) + self.headings)
        self.reader = nn.Sequential(
            nn.Conv2d(sum(SYMBOLS), hidden, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, (4 + self.headings) * self.headings, 1),
        )

    def costs(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Floor plans (P, W, H, 3) -> moves (P, C, 4, W, H) to the four neighbours, turns (P, C, C, W, H), positive."""
        planes = [F.one_hot(grid[..., i].long(), n) for i, n in enumerate(SYMBOLS)]
        read = self.reader(rearrange(torch.cat(planes, -1), "p w h c -> p c w h").float())
        # About a step at first: too near, never too far, so that walls are learned and no way is given up. A wall is as
        # long as the longest way round, so costs grow by factors.
        moves, turns = read.clamp_max(math.log(FAR)).exp().split([4 * self.headings, self.headings**2], 1)
        moves = rearrange(moves, "p (heading way) w h -> p heading way w h", heading=self.headings)
        return moves, rearrange(turns, "p (heading to) w h -> p heading to w h", heading=self.headings)

    def field(self, grid: Tensor, goal: Tensor, sweeps: int, closed: Tensor | None = None) -> Tensor:
        """Steps to go everywhere: floor plans (P, W, H, 3), goals (P, D) -> (P, C, W, H).

        Args:
            grid: floor plans.
            goal: latents; the cell they are believed to be in counts, at any heading.
            sweeps: moves, each with a turn, of the longest way that is found.
            closed: (P, W, H) bool, cells that ways must not lead through; None: none.
        """
        return self._spread(grid, self._doubt(goal), sweeps, closed)

    def _doubt(self, goal: Tensor, apart: bool = False) -> Tensor:
        """How much less than the likeliest cell each one is believed to be the goal's (P, D), in nats: (P, W, H)."""
        along_x, along_y, _ = self._where(goal)
        doubt = -(along_x[:, :, None] + along_y[:, None])
        doubt = doubt - doubt.amin((1, 2), keepdim=True)
        return doubt.detach() if apart else doubt

    def _spread(self, grid: Tensor, doubt: Tensor, sweeps: int, closed: Tensor | None = None) -> Tensor:
        """Steps to go (P, C, W, H) from where goals are believed to be, see `field`."""
        moves, turns = self.costs(grid)
        field = repeat((SHARPNESS * doubt).clamp_max(FAR), "p w h -> p heading w h", heading=self.headings)
        if not (field.requires_grad or moves.requires_grad):
            return swept(field, moves, turns, sweeps, closed)
        for _ in range(sweeps):
            walled = F.pad(field, (1, 1, 1, 1), value=FAR)
            inner = walled[:, :, 1:-1, 1:-1]
            around = (
                walled[:, :, 2:, 1:-1],
                walled[:, :, :-2, 1:-1],
                walled[:, :, 1:-1, 2:],
                walled[:, :, 1:-1, :-2],
            )
            moved = (torch.stack(around, 2) + moves).amin(2)
            field = torch.minimum(inner, moved)
            field = torch.minimum(field, (field[:, None] + turns).amin(2))
            if closed is not None:
                field = field.masked_fill(closed[:, None], FAR)
        return field

    def forward(self, latent: Tensor, field: Tensor, apart: bool = False) -> Tensor:
        """Steps to go: latents (P, ..., D), field (P, C, W, H) -> (P, ...).

        With ``apart`` no gradient reaches the beliefs where the latents are.
        """
        where = self._where(latent.flatten(1, -2))
        along_x, along_y, heading = (belief.detach() for belief in where) if apart else where
        return self._read(field, along_x, along_y, heading).view(latent.shape[:-1])

    def _read(self, field: Tensor, along_x: Tensor, along_y: Tensor, heading: Tensor) -> Tensor:
        """Steps to go (P, N) where log probabilities (P, N, ...) put a latent."""
        columns = torch.bmm(along_x.exp(), field.permute(0, 2, 3, 1).flatten(2))
        cells = columns.unflatten(2, (-1, self.headings))
        turned = (along_y.exp().unsqueeze(-1) * cells).sum(2)
        return (turned * heading.exp()).sum(-1)

    def around(self, latent: Tensor, field: Tensor, radius: int) -> Tensor:
        """How the field goes on around latents, relative to where they most likely are.

        Args:
            latent: (P, N, D).
            field: (P, C, W, H).
            radius: cells in each direction.

        Returns:
            (P, N, C (2 radius + 1)^2), in -1..1.
        """
        told = self.head(latent)
        width, height = self.size
        side = height + 2 * radius
        corner = told[..., :width].argmax(-1) * side + told[..., width : width + height].argmax(-1)
        cells = (corner.unsqueeze(-1) + _window(radius, side, latent.device)).flatten(1)
        padded = F.pad(field, (radius,) * 4, value=FAR).flatten(2)
        found = padded.gather(2, cells.unsqueeze(1).expand(-1, self.headings, -1))
        found = found.unflatten(2, (latent.shape[1], -1))
        middle = found[..., found.shape[-1] // 2].amin(1)[:, None, :, None]
        most = 4.0 * radius
        return ((found - middle).clamp(-most, most) / most).transpose(1, 2).flatten(2)

    def loss(
        self,
        latent: Tensor,
        place: Tensor,
        grid: Tensor,
        goal: tuple[Tensor, Tensor],
        sweeps: int,
        under: float,
        farthest: int | None = None,
        ahead: tuple[Tensor, Tensor, float] | None = None,
        apart: bool = False,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on whole trajectories of P floor plans.

        Args:
            latent: (P, n, L, D), what the gradient does not reach.
            place: (P, n, L, 3) integer cell x, y and heading that the observations show the agent at; (P, n, L, 2)
                of one without headings.
            grid: (P, W, H, 3).
            goal: number (P,) of the trajectory, and (P,) of the moment in it, whose cell is the goal.
            sweeps: of the field.
            under: weight of estimates that are too low, relative to those that are too high.
            farthest: longest time that is learned from; None: any.
            ahead: latents (P, M, D), where each may be `LOOK_AHEAD` steps later (P, M, S, D), and the weight of claims
                that none of these bears out; None: no claim is tested.
            apart: whether beliefs where latents are answer to the observations alone and not to the times, which teach
                costs only once the beliefs are right; long times would drown what the observations teach.

        Returns:
            scalar, and its terms: ``steps`` is the mean error in steps, ``look`` where latents believe to be,
            ``ahead`` the claims.
        """
        latent = latent.detach()
        plan = torch.arange(len(latent), device=latent.device)
        trajectory, moment = goal
        field = self._spread(grid, self._doubt(latent[plan, trajectory, moment], apart), sweeps)
        estimate = self(latent, field, apart)
        taken = hindsight(place[..., :2], place[plan, trajectory, moment, :2])
        # Where the sweeps have not come there is no estimate to mend, only a wrong place to read.
        known = taken.isfinite() & (estimate < FAR / 2)
        if farthest is not None:
            known &= taken <= farthest
        if apart:
            sure = self._sure(latent, place)
            known &= sure & sure[plan, trajectory, moment][:, None, None]
        # Goals nobody knows the place of say nothing about costs: they would only draw them to nothing.
        some = anywhere(known.any())
        idle = apart and not some
        if not some:
            # The goals themselves, or a mean of nothing would be no number.
            known[plan, trajectory, moment] = True
        error = estimate[known] - taken[known]
        # Of a single heading there is none to tell.
        shown = zip(self._where(latent.flatten(1, 2)), place.flatten(0, 2).long().unbind(-1))
        look = torch.stack([F.nll_loss(belief.flatten(0, 1), true) for belief, true in shown]).sum()
        terms = {"steps": error.detach().abs().mean(), "look": look.detach()}
        total = look if idle else hindsight_loss(estimate[known], taken[known], under) + look
        if ahead is not None:
            now, later, weight = ahead
            claims = self.claims(now, later, field)
            total, terms = total + weight * claims, terms | {"ahead": claims.detach()}
        return total, terms

    @torch.no_grad()
    def _sure(self, latent: Tensor, place: Tensor) -> Tensor:
        """(P, n, L) bool: latents (P, n, L, D) rather believe to be at their place (P, n, L, 3) than elsewhere."""
        beliefs = zip(self._where(latent), place.long().unbind(-1))
        right = [belief.gather(-1, true.unsqueeze(-1)).squeeze(-1) for belief, true in beliefs]
        return torch.stack(right).sum(0) > math.log(0.5)

    def claims(self, now: Tensor, later: Tensor, field: Tensor) -> Tensor:
        """The loss of claims that imagined actions do not bear out, see `levels.costs.hindsight.claim_loss`.

        Args:
            now: (P, M, D) latents.
            later: (P, M, S, D), where each of them may be `LOOK_AHEAD` steps later.
            field: (P, C, W, H).
        """
        # The costs have to answer for a claim, not the belief where the latent is.
        with torch.no_grad():
            where = self._where(now)
            best = self(later, field).amin(-1) + LOOK_AHEAD
        return claim_loss(self._read(field, *where), best)

    def field_operations(self, sweeps: int, size: tuple[int, int]) -> float:
        """Additions and comparisons of the sweeps of one field; what the plan's reading takes comes on top."""
        width, height = size
        return 2.0 * sweeps * width * height * (4 + self.headings) * self.headings

    def place(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log probabilities (..., W), (..., H), (..., C) of the column, row and heading latents (..., D) are at."""
        return self._where(latent)

    def _where(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log probabilities (..., W), (..., H), (..., C) of column, row and heading."""
        parts = self.head(latent).split([*self.size, self.headings], -1)
        along_x, along_y, heading = (part.log_softmax(-1) for part in parts)
        return along_x, along_y, heading


@lru_cache(16)
def _window(radius: int, side: int, device: torch.device) -> Tensor:
    """How far the cells of a window lie behind its corner, counted along a flat field with ``side`` cells a column."""
    window = torch.arange(2 * radius + 1, device=device)
    return (window[:, None] * side + window).flatten()


def hindsight(place: Tensor, goal: Tensor) -> Tensor:
    """Steps that trajectories took until they came to a place.

    Args:
        place: (P, n, L, 2) cells.
        goal: (P, 2) a cell for each plan.

    Returns:
        (P, n, L) float, from each moment to the first one there that is not before it; infinite if there is none.
    """
    there = (place == goal[:, None, None]).all(-1)
    return times_taken(there)


def make_grid_critic(given: Given) -> Critic:
    """The critic of a grid that is told.

    Raises:
        ValueError: the level sees, and knows of no grid.
    """
    if given.world.sight is not None:
        raise ValueError("critic kind grid of a level that sees; choose field")
    return Critic(given.latent_dim, given.world, given.hidden)
