"""Many answers: the different minima of one objective, from many starts.

A cost with several minima is no nuisance to be averaged away: an ambiguous view has several interpretations, and a goal
that two ways lead to has two plans. Each start descends by itself, so where they end shows what minima there are; the
best of those that end in the same place stands for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.proposals import Proposal
from planners.protocols import Model, Problem, Trajectory
from planners.refiners import Refiner
from planners.rollouts import finite_cost, rollout

Describe = Callable[[Trajectory], Tensor]
"""What tells answers apart: trajectories of E x N candidates -> (E, N, F)."""


@dataclass(frozen=True)
class Answers:
    """The different answers to one problem per episode, the cheapest first.

    Attributes:
        actions: (E, M, H, A), hard.
        latents: (E, M, H, D) that the model predicts for them.
        cost: (E, M); infinite where there are fewer than M answers.
    """

    actions: Tensor
    latents: Tensor
    cost: Tensor

    @property
    def count(self) -> Tensor:
        """(E,) int64, how many there are."""
        return self.cost.isfinite().sum(1)


def whole_path(trajectory: Trajectory) -> Tensor:
    """All latents of a candidate, (E, N, H * D): answers are as far apart as their paths are."""
    return trajectory.latents.flatten(2)


def find_answers(
    model: Model,
    problem: Problem,
    propose: Proposal,
    refine: Refiner,
    apart: float,
    most: int = 4,
    slack: float = float("inf"),
    describe: Describe = whole_path,
) -> Answers:
    """Descend from many starts, and keep the different ends.

    Args:
        model, problem: as for `planners.planner.Planner`.
        propose: the starts.
        refine: descends from each of them.
        apart: distance of descriptions (root of the sum of squares) below which two candidates are one answer.
        most: M, answers that are looked for.
        slack: most by which an answer may cost more than the best one.
        describe: what tells answers apart.

    Raises:
        ValueError: no answers asked for, or a distance or slack below 0.
    """
    if most < 1 or apart < 0 or slack < 0:
        raise ValueError(
            f"{most} answers, {apart} apart and with slack {slack}; give 1 or more, and no less than 0"
        )
    with torch.no_grad():
        candidates = refine(model, problem, propose(model, problem)).candidates
        trajectory = rollout(model, problem, candidates)
        cost = finite_cost(problem.objective(trajectory))
        index, kept = different(cost, describe(trajectory), apart, most, slack)
    row = torch.arange(len(cost), device=cost.device)[:, None]
    return Answers(candidates[row, index], trajectory.latents[row, index], kept)


def different(
    cost: Tensor, described: Tensor, apart: float, most: int, slack: float
) -> tuple[Tensor, Tensor]:
    """The cheapest candidates of which no two are alike.

    Args:
        cost: (E, N).
        described: (E, N, F).
        apart, most, slack: see `find_answers`.

    Returns:
        (E, M) int64 which candidates, and (E, M) their costs, infinite where there is none.
    """
    best = cost.amin(1, keepdim=True)
    left = torch.where(cost <= best + slack, cost, torch.inf)
    found, kept = [], []
    row = torch.arange(len(cost), device=cost.device)
    for _ in range(most):
        index = left.argmin(1)
        found.append(index)
        kept.append(left[row, index])
        alike = (described - described[row, index].unsqueeze(1)).norm(dim=-1) <= apart
        left = torch.where(alike, torch.inf, left)
    return torch.stack(found, 1), torch.stack(kept, 1)
