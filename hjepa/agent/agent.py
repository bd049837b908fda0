"""The agent: perceive, remember, configure, plan or react, act. E episodes at once; one is E = 1.

    observation -> perception -> short-term memory -> levels' memories and latents
    mission     -> configurator -> goals, cost terms, levels in use
    costs:  the critic's steps to the goal, support, grounding, guardrails
    planner (slow) or actors (fast) -> action

Each part is an attribute with a protocol, and can be replaced.

(After LeCun, "A path towards autonomous machine intelligence", 2022, figure 2.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hjepa.agent.budget import Searches
from hjepa.agent.doubt import Doubt
from hjepa.agent.encoding import Reader
from hjepa.agent.episodes import Episodes
from hjepa.agent.options import DEFAULT_TFLOPS, AgentOptions
from hjepa.devices import check_floats, in_plain_modes
from hjepa.errors import InputError
from hjepa.gridworld.configurator import Configurator, Course, LegByLeg
from hjepa.gridworld.guardrails import Guardrail, Region, forbidden, without_lava
from hjepa.gridworld.partial_views import begin_memory, look, renew
from hjepa.gridworld.short_term_memory import believed
from hjepa.model.level_model import LevelModel
from hjepa.model.perception import Observation, Perception, Seen, Symbolic
from hjepa.model.stack import Stack
from hjepa.planner_names import ACTORS
from hjepa.tensors import as_tensor
from levels.costs.field import FieldCost
from planners.blocks import blocks
from planners.rollouts import ALIGNED
from planners.top_down import PlanState, TopDownPlanner
from tasks.missions import MissionBatch

__all__ = ["Agent", "AgentOptions", "Episodes"]

GLANCED = 8
"""How many times as many episodes a planner call takes where actors are followed and nothing is searched."""


class Agent:
    """Plans top down in a stack.

    Args:
        stack: trained levels.
        step_budget: environment steps of an episode, the only horizon the agent knows.
        options: what it is made of; where they say nothing it has all levels of the stack, `DEFAULT_TFLOPS`, no
            guardrails, and no memory. `hjepa.evaluation.evaluate.make_agent` knows what a task asks for.

    Attributes:
        stack: the world model: the levels in use, with their critics and actors.
        settings, budget_tflops, record, guardrails, memory, perception, configurator: see `AgentOptions`.
        searches: how each level searches, within the budget.
        planner: what brings them together.
        reader: what the stack makes of floor plans, agents and goals.

    Raises:
        InputError: a budget below one candidate per plan, a search that does not fit the budget, or a metric that does
            not fit a memory; weights that are no 32-bit floats.
    """

    @in_plain_modes
    def __init__(self, stack: Stack, step_budget: int, options: AgentOptions | None = None) -> None:
        options = options or AgentOptions()
        check_floats(stack)
        self.stack = stack.truncate(options.levels or stack.depth)
        self.settings = options.settings or stack.config.plan
        self.settings = self.settings.alone() if self.stack.depth == 1 else self.settings.together()
        self.budget_tflops = DEFAULT_TFLOPS if options.budget_tflops is None else options.budget_tflops
        self.step_budget = step_budget
        self.record = options.record
        self.guardrails = options.guardrails or ()
        self.memory = options.memory
        if self.memory is not None and self.settings.metric == "imagined":
            raise InputError(
                "metric 'imagined' where the world is seen in parts",
                "plan.metric",
                "it would be imagined anew with every view; choose another",
            )
        sight = stack.world.sight
        usual = Symbolic(stack.world) if sight is None else Seen(sight)
        self.perception: Perception = options.perception or usual
        spans = self.stack.config.spans[: self.stack.depth]
        self.configurator: Configurator = options.configurator or LegByLeg(self.settings, spans)
        self._prepared: tuple[bool, int] | None = None
        self._prepare(None)

    def _prepare(self, course: Course | None) -> None:
        """Spread the budget over what the next episodes need."""
        settings, goals = self.settings, 1 if course is None else course.missions.legs
        guarded = bool(self.guardrails) or (course is not None and bool(course.missions.avoid.any()))
        if self._prepared == (guarded, goals):
            return
        self._prepared = guarded, goals
        keeps_plans = self.memory is None or self.memory.keeps_plans
        self.searches = Searches(
            self.stack,
            settings,
            self.step_budget,
            self.budget_tflops,
            guarded,
            goals,
            self.memory is not None,
            not keeps_plans,
            self.perception.flops,
        )
        self.reader = Reader(self.stack, settings, self.searches)
        self.phases = self.searches.phases
        self.planner = TopDownPlanner(
            self.phases[0],
            commit=settings.commit,
            off_plan=0.25 * float(self.stack.step_distance),
            repairs=self.searches.repairs,
            # A glance has few candidates, so more episodes fit into a call. Of who asks for one in each
            # the search is alone in its call, with no copies to fill it up: bits cannot depend on any company.
            block=settings.block * (GLANCED if settings.planner in ACTORS and settings.block > 1 else 1),
            record=self.record,
            warm_start=settings.warm_start and keeps_plans,
        )

    @property
    def models(self) -> list[LevelModel]:
        """The levels as planners see them."""
        return self.searches.models

    @property
    def depth(self) -> int:
        """Levels in use."""
        return self.stack.depth

    # --- an episode: begin, act -----------------------------------------------------------------------------

    @in_plain_modes
    def begin(self, observation: Observation, goal: Observation | MissionBatch, keys: Tensor) -> Episodes:
        """Perceive floor plans and goals.

        Args:
            observation: what is seen at the start of E episodes, as their world shows it to the agent's perception, or
                images alone: symbolic ones (E, W, H, 3), or pictures.
            goal: what the agent would see at the goal, in the same form, or its ``pose`` there alone; or a mission
                for each episode.
            keys: (E,) int64, random keys of the episodes.

        Raises:
            InputError: a part of the world is seen and the agent has no memory, or the whole and it has one.
        """
        short_term = begin_memory(self, observation)
        seen = None if short_term is None else believed(short_term.read())
        floor, agent = self.perception.see(observation, seen)
        course = exact = None
        if isinstance(goal, MissionBatch):
            course = Course(goal, goal.advance(np.zeros(len(goal), np.int64), agent.numpy()))
            aims = self.configurator.aims(course, agent.numpy(), np.arange(len(floor)))
            aim, exact = as_tensor(aims.agent), as_tensor(aims.exact).to(self._device)
        else:
            aim = self.perception.see(goal, floor)[1]
        self._prepare(course)
        known = floor if self.stack.sees else without_lava(floor)
        memories = self.reader.write(known)
        goals = self.reader.encode_all(aim, memories)
        keys = keys.to(self._device)
        zone = self.zone(floor, course)
        ends = torch.stack([self.reader.encode(agent), goals[0]], 1)
        fields, metrics = self.reader.judge(known, ends, goals, memories, keys, zone)
        state = self.planner.start(goals, memories, keys, metrics, fields, zone)
        state.exact = exact
        if self.searches.spreads:
            state.layout = self.reader.layout(known)
        state.flops += self.searches.write_flops + self.searches.metric_flops
        fresh = torch.zeros(self.depth, len(keys), dtype=torch.bool, device=self._device)
        none = torch.zeros_like(keys)
        return Episodes(state, memories, floor, aim, course, short_term, fresh, none, self._doubt(known))

    def _doubt(self, floor: np.ndarray) -> Doubt | None:
        """What begins to be doubted of floor plans (E, ...)."""
        if not self.searches.doubts:
            return None
        assert self.settings.doubt is not None
        critics = [critic for k in range(self.depth) if isinstance(critic := self.stack.critic(k), FieldCost)]
        own = self.stack.own_latents()
        return Doubt.begin(critics, own, self.settings.doubt, [self.reader.layout(floor, k) for k in own])

    @in_plain_modes
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
        shown, agent = self.perception.see(observation, episodes.floor)
        latent = self.reader.encode(agent, active)
        if episodes.course is not None:
            self._next_legs(episodes, agent.numpy(), latent, active)
        if episodes.doubt is not None:
            episodes.doubt.watch(episodes.plan, latent, active, self.searches, self.settings.block)
        if self.settings.start == "distance":
            self._lower(episodes.plan, latent, active)
        episodes.plan.flops += self.searches.encode_flops * active
        part = int(episodes.plan.time.max()) * len(self.phases) // self.step_budget
        self.planner.levels = self.phases[min(part, len(self.phases) - 1)]
        prepare: Callable[[list[Tensor]], None] | None = None
        if episodes.short_term is not None:
            prepare = partial(renew, self, episodes, latent)
        elif any(self.searches.own):
            prepare = partial(self._read_anew, episodes, shown)
        actions = self.planner.act(episodes.plan, latent, active, prepare)
        return (actions if self.stack.world.continuous else actions.argmax(-1)).cpu().numpy()

    def _read_anew(self, episodes: Episodes, shown: np.ndarray, asks: list[Tensor]) -> None:
        """Write what levels whose windows had pictures of their own read, where they are about to plan, as in training.

        Args:
            episodes: changed in place.
            shown: (E, ...), pictures of now.
            asks: per level, (E,) bool, which episodes plan there.
        """
        plan = episodes.plan
        for own, asked, memory, flops, k in zip(
            self.searches.own, asks, episodes.memories, self.searches.rewrite_flops, range(self.depth)
        ):
            # Where an episode begins, its first picture has just been read.
            rows = (asked & (plan.time > 0)).nonzero().squeeze(1)
            if not own or memory is None or not len(rows):
                continue
            written = self.reader.write_level(k, shown[rows.cpu().numpy()])
            assert written is not None
            memory[rows] = written
            plan.flops[rows] += flops

    # --- guardrails -----------------------------------------------------------------------------------------

    def guard(self, guardrails: Sequence[Guardrail], episodes: Episodes | None = None) -> None:
        """Keep other guardrails from now on.

        Args:
            guardrails: instead of those before; none for an agent that keeps none.
            episodes: in progress, which plan anew at once; None: they are for the next ones.
        """
        before, self.guardrails = self.guardrails, tuple(guardrails)
        try:
            self._prepare(None if episodes is None else episodes.course)
        except InputError:
            self.guardrails = before
            raise
        if episodes is None:
            return
        state = episodes.plan
        state.zone = self.zone(episodes.floor, episodes.course)
        if self.settings.metric == "critic":
            goals = [level.goal for level in state.levels]
            fields = self.reader.steps_to_go(without_lava(episodes.floor), goals, state.zone)
            for level, field in zip(state.levels, fields):
                level.field = field
            state.flops += self.searches.metric_flops
        # With guardrails nothing is doubted (`Searches.doubts`), and what was before is forgotten.
        episodes.doubt = None
        self.planner.plan_anew(state, torch.arange(len(state.keys), device=self._device))

    def zone(self, floor: np.ndarray, course: Course | None) -> Tensor | None:
        """(E, W, H) 1.0 where guardrails or missions forbid to be in floor plans (E, W, H, 3); None: nowhere."""
        if not self.searches.guarded:
            return None
        missions = () if course is None else (Region(course.missions.avoid),)
        return torch.from_numpy(forbidden((*self.guardrails, *missions), floor)).float().to(self._device)

    # --- configuring ----------------------------------------------------------------------------------------

    def _next_legs(self, episodes: Episodes, agent: np.ndarray, latent: Tensor, active: Tensor) -> None:
        """Aim anew where a leg of the mission is done: agents (E, A), their latents (E, D), active (E,)."""
        course, state = episodes.course, episodes.plan
        assert course is not None and state.exact is not None
        done = course.missions.advance(course.leg, agent)
        rows = np.flatnonzero(active.cpu().numpy() & (done > course.leg) & (done < course.missions.legs))
        course.leg = done
        if not len(rows):
            return
        aims, index = self.configurator.aims(course, agent[rows], rows), torch.from_numpy(rows)
        episodes.goal[index] = as_tensor(aims.agent)
        index = index.to(self._device)
        state.exact[index] = as_tensor(aims.exact).to(state.exact)
        self.aim(episodes, index, latent)
        # A leg may need more levels than what was left of the one before.
        top = state.top.clone()
        top[index] = self.depth - 1
        self.planner.plan_from(state, top)
        self.planner.plan_anew(state, index)

    def aim(self, episodes: Episodes, rows: Tensor, latent: Tensor) -> None:
        """Measure costs anew in the episodes ``rows`` (R,), from latents of now (E, D) to their goals."""
        plan, places = episodes.plan, rows.cpu()
        floor = episodes.floor[places.numpy()]
        memories = [None if memory is None else memory[rows] for memory in episodes.memories]
        goals = self.reader.encode_all(episodes.goal[places], memories)
        zone = None if plan.zone is None else plan.zone[rows]
        ends = torch.stack([latent[rows], goals[0]], 1)
        fields, metrics = self.reader.judge(without_lava(floor), ends, goals, memories, plan.keys[rows], zone)
        for level, goal, field, metric in zip(plan.levels, goals, fields, metrics):
            level.goal[rows] = goal
            if field is not None and level.field is not None:
                level.field[rows] = field
            if metric is not None and level.metric is not None:
                level.metric[rows] = metric
        if episodes.doubt is not None:
            read = [self.reader.layout(without_lava(floor), k) for k in episodes.doubt.own]
            episodes.doubt.read_anew(rows, read)
            episodes.doubt.spread(plan, rows, self.searches.sweeps)
        plan.flops[rows] += self.searches.judge_flops

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
