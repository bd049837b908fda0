"""The top-down planner: each level's first predicted latent becomes the cost target one level below.

The recursion, for an episode in which level k must plan (k = K first):

    level k aims at the goal      minimise  min_h |z_k(h) - goal_k|^2          over its horizon
    or at a subgoal of level k+1  minimise  |lift(z_k(due)) - subgoal|^2       at the step it is due
    its first predicted latent is level k-1's subgoal, due one stride from now; level k-1 plans; ...
    level 1 walks its plan; when the stride is walked, the level above gives the next subgoal.

A level that reaches the goal within one of its own steps is skipped: the goal itself is passed down. A level
whose subgoal is due replaces it from above. What leaves level 1's plan is planned again at once, for the rest
of the stride.

(H-JEPA, arXiv 2610.06805, plans one episode at a time; here E episodes are planned at once, each at its own
place in the recursion.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from planners.blocks import blocks
from planners.grounding import GroundingCost, grounding_flops, imagined_ends
from planners.noise import combine
from planners.objectives import GoalCost, SubgoalCost, SumCost, SupportCost
from planners.plan_state import Decision, LevelState, PlanState
from planners.planner import Planner
from planners.protocols import LiftingModel, Objective, Plan, Problem
from planners.rollouts import ALIGNED

__all__ = ["ALIGNED", "Decision", "LevelPlanner", "LevelState", "PlanState", "TopDownPlanner"]


@dataclass(frozen=True)
class LevelPlanner:
    """What the top-down planner knows of one level.

    Attributes:
        model: its world model; ``lift`` leads to the level above.
        stride: steps of the level below in one step of this level (level 1: 1).
        horizon: steps it plans when it aims at the goal.
        to_goal, to_subgoal: how it searches in either case.
        distance: between its latents, (E, N, H, D), (E, 1, 1, D) -> (E, N, H); also of subgoals it sets. Where
            episodes have their own metric it is called with ``metric=`` (E, D, M).
        reached: distance within which its goal counts as reached.
        critic: distance to the goal, of latents (E, N, H, D) and the episodes' fields (E, ...) -> (E, N, H), where
            episodes have fields; subgoals are still measured by ``distance``. None: the goal is as well.
        critic_flops: operations of the critic per latent.
        pace: the most that the critic's distance can shrink in a step; None: unknown.
        step_cost: cost of a step on the way to the goal.
        haste: weight of the mean distance on the way to the goal.
        support: weight of the support cost.
        support_free: nats per step that the support cost does not count.
        ground: futures that a lower level imagines before this one plans, see `planners.grounding`; 0: none.
        ground_weight: weight of the grounding cost.
        ground_depth: how many levels lower they are imagined (at most down to level 1).
    """

    model: LiftingModel
    stride: int
    horizon: int
    to_goal: Planner
    to_subgoal: Planner
    distance: Callable[..., Tensor]
    reached: float
    critic: Callable[[Tensor, Tensor], Tensor] | None = None
    critic_flops: float = 0.0
    pace: float | None = None
    step_cost: float = 0.0
    haste: float = 0.0
    support: float = 0.0
    support_free: float = 0.0
    ground: int = 0
    ground_weight: float = 1.0
    ground_depth: int = 1


class TopDownPlanner:
    """Plans through a list of levels, for E episodes at once.

    Args:
        levels: level 1 first.
        commit: steps level 1 walks of a plan to the goal before it plans again, when nothing is above it.
        off_plan: squared distance in level 1's latent beyond which what happened has left the plan.
        repairs: how often in an episode level 1 may plan again because what happened left its plan.
        block: episodes per planner call. Calls are padded to this size, so that results have the same bits
            whatever episodes are planned together. For the same reason a level with a number of candidates or
            futures that is no multiple of `planners.rollouts.ALIGNED` is planned one episode at a time.
        record: keep every decision.
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
    ) -> PlanState:
        """Begin E episodes.

        Args:
            goals: per level, (E, D_k) latent of the goal.
            memories: per level, one row per episode, or None.
            keys: (E,) int64.
            metrics: per level, (E, D_k, M) a metric of each episode, or None for the level's distance alone.
            fields: per level, one row per episode of what its critic reads, or None for the distance alone.

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
        for what, parts in (("goal", goals), ("memory", memories), ("metric", metrics), ("field", fields)):
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
        )

    @torch.no_grad()
    def act(self, state: PlanState, latent: Tensor, active: Tensor) -> Tensor:
        """The next primitive action of each episode.

        Args:
            state: changed in place.
            latent: (E, D_1) level 1's latents of now.
            active: (E,) bool, episodes still running; the others get zeros.

        Returns:
            (E, A) hard actions.
        """
        asks = self._who_plans(state, latent, active)
        if bool(asks[0].any()):
            latents = self._lift(state, latent, asks)
            for k in reversed(range(len(self.levels))):
                self._plan_level(state, k, latents, asks[k])
        bottom = state.levels[0]
        row = torch.arange(len(latent), device=latent.device)
        action = bottom.actions[row, bottom.cursor.clamp_max(bottom.actions.shape[1] - 1)]
        bottom.cursor += active
        bottom.walked += active
        state.time += active
        return torch.where(active[:, None], action, torch.zeros_like(action))

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
        for level in state.levels[1:]:
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
        for at_goal in (True, False):
            rows = (asks & (own.aims_at_goal == at_goal)).nonzero().squeeze(1)
            if not len(rows):
                continue
            plan = Plan.join(
                [
                    self._solve(state, k, index, latents, at_goal).rows(torch.arange(kept))
                    for index, kept in blocks(rows, self._block_size(k, at_goal))
                ]
            )
            state.flops[rows] += plan.flops
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
                state.decisions.append(
                    Decision(k + 1, rows, time, at_goal, plan, target[rows].clone(), skipped)
                )

    def _solve(self, state: PlanState, k: int, index: Tensor, latents: list[Tensor], at_goal: bool) -> Plan:
        """One planner call for a block of episodes."""
        level, own = self.levels[k], state.levels[k]
        objective: Objective
        if at_goal:
            horizon, search = level.horizon, level.to_goal
            objective = GoalCost(
                own.goal[index],
                self._to_go(state, k, index),
                level.step_cost,
                level.haste,
                level.critic_flops * (horizon + (level.pace is not None)),
                level.pace if own.field is not None else None,
            )
        else:
            assert own.target is not None
            memory_above = state.levels[k + 1].memory
            memory_above = None if memory_above is None else memory_above[index]
            horizon, search = self.spans[k], level.to_subgoal
            objective = SubgoalCost(
                own.target[index],
                (horizon - own.walked[index]).clamp(1, horizon),
                lambda imagined: level.model.lift(imagined, memory_above),
                self._distance(state, k + 1, index),
                level.model.lift_flops,
            )
        if level.support > 0:
            objective = SumCost([objective, SupportCost(level.support, level.support_free)])
        keys = combine(state.keys[index], k, state.time[index])
        grounding = 0.0
        if level.ground and k:
            ends, grounding = self._ground(state, k, index, latents, keys)
            objective = SumCost(
                [objective, GroundingCost(ends, self._distance(state, k, index), level.ground_weight)]
            )
        problem = Problem(
            start=latents[k][index],
            memory=None if own.memory is None else own.memory[index],
            horizon=horizon,
            objective=objective,
            keys=keys,
            warm=self._rest_of_plan(own, index, horizon) if self.warm_start else None,
            warm_steps=(own.length - own.cursor)[index].clamp_min(0),
        )
        plan = search(level.model, problem)
        return replace(plan, flops=plan.flops + grounding)

    def _distance(self, state: PlanState, k: int, index: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """The distance between latents of level k in some episodes."""
        distance, metric = self.levels[k].distance, state.levels[k].metric
        return distance if metric is None else partial(distance, metric=metric[index])

    def _to_go(self, state: PlanState, k: int, index: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """The distance of latents of level k from the goal in some episodes: the critic's, where there is one."""
        critic, field = self.levels[k].critic, state.levels[k].field
        if critic is None or field is None:
            return self._distance(state, k, index)
        own = field[index]
        return lambda latent, goal: critic(latent, own)

    def _ground(
        self, state: PlanState, k: int, index: Tensor, latents: list[Tensor], keys: Tensor
    ) -> tuple[Tensor, float]:
        """Ends (B, M, D) that lower levels imagine one stride of level k away, and what that costs."""
        low = max(k - self.levels[k].ground_depth, 0)
        models = [level.model for level in self.levels[low:k]]
        memories = [level.memory for level in state.levels[low : k + 1]]
        steps = math.prod(self.spans[low:k])
        count = self.levels[k].ground
        ends = imagined_ends(
            models,
            [None if memory is None else memory[index] for memory in memories],
            latents[low][index],
            steps,
            count,
            combine(keys, 3),
        )
        return ends, grounding_flops(models, steps, count)

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
            distance = self._to_go(state, k, rows)(near, own.goal[rows][:, None, None]).squeeze(1)
            skipped = distance.amin(1) <= level.reached
        assert below.target is not None
        below.aims_at_goal[rows] = skipped
        below.target[rows] = plan.latents[:, 0]
        below.walked[rows] = 0
        below.duration[rows] = self.spans[k - 1]
        return skipped

    def _walk(self, state: PlanState, rows: Tensor, plan: Plan) -> None:
        own = state.levels[0]
        state.expected[rows, : plan.latents.shape[1]] = plan.latents
        if len(self.levels) == 1:
            own.walked[rows] = 0
            own.duration[rows] = self.commit
