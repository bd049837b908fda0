"""Refiners: how candidates get better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from planners.noise import combine, uniform
from planners.protocols import Model, Problem
from planners.rollouts import rollout

BACKWARD = 2.0
"""Floating point operations of a backward pass, in forward passes."""


@dataclass(frozen=True)
class Refined:
    """What a refiner made of the proposals.

    Attributes:
        candidates: (E, N', H, A), hard, the best proposal or something better among them.
        proposed_cost: (E,) cost of the best proposal; None when the refiner never looked.
        rollouts: imagined per episode.
    """

    candidates: Tensor
    proposed_cost: Tensor | None
    rollouts: int


class Refiner(Protocol):
    """Improves candidates.

    Attributes:
        passes: forward passes that refining one proposal costs, backward passes counted as `BACKWARD`.
        returned: candidates handed on for each proposal, at most.
    """

    passes: float
    returned: int

    def __call__(self, model: Model, problem: Problem, candidates: Tensor) -> Refined:
        """Improve candidates (E, N, H, A)."""
        ...


class NoRefiner:
    """Takes candidates as they are."""

    passes = 0.0
    returned = 1

    def __call__(self, model: Model, problem: Problem, candidates: Tensor) -> Refined:
        return Refined(candidates, None, 0)


class AdamRefiner:
    """Gradient descent on every candidate's actions (Adam, Kingma and Ba, arXiv 1412.6980), all at once.

    Each candidate keeps the best actions it went through, so more iterations never make its cost worse.

    Args:
        iterations: steps.
        learning_rate: in units of the space's free parameters.
    """

    returned = 2

    def __init__(self, iterations: int, learning_rate: float) -> None:
        if iterations < 1 or not learning_rate > 0:
            raise ValueError(f"{iterations} iterations at rate {learning_rate}; both must be positive")
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.passes = iterations * (1 + BACKWARD)

    def __call__(self, model: Model, problem: Problem, candidates: Tensor) -> Refined:
        space = model.space
        free = space.free(candidates).clone()
        first, second = torch.zeros_like(free), torch.zeros_like(free)
        best, best_cost = candidates, torch.full(candidates.shape[:2], torch.inf, device=free.device)
        for iteration in range(1, self.iterations + 1):
            with torch.enable_grad():
                leaf = free.detach().requires_grad_()
                actions = space.relax(leaf)
                cost = problem.objective(rollout(model, problem, actions))
                (gradient,) = torch.autograd.grad(cost.sum(), leaf)
            if iteration == 1:
                proposed_cost = cost.detach().amin(1)
            better = cost.detach() < best_cost
            best = torch.where(better[..., None, None], space.harden(free), best)
            best_cost = torch.where(better, cost.detach(), best_cost)
            first = 0.9 * first + 0.1 * gradient
            second = 0.99 * second + 0.01 * gradient.square()
            step = (first / (1 - 0.9**iteration)) / ((second / (1 - 0.99**iteration)).sqrt() + 1e-8)
            free = space.project(free - self.learning_rate * step)
        # The iterate after the last step has not been evaluated yet; it joins the others for the selection.
        tried = torch.cat([best, space.harden(free)], 1)
        return Refined(tried, proposed_cost, self.iterations * candidates.shape[1])


class RefitRefiner:
    """Sample, weigh, fit, repeat: the cross-entropy method with elites, MPPI with softmax weights.

    Args:
        iterations: rounds.
        elites: share of candidates that the fit is made of (Rubinstein 1999); None: all, by softmax weight.
        temperature: of the softmax, in standard deviations of the costs (Williams et al., arXiv 1509.01149).
    """

    returned = 2

    def __init__(self, iterations: int, elites: float | None = 0.15, temperature: float = 0.3) -> None:
        if iterations < 1:
            raise ValueError(f"{iterations} iterations; give at least 1")
        self.iterations = iterations
        self.elites = elites
        self.temperature = temperature
        self.passes = float(iterations)

    def __call__(self, model: Model, problem: Problem, candidates: Tensor) -> Refined:
        episodes, count, horizon, _ = candidates.shape
        best, best_cost = candidates[:, :1], torch.full((episodes, 1), torch.inf, device=candidates.device)
        for iteration in range(self.iterations):
            cost = problem.objective(rollout(model, problem, candidates))
            if iteration == 0:
                proposed_cost = cost.amin(1)
            joined, joined_cost = torch.cat([best, candidates], 1), torch.cat([best_cost, cost], 1)
            winner = joined_cost.argmin(1, keepdim=True)
            best_cost = joined_cost.gather(1, winner)
            best = joined.gather(1, winner[..., None, None].expand(-1, 1, *joined.shape[2:]))
            parameters = model.space.refit(candidates, self._weights(cost)).unsqueeze(1)
            noise = uniform(combine(problem.keys, 2, iteration), count, horizon, model.space.noise_dim)
            candidates = model.space.sample(parameters.expand(-1, count, -1, -1), noise)
        return Refined(torch.cat([candidates, best], 1), proposed_cost, self.iterations * count)

    def _weights(self, cost: Tensor) -> Tensor:
        if self.elites is None:
            scale = cost.std(1, keepdim=True).clamp_min(1e-8) * self.temperature
            return (-cost / scale).softmax(1)
        kept = max(1, round(self.elites * cost.shape[1]))
        chosen = cost.topk(kept, 1, largest=False).indices
        return torch.zeros_like(cost).scatter(1, chosen, 1.0 / kept)
