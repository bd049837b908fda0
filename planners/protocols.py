"""What planners ask of a model, of its actions and of an objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class ActionSpace(Protocol):
    """A set of actions, and a continuous parametrisation of it for gradients.

    Attributes:
        action_dim: A.
        noise_dim: uniform numbers that one draw takes.
    """

    action_dim: int
    noise_dim: int

    def sample(self, prior: Tensor, uniform: Tensor) -> Tensor:
        """Draw actions (..., A) from prior parameters (..., Q) with uniform numbers (..., noise_dim)."""
        ...

    def surprise(self, prior: Tensor, action: Tensor) -> Tensor:
        """Nats (...) by which actions (..., A) are less likely than typical under prior parameters (..., Q)."""
        ...

    def free(self, action: Tensor) -> Tensor:
        """Unconstrained parameters (..., A) of actions (..., A)."""
        ...

    def relax(self, free: Tensor) -> Tensor:
        """Differentiable actions (..., A) of free parameters (..., A)."""
        ...

    def project(self, free: Tensor) -> Tensor:
        """Free parameters moved back to where the space allows them, after a gradient step."""
        ...

    def harden(self, free: Tensor) -> Tensor:
        """The actions (..., A) that can really be taken, nearest to what ``relax`` gives."""
        ...

    def alternatives(self, action: Tensor) -> Tensor:
        """Actions to take instead of (E, A), (E, M, A): the action itself first, then others, the nearest first."""
        ...

    def likeliest(self, prior: Tensor) -> Tensor:
        """The likeliest actions (..., A) under prior parameters (..., Q)."""
        ...

    def refit(self, actions: Tensor, weights: Tensor) -> Tensor:
        """Prior parameters (E, H, Q) fitted to actions (E, N, H, A) with weights (E, N) that sum to 1."""
        ...


@runtime_checkable
class Model(Protocol):
    """A differentiable one-step model. ``memory`` is whatever the caller gave, one row per episode, or None.

    Attributes:
        space: its actions.
        flops: floating point operations, forward, of one step of one candidate: condition, prior and advance.
    """

    space: ActionSpace
    flops: float

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        """(E, N, D) -> features (E, N, F) that prior and advance share."""
        ...

    def prior(self, condition: Tensor) -> Tensor:
        """(E, N, F) -> parameters (E, N, Q) of the distribution of actions that data takes."""
        ...

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        """(E, N, D), (E, N, F), (E, N, A) -> next latent (E, N, D)."""
        ...


@runtime_checkable
class LiftingModel(Model, Protocol):
    """A model whose latents can be encoded into the space of the level above.

    Attributes:
        lift_flops: floating point operations, forward, of lifting one latent.
    """

    lift_flops: float

    def lift(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        """(E, N, D) -> (E, N, D_above), reading the memory of the level above."""
        ...


@dataclass(frozen=True)
class Trajectory:
    """What a model imagines of candidates.

    Attributes:
        start: (E, D) latents of now.
        actions: (E, N, H, A).
        latents: (E, N, H, D); step h is after action h.
        surprise: (E, N, H) nats by which each action is less likely than typical under the model's prior.
    """

    start: Tensor
    actions: Tensor
    latents: Tensor
    surprise: Tensor


@runtime_checkable
class Objective(Protocol):
    """Cost of imagined trajectories.

    Attributes:
        flops: floating point operations per candidate, forward.
    """

    flops: float

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Cost (E, N), differentiable in the trajectory."""
        ...


@dataclass(frozen=True)
class Aim:
    """Where a plan is to lead, for proposals that know the way.

    Attributes:
        goal: (E, D) latent of the goal.
        target: (E, D_above) subgoal; None: the plan is to the goal.
        left: (E,) share of the stride that is left until the subgoal is due.
        share: of a stride that one step of the plan takes.
        field: what a critic reads, one row per episode; None without one.
    """

    goal: Tensor
    target: Tensor | None
    left: Tensor
    share: float
    field: Tensor | None


@dataclass(frozen=True)
class Outset:
    """What is known before anybody acts: all candidates of an episode begin in the same latent.

    Attributes:
        condition: (E, T, F) of the model, of T rows alike: one tile, see `planners.rollouts.ALIGNED`.
        prior: (E, T, Q) of its actions.
    """

    condition: Tensor
    prior: Tensor


@dataclass(frozen=True)
class Problem:
    """One planning problem per episode.

    Attributes:
        start: (E, D).
        memory: one row per episode, or None.
        horizon: H.
        objective: cost.
        keys: (E,) int64, the random key of each episode's problem, see `planners.noise`.
        warm: (E, H, A) actions to try among the proposals (the last plan, shifted), or None.
        warm_steps: (E,) how many leading steps of ``warm`` count, the rest is proposed; None: all of them.
        aim: where the plan is to lead; None: nobody asks.
        deadline: time of `planners.budgets.clock` after which no further iteration begins and the best found
            by then is the plan; None: no limit.
        outset: what the first step of all candidates shares, see `planners.rollouts.at_outset`; None: it is computed
            for each of them.
    """

    start: Tensor
    memory: Tensor | None
    horizon: int
    objective: Objective
    keys: Tensor
    warm: Tensor | None = None
    warm_steps: Tensor | None = None
    deadline: float | None = None
    aim: Aim | None = None
    outset: Outset | None = None


@dataclass(frozen=True)
class Plan:
    """The best candidate found for each episode.

    Attributes:
        actions: (E, H, A), hard.
        latents: (E, H, D) that the model predicts for them.
        cost: (E,) by a fresh evaluation of the hard actions; infinite when no candidate has a finite one.
        proposed_cost: (E,) cost of the best proposal, before refinement.
        surprise: (E,) of the actions, mean per step, see `Trajectory`.
        rollouts: candidates imagined per episode, all iterations counted; where episodes did not end
            alike, the most. What each of them spent is in ``flops``.
        flops: (E,) float64, spent per episode, forward and backward.
        optimum: (E,) the least cost of all sequences of actions, where somebody looked; None: nobody did.
    """

    actions: Tensor
    latents: Tensor
    cost: Tensor
    proposed_cost: Tensor
    surprise: Tensor
    rollouts: int
    flops: Tensor
    optimum: Tensor | None = None

    def rows(self, index: Tensor) -> Plan:
        """The plans of some episodes: index (R,) int64 or (E,) bool."""
        parts = {name: value[index] for name, value in vars(self).items() if isinstance(value, Tensor)}
        return Plan(**parts, rollouts=self.rollouts)

    def first(self, count: int) -> Plan:
        """The plans of the first episodes."""
        return self if count == len(self.cost) else self.rows(torch.arange(count, device=self.cost.device))

    @staticmethod
    def join(plans: list[Plan]) -> Plan:
        """Plans of several blocks of episodes as one; all must have the same horizon."""
        first = plans[0]
        if len(plans) == 1:
            return first
        parts = {
            name: torch.cat([getattr(plan, name) for plan in plans])
            for name, value in vars(first).items()
            if isinstance(value, Tensor)
        }
        return Plan(**parts, rollouts=max(plan.rollouts for plan in plans))
