"""The top-down planner: each level's first predicted latent becomes the cost target one level below.

The recursion, for an episode in which level k must plan (k = K first):

    level k aims at the goal      minimise  min_h |z_k(h) - goal_k|^2          over its horizon
    or at a subgoal of level k+1  minimise  |lift(z_k(due)) - subgoal|^2       at the step it is due
    its first predicted latent is level k-1's subgoal, due one stride from now; level k-1 plans; ...
    level 1 walks its plan; when the stride is walked, the level above gives the next subgoal.

A level that reaches the goal within one of its own steps is skipped: the goal itself is passed down. A level
whose subgoal is due replaces it from above. What leaves level 1's plan is planned again at once, for the rest
of the stride. A subgoal that the level below cannot come near, by what it imagines itself, is left for that stride:
it aims at the goal instead.

(H-JEPA, arXiv 2610.06805, plans one episode at a time; here E episodes are planned at once, each at its own
place in the recursion.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from planners.blocks import blocks
from planners.guardrails import nearest_allowed
from planners.level_costs import LevelCosts
from planners.level_planner import LevelPlanner
from planners.noise import combine
from planners.plan_state import Decision, LevelState, PlanState
from planners.planner import Planner
from planners.proposals import EnumerationProposal
from planners.protocols import Plan, Problem
from planners.refiners import NoRefiner
from planners.rollouts import ALIGNED

__all__ = ["ALIGNED", "Decision", "LevelPlanner", "LevelState", "PlanState", "TopDownPlanner"]

AUDITED = 7**4
"""Most sequences of actions that are tried to tell how far from the best a recorded plan of level 1 is."""


class TopDownPlanner:
    """Plans through a list of levels, for E episodes at once.

    Args:
        levels: level 1 first.
        commit: steps level 1 walks of a plan to the goal before it plans again, when nothing is above it.
        off_plan: squared distance in level 1's latent beyond which what happened has left the plan.
        repairs: how often in an episode level 1 may plan again because what happened left its plan; leaving a subgoal
            takes as many of them as it costs.
        block: episodes per planner call, at most. Calls are padded to one of few sizes (`planners.blocks`), so that
            results have the same bits whatever episodes are planned together. For the same reason a level with a
            number of candidates or futures that is no multiple of `planners.rollouts.ALIGNED` is planned one episode
            at a time.
        record: keep every decision, and at level 1 what the best plan would have cost where there are few enough.
        warm_start: try what is left of a level's last plan among its proposals.

    Raises:
        ValueError: no levels, a stride, commit or block that is too short, or a level whose horizon is
            shorter than the stride it has to walk.
    """

    def __init__(
        self,
        levels: Sequence[LevelPlanner],
        commit: int = 1,
        off_plan: float = float("inf"),
        repairs: int = 1_000_000,
        block: int = 8,
        record: bool = False,
        warm_start: bool = False,
    ) -> None:
        if not levels:
            raise ValueError("no levels; give at least one")
        if not 1 <= commit <= levels[0].horizon:
            raise ValueError(f"commit is {commit}; choose from 1 to level 1's horizon {levels[0].horizon}")
        if any(level.ground < 0 or level.ground_depth < 1 for level in levels):
            raise ValueError(
                "a level's ground is below 0 or its ground_depth below 1; 0 futures leave it out"
            )
        if block < 1:
            raise ValueError(f"block is {block}; give at least 1 episode per planner call")
        for number, (below, above) in enumerate(pairwise(levels), 1):
            if not 1 <= above.stride <= below.horizon:
                raise ValueError(
                    f"level {number + 1} has stride {above.stride}, level {number} horizon {below.horizon};"
                    f" choose a stride from 1 to {below.horizon}"
                )
        self.levels = tuple(levels)
        self.commit = commit
        self.off_plan = off_plan
        self.repairs = repairs
        self.block = block
        self.record = record
        self.warm_start = warm_start
        # A subgoal is due after one stride of the level that set it.
        self.spans = [above.stride for above in self.levels[1:]]

    def start(
        self,
        goals: Sequence[Tensor],
        memories: Sequence[Tensor | None],
        keys: Tensor,
        metrics: Sequence[Tensor | None] | None = None,
        fields: Sequence[Tensor | None] | None = None,
        zone: Tensor | None = None,
    ) -> PlanState:
        """Begin E episodes.

        Args:
            goals: per level, (E, D_k) latent of the goal.
            memories: per level, one row per episode, or None.
            keys: (E,) int64.
            metrics: per level, (E, D_k, M) a metric of each episode, or None for the level's distance alone.
            fields: per level, one row per episode of what its critic reads, or None for the distance alone.
            zone: one row per episode of what the levels' ``danger`` reads; None: nothing is forbidden.

        Raises:
            ValueError: not one goal and one memory per level, or not one row per episode.
        """
        count, device = len(keys), keys.device
        if not len(goals) == len(memories) == len(self.levels):
            raise ValueError(
                f"{len(goals)} goals and {len(memories)} memories for {len(self.levels)} levels;"
                " give one of each per level"
            )
        metrics = metrics or [None] * len(goals)
        fields = fields or [None] * len(goals)
        rows = (
            ("goal", goals),
            ("memory", memories),
            ("metric", metrics),
            ("field", fields),
            ("zone", [zone]),
        )
        for what, parts in rows:
            for number, part in enumerate(parts, 1):
                if part is not None and len(part) != count:
                    raise ValueError(
                        f"the {what} of level {number} has {len(part)} rows for {count} keys;"
                        " give one row per episode"
                    )
        none = torch.zeros(count, dtype=torch.int64, device=device)
        states = [
            LevelState(
                memory=memory,
                metric=metric,
                field=field,
                goal=goal,
                aims_at_goal=torch.full((count,), k + 1 == len(self.levels), device=device),
                target=None if k + 1 == len(self.levels) else torch.zeros_like(goals[k + 1]),
                walked=none.clone(),
                duration=none.clone(),
                # No stride is longer than the horizon, so this holds plans to the goal and to a subgoal.
                actions=goal.new_zeros(count, level.horizon, level.model.space.action_dim),
                length=none.clone(),
                cursor=none.clone(),
                asked=none.clone(),
                planned=none.clone(),
            )
            for k, (level, goal, memory, metric, field) in enumerate(
                zip(self.levels, goals, memories, metrics, fields)
            )
        ]
        return PlanState(
            levels=states,
            keys=keys,
            time=none.clone(),
            expected=goals[0].new_zeros(count, self.levels[0].horizon, goals[0].shape[1]),
            flops=torch.zeros(count, dtype=torch.float64, device=device),
            repaired=none.clone(),
            top=torch.full_like(none, len(self.levels) - 1),
            zone=zone,
        )

    def plan_from(self, state: PlanState, top: Tensor) -> None:
        """Leave the levels above ``top`` (E,), from 0, out of plans from now on; strides under way are walked."""
        state.top = top
        for k, level in enumerate(state.levels):
            level.aims_at_goal = level.aims_at_goal | (top == k)

    def plan_anew(self, state: PlanState, rows: Tensor) -> None:
        """Let all levels in use plan at the next step in the episodes ``rows`` (R,), whatever they had under way."""
        for level in state.levels:
            level.duration[rows] = level.walked[rows]

    @torch.no_grad()
    def act(
        self,
        state: PlanState,
        latent: Tensor,
        active: Tensor,
        prepare: Callable[[list[Tensor]], None] | None = None,
    ) -> Tensor:
        """The next primitive action of each episode.

        Args:
            state: changed in place.
            latent: (E, D_1) level 1's latents of now.
            active: (E,) bool, episodes still running; the others get zeros.
            prepare: told per level which episodes (E,) bool are about to plan there, before any does; what it writes
                into their memories, goals, metrics and fields is what they plan with.

        Returns:
            (E, A) hard actions.
        """
        asks = self._who_plans(state, latent, active)
        if bool(asks[0].any()):
            if prepare is not None:
                prepare(asks)
            latents = self._lift(state, latent, asks)
            for k in reversed(range(len(self.levels))):
                self._plan_level(state, k, latents, asks[k])
        bottom = state.levels[0]
        row = torch.arange(len(latent), device=latent.device)
        action = bottom.actions[row, bottom.cursor.clamp_max(bottom.actions.shape[1] - 1)]
        if state.zone is not None:
            action = self._allowed(state, latent, action, active)
        bottom.cursor += active
        bottom.walked += active
        state.time += active
        return torch.where(active[:, None], action, torch.zeros_like(action))

    def _allowed(self, state: PlanState, latent: Tensor, action: Tensor, active: Tensor) -> Tensor:
        """The actions (E, A), those that would break a guardrail replaced."""
        level, bottom = self.levels[0], state.levels[0]
        allowed = action.clone()
        for index, kept in blocks(active.nonzero().squeeze(1), self.block):
            danger = LevelCosts(self.levels, state, 0, index).danger()
            if danger is None:
                return action
            memory = None if bottom.memory is None else bottom.memory[index]
            moved, flops = nearest_allowed(
                level.model, latent[index], memory, action[index], danger, level.danger_limit
            )
            allowed[index[:kept]] = moved[:kept]
            state.flops[index[:kept]] += flops
        return allowed

    def _who_plans(self, state: PlanState, latent: Tensor, active: Tensor) -> list[Tensor]:
        """Per level, (E,) bool: must it plan now? A level must when the stride it set has been walked."""
        bottom = state.levels[0]
        row = torch.arange(len(latent), device=latent.device)
        expected = state.expected[row, (bottom.cursor - 1).clamp_min(0)]
        left_plan = ((latent - expected).square().sum(-1) > self.off_plan) & (bottom.cursor > 0)
        due = active & (bottom.walked >= bottom.duration)
        repair = active & left_plan & ~due & (state.repaired < self.repairs)
        state.repaired += repair
        asks = [due | repair]
        for k, level in enumerate(state.levels[1:], 1):
            due = due & (state.top >= k)
            asks.append(due)
            level.cursor += due
            level.walked += due
            due = due & (level.walked >= level.duration)
        return asks

    def _lift(self, state: PlanState, latent: Tensor, asks: list[Tensor]) -> list[Tensor]:
        """Latents of now at every level, (E, D_k); only the rows that plan there are meaningful."""
        latents = [latent]
        for k, level in enumerate(self.levels[:-1]):
            rows = asks[k + 1].nonzero().squeeze(1)
            above = state.levels[k + 1]
            lifted = torch.zeros_like(above.goal)
            for index, kept in blocks(rows, self.block):
                memory = None if above.memory is None else above.memory[index]
                copies = latents[k][index].unsqueeze(1).expand(-1, ALIGNED, -1)
                lifted[index[:kept]] = level.model.lift(copies, memory)[:kept, 0]
            state.flops[rows] += level.model.lift_flops
            latents.append(lifted)
        return latents

    def _block_size(self, k: int, at_goal: bool) -> int:
        """Episodes that one call may plan together without their bits depending on each other."""
        level = self.levels[k]
        search, horizon = (level.to_goal, level.horizon) if at_goal else (level.to_subgoal, self.spans[k])
        rows = (search.propose.count(level.model, horizon), level.ground)
        return 1 if any(count % ALIGNED for count in rows) else self.block

    def _plan_level(self, state: PlanState, k: int, latents: list[Tensor], asks: Tensor) -> None:
        """Plan level k (0 is the lowest) in the episodes that ask, and hand the results down."""
        own = state.levels[k]
        own.asked += asks
        to_goal, to_subgoal = (
            (asks & aims).nonzero().squeeze(1) for aims in (own.aims_at_goal, ~own.aims_at_goal)
        )
        self._plan_rows(state, k, to_goal, latents, True)
        left = self._plan_rows(state, k, to_subgoal, latents, False)
        if len(left):
            own.aims_at_goal[left] = True
            self._plan_rows(state, k, left, latents, True)

    def _plan_rows(
        self, state: PlanState, k: int, rows: Tensor, latents: list[Tensor], at_goal: bool
    ) -> Tensor:
        """Plan level k in the episodes ``rows`` (R,) and hand the results down, but for those returned: they leave
        their subgoal."""
        if not len(rows):
            return rows
        own = state.levels[k]
        plan = Plan.join(
            [
                self._solve(state, k, index, latents, at_goal).first(kept)
                for index, kept in blocks(rows, self._block_size(k, at_goal))
            ]
        )
        state.flops[rows] += plan.flops
        leaving = rows[:0]
        if not at_goal and self.levels[k].veto < float("inf"):
            left = self._leaves(state, k, rows, plan)
            leaving, rows, plan = rows[left], rows[~left], plan.rows(~left)
            if not len(rows):
                return leaving
        steps = plan.actions.shape[1]
        own.actions[rows, :steps] = plan.actions
        own.length[rows] = steps
        own.cursor[rows] = 0
        skipped = self._hand_down(state, k, rows, latents[k][rows], plan, at_goal)
        own.planned[rows] += ~skipped
        if self.record:
            target = own.goal if at_goal else own.target
            assert target is not None
            time = state.time[rows].clone()
            state.decisions.append(Decision(k + 1, rows, time, at_goal, plan, target[rows].clone(), skipped))
        return leaving

    def _leaves(self, state: PlanState, k: int, rows: Tensor, plan: Plan) -> Tensor:
        """(R,) bool: does it leave its subgoal, because its best plan comes nowhere near, and can it still pay?"""
        level, first = self.levels[k], self.levels[0]
        again = level.to_goal.passes(level.model, level.horizon) * level.horizon * level.model.flops
        repair = first.to_subgoal.passes(first.model, self.spans[0]) * self.spans[0] * first.model.flops
        price = max(round(again / repair), 1)
        left = (plan.cost > level.veto) & (state.repaired[rows] + price <= self.repairs)
        state.repaired[rows] += price * left
        return left

    def _solve(self, state: PlanState, k: int, index: Tensor, latents: list[Tensor], at_goal: bool) -> Plan:
        """One planner call for a block of episodes."""
        level, own = self.levels[k], state.levels[k]
        costs = LevelCosts(self.levels, state, k, index)
        search = level.to_goal if at_goal else level.to_subgoal
        target, horizon = costs.of_goal() if at_goal else costs.of_subgoal(self.spans[k])
        keys = combine(state.keys[index], k, state.time[index])
        objective, spent = costs.all_of(target, horizon, latents, keys)
        problem = Problem(
            start=latents[k][index],
            memory=None if own.memory is None else own.memory[index],
            horizon=horizon,
            objective=objective,
            keys=keys,
            warm=self._rest_of_plan(own, index, horizon) if self.warm_start else None,
            warm_steps=(own.length - own.cursor)[index].clamp_min(0) if self.warm_start else None,
            aim=costs.aim(None if at_goal else self.spans[k]),
        )
        plan = search(level.model, problem)
        optimum = self._optimum(level, problem) if self.record and k == 0 else None
        return replace(plan, flops=plan.flops + spent, optimum=optimum)

    def _optimum(self, level: LevelPlanner, problem: Problem) -> Tensor | None:
        """(B,) the least cost there is, where all sequences of actions can be tried."""
        every = EnumerationProposal(AUDITED)
        try:
            every.count(level.model, problem.horizon)
        except ValueError:
            return None
        return Planner(every, NoRefiner())(level.model, problem).cost

    def _rest_of_plan(self, own: LevelState, index: Tensor, horizon: int) -> Tensor:
        """What a block has not walked of its last plans, (B, horizon, A), filled up with anything."""
        step = own.cursor[index, None] + torch.arange(horizon, device=index.device)
        step = step.clamp_max(own.actions.shape[1] - 1)
        return own.actions[index].gather(1, step.unsqueeze(-1).expand(-1, -1, own.actions.shape[-1]))

    def _hand_down(
        self, state: PlanState, k: int, rows: Tensor, latent: Tensor, plan: Plan, at_goal: bool
    ) -> Tensor:
        """Give the level below its target, or the legs level 1's plan; (R,) bool: was the level skipped?"""
        if k == 0:
            self._walk(state, rows, plan)
            return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        level, own, below = self.levels[k], state.levels[k], state.levels[k - 1]
        skipped = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        if at_goal:
            # Reached now or within the next step: too coarse a level to say more than the goal itself.
            near = torch.stack([latent, plan.latents[:, 0]], 1).unsqueeze(1)
            # In blocks, or who is just about there would be so in some company and not in other.
            for local, kept in blocks(torch.arange(len(rows), device=rows.device), self.block):
                to_go = LevelCosts(self.levels, state, k, rows[local]).to_go()
                distance = to_go(near[local], own.goal[rows[local]][:, None, None]).squeeze(1)
                skipped[local[:kept]] = distance.amin(1)[:kept] <= level.reached
        assert below.target is not None
        below.aims_at_goal[rows] = skipped
        below.target[rows] = plan.latents[:, 0]
        below.walked[rows] = 0
        below.duration[rows] = self.spans[k - 1]
        return skipped

    def _walk(self, state: PlanState, rows: Tensor, plan: Plan) -> None:
        own = state.levels[0]
        state.expected[rows, : plan.latents.shape[1]] = plan.latents
        alone = rows[state.top[rows] == 0]
        own.walked[alone] = 0
        own.duration[alone] = self.commit
