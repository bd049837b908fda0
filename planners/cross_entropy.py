"""Variants of the cross-entropy method: one for discrete actions, one that spends less and moves more smoothly.

Both are refiners as `planners.refiners.RefitRefiner` is, and hand on the best of all that they have seen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from planners.budgets import out_of_time
from planners.noise import combine, uniform
from planners.proposals import Proposed
from planners.protocols import ActionSpace, Model, Problem
from planners.refiners import Refined, RefitRefiner, imagined, no_passes, refit
from planners.rollouts import ALIGNED, finite_cost, rollout
from planners.spaces import Box

REFUSED = "continuous actions have no categorical distribution; choose planner cem, icem or mppi"


class CategoricalRefiner(RefitRefiner):
    """A categorical distribution per step, moved towards the frequencies of the elites.

    The smoothed update of Rubinstein and Kroese (The cross-entropy method, 2004, section 3.7): with probabilities p of
    the round before and frequencies f of the elites, p <- (1 - smoothing) p + smoothing f. The first p are the
    frequencies of all proposals, so that an action without elites in a round is not lost.

    Args:
        iterations: rounds.
        elites: share of candidates that frequencies are counted over.
        smoothing: share of the new frequencies; 1: those alone.

    Raises:
        ValueError: no iterations, or a share outside (0, 1]; when called, actions that are not discrete.
    """

    def __init__(self, iterations: int, elites: float = 0.15, smoothing: float = 0.7) -> None:
        super().__init__(iterations, elites)
        if not 0 < smoothing <= 1:
            raise ValueError(f"CategoricalRefiner with smoothing {smoothing}; choose from above 0 to 1")
        self.smoothing = smoothing

    def __call__(self, model: Model, problem: Problem, proposed: Proposed) -> Refined:
        if isinstance(model.space, Box):
            raise ValueError(REFUSED)
        return super().__call__(model, problem, proposed)

    def _fit(self, space: ActionSpace, candidates: Tensor, weights: Tensor, before: Tensor | None) -> Tensor:
        if before is None:
            known = candidates.isfinite().all(-1).all(-1)
            alike = known / known.sum(1, keepdim=True).clamp_min(1)
            before = refit(space, candidates, alike.to(weights))
        found = refit(space, candidates, weights).softmax(-1)
        return ((1 - self.smoothing) * before.softmax(-1) + self.smoothing * found).log()


class ColouredRefiner:
    """iCEM (Pinneri et al., arXiv 2008.06389): the cross-entropy method with memory and coloured noise.

    Noise is correlated along a plan, with a power spectrum of 1 / frequency^colour: it goes somewhere where white noise
    trembles. Through the uniform numbers that draws are made of this holds for discrete actions too, which are then
    held for longer. The best of each round's elites compete in the next one, at no cost, since the model would imagine
    the same. Rounds shrink: what the first ones pay for is variety. The best of all and the mean of the last fit are
    handed on, so that selecting costs a tile of candidates and not a round.

    Other than there, the first candidates are the level's own proposals, and nothing is blended with the fit before.

    Args:
        iterations: rounds.
        elites: share of the first round's candidates that the fit is made of.
        kept: share of the elites that stay for the next round; at least one does.
        colour: exponent; 0: white.
        decay: by which a round has fewer candidates than the one before, down to twice the elites; 1: it has as many.

    Raises:
        ValueError: no iterations, a share outside (0, 1], a colour below 0 or a decay below 1.
    """

    def __init__(
        self,
        iterations: int,
        elites: float = 0.15,
        kept: float = 0.3,
        colour: float = 2.0,
        decay: float = 1.25,
    ) -> None:
        if iterations < 1:
            raise ValueError(f"ColouredRefiner with {iterations} iterations; give at least 1")
        if not (0 < elites <= 1 and 0 < kept <= 1):
            raise ValueError(f"ColouredRefiner with elites {elites}, kept {kept}; choose from above 0 to 1")
        if not (colour >= 0 and math.isfinite(colour) and decay >= 1):
            raise ValueError(
                f"ColouredRefiner with colour {colour}, decay {decay}; give 0 or more, and 1 or more"
            )
        self.iterations = iterations
        self.elites = elites
        self.kept = kept
        self.colour = colour
        self.decay = decay

    def __call__(self, model: Model, problem: Problem, proposed: Proposed) -> Refined:
        space, candidates = model.space, proposed.actions
        count, horizon = candidates.shape[1:3]
        number = self._elites(count)
        stay = max(1, round(self.kept * number))
        pool, pool_cost = candidates[:, :0], candidates.new_zeros(len(candidates), 0)
        proposed_cost: Tensor | None = None
        parameters: Tensor | None = None
        rollouts, looked = 0, 0
        for iteration, size in enumerate(self._sizes(count)):
            if out_of_time(problem):
                break
            if parameters is not None:
                white = uniform(combine(problem.keys, 5, iteration), size, horizon, space.noise_dim)
                noise = coloured(white, self.colour)
                candidates = space.sample(parameters.unsqueeze(1).expand(-1, size, -1, -1), noise)
                trajectory = rollout(model, problem, candidates)
            else:
                trajectory = imagined(model, problem, proposed)
                looked = 0 if proposed.trajectory is None else count
            cost = finite_cost(problem.objective(trajectory))
            if proposed_cost is None:
                proposed_cost = cost.amin(1)
            rollouts += size
            pool, pool_cost = _sorted(
                torch.cat([pool[:, :stay], candidates], 1), torch.cat([pool_cost[:, :stay], cost], 1)
            )
            elite_cost = pool_cost[:, :number]
            # Where no cost is finite all count alike.
            known = elite_cost.isfinite() | ~elite_cost.isfinite().any(1, keepdim=True)
            weights = known / known.sum(1, keepdim=True)
            parameters = refit(space, pool[:, :number], weights.to(candidates))
        if parameters is None:
            return Refined(proposed.actions, None, 0, no_passes(candidates))
        handed = pool[:, : self._handed(count)]
        if handed.shape[1] > 1:
            handed = torch.cat([handed[:, :-1], space.likeliest(parameters).unsqueeze(1)], 1)
        passes = no_passes(candidates) + float(rollouts - looked)
        return Refined(handed, proposed_cost, rollouts - looked, passes, looked)

    def passes(self, count: int, imagined: bool = False) -> float:
        return float(self.rollouts(count, imagined))

    def rollouts(self, count: int, imagined: bool = False) -> int:
        return sum(self._sizes(count)) - imagined * count + self._handed(count)

    def _elites(self, count: int) -> int:
        return max(1, round(self.elites * count))

    def _handed(self, count: int) -> int:
        """How many of so many are handed on; as many as make a tile, see `planners.rollouts.ALIGNED`."""
        return min(ALIGNED, count)

    def _sizes(self, count: int) -> list[int]:
        """Candidates of every round, whole tiles from a tile on."""
        least, sizes = min(count, 2 * self._elites(count)), []
        for iteration in range(self.iterations):
            size = max(count * self.decay**-iteration, least)
            sizes.append(min(count, math.ceil(size / ALIGNED) * ALIGNED))
        return sizes


def coloured(white: Tensor, colour: float) -> Tensor:
    """Uniform numbers (E, N, H, A) that are correlated along H, each still uniform between 0 and 1.

    They are made normal, filtered by the square root of a circulant covariance whose spectrum is 1 / frequency^colour
    (below one period per plan as at one), and made uniform again.
    """
    horizon = white.shape[2]
    if horizon == 1 or colour == 0:
        return white
    normal = math.sqrt(2) * torch.erfinv((2 * white - 1).clamp(-1 + 1e-6, 1 - 1e-6))
    lags = _filter(horizon, colour).to(white)
    steps = torch.arange(horizon, device=white.device)
    filtered = torch.zeros_like(normal)
    # Step by step, and not as a matrix product, whose bits would depend on the company.
    for step in range(horizon):
        filtered = filtered + lags[(steps - step) % horizon][:, None] * normal[:, :, step : step + 1]
    return (0.5 * (1 + torch.erf(filtered / math.sqrt(2)))).clamp(1e-7, 1 - 1e-7)


def _filter(horizon: int, colour: float) -> Tensor:
    """The first row (H,) of the symmetric square root of a circulant covariance of variance 1."""
    index = torch.arange(horizon, dtype=torch.float64)
    frequency = torch.minimum(index, horizon - index).clamp_min(1) / horizon
    power = frequency**-colour
    amplitude = (power / power.mean()).sqrt()
    waves = torch.cos(2 * math.pi * index[:, None] * index / horizon)
    return (amplitude * waves).mean(-1)


def _sorted(candidates: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Candidates (E, N, H, A) and costs (E, N), the best first; of equal ones those that came first."""
    ordered = cost.sort(dim=1, stable=True)
    index = ordered.indices[..., None, None].expand(-1, -1, *candidates.shape[2:])
    return candidates.gather(1, index), ordered.values
