"""A critic of what is still to be paid: the sum of a cost over the steps to come, by regression on trajectories."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.networks import mlp


def sums_to_come(cost: Tensor, horizon: int, discount: float = 1.0) -> Tensor:
    """What is paid within so many steps: costs of steps (..., T) -> (..., T - horizon + 1).

    The first of them is that of the steps 0 to horizon - 1, and the cost of a step counts ``discount`` as much as that
    of the one before it.

    Raises:
        ValueError: a horizon that the costs do not hold, or a discount outside (0, 1].
    """
    if not 1 <= horizon <= cost.shape[-1]:
        raise ValueError(f"horizon {horizon} of {cost.shape[-1]} steps; choose from 1 to {cost.shape[-1]}")
    if not 0 < discount <= 1:
        raise ValueError(f"discount is {discount}; choose from above 0 to 1")
    weights = discount ** torch.arange(horizon, dtype=cost.dtype, device=cost.device)
    return cost.unfold(-1, horizon, 1) @ weights


class FutureSum(nn.Module):
    """Estimates the sum of a cost from what a level makes of a state; it trains alone, its input's gradient stops.

    Args:
        inputs: numbers that describe a state, such as a level's condition.
        hidden: width.
    """

    def __init__(self, inputs: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(inputs), mlp(inputs, hidden, 1))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))

    mean: Tensor
    spread: Tensor

    def measure(self, sums: Tensor) -> None:
        """Take mean and spread of sums as the unit of what is learned; call it once, before training."""
        self.mean, self.spread = sums.mean(), sums.std().clamp_min(1e-6)

    def forward(self, state: Tensor) -> Tensor:
        """(..., inputs) -> estimated sums (...)."""
        estimate: Tensor = self.layers(state.detach()).squeeze(-1)
        return self.mean + self.spread * estimate

    def loss(self, state: Tensor, sums: Tensor) -> Tensor:
        """Squared error of states (..., inputs) and their sums (...), in the spread of the sums."""
        return F.mse_loss((self(state) - self.mean) / self.spread, (sums - self.mean) / self.spread)


def explained(estimate: Tensor, true: Tensor) -> float:
    """R², the share of the variance of true values (...) that estimates (...) explain; below 0: worse than the mean."""
    rest, whole = (true - estimate).square().sum(), (true - true.mean()).square().sum()
    return float(1 - rest / whole.clamp_min(1e-12))
