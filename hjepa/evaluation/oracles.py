"""Oracles: parts of the agent replaced by the truth, one at a time, to find out which part to mend.

``dynamics``         every level's predictions are moved to the nearest state that is really there (level 1) or
                     that can really be reached in one stride (upper levels).
``cost``             distance is the true number of steps, at every level and in subgoals too.
``subgoals:k``       level k does not plan: its subgoal lies one of its strides ahead on a shortest path.
``random-subgoals``  the top level does not plan: its subgoal is any state that can be reached in one stride.

What is replaced keeps the gradient of what was learned, so that gradient planning still works, and its count of
operations. An agent with an oracle knows what no agent may know: its results are for diagnosis.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hjepa.agent.agent import Agent, Episodes
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import SUBGOALS
from hjepa.evaluation.true_states import Truth
from hjepa.model.level_model import LevelModel
from hjepa.model.perception import Observation
from hjepa.model.stack import Stack
from planners.noise import combine, uniform
from planners.planner import Planner
from planners.proposals import PriorProposal
from planners.protocols import ActionSpace, Model, Plan, Problem
from planners.refiners import NoRefiner
from planners.rollouts import ALIGNED
from planners.top_down import LevelPlanner
from tasks import EpisodeBatch
from tasks.missions import MissionBatch

__all__ = ["OracleAgent"]


class OracleAgent(Agent):
    """An agent with one part replaced by the truth.

    Args:
        stack, step_budget, options: as of any agent.
        oracle: one of `hjepa.evaluation.plan_request.ORACLES`, or ``subgoals:k``.

    Raises:
        InputError: an oracle of subgoals for an agent that sets none.
    """

    def __init__(self, stack: Stack, step_budget: int, options: AgentOptions, oracle: str) -> None:
        # Truth is looked up by numbers that are put behind tokens.
        plain = replace(options.settings or stack.config.plan, folded=False)
        super().__init__(stack, step_budget, replace(options, settings=plain))
        self.oracle, self.usual = oracle, self.phases
        if oracle == "random-subgoals" and self.depth == 1:
            raise InputError("one level sets no subgoals", f"oracle {oracle}", "plan with 2 levels or more")
        if oracle.startswith(SUBGOALS) and oracle != f"{SUBGOALS}{self.depth}":
            raise InputError(
                f"oracle {oracle!r} with {self.depth} levels",
                "plan",
                f"plan with as many levels as the one that the oracle takes the place of: {oracle[len(SUBGOALS) :]}",
            )

    def reveal(self, episodes: EpisodeBatch) -> None:
        """Tell the agent the true episodes; it forgets them with the next ones."""
        self._episodes = episodes

    def begin(self, observation: Observation, goal: Observation | MissionBatch, keys: Tensor) -> Episodes:
        """As an agent does; `reveal` comes before it."""
        begun = super().begin(observation, goal, keys)
        truth = Truth(self.stack, self._episodes, begun.memories)
        rows = torch.arange(len(keys), device=self._device)
        for k, state in enumerate(begun.plan.levels):
            state.memory = _number(state.memory, rows)
            if self.oracle == "cost":
                state.metric = self._numbered_metric(state.metric, k, rows)
        self.phases = [
            tuple(self._replaced(truth, k, level) for k, level in enumerate(levels)) for levels in self.usual
        ]
        return begun

    def _numbered_metric(self, metric: Tensor | None, k: int, rows: Tensor) -> Tensor:
        """The metric (E, D, M) of each episode with the number of the episode as its last row."""
        if metric is None:
            dim = self.stack.config.levels[k].latent_dim
            own = self.stack.metric(self.settings.metric, k)
            own = torch.eye(dim, device=self._device) if own is None else own
            metric = own.expand(len(rows), -1, -1)
        return torch.cat([metric, rows.to(metric)[:, None, None].expand(-1, 1, metric.shape[2])], 1)

    def _replaced(self, truth: Truth, k: int, usual: LevelPlanner) -> LevelPlanner:
        """Level k + 1's planner with the oracle in it."""
        level = replace(usual, model=OracleModel(self.models[k], truth, k, self.oracle == "dynamics"))
        if self.oracle == "cost":
            unit = self.stack.stride_quantile(self.settings.metric, k, 0.5) / truth.spans[k]
            return replace(level, distance=TrueDistance(truth, k, unit), critic=None)
        if k + 1 == self.depth and "subgoals" in self.oracle:
            search = OraclePlanner(truth, k, self.oracle == "random-subgoals")
            return replace(level, to_goal=search)
        return level


def _number(memory: Tensor | None, rows: Tensor) -> Tensor:
    """Memory (E, W, H, C) with the number of the episode behind its channels, so that tables can be looked up."""
    if memory is None:
        return rows.float().view(-1, 1, 1, 1)
    number = rows.to(memory).view(-1, 1, 1, 1).expand(*memory.shape[:-1], 1)
    return torch.cat([memory, number], -1)


def _read_number(memory: Tensor | None) -> tuple[Tensor | None, Tensor]:
    assert memory is not None
    rows = memory[:, 0, 0, -1].long()
    return (memory[..., :-1] if memory.shape[-1] > 1 else None), rows


class OracleModel:
    """A level's model that knows which episode it is in, and perhaps what is really there.

    Args:
        model: the level's.
        truth: of the episodes.
        k: which level, from 0.
        corrects: move predictions to the truth.
    """

    def __init__(self, model: LevelModel, truth: Truth, k: int, corrects: bool) -> None:
        self.model, self.truth, self.k, self.corrects = model, truth, k, corrects
        self.space: ActionSpace = model.space
        self.flops, self.lift_flops = model.flops, model.lift_flops

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        """The model's, with the number of the episode behind it."""
        memory, rows = _read_number(memory)
        known = self.model.condition(latent, memory)
        return torch.cat([known, rows.to(known)[:, None, None].expand(-1, known.shape[1], 1)], -1)

    def prior(self, condition: Tensor) -> Tensor:
        return self.model.prior(condition[..., :-1])

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        """Where the action leads; with ``corrects`` the nearest truth, with the gradient of what was learned."""
        predicted = self.model.advance(latent, condition[..., :-1], action)
        if not self.corrects:
            return predicted
        rows = condition[:, 0, -1].long()
        here = self.truth.locate(self.k, latent.detach(), rows)
        if self.k == 0 and not self.model.level.continuous:
            there = self.truth.following[rows[:, None], here, action.argmax(-1)]
        else:
            allowed = self.truth.within(self.truth.spans[self.k])[rows[:, None], here]
            there = self.truth.locate(self.k, predicted.detach(), rows, allowed)
        return predicted + (self.truth.encode(self.k, there, rows) - predicted).detach()

    def lift(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return self.model.lift(latent, _read_number(memory)[0])


class TrueDistance:
    """The true number of steps between states, in the unit of the metric it replaces; its gradient is the metric's.

    Args:
        truth: of the episodes.
        k: whose latents, from 0.
        unit: of one step.
    """

    def __init__(self, truth: Truth, k: int, unit: float) -> None:
        self.truth, self.k, self.unit = truth, k, unit

    def __call__(self, first: Tensor, second: Tensor, metric: Tensor) -> Tensor:
        """(E, ..., D) and (E, ..., D) that broadcast -> (E, ...). The metric's last row holds the episode's number."""
        rows, learned = metric[:, -1, 0].long(), metric[:, :-1]
        difference = first - second
        imagined = (difference.flatten(1, -2) @ learned).square().sum(-1).view(difference.shape[:-1])
        here = self.truth.locate(self.k, first.detach(), rows)
        there = self.truth.locate(self.k, second.detach(), rows)
        here, there = torch.broadcast_tensors(here, there)
        steps = self.truth.steps_between(here, there, rows).to(imagined) * self.unit
        return imagined + (steps - imagined).detach()


class OraclePlanner(Planner):
    """In the place of a level's planner: a plan whose first latent is a true state.

    Args:
        truth: of the episodes.
        k: the level it stands for, from 0.
        random: any state within one stride; otherwise the one ahead on a shortest path.
    """

    def __init__(self, truth: Truth, k: int, random: bool) -> None:
        super().__init__(PriorProposal(ALIGNED), NoRefiner())  # not used: there is nothing to search
        self.truth, self.k, self.random = truth, k, random

    def __call__(self, model: Model, problem: Problem) -> Plan:
        """A plan of one and the same state; its actions mean nothing."""
        _, rows = _read_number(problem.memory)
        start, span = problem.start, self.truth.spans[self.k]
        here = self.truth.locate(self.k, start, rows)
        if self.random:
            weight = self.truth.within(span)[rows, here].double()
            drawn = uniform(combine(problem.keys, 7), 1, 1, 1).view(-1, 1).to(weight)
            there = (weight.cumsum(-1) <= drawn * weight.sum(-1, keepdim=True)).sum(-1)
        else:
            there = self.truth.ahead(here, rows, span)
        latent = self.truth.encode(self.k, there, rows)
        nothing = start.new_zeros(len(start))
        return Plan(
            actions=start.new_zeros(len(start), problem.horizon, model.space.action_dim),
            latents=latent[:, None].repeat(1, problem.horizon, 1),
            cost=nothing,
            proposed_cost=nothing,
            surprise=nothing,
            rollouts=0,
            flops=nothing.double(),
        )
