"""The commute-time metric of a floor plan nobody has walked: from trajectories that a level imagines on it.

A metric learned on one floor plan does not hold on another, for the slow modes differ from plan to plan. But a level
that reads the plan can walk it in imagination, and the closed form of `levels.metrics.commute_metric` needs no more
than walks. An upper level that shares level 1's latent walks further in as many steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hjepa.model.level_model import LevelModel
from hjepa.model.stack import Stack
from hjepa.settings import WalkSettings
from levels.metrics import commute_metric
from planners.grounding import Unconstrained
from planners.noise import combine
from planners.protocols import Problem
from planners.rollouts import sample_rollout


@torch.no_grad()
def imagined_metrics(
    stack: Stack,
    models: Sequence[LevelModel],
    ends: Tensor,
    memories: Sequence[Tensor | None],
    keys: Tensor,
    walks: WalkSettings,
) -> list[Tensor]:
    """One metric per level and episode.

    Args:
        stack: all levels in use.
        models: of these levels.
        ends: (E, 2, D_1) latents of start and goal.
        memories: per level, rows per episode, or None.
        keys: (E,) int64.
        walks: how many, how long, and which level imagines them: the top level in use, if it has fewer.

    Returns:
        per level (E, D_k, D_k).
    """
    walker = min(walks.level, stack.depth) - 1
    # Distances count environment steps, whoever walks: thresholds and unit costs are measured in them.
    scale = stack.config.spans[walker] ** 0.5
    metrics: list[list[Tensor]] = [[] for _ in range(stack.depth)]
    # One episode after another: the bits then do not depend on which episodes are begun together.
    for episode in range(len(ends)):
        rows = slice(episode, episode + 1)
        own = [None if memory is None else memory[rows] for memory in memories]
        walked = [
            sample_rollout(
                models[walker],
                Problem(
                    ends[rows, end], own[walker], walks.steps, Unconstrained(), combine(keys[rows], 5, end)
                ),
                walks.count,
            ).latents
            for end in range(2)
        ]
        latent = torch.cat(walked, 1)
        for k in range(stack.depth):
            # Up to the walker all levels share one latent (checked with the configuration).
            latent = stack.level(k).encode(latent, own[k]) if k > walker else latent
            metrics[k].append(commute_metric(latent[0], walks.lag) * scale)
    return [torch.stack(level) for level in metrics]


def imagined_flops(models: Sequence[LevelModel], walks: WalkSettings) -> float:
    """Floating point operations of `imagined_metrics` per episode."""
    walker = min(walks.level, len(models)) - 1
    lifts = sum(model.lift_flops for model in models[walker:])
    return 2 * walks.count * walks.steps * (models[walker].flops + lifts)
