"""Policies: plans at a glance. Followed as they are, or as candidates among others."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from planners.noise import combine, uniform
from planners.planner import Planner
from planners.proposals import PriorProposal, Proposed
from planners.protocols import Aim, Model, Plan, Problem, Trajectory
from planners.refiners import NoRefiner
from planners.rollouts import ALIGNED, finite_cost


@runtime_checkable
class Policy(Protocol):
    """Distributions of actions towards an aim.

    Attributes:
        flops: floating point operations for one latent.
    """

    flops: float

    def __call__(self, condition: Tensor, latent: Tensor, aim: Aim, left: Tensor) -> Tensor:
        """Prior parameters (E, N, Q).

        Args:
            condition: (E, N, F) of the model.
            latent: (E, N, D).
            aim: where to.
            left: (E,) share of the stride that is left.
        """
        ...


def follow(
    model: Model, problem: Problem, policy: Policy, candidates: int, horizon: int | None = None
) -> Trajectory:
    """Imagine candidates that follow a policy: the first the likeliest actions, the others draws.

    Raises:
        ValueError: a problem that does not say where the plan is to lead.
    """
    if problem.aim is None:
        raise ValueError("a policy needs to know where to; give the problem an aim")
    aim, horizon = problem.aim, horizon or problem.horizon
    noise = uniform(combine(problem.keys, 4), candidates, horizon, model.space.noise_dim)
    latent = problem.start.unsqueeze(1).expand(-1, candidates, -1)
    actions, latents, conditions = [], [], []
    for step in range(horizon):
        condition = model.condition(latent, problem.memory)
        left = (aim.left - step * aim.share).clamp_min(0.0)
        chosen = policy(condition, latent, aim, left)
        action = model.space.sample(chosen, noise[:, :, step])
        action = torch.cat([model.space.likeliest(chosen[:, :1]), action[:, 1:]], 1)
        latent = model.advance(latent, condition, action)
        actions.append(action)
        latents.append(latent)
        conditions.append(condition)
    done = torch.stack(actions, 2)
    # Of all steps at once: nothing on the way asks for it.
    prior = model.prior(torch.stack(conditions, 2).flatten(1, 2))
    surprise = model.space.surprise(prior, done.flatten(1, 2)).unflatten(1, (candidates, horizon))
    return Trajectory(problem.start, done, torch.stack(latents, 2), surprise)


class PolicyProposal:
    """Candidates from the prior, and some that follow a policy.

    Args:
        prior: makes the former.
        policy: of the latter.
        candidates: how many of them.

    Raises:
        ValueError: no candidates.
    """

    def __init__(self, prior: PriorProposal, policy: Policy, candidates: int) -> None:
        if candidates < 1:
            raise ValueError(f"{candidates} candidates of a policy; give at least 1, or leave the policy out")
        self.prior, self.policy, self.candidates = prior, policy, candidates
        self.imagines = prior.imagines

    def __call__(self, model: Model, problem: Problem) -> Proposed:
        drawn, known = self.prior(model, problem), follow(model, problem, self.policy, self.candidates)
        actions = torch.cat([known.actions, drawn.actions], 1)
        rollouts = drawn.rollouts + self.rollouts_of_policy(model)
        if drawn.trajectory is None:
            return Proposed(actions, rollouts)
        parts = [
            torch.cat([getattr(known, name), getattr(drawn.trajectory, name)], 1)
            for name in ("latents", "surprise")
        ]
        return Proposed(actions, rollouts, Trajectory(problem.start, actions, *parts))

    def rollouts_of_policy(self, model: Model) -> int:
        """Rollouts of the model that following the policy takes as much compute as, rounded up."""
        return -int(-self.candidates * (model.flops + self.policy.flops) // model.flops)

    def count(self, model: Model, horizon: int) -> int:
        return self.prior.count(model, horizon) + self.candidates

    def rollouts(self, model: Model, horizon: int) -> int:
        return self.prior.rollouts(model, horizon) + self.rollouts_of_policy(model)


class PolicyPlanner(Planner):
    """A plan at a glance: a few draws of a policy, its likeliest actions among them, of which the best is followed.

    Nothing is refined. A call takes as many rows as keep an episode's bits its own, so it may as well look at different
    ones.

    Args:
        policy: to follow.
        horizon: steps that are imagined; None: the problem's.
        compare: whether the best of the draws is followed; if not, the likeliest actions are, whatever they cost.
    """

    def __init__(self, policy: Policy, horizon: int | None = None, compare: bool = True) -> None:
        super().__init__(PriorProposal(ALIGNED), NoRefiner())
        self.policy = policy
        self.horizon = horizon
        self.compare = compare

    @torch.no_grad()
    def __call__(self, model: Model, problem: Problem) -> Plan:
        """The best of the draws for each episode."""
        steps = self.horizon or problem.horizon
        known = follow(model, problem, self.policy, ALIGNED, steps)
        cost = finite_cost(problem.objective(known))
        best, row = cost.argmin(1), torch.arange(len(cost), device=cost.device)
        best = best if self.compare else torch.zeros_like(best)
        spent = ALIGNED * (steps * (model.flops + self.policy.flops) + problem.objective.flops)
        return Plan(
            actions=known.actions[row, best],
            latents=known.latents[row, best],
            cost=cost[row, best],
            proposed_cost=cost[:, 0],
            surprise=known.surprise[row, best].mean(-1),
            rollouts=ALIGNED,
            flops=torch.full_like(cost[:, 0], spent, dtype=torch.float64),
        )

    def passes(self, model: Model, horizon: int) -> float:
        return ALIGNED * (1 + self.policy.flops / model.flops)

    def rollouts(self, model: Model, horizon: int) -> int:
        return ALIGNED
