"""Proposals: where candidates come from. All of them are actions that can really be taken."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from planners.noise import combine, uniform
from planners.protocols import ActionSpace, Model, Problem, Trajectory
from planners.rollouts import ALIGNED, sample_rollout
from planners.spaces import Box


@dataclass(frozen=True)
class Proposed:
    """Candidates to begin with.

    Attributes:
        actions: (E, N, H, A).
        rollouts: imagined per episode to make them.
        trajectory: what was imagined of these very candidates, so that nobody has to imagine it again; None: it was
            not.
    """

    actions: Tensor
    rollouts: int = 0
    trajectory: Trajectory | None = None


class Proposal(Protocol):
    """Makes the first candidates of a problem.

    Attributes:
        imagines: whether what is proposed comes with its trajectory.
    """

    imagines: bool

    def __call__(self, model: Model, problem: Problem) -> Proposed:
        """Candidates for every episode."""
        ...

    def count(self, model: Model, horizon: int) -> int:
        """N."""
        ...

    def rollouts(self, model: Model, horizon: int) -> int:
        """How many rollouts per episode it takes to make them."""
        ...


class PriorProposal:
    """Plans that data would follow: every action is drawn from the model's prior where the plan has got to.

    Args:
        candidates: N; the last one is replaced by the problem's warm start if it has one.
        warm: whether problems may have one; their candidates then have to be imagined once more.
        hold: steps that a draw is kept for at most, see `planners.rollouts.held`.

    Raises:
        ValueError: no candidates, or draws kept for no step.
    """

    def __init__(self, candidates: int, warm: bool = False, hold: int = 1) -> None:
        if candidates < 1 or hold < 1:
            raise ValueError(f"{candidates} candidates proposed, draws kept for {hold} steps; give at least 1")
        self.candidates = candidates
        self.hold = hold
        self.imagines = not warm

    def __call__(self, model: Model, problem: Problem) -> Proposed:
        drawn = sample_rollout(model, problem, self.candidates, self.hold)
        if self.imagines and problem.warm is None:
            return Proposed(drawn.actions, self.candidates, drawn)
        return Proposed(_with_warm(model.space, problem, drawn.actions), self.candidates)

    def count(self, model: Model, horizon: int) -> int:
        return self.candidates

    def rollouts(self, model: Model, horizon: int) -> int:
        return self.candidates


class QueueProposal:
    """Plans made of real macro-actions, drawn from a queue of those that data took.

    Args:
        queue: (Q, A) actions.
        candidates: N; the last one is replaced by the problem's warm start if it has one.

    Raises:
        ValueError: no candidates, or an empty queue.
    """

    imagines = False

    def __init__(self, queue: Tensor, candidates: int) -> None:
        if candidates < 1 or queue.ndim != 2 or not len(queue):
            raise ValueError(
                f"{candidates} candidates from a queue of shape {tuple(queue.shape)};"
                " give at least 1 and at least one row of actions"
            )
        self.queue = queue
        self.candidates = candidates

    def __call__(self, model: Model, problem: Problem) -> Proposed:
        noise = uniform(combine(problem.keys, 1), self.candidates, problem.horizon)
        actions = self.queue[(noise * len(self.queue)).long().clamp_max(len(self.queue) - 1)]
        return Proposed(_with_warm(model.space, problem, _hard(model.space, actions)))

    def count(self, model: Model, horizon: int) -> int:
        return self.candidates

    def rollouts(self, model: Model, horizon: int) -> int:
        return 0


class EnumerationProposal:
    """Every sequence of discrete actions; a warm start is among them anyway.

    The last one is repeated up to a multiple of `planners.rollouts.ALIGNED` candidates.

    Args:
        limit: most sequences that are enumerated.
    """

    imagines = False

    def __init__(self, limit: int = 20_000) -> None:
        self.limit = limit

    def __call__(self, model: Model, problem: Problem) -> Proposed:
        actions = model.space.action_dim
        count = self.count(model, problem.horizon)
        index = torch.tensor(list(itertools.product(range(actions), repeat=problem.horizon)))
        index = torch.cat([index, index[-1:].expand(count - len(index), -1)])
        sequences = F.one_hot(index, actions).to(problem.start)
        return Proposed(sequences.unsqueeze(0).expand(len(problem.start), -1, -1, -1))

    def count(self, model: Model, horizon: int) -> int:
        """N.

        Raises:
            ValueError: more than the limit, or actions that are not discrete.
        """
        if isinstance(model.space, Box):
            raise ValueError("continuous actions cannot be enumerated; choose planner adam, cem or mppi")
        total = model.space.action_dim**horizon
        if total > self.limit:
            raise ValueError(
                f"{model.space.action_dim} actions over {horizon} steps are {total} sequences, more than"
                f" {self.limit}; shorten the horizon or choose planner adam"
            )
        return -(-total // ALIGNED) * ALIGNED

    def rollouts(self, model: Model, horizon: int) -> int:
        return 0


def _hard(space: ActionSpace, actions: Tensor) -> Tensor:
    """The nearest actions that can be taken: a queue may hold some from beyond the bounds of a plan."""
    return space.harden(space.free(actions))


def _with_warm(space: ActionSpace, problem: Problem, actions: Tensor) -> Tensor:
    """Candidates (E, N, H, A) with the warm start in the place of the last one, as far as it reaches."""
    if problem.warm is None:
        return actions
    warm = _hard(space, problem.warm)
    if problem.warm_steps is not None:
        step = torch.arange(problem.horizon, device=actions.device)
        reaches = step < problem.warm_steps[:, None]
        warm = torch.where(reaches[..., None], warm, actions[:, -1])
    return torch.cat([actions[:, :-1], warm.unsqueeze(1)], 1)
