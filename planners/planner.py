"""Propose, refine, select: one planner of three small parts."""

from __future__ import annotations

from dataclasses import replace

import torch

from planners.budgets import deadline_in
from planners.proposals import Proposal
from planners.protocols import Model, Plan, Problem
from planners.refiners import Refiner
from planners.risk import Risk, risky_cost
from planners.rollouts import at_outset, finite_cost, rollout, rollout_flops


class Planner:
    """Finds actions of low cost.

    The selection always evaluates hard candidates afresh, whatever cost a relaxed one had. A cost that is not
    finite counts as infinite: such a candidate never wins over another.

    Args:
        propose: makes candidates.
        refine: improves them.
        max_milliseconds: time of one call, for all its episodes together; a problem's own deadline counts as
            well. Proposing, selecting and an iteration that has begun are finished whatever they take, so a
            call can take longer by as much. Plans then depend on the machine and on what else it does; None:
            no limit.
        risk: how the selection weighs several futures of a candidate, of models that imagine them; candidates are
            proposed and refined as ever, by the one future that the model thinks likeliest. None: that one counts.

    Raises:
        ValueError: a time that is not positive.
    """

    def __init__(
        self,
        propose: Proposal,
        refine: Refiner,
        max_milliseconds: float | None = None,
        risk: Risk | None = None,
    ) -> None:
        if max_milliseconds is not None and not max_milliseconds > 0:
            raise ValueError(f"max_milliseconds is {max_milliseconds}; give a positive number, or None")
        self.propose = propose
        self.refine = refine
        self.max_milliseconds = max_milliseconds
        self.risk = risk

    @torch.no_grad()
    def __call__(self, model: Model, problem: Problem) -> Plan:
        """The best plan found for each episode of the problem."""
        if self.max_milliseconds is not None:
            deadline = deadline_in(self.max_milliseconds)
            if problem.deadline is not None:
                deadline = min(deadline, problem.deadline)
            problem = replace(problem, deadline=deadline)
        problem = at_outset(model, problem)
        proposed = self.propose(model, problem)
        refined = self.refine(model, problem, proposed)
        candidates = refined.candidates
        trajectory = rollout(model, problem, candidates)
        cost = finite_cost(problem.objective(trajectory))
        looks = candidates.shape[1]
        if self.risk is not None:
            cost = finite_cost(risky_cost(model, problem, candidates, self.risk))
            looks += candidates.shape[1] * self.risk.futures
        best = cost.argmin(1)
        row = torch.arange(len(best), device=best.device)
        # Making proposals takes no objective, everything after it does.
        spent = (refined.passes + looks) * rollout_flops(model, problem)
        spent = spent + proposed.rollouts * model.flops * problem.horizon
        spent = spent + refined.looked * problem.objective.flops
        return Plan(
            actions=candidates[row, best],
            latents=trajectory.latents[row, best],
            cost=cost[row, best],
            proposed_cost=cost.amin(1) if refined.proposed_cost is None else refined.proposed_cost,
            surprise=trajectory.surprise[row, best].mean(-1),
            rollouts=proposed.rollouts + refined.rollouts + looks,
            flops=spent,
        )

    def passes(self, model: Model, horizon: int) -> float:
        """Forward passes of one call, per episode, at most.

        Times `planners.rollouts.rollout_flops` they are at least the plan's ``flops``.
        """
        count = self.propose.count(model, horizon)
        passes = self.propose.rollouts(model, horizon) + self.refine.passes(count, self.propose.imagines)
        return passes + self._futures(count)

    def rollouts(self, model: Model, horizon: int) -> int:
        """Candidates that one call imagines per episode, all iterations counted, at most."""
        count = self.propose.count(model, horizon)
        rollouts = self.propose.rollouts(model, horizon) + self.refine.rollouts(count, self.propose.imagines)
        return rollouts + self._futures(count)

    def _futures(self, count: int) -> int:
        """Futures imagined to select; no refiner hands on more than twice what was proposed."""
        return 0 if self.risk is None else 2 * count * self.risk.futures
