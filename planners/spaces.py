"""Action spaces: the simplex for discrete actions, a box for continuous ones."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from planners.rollouts import ALIGNED

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0, -0.25, -0.5, -1.0)
"""Shares of a continuous action that are tried in its place."""


class Simplex:
    """A discrete actions as corners of a simplex.

    Gradients go through the softmax while the model sees the corner (straight-through, Bengio et al.,
    arXiv 1308.3432), so that every iterate is a plan that can be carried out and no relaxation gap has to be
    rounded away. A prior is A logits per action.

    Args:
        action_dim: A.
        margin: how far, in logits, a proposed action starts out ahead of the others.
        temperature: of the softmax that gradients go through.

    Raises:
        ValueError: a margin or temperature that is not positive, or no actions.
    """

    noise_dim = 1

    def __init__(self, action_dim: int, margin: float = 2.0, temperature: float = 1.0) -> None:
        if action_dim < 1 or not margin > 0 or not temperature > 0:
            raise ValueError(
                f"Simplex of {action_dim} actions, margin {margin}, temperature {temperature}:"
                " all three must be positive"
            )
        self.action_dim = action_dim
        self.margin = margin
        self.temperature = temperature

    def sample(self, prior: Tensor, uniform: Tensor) -> Tensor:
        """One-hot draws (..., A) by the inverse of the cumulative distribution of logits (..., A)."""
        cumulative = prior.softmax(-1).cumsum(-1)
        index = (uniform * cumulative[..., -1:] > cumulative).sum(-1).clamp_max(self.action_dim - 1)
        return self._corner(index, prior)

    def surprise(self, prior: Tensor, action: Tensor) -> Tensor:
        """Nats (...) by which actions (..., A) are less likely than typical under logits (..., A).

        Cross-entropy less entropy: 0 on average over the prior, linear in the action.
        """
        log_prior = prior.log_softmax(-1)
        return ((log_prior.exp() - action) * log_prior).sum(-1)

    def free(self, action: Tensor) -> Tensor:
        """Logits (..., A), the action's own ahead by the margin."""
        return action * self.margin

    def relax(self, free: Tensor) -> Tensor:
        """The corner in value, bit for bit, and the softmax in gradient: (..., A) -> (..., A)."""
        soft = (free / self.temperature).softmax(-1)
        return self.harden(free) + (soft - soft.detach())

    def project(self, free: Tensor) -> Tensor:
        """Logits need no bounds."""
        return free

    def harden(self, free: Tensor) -> Tensor:
        """The corner of the largest logit: (..., A) -> (..., A)."""
        return self._corner(free.argmax(-1), free)

    def _corner(self, index: Tensor, like: Tensor) -> Tensor:
        """One-hot of actions' numbers (...): (..., A). Not by `one_hot`, which looks at all of them first."""
        return like.new_zeros(*index.shape, self.action_dim).scatter_(-1, index.unsqueeze(-1), 1.0)

    def likeliest(self, prior: Tensor) -> Tensor:
        """The corner of the largest logit: (..., A) -> (..., A)."""
        return self.harden(prior)

    def alternatives(self, action: Tensor) -> Tensor:
        """The action and every other one, (E, A) -> (E, A', A), padded to whole tiles with the action."""
        count = action.shape[-1]
        first = action.argmax(-1, keepdim=True)
        others = (first + torch.arange(count, device=action.device)) % count
        padded = F.pad(others, (0, -count % ALIGNED), value=-1)
        index = torch.where(padded < 0, first, padded)
        return F.one_hot(index, count).to(action.dtype)

    def refit(self, actions: Tensor, weights: Tensor) -> Tensor:
        """Logits (E, H, A) of the weighted frequencies, mixed with 1 % of uniform so that none dies out."""
        frequency = torch.einsum("enha,en->eha", actions, weights)
        return ((1 - 0.01) * frequency + 0.01 / self.action_dim).log()


class Box:
    """Continuous actions between bounds.

    A prior is a diagonal Gaussian, 2A numbers per action: means, then logarithms of standard deviations.

    Args:
        low, high: (A,) bounds; of macro-actions, quantiles of those in the data, so that plans stay
            supported.

    Raises:
        ValueError: bounds of different shapes, or low above high.
    """

    def __init__(self, low: Tensor, high: Tensor) -> None:
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError(
                f"Box bounds have shapes {tuple(low.shape)} and {tuple(high.shape)}; give (A,) and (A,)"
            )
        if not bool((low <= high).all()):
            raise ValueError(f"Box bounds {low.tolist()} and {high.tolist()}: low must not exceed high")
        self.low, self.high = low, high
        self.action_dim = self.noise_dim = len(low)

    def sample(self, prior: Tensor, uniform: Tensor) -> Tensor:
        """Gaussian draws (..., A), clamped to the bounds."""
        mean, log_std = prior.chunk(2, -1)
        normal = math.sqrt(2) * torch.erfinv((2 * uniform - 1).clamp(-1 + 1e-6, 1 - 1e-6))
        return self.project(mean + log_std.exp() * normal)

    def surprise(self, prior: Tensor, action: Tensor) -> Tensor:
        """Nats (...) by which actions (..., A) are less likely than typical under the Gaussian.

        Negative log-density less differential entropy: 0 on average, whatever the units of the action. Clamping is
        not considered.
        """
        mean, log_std = prior.chunk(2, -1)
        return 0.5 * (((action - mean) * (-log_std).exp()).square() - 1).sum(-1)

    def free(self, action: Tensor) -> Tensor:
        """The action itself."""
        return action

    def relax(self, free: Tensor) -> Tensor:
        """The action itself."""
        return free

    def project(self, free: Tensor) -> Tensor:
        """Clamped to the bounds."""
        return torch.minimum(torch.maximum(free, self.low), self.high)

    def harden(self, free: Tensor) -> Tensor:
        """Clamped to the bounds."""
        return self.project(free)

    def likeliest(self, prior: Tensor) -> Tensor:
        """The mean, clamped to the bounds: (..., 2A) -> (..., A)."""
        return self.project(prior.chunk(2, -1)[0])

    def alternatives(self, action: Tensor) -> Tensor:
        """The action, shorter and shorter to the middle of the box, and back from it: (E, A) -> (E, 8, A)."""
        middle = 0.5 * (self.low + self.high)
        shares = torch.tensor(SHARES, device=action.device, dtype=action.dtype)
        return self.project(middle + shares[:, None] * (action - middle).unsqueeze(1))

    def refit(self, actions: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean and log standard deviation, (E, H, 2A); at least 5 % of the width of the box."""
        mean = torch.einsum("enha,en->eha", actions, weights)
        variance = torch.einsum("enha,en->eha", (actions - mean.unsqueeze(1)).square(), weights)
        std = torch.maximum(variance.sqrt(), 0.05 * (self.high - self.low))
        return torch.cat([mean, std.log()], -1)
