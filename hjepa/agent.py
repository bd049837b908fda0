"""The agent: perceives observations, plans top down in a stack, acts. E episodes at once; one is E = 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hjepa.config import PlanSettings
from hjepa.errors import InputError
from hjepa.guardrails import Guardrail, forbidden, without_lava
from hjepa.imagination import imagined_metrics
from hjepa.memory import Memory, Remembering, believed
from hjepa.models import LevelModel
from hjepa.perception import Observation, see
from hjepa.remembering import begin_memory, look, renew
from hjepa.searches import Searches
from hjepa.stack import Stack
from planners.blocks import blocks, pad
from planners.top_down import PlanState, TopDownPlanner

ENCODED = 64
"""Observations per call of the encoder, padded: the same bits whatever the number of episodes."""


@dataclass
class Episodes:
    """E episodes in progress; `Agent.begin` makes it, `Agent.act` changes it.

    Attributes:
        plan: state of the planner.
        memories: per level, (E, W, H, C) or None.
        floor: (E, W, H, 3) floor plans, as the first observations showed them; where the world is seen in parts, what
            is believed of them now.
        short_term: what has been seen, in a world that is seen in parts.
        goal: (E, A) agent vectors at the goals.
        stale: (K, E) bool, levels whose memory was written before something else was seen.
        surprised: (E,) int64, how often everything was planned anew because something stood in the way.
    """

    plan: PlanState
    memories: list[Tensor | None]
    floor: np.ndarray
    goal: Tensor
    short_term: Memory | None
    stale: Tensor
    surprised: Tensor

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
        guardrails: cells that no plan may lead through, see `hjepa.guardrails`.
        memory: of what has been seen, where the world is seen in parts, see `hjepa.memory`; None: it is seen whole.

    Attributes:
        searches: how each level searches.
        planner: what brings them together.

    Raises:
        InputError: a budget below one candidate per plan, a search that does not fit the budget, or a metric that does
            not fit a memory.
    """

    def __init__(
        self,
        stack: Stack,
        step_budget: int,
        levels: int | None = None,
        budget_tflops: float = 0.01,
        settings: PlanSettings | None = None,
        record: bool = False,
        guardrails: Sequence[Guardrail] = (),
        memory: Remembering | None = None,
    ) -> None:
        self.stack = stack.truncate(levels or stack.depth)
        self.settings = settings or stack.config.plan
        if self.stack.depth == 1:
            self.settings = self.settings.alone()
        self.budget_tflops = budget_tflops
        self.step_budget = step_budget
        self.record = record
        self.guardrails = tuple(guardrails)
        self.memory = memory
        if memory is not None and self.settings.metric == "imagined":
            raise InputError(
                "metric 'imagined' where the world is seen in parts",
                "plan.metric",
                "it would be imagined anew with every view; choose another",
            )
        self._prepare()

    def _prepare(self) -> None:
        settings = self.settings
        self.searches = Searches(
            self.stack,
            settings,
            self.step_budget,
            self.budget_tflops,
            bool(self.guardrails),
            self.memory is not None,
            self.memory is not None and not self.memory.keeps_plans,
        )
        self.phases = self.searches.phases
        self.planner = TopDownPlanner(
            self.phases[0],
            commit=settings.commit,
            off_plan=0.25 * float(self.stack.step_distance),
            repairs=self.searches.repairs,
            block=settings.block,
            record=self.record,
            warm_start=settings.warm_start and (self.memory is None or self.memory.keeps_plans),
        )

    @property
    def models(self) -> list[LevelModel]:
        """The levels as planners see them."""
        return self.searches.models

    @property
    def depth(self) -> int:
        """Levels in use."""
        return self.stack.depth

    def begin(self, observation: Observation, goal: Observation, keys: Tensor) -> Episodes:
        """Perceive floor plans and goals.

        Args:
            observation: what is seen at the start of E episodes, as their world shows it, or symbolic images
                (E, W, H, 3) alone.
            goal: what the agent would see at the goal, in the same form, or its ``pose`` there alone.
            keys: (E,) int64, random keys of the episodes.

        Raises:
            InputError: a part of the world is seen and the agent has no memory, or the whole and it has one.
        """
        short_term = begin_memory(self, observation)
        seen = None if short_term is None else believed(short_term.read())
        floor, agent = see(observation, self.stack.world, seen)
        known = without_lava(floor)
        memories = self.write(known)
        end = see(goal, self.stack.world, floor)[1]
        goals = self.encode_all(end, memories)
        keys = keys.to(self._device)
        zone = self.zone(floor)
        ends = torch.stack([self._encode(agent), goals[0]], 1)
        fields, metrics = self.judge(known, ends, goals, memories, keys, zone)
        state = self.planner.start(goals, memories, keys, metrics, fields, zone)
        state.flops += self.searches.write_flops + self.searches.metric_flops
        fresh = torch.zeros(self.depth, len(keys), dtype=torch.bool, device=self._device)
        return Episodes(state, memories, floor, end, short_term, fresh, torch.zeros_like(keys))

    def judge(
        self,
        floor: np.ndarray,
        ends: Tensor,
        goals: list[Tensor],
        memories: list[Tensor | None],
        keys: Tensor,
        zone: Tensor | None = None,
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """What costs are measured by in each episode, where that depends on the episode.

        Args:
            floor: (E, W, H, 3).
            ends: (E, 2, D_1) latents of start and goal.
            goals: per level, (E, D_k).
            memories: per level, from `write`.
            keys: (E,) random keys.
            zone: (E, W, H) where nothing may be.

        Returns:
            per level what the critic reads, and the metric, both rows per episode; None where there is none.
        """
        nothing: list[Tensor | None] = [None] * self.depth
        if self.settings.metric == "critic":
            return self.steps_to_go(floor, goals, zone), nothing
        if self.settings.metric == "imagined":
            walks = self.settings.walks
            return nothing, [*imagined_metrics(self.stack, self.models, ends, memories, keys, walks)]
        return nothing, nothing

    def guard(self, guardrails: Sequence[Guardrail], episodes: Episodes | None = None) -> None:
        """Keep other guardrails from now on.

        Args:
            guardrails: instead of those before; none for an agent that keeps none.
            episodes: in progress, which plan anew at once; None: they are for the next ones.
        """
        changed = bool(guardrails) != bool(self.guardrails)
        self.guardrails = tuple(guardrails)
        if changed:
            self._prepare()
        if episodes is None:
            return
        state = episodes.plan
        state.zone = self.zone(episodes.floor)
        if self.settings.metric == "critic":
            goals = [level.goal for level in state.levels]
            fields = self.steps_to_go(without_lava(episodes.floor), goals, state.zone)
            for level, field in zip(state.levels, fields):
                level.field = field
            state.flops += self.searches.metric_flops
        for level in state.levels:
            level.duration[:] = level.walked

    def zone(self, floor: np.ndarray) -> Tensor | None:
        """(E, W, H) 1.0 where guardrails forbid floor plans (E, W, H, 3) to be entered; None without any."""
        if not self.guardrails:
            return None
        return torch.from_numpy(forbidden(self.guardrails, floor)).float().to(self._device)

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
        if episodes.short_term is not None:
            look(self, episodes, observation, active)
        latent = self._encode(see(observation, self.stack.world, episodes.floor)[1])
        episodes.plan.flops += self.searches.encode_flops * active
        part = int(episodes.plan.time.max()) * len(self.phases) // self.step_budget
        self.planner.levels = self.phases[min(part, len(self.phases) - 1)]
        prepare = None if episodes.short_term is None else partial(renew, self, episodes)
        actions = self.planner.act(episodes.plan, latent, active, prepare)
        return (actions if self.stack.world.continuous else actions.argmax(-1)).cpu().numpy()

    @property
    def _device(self) -> torch.device:
        return self.stack.step_distance.device

    @torch.no_grad()
    def write(self, grid: np.ndarray) -> list[Tensor | None]:
        """Perceive floor plans (E, W, H, 3): what each level remembers of them, (E, W, H, C) or None."""
        return [self.write_level(k, grid) for k in range(self.depth)]

    @torch.no_grad()
    def write_level(self, k: int, grid: np.ndarray) -> Tensor | None:
        """What level k + 1 remembers of floor plans (E, W, H, 3): (E, W, H, C) or None."""
        plans = torch.from_numpy(grid).to(self._device)
        parts = [self.stack.write_level(k, padded) for padded, _ in blocks(plans, self.settings.block)]
        kept = [part for part in parts if part is not None]
        return torch.cat(kept)[: len(grid)].contiguous() if kept else None

    @torch.no_grad()
    def steps_to_go(
        self, floor: np.ndarray, goals: list[Tensor], zone: Tensor | None = None
    ) -> list[Tensor | None]:
        """What each level's critic reads: floor plans (E, W, H, 3), goals per level (E, D) -> fields (E, C, W, H).

        Around forbidden zones (E, W, H), where there are some.
        """
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
                ends = pad(goal[rows], self.settings.block)[0]
                closed = None if zone is None else pad(zone[rows], self.settings.block)[0] > 0
                parts.append(critic.field(plans, ends, self.searches.sweeps, closed)[:kept])
            fields.append(torch.cat(parts))
        return fields

    def _encode(self, agent: Tensor) -> Tensor:
        """Level 1's latents (E, D) of agents (E, A)."""
        level = self.stack.level(0)
        parts = [
            level.encode(padded.unsqueeze(1), None).squeeze(1)[:kept]
            for padded, kept in blocks(agent.to(self._device), ENCODED)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def encode_all(self, agent: Tensor, memories: list[Tensor | None]) -> list[Tensor]:
        """Every level's latents (E, D_k) of agents (E, A)."""
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
