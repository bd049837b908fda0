"""The configuration of a run: which task, what data, which levels, how to train, how to plan. No torch.

A preset is a YAML file with the fields of `RunConfig`; ``load_preset("demo", ["train.steps=[100,100,100]"])`` reads
one and replaces values. What cannot work is refused here, before any work is done.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from hjepa.checks import check
from hjepa.errors import InputError, one_line
from hjepa.places import plain_name, shipped_or_here
from levels.settings import LevelSettings

ANY = "any"
"""Task of presets for any world: what they train on says which."""

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class CollectSettings:
    """Arguments of `tasks.collect`: floor plans, episodes on each, observations per episode, seed, explorer."""

    plans: int = 1
    episodes_per_plan: int = 256
    length: int = 128
    seed: int = 0
    split: str = "train"
    explorer: str = "mixture"


@dataclass(frozen=True)
class TrainSettings:
    """How levels are trained.

    Attributes:
        seed: of weights and batches.
        schedule: ``sequential`` trains one level after another, ``joint`` all together.
        steps: optimiser steps, one number per level; with ``joint`` the largest counts.
        batch: transitions per level and step; a level with rollouts of R steps sees batch / R windows.
        plans: floor plans in a batch; equally many windows come from each.
        learning_rate: of level 1 at its peak.
        upper_learning_rate: of the other levels.
        weight_decay: of AdamW.
        end_to_end: whether the loss of a level reaches the levels below it (joint schedule).
        clip: largest norm of the gradient.
        log_every: steps between two rows of metrics.csv.
        checkpoint_every: steps between two checkpoints to resume from.
        metric_trajectories: training trajectories that the commute metric is computed from.
    """

    seed: int = 0
    schedule: str = "sequential"
    steps: tuple[int, ...] = (1000, 1000, 1000)
    batch: int = 2048
    plans: int = 16
    learning_rate: float = 2e-3
    upper_learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    end_to_end: bool = False
    clip: float = 1.0
    log_every: int = 50
    checkpoint_every: int = 200
    metric_trajectories: int = 256


@dataclass(frozen=True)
class CriticSettings:
    """The critic of a stack and its training, after that of all levels; see `levels.grid.critic`.

    Attributes:
        hidden: channels of the network that reads the floor plan.
        sweeps: moves of the longest way that is found.
        train_sweeps: the same in training; costs are local, so that near goals teach what far ones need.
        farthest: longest time to a goal that is learned from; None: any. With fewer ``train_sweeps`` than the longest
            way has moves, a state whose way they do not hold would teach that the walls in between are thin.
        steps: optimiser steps.
        plans: floor plans in a batch, with one goal each.
        trajectories: on each of them.
        learning_rate: at its peak.
        under: weight of estimates that are too low, relative to those that are too high: the way is never longer
            than the time a trajectory took.
        ahead: weight of claims to be nearer to the goal than any action that level 1 imagines bears out; 0: none is
            tested. They are tested in the last part of the training: before, walls are thin and all would be wrong.
        states: on each floor plan whose claims are tested.
        apart: whether where a latent is is learned from what observations show alone, see
            `levels.grid.critic.Critic.loss`.
    """

    hidden: int = 32
    sweeps: int = 48
    train_sweeps: int = 32
    farthest: int | None = None
    steps: int = 600
    plans: int = 8
    trajectories: int = 8
    learning_rate: float = 1e-2
    under: float = 0.03
    ahead: float = 0.0
    states: int = 32
    apart: bool = False


@dataclass(frozen=True)
class WalkSettings:
    """Walks in imagination that the metric ``imagined`` of an episode is computed from.

    Attributes:
        level: that imagines them, or the top level in use if it has fewer. Above 1 it has to share level 1's latent.
        count: walks from the start, and as many from the goal.
        steps: of that level in each walk.
        lag: steps of that level between the two latents of a pair, see `levels.metrics.commute_metric`.
    """

    level: int = 1
    count: int = 64
    steps: int = 64
    lag: int = 1


@dataclass(frozen=True)
class PlanSettings:
    """How the agent plans.

    Attributes:
        horizon: steps per level when it aims at the goal.
        commit: steps a flat agent walks of a plan before it plans again.
        planner: one of `hjepa.checks.PLANNERS`; ``exhaustive`` enumerates at level 1 and uses adam above, ``actor``
            takes the best of a few draws of the actors, without search; ``value-map`` is a control that descends the
            critic's field and uses no world model (`hjepa.evaluation.value_map`).
        actor: candidates of each search that follow the level's actor; the rest is drawn from its prior.
        metric: distance between latents, one of `levels.metrics_names.METRICS`.
        iterations: gradient steps, or rounds of sampling.
        learning_rate: of Adam on the actions.
        elites: share of the proposals that Adam descends from; the others are only evaluated.
        margin: logits by which a proposed discrete action starts ahead.
        support: cost of an action of any level per nat that it is less likely than typical, in units of the typical
            squared distance of a step of level 2 (of level 1, if it plans alone).
        support_free: nats per step without support cost.
        step_cost: cost of a step towards the goal, in the same unit.
        haste: weight of the mean distance on the way to the goal.
        pace: under the metric ``critic``, the most that a step may bring the goal nearer, in its own length; what
            claims more is charged for it. None: anything is believed.
        exact: weight of the distance between latents beside the critic's steps to go, where a mission asks for a state
            and not a place alone.
        start: under the metric ``critic``, the levels that an episode begins with: ``top``, all that are in use, or
            ``distance``, as many as look far enough for the steps to go.
        danger: belief to be in a forbidden cell that is not allowed to a plan, where there are guardrails.
        ground: futures that lower levels imagine before an upper level plans; its subgoals are drawn to them.
        ground_weight: of the squared distance to the nearest, relative to the goal cost.
        ground_depth: how many levels lower they are imagined.
        share: of the compute budget, per level; normalised over the levels in use.
        front: how many times as much compute a step gets at the start of the step budget as at its end; 1: the same.
            Most episodes end long before their step budget does.
        max_candidates: most candidates of one call.
        block: episodes per planner call.
        veto: cost of a level's best plan to a subgoal above which it leaves the subgoal and aims at the goal itself, in
            median distances of one stride of the level that set it; None: never.
        critic_veto: the same under the metric ``critic``, where it pays: a goal told in steps to go is worth aiming at.
        reached: quantile of one-stride distances in the data within which a level's goal counts as reached.
        critic_reached: the same under the metric ``critic``, which knows better than a distance when it is time to
            hand the goal down.
        warm_start: try what is left of a level's last plan among its proposals.
        max_milliseconds: of one planner call, a block of episodes at one level: after that no further iteration
            begins, and the best plan so far is used. What is planned then depends on the machine, so results
            are not bit-identical. None: no limit.
        max_rollouts: most candidates that one planner call imagines per episode, all iterations counted, but
            not what `ground` imagines; the number of proposals follows from it. None: no limit.
        patience: an episode whose best cost gained less than 1 % in so many steps of Adam stops there. None:
            none does.
        walks: of the metric ``imagined``.
        flat: per metric, values that replace the ones above where one level plans alone, as `hjepa tune` finds
            them; its horizon is one number, and of its walks only what differs need be given.
    """

    horizon: tuple[int, ...] = (8, 6, 4)
    commit: int = 4
    planner: str = "adam"
    actor: int = 0
    metric: str = "commute"
    iterations: int = 4
    learning_rate: float = 1.0
    elites: float = 0.125
    margin: float = 2.0
    support: float = 0.1
    support_free: float = 3.0
    step_cost: float = 0.05
    haste: float = 0.0
    pace: float | None = None
    exact: float = 1.0
    start: str = "top"
    danger: float = 0.1
    ground: int = 64
    ground_weight: float = 1.0
    ground_depth: int = 2
    share: tuple[float, ...] = (1.0, 1.0, 1.0)
    front: float = 1.0
    max_candidates: int = 512
    block: int = 8
    veto: float | None = None
    critic_veto: float | None = None
    reached: float = 0.25
    critic_reached: float = 0.9
    warm_start: bool = False
    max_milliseconds: float | None = None
    max_rollouts: int | None = None
    patience: int | None = None
    walks: WalkSettings = field(default_factory=WalkSettings)
    flat: dict[str, dict[str, Any]] = field(default_factory=dict)

    def alone(self) -> PlanSettings:
        """The settings of one level that plans alone."""
        values = dict(self.flat.get(self.metric, {}))
        if "horizon" in values:
            values["horizon"] = (values["horizon"], *self.horizon[1:])
        if "walks" in values:
            values["walks"] = replace(self.walks, **values["walks"])
        return replace(self, **values, flat={})


@dataclass(frozen=True)
class RunConfig:
    """Everything a run needs.

    Attributes:
        task: task id.
        collect: the data.
        levels: level 1 first.
        train: training.
        plan: default planning.
        critic: what estimates steps to the goal; None: nothing does.
    """

    task: str
    collect: CollectSettings = field(default_factory=CollectSettings)
    levels: tuple[LevelSettings, ...] = ()
    train: TrainSettings = field(default_factory=TrainSettings)
    plan: PlanSettings = field(default_factory=PlanSettings)
    critic: CriticSettings | None = None

    @property
    def spans(self) -> list[int]:
        """Environment steps in one step of each level."""
        spans, span = [], 1
        for level in self.levels:
            span *= level.stride
            spans.append(span)
        return spans


def load_preset(name: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A preset by name or file, with values replaced.

    Args:
        name: of a file in ``hjepa/presets``, or a path to a YAML file; see `hjepa.places.shipped_or_here`.
        overrides: ``"key.below=value"``; list entries by number, as ``levels.1.stride=4``. A value of planning
            replaces that of `PlanSettings.flat` as well.

    Raises:
        InputError: unknown preset or key, a value of the wrong type, or a configuration that cannot work.
    """
    content, path = read_preset(name)
    if isinstance(content, dict):
        content.pop("ablate", None)  # what hjepa.sweeps.grid reads
    return parse_config(override(content, overrides), str(path))


def read_preset(name: str) -> tuple[Any, Path]:
    """What stands in a preset, unchecked, and its file.

    Raises:
        InputError: unknown preset, a name of two, or no YAML.
    """
    shipped = PRESETS / f"{plain_name(name)}.yaml"
    path = shipped_or_here(name, shipped, "settings", folder=False)
    if not os.path.isfile(path):
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.yaml")))
        raise InputError(f"preset {name[:200]!r}", "", f"choose from {known}, or give a YAML file")
    try:
        return yaml.safe_load(path.read_text()), path
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"not YAML ({error})", str(path), "mend the file") from None


def override(content: Any, overrides: Sequence[str]) -> Any:
    """A nested dictionary with values replaced; the original is left alone.

    Raises:
        InputError: an override that does not read key=value, or an index that is not there.
    """
    content = _copy(content)
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"{text!r} does not read key=value", "override", "write key=value")
        *parents, last = key.strip().split(".")
        place: Any = content
        for part in parents:
            place = place.setdefault(part, {}) if isinstance(place, dict) else _entry(place, part, text)
        if isinstance(place, list):
            _entry(place, last, text)
            place[int(last)] = yaml.safe_load(value)
        elif isinstance(place, dict):
            place[last] = yaml.safe_load(value)
        else:
            raise InputError(f"{text!r} names something inside a plain value", "override", "shorten the key")
        if parents == ["plan"]:
            for flat in (place.get("flat") or {}).values() if last != "flat" else ():
                flat.pop(last, None)
                if last == "horizon":
                    flat.pop("commit", None)  # of a plan of another length
    return content


def parse_config(content: Any, where: str) -> RunConfig:
    """A configuration from plain values, checked.

    Args:
        content: nested dictionaries and lists.
        where: named in errors.

    Raises:
        InputError: a key or value that cannot work.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("run", type=RunConfig)
    try:
        config = parser.instantiate(parser.parse_object({"run": content})).run
    except Exception as error:
        raise InputError(_reason(error), where, "mend the value") from None
    check(config, where)
    return config


def with_levels(config: RunConfig, count: int) -> RunConfig:
    """The configuration of a stack that is trained with only the lowest ``count`` levels."""
    train, plan = config.train, config.plan
    return replace(
        config,
        levels=config.levels[:count],
        train=replace(train, steps=train.steps[:count]),
        plan=replace(plan, horizon=plan.horizon[:count], share=plan.share[:count]),
    )


def with_plan(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """The configuration with values of planning replaced, each ``"plan.key=value"``."""
    return parse_config(override(to_plain(config), overrides), "plan") if overrides else config


def to_plain(config: RunConfig) -> dict[str, Any]:
    """Nested dictionaries and lists, as they stand in ``config.yaml``."""
    return _copy(asdict(config))


def dump(config: RunConfig) -> str:
    """The configuration as YAML, everything resolved."""
    return yaml.safe_dump(to_plain(config), sort_keys=False)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value


def _entry(place: Any, part: str, text: str) -> Any:
    try:
        return place[int(part)]
    except (ValueError, TypeError, IndexError):
        raise InputError(f"{text!r}: no entry {part!r} there", "override", "count entries from 0") from None


def _reason(error: Exception) -> str:
    """The innermost line of a parser's message, which repeats itself at every level of nesting."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    # Of a section that may be left out it ends with what was given, and that it is not nothing.
    telling = [
        line for line in lines if not line.startswith(("Given value", "Expected a <class 'NoneType'>"))
    ]
    return one_line((telling or lines)[-1] if lines else error)
