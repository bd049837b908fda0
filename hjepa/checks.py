"""What makes a configuration impossible, found when it is parsed, before any work is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from hjepa.errors import InputError
from levels.metrics_names import METRICS
from levels.settings import SEEING

if TYPE_CHECKING:
    from hjepa.config import PlanSettings, RunConfig

PLANNERS = ("adam", "cem", "mppi", "exhaustive", "sampling", "actor", "value-map")
SCHEDULES = ("sequential", "joint")
STARTS = ("top", "distance")

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Quantiles of one-stride distances that calibration keeps."""


def check(config: RunConfig, where: str = "configuration") -> None:
    """Raise InputError for a configuration whose parts cannot work together."""

    def refuse(what: str, remedy: str) -> None:
        raise InputError(what, where, remedy)

    count = len(config.levels)
    if not count:
        refuse("no levels", "give at least one")
    first = config.levels[0]
    if first.encoder not in ("agent", *SEEING) or first.macro_action != "primitive" or first.stride != 1:
        refuse(
            "level 1 does not see step by step",
            f"give it one of the encoders {', '.join(SEEING)} or agent, macro_action primitive, stride 1",
        )
    for number, level in enumerate(config.levels[1:], 2):
        if level.encoder in ("agent", *SEEING) or level.macro_action == "primitive" or level.stride < 2:
            refuse(
                f"level {number} is no abstraction of level {number - 1}",
                "give it encoder mlp or shared, macro_action outcome or chunk, stride 2 or more",
            )
        below = config.levels[number - 2]
        if level.encoder == "shared" and level.latent_dim != below.latent_dim:
            refuse(
                f"level {number} shares a latent of {below.latent_dim} numbers but latent_dim is {level.latent_dim}",
                f"set levels.{number - 1}.latent_dim={below.latent_dim}",
            )
        if below.rollout < level.stride:
            refuse(
                f"level {number - 1} is trained on {below.rollout} steps but must plan the {level.stride} of a stride",
                f"set levels.{number - 2}.rollout={level.stride} or more",
            )
    for number, (level, span) in enumerate(zip(config.levels, config.spans), 1):
        needed = span * level.rollout + 1
        if needed > config.collect.length:
            refuse(
                f"level {number} needs clips of {needed} observations ({level.rollout} steps of span {span}),"
                f" episodes have {config.collect.length}",
                f"set collect.length={needed} or shorten the stride or the rollout",
            )
    train, plan = config.train, config.plan
    for name, values in (
        ("train.steps", train.steps),
        ("plan.horizon", plan.horizon),
        ("plan.share", plan.share),
    ):
        if len(values) != count:
            refuse(f"{name} has {len(values)} numbers for {count} levels", f"give {count}")
    for number, (horizon, level) in enumerate(zip(plan.horizon, config.levels), 1):
        if not 1 <= horizon <= level.rollout:
            refuse(
                f"plan.horizon of level {number} is {horizon}, trained on rollouts of {level.rollout}",
                f"choose from 1 to {level.rollout} or set levels.{number - 1}.rollout={horizon}",
            )
        if number < count and horizon < config.levels[number].stride:
            refuse(
                f"plan.horizon of level {number} is {horizon}, shorter than level {number + 1}'s stride",
                f"choose at least {config.levels[number].stride}",
            )
    if train.schedule not in SCHEDULES:
        refuse(f"train.schedule {train.schedule!r}", f"choose from {', '.join(SCHEDULES)}")
    if not 1 <= train.plans <= config.collect.plans:
        refuse(
            f"train.plans is {train.plans} of {config.collect.plans} floor plans",
            "choose from 1 to collect.plans",
        )
    for number, level in enumerate(config.levels, 1):
        if train.batch // (level.rollout * train.plans) < 2:
            refuse(
                f"train.batch {train.batch} leaves level {number} fewer than two windows per floor plan",
                f"set train.batch={2 * level.rollout * train.plans} or more",
            )
    if min(train.steps) < 0:
        refuse(f"train.steps {train.steps}", "give 0 or more per level")
    critic = config.critic
    for name, value in vars(critic).items() if critic is not None else ():
        if value is not None and not value > 0 and name not in ("ahead", "apart"):
            refuse(f"critic.{name} is {value}", "give a positive number")
    if critic is not None and critic.ahead < 0:
        refuse(f"critic.ahead is {critic.ahead}", "give 0 or more")
    if critic is not None and critic.under > 1:
        refuse(f"critic.under is {critic.under}", "choose from above 0 to 1")
    if critic is not None and critic.plans > config.collect.plans:
        refuse(
            f"critic.plans is {critic.plans} of {config.collect.plans} floor plans",
            "choose no more than there are",
        )
    if critic is None and plan.metric == "critic":
        refuse("plan.metric is critic, but there is none", "give a critic section, as critic: {steps: 600}")
    if plan.planner not in PLANNERS:
        refuse(f"plan.planner {plan.planner!r}", f"choose from {', '.join(PLANNERS)}")
    if plan.start not in STARTS:
        refuse(f"plan.start {plan.start!r}", f"choose from {', '.join(STARTS)}")
    if plan.exact < 0:
        refuse(f"plan.exact {plan.exact}", "give 0 or more")
    if plan.metric not in METRICS:
        refuse(f"plan.metric {plan.metric!r}", f"choose from {', '.join(METRICS)}")
    if not 1 <= plan.commit <= plan.horizon[0]:
        refuse(f"plan.commit is {plan.commit}", f"choose from 1 to level 1's horizon {plan.horizon[0]}")
    if not 0 < plan.elites <= 1:
        refuse(f"plan.elites is {plan.elites}", "choose from above 0 to 1")
    for name, quantile in (("reached", plan.reached), ("critic_reached", plan.critic_reached)):
        if quantile not in QUANTILES:
            refuse(f"plan.{name} is {quantile}", f"choose from {', '.join(map(str, QUANTILES))}")
    if plan.actor < 0 or plan.actor % 8:
        refuse(f"plan.actor is {plan.actor}", "give a multiple of 8, or 0")
    for name, cost in (("veto", plan.veto), ("critic_veto", plan.critic_veto)):
        if cost is not None and not cost > 0:
            refuse(f"plan.{name} is {cost}", "give a positive number, or null")
    if plan.pace is not None and not plan.pace > 0:
        refuse(f"plan.pace is {plan.pace}", "give a positive number, or null")
    if not 0 <= plan.danger < 1:
        refuse(f"plan.danger is {plan.danger}", "choose from 0 to below 1")
    if not plan.front >= 1:
        refuse(f"plan.front is {plan.front}", "give 1 for an even pace, or more")
    if min(plan.share) <= 0 or plan.iterations < 1 or plan.block < 1 or plan.max_candidates < 1:
        refuse("plan.share, iterations, block and max_candidates must be positive", "mend them")
    _check_walks(plan, "plan.walks", refuse)
    for number, level in enumerate(config.levels[1 : plan.walks.level], 2):
        if level.encoder != "shared":
            refuse(
                f"plan.walks.level is {plan.walks.level}, but level {number} has a latent of its own",
                "set plan.walks.level=1 or give the level encoder shared",
            )
    _check_limits(plan, count, refuse)
    _check_flat(plan, first.rollout, refuse)


def least_rollouts(plan: PlanSettings, levels: int) -> int:
    """Candidates that one planner call imagines at least: one is proposed, refined and selected."""
    if plan.planner == "sampling" or (plan.planner == "exhaustive" and levels == 1):
        return 2
    # Proposals come imagined, unless a warm start has taken a place among them.
    again = int(plan.warm_start)
    if plan.planner in ("cem", "mppi"):
        return plan.iterations + 1 + again
    # Adam hands on two: the best it went through and the last.
    return plan.iterations + 3 + (again if plan.elites < 1 else 0)


def _check_limits(plan: PlanSettings, levels: int, refuse: Callable[[str, str], None]) -> None:
    """Refuse limits of a planner call that leave nothing to plan with, or that nothing would notice."""
    if plan.max_milliseconds is not None:
        if not plan.max_milliseconds > 0:
            refuse(f"plan.max_milliseconds is {plan.max_milliseconds}", "give a positive number, or null")
        if plan.planner == "sampling":
            refuse("plan.max_milliseconds: planner sampling has no iterations to stop", "give null")
    least = least_rollouts(plan, levels)
    if plan.max_rollouts is not None and plan.max_rollouts < least:
        refuse(
            f"plan.max_rollouts is {plan.max_rollouts}, but planner {plan.planner} takes {least} for one candidate",
            f"give {least} or more, or null",
        )
    if plan.patience is not None:
        if plan.planner not in ("adam", "exhaustive"):
            refuse(f"plan.patience: planner {plan.planner} takes no gradient steps", "give null")
        # So many steps after the first evaluation, and one more that can be saved.
        if not 1 <= plan.patience <= plan.iterations - 2:
            refuse(
                f"plan.patience is {plan.patience} of plan.iterations {plan.iterations}: nothing can stop early",
                f"give 1 or more, and set plan.iterations={max(plan.patience, 1) + 2} or more, or patience null",
            )


def _check_walks(plan: PlanSettings, where: str, refuse: Callable[[str, str], None]) -> None:
    walks = plan.walks
    if min(walks.level, walks.count, walks.lag) < 1 or walks.steps <= walks.lag:
        refuse(
            f"{where} has level {walks.level}, count {walks.count}, steps {walks.steps}, lag {walks.lag}",
            "give 1 or more of each, and more steps than lag",
        )


def _check_flat(plan: PlanSettings, rollout: int, refuse: Callable[[str, str], None]) -> None:
    """Refuse settings of the flat agent that do not exist or cannot work."""
    known = {item.name for item in fields(plan)} - {"metric", "share", "flat"}
    for metric, values in plan.flat.items():
        if metric not in METRICS or not isinstance(values, dict):
            refuse(f"plan.flat of metric {metric!r}", f"give settings for one of {', '.join(METRICS)}")
        for name in sorted(set(values) - known):
            refuse(f"plan.flat.{metric} has {name!r}", f"choose from {', '.join(sorted(known))}")
        own = values.get("walks", {})
        if not isinstance(own, dict) or not set(own) <= set(vars(plan.walks)):
            refuse(f"plan.flat.{metric}.walks is {own!r}", f"give {', '.join(vars(plan.walks))}")
        alone = replace(plan, metric=metric).alone()
        _check_walks(alone, f"plan.flat.{metric}.walks", refuse)
        if not 1 <= alone.horizon[0] <= rollout:
            refuse(f"plan.flat.{metric}.horizon is {alone.horizon[0]}", f"choose from 1 to {rollout}")
        if not 1 <= alone.commit <= alone.horizon[0]:
            refuse(f"plan.flat.{metric}.commit is {alone.commit}", f"choose from 1 to {alone.horizon[0]}")
        if alone.planner not in PLANNERS:
            refuse(f"plan.flat.{metric}.planner {alone.planner!r}", f"choose from {', '.join(PLANNERS)}")
