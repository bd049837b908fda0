"""Proposals: where candidates come from."""

from __future__ import annotations

import itertools
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from planners.noise import combine, uniform
from planners.protocols import Model, Problem
from planners.rollouts import sample_rollout


class Proposal(Protocol):
    """Makes the first candidates of a problem."""

    def __call__(self, model: Model, problem: Problem) -> tuple[Tensor, int]:
        """Candidates (E, N, H, A), and how many rollouts per episode it took to make them."""
        ...

    def count(self, model: Model, horizon: int) -> int:
        """N."""
        ...


class PriorProposal:
    """Plans that data would follow: every action is drawn from the model's prior where the plan has got to.

    Args:
        candidates: N; the last one is replaced by the problem's warm start if it has one.
    """

    def __init__(self, candidates: int) -> None:
        if candidates < 1:
            raise ValueError(f"{candidates} candidates proposed; propose at least 1")
        self.candidates = candidates

    def __call__(self, model: Model, problem: Problem) -> tuple[Tensor, int]:
        actions = sample_rollout(model, problem, self.candidates).actions
        if problem.warm is not None:
            actions = torch.cat([actions[:, :-1], problem.warm.unsqueeze(1)], 1)
        return actions, self.candidates

    def count(self, model: Model, horizon: int) -> int:
        return self.candidates


class QueueProposal:
    """Plans made of real macro-actions, drawn from a queue of those that data took.

    Args:
        queue: (Q, A) actions.
        candidates: N.
    """

    def __init__(self, queue: Tensor, candidates: int) -> None:
        self.queue = queue
        self.candidates = candidates

    def __call__(self, model: Model, problem: Problem) -> tuple[Tensor, int]:
        noise = uniform(combine(problem.keys, 1), self.candidates, problem.horizon)
        actions = self.queue[(noise * len(self.queue)).long().clamp_max(len(self.queue) - 1)]
        if problem.warm is not None:
            actions = torch.cat([actions[:, :-1], problem.warm.unsqueeze(1)], 1)
        return actions, 0

    def count(self, model: Model, horizon: int) -> int:
        return self.candidates


class EnumerationProposal:
    """Every sequence of discrete actions.

    Args:
        limit: most sequences that are enumerated.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self.limit = limit

    def __call__(self, model: Model, problem: Problem) -> tuple[Tensor, int]:
        actions = model.space.action_dim
        self.count(model, problem.horizon)
        index = torch.tensor(list(itertools.product(range(actions), repeat=problem.horizon)))
        sequences = F.one_hot(index, actions).to(problem.start)
        return sequences.unsqueeze(0).expand(len(problem.start), -1, -1, -1), 0

    def count(self, model: Model, horizon: int) -> int:
        """N; ValueError when that is more than the limit."""
        total = model.space.action_dim**horizon
        if total > self.limit:
            raise ValueError(
                f"{model.space.action_dim} actions over {horizon} steps are {total} sequences, more than {self.limit};"
                " shorten the horizon or choose planner adam"
            )
        return total
