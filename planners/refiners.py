"""Refiners: how candidates get better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from planners.budgets import out_of_time, stalled
from planners.noise import combine, uniform
from planners.proposals import Proposed
from planners.protocols import ActionSpace, Model, Problem, Trajectory
from planners.rollouts import ALIGNED, finite_cost, rollout

BACKWARD = 2.0
"""Floating point operations of a backward pass, in forward passes."""


@dataclass(frozen=True)
class Refined:
    """What a refiner made of the proposals.

    Attributes:
        candidates: (E, N', H, A), hard, the best proposal or something better among them.
        proposed_cost: (E,) cost of the best proposal, infinite when none has a finite one; None when the
            refiner never looked.
        rollouts: imagined per episode; where they did not end alike, the most.
        passes: (E,) float64, forward passes that refining took in each episode, backward passes counted as
            `BACKWARD`.
        looked: proposals whose cost was taken from the trajectory they came with, per episode.
    """

    candidates: Tensor
    proposed_cost: Tensor | None
    rollouts: int
    passes: Tensor
    looked: int = 0


class Refiner(Protocol):
    """Improves candidates.

    Where the problem has a deadline, no iteration begins after it, and what is handed on is as good as the
    iterations until then have made it.
    """

    def __call__(self, model: Model, problem: Problem, proposed: Proposed) -> Refined:
        """Improve candidates; called without gradients."""
        ...

    def passes(self, count: int, imagined: bool = False) -> float:
        """Forward passes of refining so many and selecting among those handed on, at most.

        Backward passes are counted as `BACKWARD`. ``imagined``: they come with their trajectories.
        """
        ...

    def rollouts(self, count: int, imagined: bool = False) -> int:
        """Candidates imagined per episode to refine so many and to select among those handed on, at most."""
        ...


class NoRefiner:
    """Takes candidates as they are."""

    def __call__(self, model: Model, problem: Problem, proposed: Proposed) -> Refined:
        return Refined(proposed.actions, None, 0, no_passes(proposed.actions))

    def passes(self, count: int, imagined: bool = False) -> float:
        return float(count)

    def rollouts(self, count: int, imagined: bool = False) -> int:
        return count


class AdamRefiner:
    """Gradient descent on the actions of the best candidates (Adam, Kingma and Ba, arXiv 1412.6980), all at once.

    A pass forward and backward costs three passes forward, so most candidates are only looked at and the elites
    descend. Each of them keeps the best actions it went through, so more iterations never make its cost worse.
    What is not finite counts as an infinite cost and as no gradient.

    An episode that has stalled keeps its place in the tensors, whose shape no row's bits may depend on: its
    operations are not counted, but time is only saved when all episodes of the call have stalled.

    Args:
        iterations: steps.
        learning_rate: in units of the space's free parameters.
        elites: share of the candidates that descend, rounded up to a multiple of `planners.rollouts.ALIGNED`.
        patience: an episode whose best cost gained less than 1 % in so many iterations stops there, as if
            there were no more iterations; None: none does.

    Raises:
        ValueError: no iterations, a rate that is not positive, a share outside (0, 1], or no patience.
    """

    def __init__(
        self, iterations: int, learning_rate: float, elites: float = 1.0, patience: int | None = None
    ) -> None:
        if iterations < 1 or not learning_rate > 0:
            raise ValueError(
                f"AdamRefiner with {iterations} iterations at rate {learning_rate}; both must be positive"
            )
        if not 0 < elites <= 1:
            raise ValueError(f"AdamRefiner with elites {elites}; choose from above 0 to 1")
        if patience is not None and patience < 1:
            raise ValueError(f"AdamRefiner with patience {patience}; give at least 1, or None")
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.elites = elites
        self.patience = patience

    def __call__(self, model: Model, problem: Problem, proposed: Proposed) -> Refined:
        space, candidates = model.space, proposed.actions
        looked = imagined = 0
        if out_of_time(problem):
            return Refined(candidates, None, 0, no_passes(candidates))
        if self.elites < 1:
            count = candidates.shape[1]
            looked, imagined = (0, count) if proposed.trajectory is None else (count, 0)
            candidates = self._best(model, problem, proposed)
        # Within the bounds from the start, or the first cost would be that of actions nobody can take.
        free = space.project(space.free(candidates))
        first, second = torch.zeros_like(free), torch.zeros_like(free)
        best, best_cost = space.harden(free), free.new_full(free.shape[:2], torch.inf)
        proposed_cost: Tensor | None = None
        done, taken = 0, no_passes(candidates)
        going = torch.ones(len(candidates), dtype=torch.bool, device=candidates.device)
        costs: list[Tensor] = []
        for iteration in range(1, self.iterations + 1):
            if out_of_time(problem):
                break
            if self.patience is not None and (still := stalled(costs, self.patience)) is not None:
                going = going & ~still
                if not bool(going.any()):
                    break
            done = iteration
            taken = taken + going
            with torch.enable_grad():
                leaf = free.detach().requires_grad_()
                actions = space.relax(leaf)
                relaxed = problem.objective(rollout(model, problem, actions))
                (gradient,) = torch.autograd.grad(relaxed.sum(), leaf)
            cost = finite_cost(relaxed.detach())
            gradient = torch.where(gradient.isfinite(), gradient, 0.0)
            if iteration == 1:
                proposed_cost = cost.amin(1)
            better = (cost < best_cost) & going[:, None]
            best = torch.where(better[..., None, None], space.harden(free), best)
            best_cost = torch.where(better, cost, best_cost)
            costs.append(best_cost.amin(1))
            first = 0.9 * first + 0.1 * gradient
            second = 0.99 * second + 0.01 * gradient.square()
            step = (first / (1 - 0.9**iteration)) / ((second / (1 - 0.99**iteration)).sqrt() + 1e-8)
            moved = space.project(free - self.learning_rate * step)
            free = torch.where(going[:, None, None, None], moved, free)
        # The iterate after the last step has not been evaluated yet; it joins the others for the selection.
        tried = torch.cat([best, space.harden(free)], 1) if done else best
        passes = imagined + taken * candidates.shape[1] * (1 + BACKWARD)
        return Refined(tried, proposed_cost, imagined + done * candidates.shape[1], passes, looked)

    def passes(self, count: int, imagined: bool = False) -> float:
        looks = count if self.elites < 1 and not imagined else 0
        return looks + self._kept(count) * (self.iterations * (1 + BACKWARD) + 2)

    def rollouts(self, count: int, imagined: bool = False) -> int:
        looks = count if self.elites < 1 and not imagined else 0
        return looks + (self.iterations + 2) * self._kept(count)

    def _kept(self, count: int) -> int:
        """How many of so many candidates descend."""
        return min(math.ceil(self.elites * count / ALIGNED) * ALIGNED, count)

    def _best(self, model: Model, problem: Problem, proposed: Proposed) -> Tensor:
        """The elites (E, N', H, A) of candidates (E, N, H, A), the best first."""
        candidates = proposed.actions
        cost = finite_cost(problem.objective(imagined(model, problem, proposed)))
        # Sorted, because which of several equal costs the k smallest hold is not defined.
        chosen = cost.sort(dim=1, stable=True).indices[:, : self._kept(candidates.shape[1])]
        return candidates.gather(1, chosen[..., None, None].expand(-1, -1, *candidates.shape[2:]))


class RefitRefiner:
    """Sample, weigh, fit, repeat: the cross-entropy method with elites, MPPI with softmax weights.

    The best candidate of all rounds is handed on among those of the last round. Candidates whose cost is not
    finite have no part in the fit.

    Args:
        iterations: rounds.
        elites: share of candidates that the fit is made of (Rubinstein 1999); None: all, by softmax weight.
        temperature: of the softmax, in standard deviations of the costs (Williams et al., arXiv 1509.01149).

    Raises:
        ValueError: no iterations, a share outside (0, 1], or a temperature that is not positive.
    """

    def __init__(self, iterations: int, elites: float | None = 0.15, temperature: float = 0.3) -> None:
        if iterations < 1:
            raise ValueError(f"RefitRefiner with {iterations} iterations; give at least 1")
        if elites is not None and not 0 < elites <= 1:
            raise ValueError(f"RefitRefiner with elites {elites}; choose from above 0 to 1, or None")
        if not temperature > 0:
            raise ValueError(f"RefitRefiner with temperature {temperature}; give a positive number")
        self.iterations = iterations
        self.elites = elites
        self.temperature = temperature

    def __call__(self, model: Model, problem: Problem, proposed: Proposed) -> Refined:
        candidates = proposed.actions
        _, count, horizon, _ = candidates.shape
        best, best_cost = candidates[:, :1], candidates.new_full((len(candidates), 1), torch.inf)
        proposed_cost: Tensor | None = None
        parameters: Tensor | None = None
        done = 0
        for iteration in range(self.iterations):
            if out_of_time(problem):
                break
            done = iteration + 1
            first = iteration == 0
            trajectory = imagined(model, problem, proposed) if first else rollout(model, problem, candidates)
            cost = finite_cost(problem.objective(trajectory))
            if first:
                proposed_cost = cost.amin(1)
            joined, joined_cost = torch.cat([best, candidates], 1), torch.cat([best_cost, cost], 1)
            winner = joined_cost.argmin(1, keepdim=True)
            best_cost = joined_cost.gather(1, winner)
            best = joined.gather(1, winner[..., None, None].expand(-1, 1, *joined.shape[2:]))
            parameters = self._fit(model.space, candidates, self._weights(cost), parameters)
            noise = uniform(combine(problem.keys, 2, iteration), count, horizon, model.space.noise_dim)
            candidates = model.space.sample(parameters.unsqueeze(1).expand(-1, count, -1, -1), noise)
        if done:
            # In the place of a candidate, so that calls keep one shape.
            candidates = torch.cat([candidates[:, 1:], best], 1)
        looked = count if done and proposed.trajectory is not None else 0
        rollouts = done * count - looked
        return Refined(candidates, proposed_cost, rollouts, no_passes(candidates) + float(rollouts), looked)

    def passes(self, count: int, imagined: bool = False) -> float:
        return float(self.rollouts(count, imagined))

    def rollouts(self, count: int, imagined: bool = False) -> int:
        return (self.iterations + 1 - imagined) * count

    def _fit(self, space: ActionSpace, candidates: Tensor, weights: Tensor, before: Tensor | None) -> Tensor:
        """Prior parameters (E, H, Q) of candidates (E, N, H, A) with weights (E, N); ``before``: of the last round."""
        return refit(space, candidates, weights)

    def _weights(self, cost: Tensor) -> Tensor:
        """Weights (E, N) that sum to 1, of costs (E, N) that may be infinite; all alike where all are."""
        known = cost.isfinite() | ~cost.isfinite().any(1, keepdim=True)
        cost = torch.where(cost.isfinite(), cost, 0.0)
        if self.elites is None:
            number = known.sum(1, keepdim=True)
            mean = (cost * known).sum(1, keepdim=True) / number
            spread = (((cost - mean) * known).square().sum(1, keepdim=True) / number).sqrt()
            scores = -(cost - mean) / (spread.clamp_min(1e-8) * self.temperature)
            return torch.where(known, scores, -torch.inf).softmax(1)
        kept = max(1, round(self.elites * cost.shape[1]))
        chosen = torch.where(known, cost, torch.inf).topk(kept, 1, largest=False).indices
        weights = torch.zeros_like(cost).scatter(1, chosen, 1.0) * known
        return weights / weights.sum(1, keepdim=True)


def refit(space: ActionSpace, candidates: Tensor, weights: Tensor) -> Tensor:
    """Prior parameters (E, H, Q) of candidates (E, N, H, A), of which those of weight 0 may be no numbers."""
    # Not even a weight of 0 makes a NaN harmless.
    return space.refit(torch.where((weights > 0)[..., None, None], candidates, 0.0), weights)


def imagined(model: Model, problem: Problem, proposed: Proposed) -> Trajectory:
    """What the model imagines of the proposals, imagined now unless they come with it."""
    if proposed.trajectory is not None:
        return proposed.trajectory
    return rollout(model, problem, proposed.actions)


def no_passes(candidates: Tensor) -> Tensor:
    """(E,) float64 for candidates (E, ...)."""
    return torch.zeros(len(candidates), dtype=torch.float64, device=candidates.device)
