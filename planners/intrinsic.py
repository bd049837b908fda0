"""Intrinsic cost: what a plan costs the agent itself, whatever it is for, and nothing can learn away.

    energy       of every action, by a price for each (of continuous actions its squared size)
    discomfort   of a step that was to lead somewhere and changes nothing: a bump

The third of them, time, is `planners.objectives.GoalCost`'s cost of a step. These terms are plain numbers, fixed when
the agent is made: they have no parameters, refuse to be given any, and cannot be changed. What learns is the critic
beside them, which may estimate their sum in the future. (LeCun 2022, sections 3.2 and 3.3.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.protocols import Trajectory


@dataclass(frozen=True)
class IntrinsicCost:
    """Energy and discomfort of the steps of a plan.

    Attributes:
        energy: cost of a unit of energy.
        prices: energy of each discrete action; none: the squared size of a continuous action.
        discomfort: cost of a step that changes nothing, though its action was to lead somewhere: one that has a price.
        moved: squared change of the latent in a typical step; much less than it is no change.

    Raises:
        ValueError: what is no plain number from 0 up, such as a parameter that could be trained.

    Calling it gives (E, N), the sum over the steps.
    """

    energy: float = 0.0
    prices: tuple[float, ...] = ()
    discomfort: float = 0.0
    moved: float = 1.0

    flops = 0.0

    def __post_init__(self) -> None:
        named = {"energy": self.energy, "discomfort": self.discomfort, "moved": self.moved}
        named |= {f"price {number}": price for number, price in enumerate(self.prices)}
        for name, value in named.items():
            if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
                raise ValueError(
                    f"intrinsic {name} is {value!r}; give a plain number from 0 up, nothing trains it"
                )
        if self.moved == 0:
            raise ValueError("intrinsic moved is 0; give the squared change of a typical step")

    def parameters(self) -> None:
        """Refuses: there is nothing to train.

        Raises:
            TypeError: always.
        """
        raise TypeError("an intrinsic cost has no parameters, it does not change; train the critic beside it")

    def per_step(self, trajectory: Trajectory) -> Tensor:
        """(E, N, H): what each step costs."""
        actions, latents = trajectory.actions, trajectory.latents
        if self.prices:
            used = actions @ actions.new_tensor(self.prices)
            meant = actions @ actions.new_tensor([float(price > 0) for price in self.prices])
        else:
            used = actions.square().sum(-1)
            meant = (used > 0).to(used)
        now = trajectory.start[:, None, None].expand(-1, latents.shape[1], -1, -1)
        change = (latents - torch.cat([now, latents[:, :, :-1]], 2)).square().sum(-1)
        # 1 where nothing changes, next to nothing after a typical step; its gradient leads away from walls.
        still = torch.exp(-8.0 * change / self.moved)
        return self.energy * used + self.discomfort * meant * still

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return self.per_step(trajectory).sum(-1)
