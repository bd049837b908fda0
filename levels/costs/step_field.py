"""A field of steps to the goal that learns from single steps: no trajectory has to know a way.

The field is that of `levels.costs.field`: moves from place to place are read off the picture, and steps to go spread
from the goal. What moves cost is learned as a quasimetric learns (`levels.costs.single_steps`): no step of a trajectory
leads more than a step away, and beyond that everything is as far from the goal as can be. Where nobody ever went,
through walls, moves so become long; where anybody went, a move takes as many steps as the fastest took. The shortest
way on a map that was never seen is so a matter of its moves, which are local, and not of a network that has to know
mazes.

Eyes say where something is up to a shift that is always the same: nothing asks them for more. A field's places are
those of the picture, and what a corner divides must not share one. In a mirrored picture everything is on the other
side but the shift, so half of the sum of both places is what to take off (`StepField.centre`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from levels.costs.base import Ahead
from levels.costs.field import FieldCost
from levels.costs.kinds import Given
from levels.costs.single_steps import FARTHEST, farthest_apart, first_price, price_of
from levels.gathering import gathered
from levels.settings import Sight

CLIFF = 1.0
"""Of reads between places, see `levels.costs.field`: a way from place to place climbs as steeply as a move."""


class StepField(FieldCost):
    """Steps to go of latents, see the module; arguments as of `levels.costs.field.FieldCost`, and

    Args:
        lag: steps between the two moments of a pair, which are so far apart at most. Where eyes are not exact, a place
            errs by as much in many steps as in one, and in one by more than the step.
    """

    cliff = CLIFF
    shift: Tensor

    def __init__(
        self,
        sight: Sight,
        places: int,
        patch: int,
        hidden: int = 32,
        unit: float = 1.0,
        begins: float | None = None,
        scale: float = 1.0,
        lag: int = 1,
    ) -> None:
        super().__init__(sight, places, patch, hidden, unit, begins, scale)
        self.lag = lag
        self.register_buffer("shift", torch.zeros(2))
        self.price = first_price()

    def where(self, latent: Tensor) -> Tensor:
        """See `levels.costs.field.FieldCost.where`; without the shift of the eyes."""
        return super().where(latent) - self.shift

    def centre(self, latent: Tensor, mirrored: Tensor) -> None:
        """Take off what places of pictures and of mirrored pictures have in common; see the module."""
        self.shift.zero_()
        both = self.where(gathered(latent)) + self.where(gathered(mirrored))
        self.shift.copy_(both.mean(0) / 2)

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
        """The loss on pieces of trajectories of P layouts; see `levels.costs.base.CostHead.loss`.

        Args:
            latent: (P, n, L, D), what the gradient does not reach.
            picture: (P, ...).
            goal: number (P,) of the trajectory, and (P,) of the moment in it, whose place is the goal.
            sweeps: of the field.
            under: not used, single steps are never too long.
            farthest: steps at which half as much is gained by more distance; None: `FARTHEST` units.
            ahead: claims to be nearer than imagined steps bear out.

        Returns:
            scalar, and its terms: ``steps`` is by how many steps two moments in a row are too far apart, ``apart`` the
            mean distance to the goal in steps, ``price`` that of an excess, ``move`` what half of the moves cost less
            than.
        """
        latent = latent.detach()
        layout = torch.arange(len(latent), device=latent.device)
        aim = latent[layout, goal[0], goal[1]]
        moves = self.costs(picture)
        field = self.spread(moves, aim, sweeps)
        steps = self(latent, field)
        known = self.knows(latent, field)
        lag = min(self.lag, latent.shape[2] - 1)
        excess = (steps[:, :, :-lag] - steps[:, :, lag:] - lag).clamp_min(0) / lag
        # Where the field has not come to, a read is no number of steps.
        excess = excess.masked_fill(~(known[:, :, :-lag] & known[:, :, lag:]), 0.0)
        far = (steps / self.unit).masked_fill(~known, float(2 * FARTHEST))
        total = farthest_apart(far, excess, self.price, FARTHEST if farthest is None else farthest / self.unit)
        terms = {
            "steps": excess.mean(),
            "apart": steps[known].mean() if known.any() else steps.new_zeros(()),
            "price": price_of(self.price),
            "move": moves.median(),
        }
        if ahead is not None:
            now, later, share = ahead
            claims = self.claims(now, later, field)
            total, terms = total + share * claims, terms | {"ahead": claims}
        return total, {name: value.detach() for name, value in terms.items()}


def make_step_field(given: Given) -> StepField:
    """A field over what is seen.

    Raises:
        ValueError: nothing is seen, or latents have no places.
    """
    if given.world.sight is None:
        raise ValueError("critic kind step_field of a level that is told; choose grid")
    return StepField(
        given.world.sight, given.places, given.patch, given.hidden, given.unit, given.begins, given.scale, given.lag
    )
