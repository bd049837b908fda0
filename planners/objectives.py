"""Costs of imagined trajectories: reach the goal, meet a subgoal on time, stay where data has been."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from planners.protocols import Objective, Trajectory

Distance = Callable[[Tensor, Tensor], Tensor]
"""(E, N, H, D), (E, 1, 1, D) -> (E, N, H)."""


class GoalCost:
    """Distance to the goal at the best step of the horizon, plus a little for every step it takes.

    The goal may be reached at any time, so the best step counts; see `SubgoalCost` for where it must not. That
    alone leaves time to waste: a goal 18 steps away is reached in 24 steps by many plans, and replanning after
    each 8 of them wastes the slack again and again. So a share of the cost is the mean distance on the way.

    An upper level's model has holes, steps that lead through walls, and search finds them. Where the distance counts
    steps, no step can bring the goal nearer than it is long: what a step gains beyond that is charged instead.

    Args:
        goal: (E, D).
        distance: between latents.
        step_cost: cost of each step.
        haste: weight of the mean distance on the way.
        flops: of measuring the distances of one candidate.
        pace: the most that the distance can shrink in a step; None: unknown.

    Calling it gives (E, N).
    """

    def __init__(
        self,
        goal: Tensor,
        distance: Distance,
        step_cost: float = 0.0,
        haste: float = 0.0,
        flops: float = 0.0,
        pace: float | None = None,
    ) -> None:
        self.flops = flops
        self.pace = pace
        self.goal = goal[:, None, None]
        self.distance = distance
        self.step_cost = step_cost
        self.haste = haste

    def per_step(self, trajectory: Trajectory) -> Tensor:
        """(E, N, H): what the plan would cost if it ended with each step."""
        distance = self._credible(trajectory)
        steps = torch.arange(1, distance.shape[-1] + 1, device=distance.device)
        return distance + self.step_cost * steps + self.haste * distance.cumsum(-1) / steps

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return self.per_step(trajectory).amin(-1)

    def _credible(self, trajectory: Trajectory) -> Tensor:
        """(E, N, H) distances to the goal, those that shrink too fast reflected at what can be true."""
        distance = self.distance(trajectory.latents, self.goal)
        if self.pace is None:
            return distance
        # As many rows as an episode's candidates, so that bits do not depend on the company.
        now = trajectory.start[:, None, None].expand(-1, distance.shape[1], -1, -1)
        before = self.distance(now, self.goal)[..., 0]
        told = []
        for claimed in distance.unbind(-1):
            nearest = before - self.pace
            before = torch.maximum(claimed, 2 * nearest - claimed)
            told.append(before)
        return torch.stack(told, -1)


class SubgoalCost:
    """Distance to the subgoal at the step it is due, measured in the space of the level that set it.

    A slow latent hardly tells states one step apart, so a subgoal compared at the best step is met by turning
    on the spot; compared when it is due it says "there, one stride from now".

    Args:
        target: (E, D_above) latent of the level above.
        due: (E,) int64, the step of the horizon at which it is due, from 1 to H.
        lift: (E, N, D) -> (E, N, D_above); encodes the imagined latent upward.
        distance: between latents of the level above.
        flops: of lifting one latent.

    Calling it gives (E, N).
    """

    def __init__(
        self,
        target: Tensor,
        due: Tensor,
        lift: Callable[[Tensor], Tensor],
        distance: Distance,
        flops: float = 0.0,
    ) -> None:
        self.target = target[:, None, None]
        self.due = due
        self.lift = lift
        self.distance = distance
        self.flops = flops

    def __call__(self, trajectory: Trajectory) -> Tensor:
        _, candidates, _, dim = trajectory.latents.shape
        index = (self.due - 1)[:, None, None, None].expand(-1, candidates, 1, dim)
        due = trajectory.latents.gather(2, index).squeeze(2)
        return self.distance(self.lift(due).unsqueeze(2), self.target).squeeze(-1)


class SupportCost:
    """How unlike data the actions are: how much less likely than typical under the model's prior.

    Relative to the prior's entropy, because a level with many codes, or a state with many ways to go, makes every
    single one unlikely.

    Args:
        weight: cost per nat.
        free: nats per step that cost nothing, so that rare but real actions are not shunned.

    Calling it gives (E, N), the mean over the steps.
    """

    flops = 0.0

    def __init__(self, weight: float, free: float = 0.0) -> None:
        self.weight = weight
        self.free = free

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return self.weight * (trajectory.surprise - self.free).clamp_min(0.0).mean(-1)


class SumCost:
    """The sum of several costs, (E, N); their operations add up as well.

    Raises:
        ValueError: no terms.
    """

    def __init__(self, terms: Sequence[Objective]) -> None:
        if not terms:
            raise ValueError("a sum of no costs; give at least one term")
        self.terms = tuple(terms)
        self.flops = sum(term.flops for term in self.terms)

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return torch.stack([term(trajectory) for term in self.terms]).sum(0)
