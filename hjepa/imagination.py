"""The commute-time metric of a floor plan nobody has walked: from trajectories that level 1 imagines on it.

A metric learned on one floor plan does not hold on another, for the slow modes differ from plan to plan. But a level
1 that reads the plan can walk it in imagination, and the closed form of `levels.metrics.commute_metric` needs no more
than walks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hjepa.models import LevelModel
from hjepa.stack import Stack
from levels.metrics import commute_metric
from planners.grounding import Unconstrained
from planners.noise import combine
from planners.protocols import Problem
from planners.rollouts import sample_rollout

WALKS = 64
"""Imagined from the start, and as many from the goal."""

STEPS = 64
"""Of each walk."""


@torch.no_grad()
def imagined_metrics(
    stack: Stack, model: LevelModel, ends: Tensor, memories: Sequence[Tensor | None], keys: Tensor
) -> list[Tensor]:
    """One metric per level and episode.

    Args:
        stack: all levels in use.
        model: level 1.
        ends: (E, 2, D_1) latents of start and goal.
        memories: per level, rows per episode, or None.
        keys: (E,) int64.

    Returns:
        per level (E, D_k, D_k).
    """
    metrics: list[list[Tensor]] = [[] for _ in range(stack.depth)]
    # One episode after another: the bits then do not depend on which episodes are begun together.
    for episode in range(len(ends)):
        rows = slice(episode, episode + 1)
        own = [None if memory is None else memory[rows] for memory in memories]
        walks = [
            sample_rollout(
                model,
                Problem(ends[rows, end], own[0], STEPS, Unconstrained(), combine(keys[rows], 5, end)),
                WALKS,
            ).latents
            for end in range(2)
        ]
        latent = torch.cat(walks, 1)
        for k in range(stack.depth):
            latent = stack.level(k).encode(latent, own[k]) if k else latent
            metrics[k].append(commute_metric(latent[0]))
    return [torch.stack(level) for level in metrics]


def imagined_flops(models: Sequence[LevelModel]) -> float:
    """Floating point operations of `imagined_metrics` per episode."""
    return 2 * WALKS * STEPS * (models[0].flops + sum(model.lift_flops for model in models))
