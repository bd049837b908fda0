"""The agent: perceives observations, plans top down in a stack, acts. E episodes at once; one is E = 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hjepa.config import PlanSettings
from hjepa.configurator import Configurator, Course, LegByLeg
from hjepa.data import as_tensor
from hjepa.guardrails import Guardrail, Region, forbidden, without_lava
from hjepa.imagination import imagined_metrics
from hjepa.models import LevelModel
from hjepa.perception import Observation, see
from hjepa.searches import Searches
from hjepa.stack import Stack
from planners.blocks import blocks, pad
from planners.rollouts import ALIGNED
from planners.top_down import PlanState, TopDownPlanner
from tasks.missions import MissionBatch

ENCODED = 64
"""Observations per call of the encoder, padded: the same bits whatever the number of episodes."""

GLANCED = 8
"""How many times as many episodes a planner call takes where actors are followed and nothing is searched."""


@dataclass
class Episodes:
    """E episodes in progress; `Agent.begin` makes it, `Agent.act` changes it.

    Attributes:
        plan: state of the planner.
        memories: per level, (E, W, H, C) or None.
        floor: (E, W, H, 3) floor plans, as the first observations showed them.
        course: how far the missions have come; None: there is one goal.
    """

    plan: PlanState
    memories: list[Tensor | None]
    floor: np.ndarray
    course: Course | None = None

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
        configurator: what sets planning for missions and distances; None: `LegByLeg`.

    Attributes:
        searches: how each level searches.
        planner: what brings them together.

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
        guardrails: Sequence[Guardrail] = (),
        configurator: Configurator | None = None,
    ) -> None:
        self.stack = stack.truncate(levels or stack.depth)
        self.settings = settings or stack.config.plan
        if self.stack.depth == 1:
            self.settings = self.settings.alone()
        self.budget_tflops = budget_tflops
        self.step_budget = step_budget
        self.record = record
        self.guardrails = tuple(guardrails)
        spans = self.stack.config.spans[: self.stack.depth]
        self.configurator = configurator or LegByLeg(self.settings, spans)
        self._prepared: tuple[bool, int] | None = None
        self._prepare(None)

    def _prepare(self, course: Course | None) -> None:
        """Spread the budget over what the next episodes need."""
        settings, goals = self.settings, 1 if course is None else course.missions.legs
        guarded = bool(self.guardrails) or (course is not None and bool(course.missions.avoid.any()))
        if self._prepared == (guarded, goals):
            return
        self._prepared = guarded, goals
        self.searches = Searches(self.stack, settings, self.step_budget, self.budget_tflops, guarded, goals)
        self.phases = self.searches.phases
        self.planner = TopDownPlanner(
            self.phases[0],
            commit=settings.commit,
            off_plan=0.25 * float(self.stack.step_distance),
            repairs=self.searches.repairs,
            # A glance has few candidates, so more episodes fit into a call.
            block=settings.block * (GLANCED if settings.planner == "actor" else 1),
            record=self.record,
            warm_start=settings.warm_start,
        )

    @property
    def models(self) -> list[LevelModel]:
        """The levels as planners see them."""
        return self.searches.models

    @property
    def depth(self) -> int:
        """Levels in use."""
        return self.stack.depth

    def begin(self, observation: Observation, goal: Observation | MissionBatch, keys: Tensor) -> Episodes:
        """Perceive floor plans and goals.

        Args:
            observation: what is seen at the start of E episodes, as their world shows it, or symbolic images
                (E, W, H, 3) alone.
            goal: what the agent would see at the goal, in the same form; or a mission for each episode.
            keys: (E,) int64, random keys of the episodes.
        """
        floor, agent = see(observation, self.stack.world)
        known = without_lava(floor)
        memories = self.write(known)
        course = exact = None
        if isinstance(goal, MissionBatch):
            course = Course(goal, goal.advance(np.zeros(len(goal), np.int64), agent.numpy()))
            aims = self.configurator.aims(course, agent.numpy(), np.arange(len(floor)))
            aim, exact = as_tensor(aims.agent), as_tensor(aims.exact).to(self._device)
        else:
            aim = see(goal, self.stack.world, floor)[1]
        self._prepare(course)
        goals = self._encode_all(aim, memories)
        keys = keys.to(self._device)
        zone = self._zone(floor, course)
        ends = torch.stack([self._encode(agent), goals[0]], 1)
        fields, metrics = self.judge(known, ends, goals, memories, keys, zone)
        state = self.planner.start(goals, memories, keys, metrics, fields, zone)
        state.exact = exact
        state.flops += self.searches.write_flops + self.searches.metric_flops
        return Episodes(state, memories, floor, course)

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
        self.guardrails = tuple(guardrails)
        self._prepare(None if episodes is None else episodes.course)
        if episodes is None:
            return
        state = episodes.plan
        state.zone = self._zone(episodes.floor, episodes.course)
        if self.settings.metric == "critic":
            goals = [level.goal for level in state.levels]
            fields = self.steps_to_go(without_lava(episodes.floor), goals, state.zone)
            for level, field in zip(state.levels, fields):
                level.field = field
            state.flops += self.searches.metric_flops
        self.planner.plan_anew(state, torch.arange(len(state.keys), device=self._device))

    def _zone(self, floor: np.ndarray, course: Course | None) -> Tensor | None:
        """(E, W, H) 1.0 where guardrails or missions forbid to be in floor plans (E, W, H, 3); None where none does."""
        if not self.searches.guarded:
            return None
        missions = () if course is None else (Region(course.missions.avoid),)
        return torch.from_numpy(forbidden((*self.guardrails, *missions), floor)).float().to(self._device)

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
        agent = see(observation, self.stack.world, episodes.floor)[1]
        if episodes.course is not None:
            self._next_legs(episodes, agent.numpy(), active.cpu().numpy())
        latent = self._encode(agent)
        episodes.plan.flops += self.searches.encode_flops * active
        if self.settings.start == "distance":
            self._lower(episodes.plan, latent, active)
        part = int(episodes.plan.time.max()) * len(self.phases) // self.step_budget
        self.planner.levels = self.phases[min(part, len(self.phases) - 1)]
        actions = self.planner.act(episodes.plan, latent, active)
        return (actions if self.stack.world.continuous else actions.argmax(-1)).cpu().numpy()

    def _next_legs(self, episodes: Episodes, agent: np.ndarray, active: np.ndarray) -> None:
        """Aim anew where a leg of the mission is done: agents (E, A), active (E,)."""
        course, state = episodes.course, episodes.plan
        assert course is not None
        done = course.missions.advance(course.leg, agent)
        rows = np.flatnonzero(active & (done > course.leg) & (done < course.missions.legs))
        course.leg = done
        if not len(rows):
            return
        aims, index = (
            self.configurator.aims(course, agent[rows], rows),
            torch.from_numpy(rows).to(self._device),
        )
        memories = [None if memory is None else memory[index] for memory in episodes.memories]
        goals = self._encode_all(as_tensor(aims.agent), memories)
        assert state.exact is not None
        state.exact[index] = as_tensor(aims.exact).to(state.exact)
        zone = None if state.zone is None else state.zone[index]
        ends = torch.stack([self._encode(as_tensor(agent[rows])), goals[0]], 1)
        floor = without_lava(episodes.floor[rows])
        fields, metrics = self.judge(floor, ends, goals, memories, state.keys[index], zone)
        for level, goal, field, metric in zip(state.levels, goals, fields, metrics):
            level.goal[index] = goal
            if field is not None and level.field is not None:
                level.field[index] = field
            if metric is not None and level.metric is not None:
                level.metric[index] = metric
        state.flops[index] += self.searches.metric_flops
        # A leg may need more levels than what was left of the one before.
        top = state.top.clone()
        top[index] = self.depth - 1
        self.planner.plan_from(state, top)
        self.planner.plan_anew(state, index)

    def _lower(self, state: PlanState, latent: Tensor, active: Tensor) -> None:
        """Leave out levels that look further than what the critic says is left, where a plan is due."""
        bottom, critic = state.levels[0], self.stack.critic(0)
        rows = (active & (bottom.walked >= bottom.duration)).nonzero().squeeze(1)
        if not len(rows) or bottom.field is None:
            return
        top = state.top.clone()
        for index, kept in blocks(rows, self.settings.block):
            copies = latent[index].unsqueeze(1).expand(-1, ALIGNED, -1)
            left = critic(copies, bottom.field[index])[:kept, 0]
            top[index[:kept]] = torch.minimum(top[index[:kept]], self.configurator.top(left))
        state.flops[rows] += self.searches.critic_flops[0]
        self.planner.plan_from(state, top)

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
