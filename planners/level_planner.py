"""One level as the top-down planner knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from planners.planner import Planner
from planners.protocols import LiftingModel, Objective


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
            episodes have fields; subgoals are measured by ``distance`` unless there is ``spread``. None: the goal is as
            well.
        critic_flops: operations of the critic per latent.
        spread: what the critic reads for a subgoal that this level sets: layouts (E, ...), subgoals (E, D) -> fields.
        spread_flops: operations of it per episode.
        veto: cost of its best plan to a subgoal above which it leaves the subgoal and aims at the goal itself.
        pace: the most that the critic's distance can shrink in a step; None: unknown.
        step_cost: cost of a step on the way to the goal.
        haste: weight of the mean distance on the way to the goal.
        intrinsic: what plans cost whatever they are for, see `planners.intrinsic`; None: nothing.
        support: weight of the support cost.
        support_free: nats per step that the support cost does not count.
        ground: futures that a lower level imagines before this one plans, see `planners.grounding`; 0: none.
        ground_weight: weight of the grounding cost.
        ground_depth: how many levels lower they are imagined (at most down to level 1).
        danger: of latents (E, N, H, D) and the episodes' forbidden zones (E, ...) -> (E, N, H), the belief that they
            are inside; None: nothing is forbidden.
        danger_flops: operations of it per latent.
        danger_limit: belief that is no longer allowed.
        leap: with a critic, how much nearer to the goal a step can bring at most; more has crossed something forbidden.
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
    spread: Callable[[Tensor, Tensor], Tensor] | None = None
    spread_flops: float = 0.0
    veto: float = float("inf")
    pace: float | None = None
    step_cost: float = 0.0
    haste: float = 0.0
    intrinsic: Objective | None = None
    support: float = 0.0
    support_free: float = 0.0
    ground: int = 0
    ground_weight: float = 1.0
    ground_depth: int = 1
    danger: Callable[[Tensor, Tensor], Tensor] | None = None
    danger_flops: float = 0.0
    danger_limit: float = 0.1
    leap: float = float("inf")
