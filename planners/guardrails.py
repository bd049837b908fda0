"""Guardrails: what no plan may do, whatever it would gain.

A cost that is traded against others is no guardrail: for a goal that is dear enough any price is paid. Here a candidate
that breaks one is worse than every candidate that breaks none, at every level of the search (pruning), and an action
that would break one when it is taken gives way to one that does not (projection).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from planners.protocols import Model, Objective, Trajectory

PRUNED = 1e6
"""Added to the cost of a candidate that breaks a guardrail: above any other difference of costs, and finite, so that
where all of them do the one that does so least is found."""

Danger = Callable[[Tensor], Tensor]
"""Latents (E, N, H, D) -> (E, N, H), the belief that they are where nothing may be."""


class Guarded:
    """An objective behind a guardrail.

    Steps of an upper level are long, and what lies between their ends is not imagined. But where a critic counts the
    steps to the goal on allowed ways, a step that brings the goal nearer than it is long has crossed something.

    Args:
        objective: among the candidates that are allowed.
        danger: of latents.
        limit: belief that is no longer allowed.
        to_go: latents (E, N, H, D) -> (E, N, H) distance to the goal on allowed ways; None: unknown.
        pace: the most that this distance can shrink in a step.
        flops: operations of the guardrail per candidate, on top of the objective's.

    Calling it gives (E, N).
    """

    def __init__(
        self,
        objective: Objective,
        danger: Danger,
        limit: float,
        to_go: Callable[[Tensor], Tensor] | None = None,
        pace: float = 0.0,
        flops: float = 0.0,
    ) -> None:
        self.objective = objective
        self.danger = danger
        self.limit = limit
        self.to_go = to_go
        self.pace = pace
        self.flops = objective.flops + flops

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return self.objective(trajectory) + priced(self.excess(trajectory))

    def excess(self, trajectory: Trajectory) -> Tensor:
        """(E, N) by how much candidates break it; 0 where they do not."""
        latents = trajectory.latents
        excess = (self.danger(latents) - self.limit).clamp_min(0).sum(-1)
        if self.to_go is None:
            return excess
        now = trajectory.start[:, None, None].expand(-1, latents.shape[1], -1, -1)
        left = self.to_go(torch.cat([now, latents], 2))
        return excess + (left[..., :-1] - left[..., 1:] - self.pace).clamp_min(0).sum(-1)


def priced(excess: Tensor) -> Tensor:
    """What breaking a guardrail costs, of any shape; its gradient leads out."""
    return torch.where(excess > 0, PRUNED * (1 + excess), 0.0)


def nearest_allowed(
    model: Model, latent: Tensor, memory: Tensor | None, action: Tensor, danger: Danger, limit: float
) -> tuple[Tensor, float]:
    """Actions moved to where they are allowed.

    Args:
        model: of the lowest level.
        latent: (E, D) now.
        memory: rows per episode, or None.
        action: (E, A) what is planned.
        danger: of latents.
        limit: belief that is no longer allowed.

    Returns:
        (E, A), the first alternative that the model expects to be allowed, by `ActionSpace.alternatives`, which begin
        with the action itself; where none is, the least dangerous. And the operations per episode.
    """
    tried = model.space.alternatives(action)
    here = latent.unsqueeze(1).expand(-1, tried.shape[1], -1)
    following = model.advance(here, model.condition(here, memory), tried)
    belief = danger(following.unsqueeze(2)).squeeze(2)
    # The first of several minima is taken, so allowed ones count alike.
    chosen = belief.clamp_min(limit).argmin(1)
    return tried[torch.arange(len(tried), device=tried.device), chosen], tried.shape[1] * model.flops
