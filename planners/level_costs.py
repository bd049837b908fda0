"""What plans of one level cost in some episodes: its target, support, grounding and guardrail brought together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from planners.grounding import GroundingCost, grounding_flops, imagined_ends
from planners.guardrails import Danger, Guarded
from planners.level_planner import LevelPlanner
from planners.noise import combine
from planners.objectives import Distance, GoalCost, SubgoalCost, SumCost, SupportCost
from planners.plan_state import PlanState
from planners.protocols import Aim, Objective


class LevelCosts:
    """Costs of one level, for some of the episodes in progress.

    Args:
        levels: all of them.
        state: of E episodes.
        k: which level, from 0.
        index: (B,) int64, which episodes.

    Attributes:
        spent: operations per episode that making costs took so far.
    """

    def __init__(self, levels: Sequence[LevelPlanner], state: PlanState, k: int, index: Tensor) -> None:
        self.levels, self.state, self.k, self.index = levels, state, k, index
        self.level, self.own = levels[k], state.levels[k]
        self.spent = 0.0

    def distance(self) -> Distance:
        """Between latents of the level."""
        metric = self.own.metric
        return (
            self.level.distance if metric is None else partial(self.level.distance, metric=metric[self.index])
        )

    def to_go(self) -> Distance:
        """Of latents from the goal: the critic's, where there is one, and where the goal is more than a place the
        distance of latents with it."""
        return self._to_go(self._left())

    def _to_go(self, left: Callable[[Tensor], Tensor] | None) -> Distance:
        """The same from what the critic says, see `_left`."""
        exact = self.state.exact
        if left is None:
            return self.distance()
        if exact is None or not bool(exact.any()):
            return lambda latent, goal: left(latent)
        weight, apart = exact[self.index][:, None, None], self.distance()
        return lambda latent, goal: left(latent) + weight * apart(latent, goal)

    def danger(self) -> Danger | None:
        """Of latents (B, N, H, D); None where nothing is forbidden."""
        danger, zone = self.level.danger, self.state.zone
        if danger is None or zone is None:
            return None
        own = zone[self.index]
        return lambda latents: danger(latents, own)

    def of_goal(self) -> tuple[Objective, int]:
        """The cost of plans to the goal, and how many steps they have."""
        level, horizon = self.level, self.level.horizon
        left = self._left()
        judged = left is not None
        looks = horizon + (judged and level.pace is not None)
        cost = GoalCost(
            self.own.goal[self.index],
            self._to_go(left),
            level.step_cost,
            level.haste,
            level.critic_flops * looks,
            level.pace if judged else None,
        )
        return cost, horizon

    def of_subgoal(self, horizon: int) -> tuple[Objective, int]:
        """The cost of plans to a subgoal that is due after ``horizon`` steps, less those walked."""
        above, level, own = self.state.levels[self.k + 1], self.level, self.own
        assert own.target is not None
        memory = None if above.memory is None else above.memory[self.index]
        cost = SubgoalCost(
            own.target[self.index],
            (horizon - own.walked[self.index]).clamp(1, horizon),
            lambda imagined: level.model.lift(imagined, memory),
            self._to_subgoal(own.target[self.index]),
            level.model.lift_flops,
        )
        return cost, horizon

    def _to_subgoal(self, target: Tensor) -> Distance:
        """Of latents of the level above from a subgoal (B, D): the critic's, where it spreads from subgoals too."""
        above, layout = self.levels[self.k + 1], self.state.layout
        critic = above.critic
        if above.spread is None or critic is None or layout is None:
            return LevelCosts(self.levels, self.state, self.k + 1, self.index).distance()
        field = above.spread(layout[self.index], target)
        self.spent += above.spread_flops
        return lambda latent, subgoal: critic(latent, field)

    def aim(self, stride: int | None) -> Aim:
        """Where plans are to lead, for proposals that know the way.

        Args:
            stride: steps of the level above's stride; None: to the goal.
        """
        own, target, left = self.own, None, torch.ones(len(self.index), device=self.index.device)
        if stride is not None:
            assert own.target is not None
            target = own.target[self.index]
            left = (stride - own.walked[self.index]).clamp(1, stride) / stride
        field = None if own.field is None else own.field[self.index]
        return Aim(own.goal[self.index], target, left, 1.0 / (stride or 1), field)

    def all_of(
        self, target: Objective, horizon: int, latents: Sequence[Tensor], keys: Tensor
    ) -> tuple[Objective, float]:
        """The cost of the target with all that the level adds to it.

        Args:
            target: from `of_goal` or `of_subgoal`.
            horizon: its steps.
            latents: (E, D_k) of now, per level.
            keys: (B,) random keys.

        Returns:
            the objective, and operations per episode that making it and its target took.
        """
        level, terms = self.level, [target]
        if level.intrinsic is not None:
            terms.append(level.intrinsic)
        if level.support > 0:
            terms.append(SupportCost(level.support, level.support_free))
        if level.ground and self.k:
            ends, spent = self._ground(latents, keys)
            self.spent += spent
            terms.append(GroundingCost(ends, self.distance(), level.ground_weight))
        objective: Objective = terms[0] if len(terms) == 1 else SumCost(terms)
        danger = self.danger()
        if danger is None:
            return objective, self.spent
        # A step of level 1 is seen whole; what lies between the ends of others only the critic can tell.
        left = self._left() if self.k else None
        flops = level.danger_flops * horizon + (0.0 if left is None else level.critic_flops * (horizon + 1))
        return Guarded(objective, danger, level.danger_limit, left, level.leap, flops), self.spent

    def _left(self) -> Callable[[Tensor], Tensor] | None:
        """The critic's distance to the goal, of latents (B, N, H, D); None without one."""
        critic, field = self.level.critic, self.own.field
        if critic is None or field is None:
            return None
        own = field[self.index]
        return lambda latents: critic(latents, own)

    def _ground(self, latents: Sequence[Tensor], keys: Tensor) -> tuple[Tensor, float]:
        """Ends (B, M, D) that lower levels imagine one stride of the level away, and what that costs."""
        low = max(self.k - self.level.ground_depth, 0)
        models = [level.model for level in self.levels[low : self.k]]
        memories = [level.memory for level in self.state.levels[low : self.k + 1]]
        steps = math.prod(level.stride for level in self.levels[low + 1 : self.k + 1])
        ends = imagined_ends(
            models,
            [None if memory is None else memory[self.index] for memory in memories],
            latents[low][self.index],
            steps,
            self.level.ground,
            combine(keys, 3),
            LevelCosts(self.levels, self.state, low, self.index).danger(),
            self.levels[low].danger_limit,
        )
        return ends, grounding_flops(models, steps, self.level.ground)
