"""Grounding: what the levels below imagine they can reach within one stride of a level.

A level's own model says which of its next latents are likely, and search finds the ones it is wrongly
optimistic about. Before a level plans, a lower level therefore imagines where its prior leads within one
stride; lifted upward, those ends are steps that can be taken, and a subgoal is charged for its distance to
the nearest of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from planners.protocols import LiftingModel, Problem, Trajectory
from planners.rollouts import at_outset, sample_rollout


class Unconstrained:
    """The objective of imagining without a purpose."""

    flops = 0.0

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return trajectory.latents.new_zeros(trajectory.latents.shape[:2])


def imagined_ends(
    models: Sequence[LiftingModel],
    memories: Sequence[Tensor | None],
    start: Tensor,
    steps: int,
    candidates: int,
    keys: Tensor,
    danger: Callable[[Tensor], Tensor] | None = None,
    limit: float = 0.0,
) -> Tensor:
    """Where the lowest of some levels may be after some steps, in the space of the level above them all.

    Args:
        models: adjoining levels, the lowest first; the last one's ``lift`` leads to the level that plans.
        memories: of these levels and of the one that plans, rows per episode.
        start: (E, D) latents of now at the lowest.
        steps: of the lowest.
        candidates: M imagined futures.
        keys: (E,) int64.
        danger: of the lowest level's latents, see `planners.guardrails`; None: nothing is forbidden.
        limit: of it. A future that exceeds it on its way counts as another one that does not, where there is one.

    Returns:
        (E, M, D_above).
    """
    problem = at_outset(models[0], Problem(start, memories[0], steps, Unconstrained(), keys))
    latents = sample_rollout(models[0], problem, candidates).latents
    ends = latents[:, :, -1]
    if danger is not None:
        allowed = danger(latents).amax(-1) <= limit
        allowed = allowed | ~allowed.any(1, keepdim=True)
        other = allowed.int().argmax(1, keepdim=True)
        chosen = torch.where(allowed, torch.arange(candidates, device=ends.device), other)
        ends = ends.gather(1, chosen.unsqueeze(-1).expand_as(ends))
    for model, memory in zip(models, memories[1:]):
        ends = model.lift(ends, memory)
    return ends


def grounding_flops(models: Sequence[LiftingModel], steps: int, candidates: int) -> float:
    """Floating point operations of `imagined_ends` per episode."""
    return candidates * (steps * models[0].flops + sum(model.lift_flops for model in models))


class GroundingCost:
    """Distance of the first imagined latent to the nearest that lower levels can reach.

    Measured as the level measures its goal: where that metric knows walls, the far side of one is no neighbour.

    Args:
        ends: (E, M, D) from `imagined_ends`.
        distance: between latents, (E, N, 1, D), (E, 1, M, D) -> (E, N, M).
        weight: of the distance.

    Calling it gives (E, N).
    """

    def __init__(self, ends: Tensor, distance: Callable[[Tensor, Tensor], Tensor], weight: float) -> None:
        self.ends = ends.unsqueeze(1)
        self.distance = distance
        self.weight = weight
        self.flops = 3.0 * ends.shape[1] * ends.shape[2]

    def __call__(self, trajectory: Trajectory) -> Tensor:
        first = trajectory.latents[:, :, 0].unsqueeze(2)
        return self.weight * self.distance(first, self.ends).amin(-1)
