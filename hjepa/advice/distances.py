"""How far each level thinks that goals are, as planning measures it, from every state of a layout."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hjepa.advice.walked import Walked
from hjepa.model.stack import Stack
from levels.metrics import commute_metric, squared_distance


@torch.no_grad()
def goal_distances(stack: Stack, walked: Walked, k: int, metric: str) -> np.ndarray:
    """Of level k + 1.

    Under ``imagined`` the metric is computed from the trajectories themselves, as calibration does it; what an agent
    imagines of a layout comes near to that, and never above it.

    Args:
        stack: measures.
        walked: on one layout.
        k: which level, from 0.
        metric: one of `levels.metrics_names.METRICS`, or one of its own that the stack is calibrated for.

    Returns:
        (G, S) of the states to the goals, in units of the metric.

    Raises:
        InputError: a metric that the stack has not.
    """
    latents, goals = walked.latents[k], torch.from_numpy(walked.pairs[:, 1])
    if metric == "critic":
        return _steps_to_go(stack, walked, k, latents, goals)
    aims = latents[goals].unsqueeze(1)
    if metric == "imagined":
        walks = stack.config.plan.walks
        lag = walks.lag * stack.config.spans[min(walks.level, stack.depth) - 1]
        along = walked.along(k)
        own = commute_metric(along, min(lag, (along.shape[1] - 1) // 2))
        return squared_distance(latents[None], aims, own).numpy()
    return stack.distance(metric, k)(latents[None], aims).numpy()


def _steps_to_go(stack: Stack, walked: Walked, k: int, latents: Tensor, goals: Tensor) -> np.ndarray:
    """The critic's estimates (G, S)."""
    critic, settings = stack.critic(k), stack.config.critic
    assert settings is not None
    found = []
    for goal in goals:
        # One goal after the other: fields of pictures take room.
        field = critic.field(walked.picture, latents[goal][None], settings.sweeps)
        found.append(critic(latents[None], field)[0])
    return torch.stack(found).numpy()
