"""What makes a configuration impossible, found when it is parsed, before any work is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hjepa.errors import InputError
from hjepa.planner_names import PLANNERS, ROUNDS
from hjepa.settings import CriticSettings, PlanSettings, RunConfig
from levels.costs.kinds import KINDS as HEAD_KINDS
from levels.metrics_names import KINDS as METRIC_KINDS
from levels.registry import Registry
from levels.settings import CONTINUOUS, SEEING

SCHEDULES = ("sequential", "joint")
STARTS = ("top", "distance")
SUBGOALS = ("distance", "critic")
RISKS = ("mean", "worst", "cvar")

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Quantiles of one-stride distances that calibration keeps."""


Refuse = Callable[[str, str], None]
"""Takes what cannot work and the remedy."""

FARTHER = 2
"""How many times as far as it was trained to a flat agent may imagine: a fair one must be able to look about as far as
the levels above would, and one that has learned well goes on being right for a while."""


def check(config: RunConfig, where: str = "configuration") -> None:
    """Raise InputError for a configuration whose parts cannot work together."""

    def refuse(what: str, remedy: str) -> None:
        raise InputError(what, where, remedy)

    if not config.levels:
        refuse("no levels", "give at least one")
    _check_levels(config, refuse)
    _check_counts(config, refuse)
    _check_training(config, refuse)
    plan = config.plan
    if config.critic is not None and config.critic.kind is not None:
        _known(HEAD_KINDS, config.critic.kind, refuse)
    if config.critic is None and plan.metric == "critic":
        refuse("plan.metric is critic, but there is none", "give a critic section, as critic: {steps: 600}")
    _known(METRIC_KINDS, plan.metric, refuse)
    _check_plan(plan, "plan", refuse)
    if plan.risk is not None and config.levels[0].latent_variable is None:
        refuse(
            "plan.risk, but level 1 knows one future alone", "leave it out, or give levels.0.latent_variable"
        )
    for number, level in enumerate(config.levels[1 : plan.walks.level], 2):
        if level.encoder != "shared":
            refuse(
                f"plan.walks.level is {plan.walks.level}, but level {number} has a latent of its own",
                "set plan.walks.level=1 or give the level encoder shared",
            )
    chunks = [number for number, level in enumerate(config.levels, 1) if level.macro_action in CONTINUOUS]
    if plan.planner == "categorical-cem" and chunks:
        refuse(
            f"plan.planner is categorical-cem, but the macro-actions of level {chunks[0]} are numbers",
            "choose cem, which is categorical where actions are discrete",
        )
    _check_limits(plan, len(config.levels), refuse)
    _check_flat(plan, FARTHER * config.levels[0].rollout, refuse)
    _check_deep(config, refuse)


def _check_levels(config: RunConfig, refuse: Refuse) -> None:
    """Refuse levels that do not stand on one another."""
    first = config.levels[0]
    if first.sees == "latent" or first.macro_action != "primitive" or first.stride != 1:
        refuse(
            "level 1 does not see step by step",
            f"give it one of the encoders {', '.join(SEEING)} or agent, macro_action primitive, stride 1",
        )
    own = [n for n, level in enumerate(config.levels, 1) if level.memory is not None and level.memory.own]
    if own and first.sees == "agent":
        refuse(f"level {own[0]} memory.own is true, but level 1 is told what changes", "set own false")
    reads = [number for number, level in enumerate(config.levels, 1) if level.encoder_reads]
    if own and reads:
        refuse(
            f"level {own[0]} memory.own is true, but the encoder of level {reads[0]} reads layouts",
            "set own or encoder_reads false",
        )
    for number, (below, level) in enumerate(zip(config.levels, config.levels[1:]), 2):
        if level.sees != "latent" or level.macro_action == "primitive" or level.stride < 2:
            refuse(
                f"level {number} is no abstraction of level {number - 1}",
                "give it encoder mlp or shared, macro_action outcome, chunk or stochastic, stride 2 or more",
            )
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


def _check_counts(config: RunConfig, refuse: Refuse) -> None:
    """Refuse lists with an entry per level that have another number of them, or that levels cannot plan."""
    train, plan, count = config.train, config.plan, len(config.levels)
    for name, values in (
        ("train.steps", train.steps),
        ("plan.horizon", plan.horizon),
        ("plan.share", plan.share),
    ):
        if len(values) != count:
            refuse(f"{name} has {len(values)} numbers for {count} levels", f"give {count}")
    _check_horizons(config, "plan.horizon", plan.horizon, refuse)


def _check_horizons(config: RunConfig, name: str, horizons: tuple[int, ...], refuse: Refuse) -> None:
    """Refuse horizons that levels have not learned to imagine, or that are shorter than what the next level asks."""
    for number, (horizon, level) in enumerate(zip(horizons, config.levels), 1):
        if horizon > level.rollout:
            refuse(
                f"{name} of level {number} is {horizon}, trained on rollouts of {level.rollout}",
                f"choose from 1 to {level.rollout} or set levels.{number - 1}.rollout={horizon}",
            )
        if number < len(config.levels) and horizon < config.levels[number].stride:
            refuse(
                f"{name} of level {number} is {horizon}, shorter than level {number + 1}'s stride",
                f"choose at least {config.levels[number].stride}",
            )


def _check_training(config: RunConfig, refuse: Refuse) -> None:
    train, critic = config.train, config.critic
    if train.schedule not in SCHEDULES:
        refuse(f"train.schedule {train.schedule!r}", f"choose from {', '.join(SCHEDULES)}")
    if train.plans > config.collect.plans:
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
    if train.keep_encoder and config.levels[0].loss.shift > 0:
        refuse(
            f"levels.0.loss.shift is {config.levels[0].loss.shift} with train.keep_encoder, so nothing would learn from"
            " it",
            "let the encoder learn, or set the shift 0",
        )
    told = config.levels[0].sees == "agent"
    if critic is not None and critic.begins is not None and (critic.kind == "grid" or (told and not critic.kind)):
        refuse(
            f"critic.begins is {critic.begins} with a critic of kind grid, which begins at its goal anyway",
            "leave it out",
        )
    if critic is not None and critic.patch is not None and config.levels[0].sees != "image":
        refuse(
            f"critic.patch is {critic.patch} with an encoder that sees {config.levels[0].sees}",
            "leave it out; it is for images",
        )
    if critic is not None and critic.lag > 1 and critic.kind != "step_field":
        refuse(f"critic.lag is {critic.lag} with a critic of another kind", "leave it out, or choose kind step_field")
    if critic is not None and critic.clip is not None and critic.lag >= critic.clip:
        refuse(
            f"critic.lag is {critic.lag} in pieces of {critic.clip} moments",
            f"set critic.clip={critic.lag + 1} or more",
        )
    if critic is not None and critic.clip is not None and critic.kind in (None, "grid", "field"):
        refuse(
            f"critic.clip is {critic.clip} with a critic that learns from the times of whole ways",
            "leave it out, or choose kind quasimetric or step_field",
        )
    if critic is not None and critic.kind == "quasimetric":
        _check_quasimetric(critic, config.plan, refuse)
    if critic is not None and critic.plans > config.collect.plans:
        refuse(
            f"critic.plans is {critic.plans} of {config.collect.plans} floor plans",
            "choose no more than there are",
        )


def _check_quasimetric(critic: CriticSettings, plan: PlanSettings, refuse: Refuse) -> None:
    """Refuse what asks a head without a field for one."""
    of_kind = "with a critic of kind quasimetric, which has no field"
    if critic.begins is not None:
        refuse(f"critic.begins is {critic.begins} {of_kind} that begins", "leave it out, or choose kind field")
    if plan.metric == "critic" and plan.subgoals == "critic":
        refuse(f"plan.subgoals is critic {of_kind} over what moves cost", "set plan.subgoals=distance")
    if plan.metric == "critic" and plan.doubt is not None:
        refuse(f"plan.doubt is {plan.doubt} {of_kind} over what moves cost", "set plan.doubt=null")


def _check_plan(plan: PlanSettings, where: str, refuse: Refuse) -> None:
    """Refuse settings of planning that cannot work, of a stack (``plan``) or of one level alone."""
    _known(PLANNERS, plan.planner, refuse)
    if plan.subgoals not in SUBGOALS:
        refuse(f"{where}.subgoals {plan.subgoals!r}", f"choose from {', '.join(SUBGOALS)}")
    if plan.start not in STARTS:
        refuse(f"{where}.start {plan.start!r}", f"choose from {', '.join(STARTS)}")
    if plan.risk is not None and plan.risk.kind not in RISKS:
        refuse(f"{where}.risk.kind {plan.risk.kind!r}", f"choose from {', '.join(RISKS)}")
    if plan.commit > plan.horizon[0]:
        refuse(f"{where}.commit is {plan.commit}", f"choose from 1 to level 1's horizon {plan.horizon[0]}")
    for name, quantile in (("reached", plan.reached), ("critic_reached", plan.critic_reached)):
        if quantile not in QUANTILES:
            refuse(f"{where}.{name} is {quantile}", f"choose from {', '.join(map(str, QUANTILES))}")
    if plan.actor % 8:
        refuse(f"{where}.actor is {plan.actor}", "give a multiple of 8, or 0")
    if plan.walks.steps <= plan.walks.lag:
        refuse(
            f"{where}.walks has {plan.walks.steps} steps and a lag of {plan.walks.lag}",
            "give more steps than lag",
        )


def _known(parts: Registry, name: str, refuse: Refuse) -> None:
    """Refuse a name that is neither one of ours nor of a part in a user's module."""
    try:
        parts.check(name)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        refuse(what, remedy)


def least_rollouts(plan: PlanSettings, levels: int) -> int:
    """Candidates that one planner call imagines at least: one is proposed, refined and selected."""
    if plan.planner not in PLANNERS.ours:
        return 1  # its `rollouts` say, when the budget is spread
    if plan.planner == "sampling" or (plan.planner == "exhaustive" and levels == 1):
        return 2
    # Proposals come imagined, unless a warm start has taken a place among them.
    again = int(plan.warm_start)
    if plan.planner in ROUNDS:
        return plan.iterations + 1 + again
    # Adam hands on two: the best it went through and the last.
    return plan.iterations + 3 + (again if plan.elites < 1 else 0)


def _check_limits(plan: PlanSettings, levels: int, refuse: Refuse) -> None:
    """Refuse limits of a planner call that leave nothing to plan with, or that nothing would notice."""
    if plan.max_milliseconds is not None and plan.planner == "sampling":
        refuse("plan.max_milliseconds: planner sampling has no iterations to stop", "give null")
    least = least_rollouts(plan, levels)
    if plan.max_rollouts is not None and plan.max_rollouts < least:
        refuse(
            f"plan.max_rollouts is {plan.max_rollouts}, but planner {plan.planner} takes {least} for one candidate",
            f"give {least} or more, or null",
        )
    if plan.patience is not None:
        if plan.planner in PLANNERS.ours and plan.planner not in ("adam", "exhaustive"):
            refuse(f"plan.patience: planner {plan.planner} takes no gradient steps", "give null")
        # So many steps after the first evaluation, and one more that can be saved.
        if plan.patience > plan.iterations - 2:
            refuse(
                f"plan.patience is {plan.patience} of plan.iterations {plan.iterations}: nothing can stop early",
                f"set plan.iterations={plan.patience + 2} or more, or patience null",
            )


def _check_flat(plan: PlanSettings, farthest: int, refuse: Refuse) -> None:
    """Refuse settings of the flat agent that cannot work, or imagine farther than so many steps."""
    for metric in plan.flat:
        alone = replace(plan, metric=metric).alone()
        if alone.horizon[0] > farthest:
            refuse(f"plan.flat.{metric}.horizon is {alone.horizon[0]}", f"choose from 1 to {farthest}")
        _check_plan(alone, f"plan.flat.{metric}", refuse)
        _check_limits(alone, 1, refuse)


def _check_deep(config: RunConfig, refuse: Refuse) -> None:
    """Refuse settings of several levels that cannot work, or imagine farther than was learned."""
    for metric in config.plan.deep:
        together, where = replace(config.plan, metric=metric).together(), f"plan.deep.{metric}"
        if len(together.horizon) != len(config.levels):
            refuse(
                f"{where}.horizon has {len(together.horizon)} numbers, and there are {len(config.levels)} levels",
                "give one per level",
            )
        _check_horizons(config, f"{where}.horizon", together.horizon, refuse)
        _check_plan(together, where, refuse)
        _check_limits(together, len(config.levels), refuse)
