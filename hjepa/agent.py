"""The agent: perceives observations, plans top down in a stack, acts. E episodes at once; one is E = 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hjepa.config import PlanSettings
from hjepa.errors import InputError
from hjepa.imagination import imagined_flops, imagined_metrics
from hjepa.models import LevelModel, critic_flops, perception_flops
from hjepa.perception import Observation, see
from hjepa.stack import Stack
from levels.metrics import squared_distance
from planners.blocks import blocks, pad
from planners.grounding import grounding_flops
from planners.planner import Planner
from planners.proposals import EnumerationProposal, PriorProposal
from planners.refiners import AdamRefiner, NoRefiner, Refiner, RefitRefiner
from planners.top_down import ALIGNED, LevelPlanner, PlanState, TopDownPlanner

REPAIR_SHARE = 0.2
"""Share of the compute budget kept for plans that have to be mended on the way."""

PHASES = 8
"""Parts of an episode, equally long, with a number of candidates each."""

ENCODED = 64
"""Observations per call of the encoder, padded: the same bits whatever the number of episodes."""


@dataclass
class Episodes:
    """E episodes in progress; `Agent.begin` makes it, `Agent.act` changes it.

    Attributes:
        plan: state of the planner.
        memories: per level, (E, W, H, C) or None.
        floor: (E, W, H, 3) floor plans, as the first observations showed them.
    """

    plan: PlanState
    memories: list[Tensor | None]
    floor: np.ndarray

    @property
    def flops(self) -> Tensor:
        """(E,) float64, floating point operations so far, perception included."""
        return self.plan.flops


class Agent:
    """Plans top down in a stack.

    Args:
        stack: trained levels.
        step_budget: environment steps of an episode, the only horizon the agent knows.
        levels: how many levels to use; None: all.
        budget_tflops: compute per episode, in TFLOP; the number of candidates follows from it.
        settings: of planning; None: the stack's own.
        record: keep every decision, for figures and diagnosis.

    Raises:
        InputError: a budget below one candidate per plan, or a search that does not fit the budget.
    """

    def __init__(
        self,
        stack: Stack,
        step_budget: int,
        levels: int | None = None,
        budget_tflops: float = 0.01,
        settings: PlanSettings | None = None,
        record: bool = False,
    ) -> None:
        self.stack = stack.truncate(levels or stack.depth)
        self.settings = settings or stack.config.plan
        if self.stack.depth == 1:
            self.settings = self.settings.alone()
        self.budget_tflops = budget_tflops
        self.step_budget = step_budget
        self.write_flops, self.encode_flops = perception_flops(self.stack)
        self.metric_flops = 0.0
        self.models = [LevelModel(self.stack, k, self.settings.margin) for k in range(self.stack.depth)]
        if self.settings.metric == "imagined":
            self.metric_flops = imagined_flops(self.models, self.settings.walks)
        self.critic_flops = [0.0] * self.stack.depth
        if self.settings.metric == "critic":
            self.metric_flops, self.critic_flops = critic_flops(self.stack)
        self.phases = [self._planners(phase) for phase in range(PHASES if self.settings.front > 1 else 1)]
        planners = self.phases[0]
        first = planners[0]
        search = first.to_goal if self.stack.depth == 1 else first.to_subgoal
        steps = first.horizon if self.stack.depth == 1 else planners[1].stride
        repair = search.passes(first.model, steps) * steps * first.model.flops
        self.planner = TopDownPlanner(
            planners,
            commit=self.settings.commit,
            off_plan=0.25 * float(self.stack.step_distance),
            repairs=int(REPAIR_SHARE * budget_tflops * 1e12 / repair),
            block=self.settings.block,
            record=record,
            warm_start=self.settings.warm_start,
        )

    @property
    def depth(self) -> int:
        """Levels in use."""
        return self.stack.depth

    def begin(self, observation: Observation, goal: Observation, keys: Tensor) -> Episodes:
        """Perceive floor plans and goals.

        Args:
            observation: what is seen at the start of E episodes, as their world shows it, or symbolic images
                (E, W, H, 3) alone.
            goal: what the agent would see at the goal, in the same form.
            keys: (E,) int64, random keys of the episodes.
        """
        floor, agent = see(observation, self.stack.world)
        memories = self.write(floor)
        goals = self._encode_all(see(goal, self.stack.world, floor)[1], memories)
        keys = keys.to(self._device)
        metrics: list[Tensor | None] = [None] * self.depth
        fields: list[Tensor | None] = [None] * self.depth
        if self.settings.metric == "imagined":
            ends = torch.stack([self._encode(agent), goals[0]], 1)
            metrics = [*imagined_metrics(self.stack, self.models, ends, memories, keys, self.settings.walks)]
        if self.settings.metric == "critic":
            fields = self.steps_to_go(floor, goals)
        state = self.planner.start(goals, memories, keys, metrics, fields)
        state.flops += self.write_flops + self.metric_flops
        return Episodes(state, memories, floor)

    @torch.no_grad()
    def act(self, episodes: Episodes, observation: Observation, active: Tensor | None = None) -> np.ndarray:
        """The next action of each episode: (E,) integers, or (E, 2) numbers in a continuous world.

        Args:
            episodes: from `begin`; changed in place.
            observation: what is seen now.
            active: (E,) bool, which episodes still run; None: all.
        """
        if active is None:
            active = torch.ones(len(episodes.flops), dtype=torch.bool)
        active = active.to(self._device)
        latent = self._encode(see(observation, self.stack.world, episodes.floor)[1])
        episodes.plan.flops += self.encode_flops * active
        part = int(episodes.plan.time.max()) * len(self.phases) // self.step_budget
        self.planner.levels = self.phases[min(part, len(self.phases) - 1)]
        actions = self.planner.act(episodes.plan, latent, active)
        return (actions if self.stack.world.continuous else actions.argmax(-1)).cpu().numpy()

    @property
    def _device(self) -> torch.device:
        return self.stack.step_distance.device

    @torch.no_grad()
    def write(self, grid: np.ndarray) -> list[Tensor | None]:
        """Perceive floor plans (E, W, H, 3): what each level remembers of them, (E, W, H, C) or None."""
        plans = torch.from_numpy(grid).to(self._device)
        parts = [self.stack.write(padded) for padded, _ in blocks(plans, self.settings.block)]
        memories: list[Tensor | None] = []
        for k in range(self.depth):
            written = [part[k] for part in parts]
            kept = [part for part in written if part is not None]
            memories.append(torch.cat(kept)[: len(grid)].contiguous() if kept else None)
        return memories

    @torch.no_grad()
    def steps_to_go(self, floor: np.ndarray, goals: list[Tensor]) -> list[Tensor | None]:
        """What each level's critic reads: floor plans (E, W, H, 3), goals per level (E, D) -> fields (E, C, W, H)."""
        config = self.stack.config.critic
        assert config is not None
        grid = torch.from_numpy(np.ascontiguousarray(floor)).to(self._device)
        fields: list[Tensor | None] = []
        for k, goal in enumerate(goals):
            critic = self.stack.critic(k)
            if k and critic is self.stack.critic(k - 1):
                fields.append(fields[-1])
                continue
            parts = []
            for rows in torch.arange(len(goal)).split(self.settings.block):
                plans, kept = pad(grid[rows], self.settings.block)
                parts.append(
                    critic.field(plans, pad(goal[rows], self.settings.block)[0], config.sweeps)[:kept]
                )
            fields.append(torch.cat(parts))
        return fields

    def _critic(self, k: int) -> Callable[[Tensor, Tensor], Tensor] | None:
        """Level k + 1's distance to the goal in the unit of its distance between latents; None without a critic."""
        if self.settings.metric != "critic":
            return None
        critic = self.stack.critic(k)
        unit = self.stack.stride_quantile("critic", k, 0.5) / self.stack.config.spans[k]
        return lambda latent, field: unit * critic(latent, field)

    def _encode(self, agent: Tensor) -> Tensor:
        """Level 1's latents (E, D) of agents (E, A)."""
        level = self.stack.level(0)
        parts = [
            level.encode(padded.unsqueeze(1), None).squeeze(1)[:kept]
            for padded, kept in blocks(agent.to(self._device), ENCODED)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def _encode_all(self, agent: Tensor, memories: list[Tensor | None]) -> list[Tensor]:
        latents = [self._encode(agent)]
        for k in range(1, self.depth):
            level, memory = self.stack.level(k), memories[k]
            parts = []
            for start in range(0, len(latents[-1]), self.settings.block):
                rows = slice(start, start + self.settings.block)
                below, kept = pad(latents[-1][rows], self.settings.block)
                seen = None if memory is None else pad(memory[rows], self.settings.block)[0]
                parts.append(level.encode(below.unsqueeze(1), seen).squeeze(1)[:kept])
            latents.append(torch.cat(parts))
        return latents

    def _planners(self, phase: int) -> tuple[LevelPlanner, ...]:
        """The planners of all levels in one part of the episode."""
        return tuple(self._level_planner(model, k, phase) for k, model in enumerate(self.models))

    def _level_planner(self, model: LevelModel, k: int, phase: int) -> LevelPlanner:
        config, settings = self.stack.config, self.settings
        top = k + 1 == self.depth
        horizon = settings.horizon[k]
        due = horizon if top else config.levels[k + 1].stride
        metric = self.stack.metric(settings.metric, k)
        unit = self.stack.stride_quantile(settings.metric, k, 0.5)
        # The same at all levels: in a unit that grows with the stride, support would outweigh the goal at the top.
        nat = self.stack.stride_quantile(settings.metric, min(1, self.depth - 1), 0.5)
        lift = 0.0 if top else model.lift_flops
        reached = settings.critic_reached if settings.metric == "critic" else settings.reached
        return LevelPlanner(
            model=model,
            stride=config.levels[k].stride,
            horizon=horizon,
            to_goal=self._search(
                k, model, horizon, self.critic_flops[k] * (horizon + (settings.pace is not None)), phase
            ),
            to_subgoal=self._search(k, model, due, lift, phase),
            distance=squared_distance if metric is None else partial(squared_distance, metric=metric),
            reached=self.stack.stride_quantile(settings.metric, k, reached),
            critic=self._critic(k),
            critic_flops=self.critic_flops[k],
            pace=None if settings.pace is None else settings.pace * unit,
            step_cost=settings.step_cost * unit,
            haste=settings.haste,
            support=settings.support * nat,
            support_free=settings.support_free,
            ground=settings.ground if k else 0,
            ground_weight=settings.ground_weight,
            ground_depth=settings.ground_depth,
        )

    def _pace(self, phase: int) -> float:
        """The part of the compute for planning that one step of this part of the episode may take.

        It falls from part to part by the same factor. A plan made at the end of a part is walked in the next one, so
        the longest interval between plans is paid for at the first pace, and the whole never exceeds the budget.
        """
        front = self.settings.front
        if front == 1:
            return 1 / self.step_budget
        paces = [front ** (-part / (PHASES - 1)) for part in range(PHASES)]
        interval = self.settings.commit if self.depth == 1 else self.stack.config.spans[self.depth - 1]
        whole = sum(paces) * self.step_budget / PHASES + (paces[0] - paces[-1]) * interval
        return paces[phase] / whole

    def _search(self, k: int, model: LevelModel, horizon: int, objective_flops: float, phase: int) -> Planner:
        """A planner with as many candidates as the level's share of the budget pays for."""
        refine, one = self._refiner(k), model.flops * horizon + objective_flops
        spans = self.stack.config.spans
        interval = self.settings.commit if self.depth == 1 else spans[max(k, 1)]
        share = self.settings.share[k] / sum(self.settings.share[: self.depth])
        fixed = self.write_flops + self.metric_flops + self.encode_flops * (self.step_budget + 1)
        fixed /= self.budget_tflops * 1e12
        pace = self.budget_tflops * 1e12 * max(1 - REPAIR_SHARE - fixed, 0.0) * self._pace(phase)
        allowance = pace * share * interval - self._grounding_flops(k)
        limit, milliseconds = self.settings.max_rollouts, self.settings.max_milliseconds
        if self.settings.planner == "exhaustive" and k == 0:
            try:
                count = EnumerationProposal().count(model, horizon)
            except ValueError as error:
                raise InputError(str(error), "plan.planner") from None
            if count > allowance / one:
                raise InputError(
                    f"exhaustive search of {count} sequences needs more than {self.budget_tflops} TFLOP an episode",
                    "budget",
                    f"give {self.budget_tflops * count * one / max(allowance, 1.0):.3g} or more",
                )
            if limit is not None and count > limit:
                raise InputError(
                    f"exhaustive search of {count} sequences is more than {limit} rollouts",
                    "plan.max_rollouts",
                    f"give {count} or more",
                )
            return Planner(EnumerationProposal(), NoRefiner(), milliseconds)
        candidates = _aligned(self.settings.max_candidates)
        while True:
            search = Planner(PriorProposal(candidates, self.settings.warm_start), refine, milliseconds)
            needed, rollouts = search.passes(model, horizon) * one, search.rollouts(model, horizon)
            if needed <= allowance and (limit is None or rollouts <= limit):
                return search
            if candidates == 1:
                break
            candidates = _aligned(candidates - 1)
        if needed > allowance:
            raise InputError(
                f"{self.budget_tflops} TFLOP an episode do not pay for one candidate per plan at level {k + 1}",
                "budget",
                f"give {self.budget_tflops * needed / max(allowance, 1e-3 * needed):.3g} or more",
            )
        raise InputError(
            f"{limit} rollouts do not pay for one candidate per plan at level {k + 1}",
            "plan.max_rollouts",
            f"give {rollouts} or more",
        )

    def _grounding_flops(self, k: int) -> float:
        """What lower levels imagine before one plan of level k + 1."""
        if not (k and self.settings.ground):
            return 0.0
        low = max(k - self.settings.ground_depth, 0)
        models = self.models[low:k]
        steps = self.stack.config.spans[k] // self.stack.config.spans[low]
        return grounding_flops(models, steps, self.settings.ground)

    def _refiner(self, k: int) -> Refiner:
        settings = self.settings
        if settings.planner == "cem":
            return RefitRefiner(settings.iterations)
        if settings.planner == "mppi":
            return RefitRefiner(settings.iterations, elites=None)
        if settings.planner == "sampling" or (settings.planner == "exhaustive" and k == 0):
            return NoRefiner()
        return AdamRefiner(settings.iterations, settings.learning_rate, settings.elites, settings.patience)


def _aligned(count: int) -> int:
    """A number of candidates that gives every row the same bits, see `planners.protocols.ALIGNED`."""
    return count if count < ALIGNED else count // ALIGNED * ALIGNED
