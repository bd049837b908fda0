"""What trajectories and imagined steps say of estimated steps to a goal: shared by all heads that learn from them."""

from __future__ import annotations

import torch
from torch import Tensor

from levels.gathering import averaged, mean_of

FAR = 500.0
"""Steps to go that stand for no way at all."""

LOOK_AHEAD = 2
"""Steps that a claim is tested over: opening a door and walking through takes two."""

HINDSIGHT = 4.0
"""Steps at which the error of an estimate begins to be measured relative to the root of the time."""


def times_taken(there: Tensor) -> Tensor:
    """Steps from each moment to the first later one that is there: (..., L) bool -> (..., L), infinite for none."""
    moment = torch.arange(there.shape[-1], device=there.device, dtype=torch.float32)
    arrivals = torch.where(there, moment, torch.inf)
    # The first arrival from each moment on: a running minimum from the end.
    return arrivals.flip(-1).cummin(-1).values.flip(-1) - moment


def hindsight_loss(estimate: Tensor, taken: Tensor, under: float) -> Tensor:
    """Squared errors of estimates (n,) relative to the times taken (n,); those that are too low weigh ``under``."""
    error = estimate - taken
    return mean_of((error.square() / (HINDSIGHT + taken)) * torch.where(error > 0, 1.0, under))


def claim_loss(claimed: Tensor, best: Tensor) -> Tensor:
    """The loss of claiming to be nearer to the goal than imagined actions bear out (half of Bellman's equation).

    Trajectories say that a way is no longer than the time they took, and not that there is none through a wall;
    where they
    cannot go, a level's model can tell.

    Args:
        claimed: (P, M) steps to go.
        best: (P, M) the least steps to go, by `LOOK_AHEAD` imagined steps and from where they lead; without gradient.

    Returns:
        scalar, the mean over states that are no step from the goal.
    """
    known = (claimed > 2 * LOOK_AHEAD) & (best < FAR / 2)
    short = (best - claimed).clamp_min(0).square() / (HINDSIGHT + best)
    return (short * known).sum() / averaged(known.sum().float()).clamp_min(1)
