"""What the top-down planner keeps of episodes between two steps, and the decisions it records."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from planners.protocols import Plan


@dataclass
class Decision:
    """One call of one level's planner, kept for figures and diagnosis.

    Attributes:
        level: from 1.
        rows: (R,) int64, the episodes.
        time: (R,) int64, environment steps taken before.
        at_goal: whether it aimed at the goal.
        plan: R plans.
        target: (R, D) what it aimed at: the goal in its own space, or a subgoal in the space of the level
            above.
        skipped: (R,) bool, whether it passed the goal down.
    """

    level: int
    rows: Tensor
    time: Tensor
    at_goal: bool
    plan: Plan
    target: Tensor
    skipped: Tensor


@dataclass
class LevelState:
    """Where each of E episodes stands at one level.

    Attributes:
        memory: one row per episode, or None.
        metric: one map of differences per episode, (E, D, M), for metrics that depend on it; or None.
        field: what a critic reads steps to the goal from, one row per episode; or None.
        goal: (E, D) latent of the goal.
        aims_at_goal: (E,) bool; the others aim at the target.
        target: (E, D_above) subgoal, a latent of the level above; None at the top.
        walked: (E,) int64, steps of this level walked towards the target.
        duration: (E,) int64, steps after which the level above (flat: level 1 itself) plans again.
        actions: (E, L, A) the last plan, L the longest plan of this level.
        length: (E,) int64, its steps; 0 before the first.
        cursor: (E,) int64, steps of it walked.
        asked: (E,) int64, how often this level was asked for a plan.
        planned: (E,) int64, how often it was not skipped.
    """

    memory: Tensor | None
    metric: Tensor | None
    field: Tensor | None
    goal: Tensor
    aims_at_goal: Tensor
    target: Tensor | None
    walked: Tensor
    duration: Tensor
    actions: Tensor
    length: Tensor
    cursor: Tensor
    asked: Tensor
    planned: Tensor


@dataclass
class PlanState:
    """The state of E episodes between two steps.

    Attributes:
        levels: per level, the first is level 1.
        keys: (E,) int64 random keys.
        time: (E,) int64, environment steps so far.
        expected: (E, L, D) latents that level 1's plan predicts.
        flops: (E,) float64 spent so far.
        repaired: (E,) int64, how often level 1 planned again because it had left its plan.
        zone: where nothing may be, one row per episode, for the levels' ``danger`` to read; None: nowhere.
        top: (E,) int64, the highest level in use, from 0; see `TopDownPlanner.plan_from`.
        exact: (E,) weight of the distance between latents beside a critic's steps to go, for goals that are more than a
            place; None: 0 everywhere.
        layout: what levels' ``spread`` makes fields of subgoals from, one row per episode; None: subgoals are measured
            by distances.
        decisions: every planner call, when they are recorded.
    """

    levels: list[LevelState]
    keys: Tensor
    time: Tensor
    expected: Tensor
    flops: Tensor
    repaired: Tensor
    top: Tensor
    zone: Tensor | None = None
    exact: Tensor | None = None
    layout: Tensor | None = None
    decisions: list[Decision] = field(default_factory=list)

    @property
    def actions(self) -> Tensor:
        """(E, L, A) level 1's plan."""
        return self.levels[0].actions

    @property
    def cursor(self) -> Tensor:
        """(E,) int64, steps of level 1's plan walked."""
        return self.levels[0].cursor
