"""The settings of a run: which task, what data, which levels, how to train, how to plan. Plain values; no torch.

The range of every number stands beside it and is checked when settings are made, from a file or in Python; what can
only be said of several settings together is for `hjepa.checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hjepa.errors import InputError
from levels.metrics_names import METRICS
from levels.ranges import ranged, refusal, shown
from levels.settings import LevelSettings

ANY = "any"
"""Task of presets for any world: what they train on says which."""

SEEDS, STEPS, WEIGHT = 2**32 - 1, 1_000_000_000, 1e6
"""The largest seed, number of optimiser steps, and weight of a cost."""


class _Ranged:
    """Settings that are refused when a number is out of its range."""

    def __post_init__(self) -> None:
        found = refusal(self)
        if found is not None:
            name, value, remedy = found
            section = type(self).__name__.removesuffix("Settings").lower()
            raise InputError(f"{section}.{name} is {shown(value)}", "", remedy)


@dataclass(frozen=True)
class CollectSettings(_Ranged):
    """Arguments of `tasks.collect`: floor plans, episodes on each, observations per episode, seed, explorer."""

    plans: int = ranged(1, 1, 10_000_000)
    episodes_per_plan: int = ranged(256, 1, 1_000_000)
    length: int = ranged(128, 2, 1_000_000)
    seed: int = ranged(0, 0, SEEDS)
    split: str = "train"
    explorer: str = "mixture"


@dataclass(frozen=True)
class TrainSettings(_Ranged):
    """How levels are trained.

    Attributes:
        seed: of weights and batches.
        schedule: ``sequential`` trains one level after another, ``joint`` all together.
        steps: optimiser steps, one number per level, 0 for one that comes trained; with ``joint`` the largest counts.
        batch: transitions per level and step; a level with rollouts of R steps sees batch / R windows.
        plans: floor plans in a batch; equally many windows come from each.
        learning_rate: of level 1 at its peak.
        upper_learning_rate: of the other levels.
        weight_decay: of AdamW.
        end_to_end: whether the loss of a level reaches the levels below it (joint schedule).
        keep_encoder: whether level 1 goes on seeing as in the run it begins with, and learns only how the world moves.
        clip: largest norm of the gradient.
        log_every: steps between two rows of metrics.csv.
        checkpoint_every: steps between two checkpoints to resume from.
        metric_trajectories: training trajectories that the commute metric is computed from.
    """

    seed: int = ranged(0, 0, SEEDS)
    schedule: str = "sequential"
    steps: tuple[int, ...] = ranged((1000, 1000, 1000), 0, STEPS)
    batch: int = ranged(2048, 2, 10_000_000)
    plans: int = ranged(16, 1, 1_000_000)
    learning_rate: float = ranged(2e-3, 0, 1000, above=True)
    upper_learning_rate: float = ranged(2e-3, 0, 1000, above=True)
    weight_decay: float = ranged(1e-4, 0, 1000)
    end_to_end: bool = False
    keep_encoder: bool = False
    clip: float = ranged(1.0, 0, 1e9)
    log_every: int = ranged(50, 1, STEPS)
    checkpoint_every: int = ranged(200, 1, STEPS)
    metric_trajectories: int = ranged(256, 1, 1_000_000)


@dataclass(frozen=True)
class CriticSettings(_Ranged):
    """The critic of a stack and its training, after that of all levels; see `levels.grid.critic`.

    Attributes:
        kind: a name of `levels.costs.kinds`, or a class of one's own as ``module:Name``; None: ``grid`` for levels that
            are told, ``field`` for those that see a picture. ``step_field`` and ``quasimetric`` learn from single
            steps, so that no trajectory has to know a way: the first is a field over a picture as well, the second
            reads latents, and tokens of a picture where there is one, for vectors too.
        hidden: channels of the network that reads the floor plan.
        sweeps: moves of the longest way that is found.
        train_sweeps: the same in training; costs are local, so that near goals teach what far ones need.
        farthest: longest time to a goal that is learned from; None: any. (Of kinds that learn from single steps the
            steps at which more distance gains half as much; None: 100 units.) With fewer ``train_sweeps`` than the
            longest way has moves, a state whose way they do not hold would teach that the walls in between are thin.
        steps: optimiser steps.
        plans: floor plans in a batch, with one goal each.
        trajectories: on each of them.
        clip: moments of a piece of them that is learned from; of shorter ones as many more are drawn. None: as long as
            half of the episodes are, which is also the most; those that ended sooner are not seen then. For kinds
            that learn from single steps and lose nothing with few, and kinds of one's own.
        learning_rate: at its peak.
        under: weight of estimates that are too low, relative to those that are too high: the way is never longer
            than the time a trajectory took.
        ahead: weight of claims to be nearer to the goal than any action that level 1 imagines bears out; 0: none is
            tested. They are tested in the last part of the training: before, walls are thin and all would be wrong.
        states: on each floor plan whose claims are tested.
        unit: steps of the agent that a move to a neighbouring place takes at least: 1 in rooms, more where steps are
            small. What a field begins with is measured in it. Of kind ``quasimetric`` the scale of distance: such
            that the longest way has about 30 units.
        begins: places from the goal's, 1 or more along each axis, within which a field over a picture begins. None:
            everywhere, by 8 units a place, so that no way is ever longer than that: through a wall between two
            neighbouring rooms it may be 16 where the way round is 40, and walls need to be no thicker. With it, what is
            further than ``sweeps`` moves reads as no way at all: give as many as the longest way has. Critics of one's
            own get it in `levels.costs.kinds.Given`.
        lag: of kind ``step_field``, steps between the two moments of a pair: at most so many apart. More than 1 where
            places are not exact, as of small things in images; less than ``clip``.
        patch: pixels a side of one place of what a critic of an image reads; None: as of level 1's encoder. With fewer
            its field is finer than the eyes' map: where passages are no wider than one of their places, a latent lies
            between places, and half of what is read there is wall.
        apart: whether where a latent is is learned from what observations show alone, see
            `levels.grid.critic.Critic.loss`.
    """

    kind: str | None = None
    hidden: int = ranged(32, 1, 4096)
    sweeps: int = ranged(48, 1, 10_000)
    train_sweeps: int = ranged(32, 1, 10_000)
    farthest: int | None = ranged(None, 1, 1_000_000)
    steps: int = ranged(600, 1, STEPS)
    plans: int = ranged(8, 1, 1_000_000)
    trajectories: int = ranged(8, 1, 1_000_000)
    clip: int | None = ranged(None, 2, 1_000_000)
    learning_rate: float = ranged(1e-2, 0, 1000, above=True)
    under: float = ranged(0.03, 0, 1, above=True)
    ahead: float = ranged(0.0, 0, WEIGHT)
    states: int = ranged(32, 1, 1_000_000)
    unit: float = ranged(1.0, 0, WEIGHT, above=True)
    begins: float | None = ranged(None, 1, 10_000)
    lag: int = ranged(1, 1, 10_000)
    patch: int | None = ranged(None, 1, 1024)
    apart: bool = False


@dataclass(frozen=True)
class WalkSettings(_Ranged):
    """Walks in imagination that the metric ``imagined`` of an episode is computed from.

    Attributes:
        level: that imagines them, or the top level in use if it has fewer. Above 1 it has to share level 1's latent.
        count: walks from the start, and as many from the goal.
        steps: of that level in each walk.
        lag: steps of that level between the two latents of a pair, see `levels.metrics.commute_metric`.
    """

    level: int = ranged(1, 1, 32)
    count: int = ranged(64, 1, 4096)
    steps: int = ranged(64, 2, 4096)
    lag: int = ranged(1, 1, 4095)


@dataclass(frozen=True)
class IntrinsicSettings(_Ranged):
    """What plans of level 1 cost whatever they are for, see `planners.intrinsic`; time is ``step_cost``.

    Attributes:
        energy: cost of a unit of energy, in the unit of ``step_cost``.
        prices: energy of each discrete action; None: 1 each, and of continuous actions their squared size.
        discomfort: cost of a step that changes nothing, though its action has a price.
    """

    energy: float = ranged(0.0, 0, WEIGHT)
    prices: tuple[float, ...] | None = ranged(None, 0, WEIGHT)
    discomfort: float = ranged(0.0, 0, WEIGHT)


@dataclass(frozen=True)
class RiskSettings(_Ranged):
    """How level 1 weighs several futures of a plan, where it has a latent variable; see `planners.risk`.

    Attributes:
        kind: ``mean``, ``worst``, or ``cvar``, the mean of the worst share.
        futures: imagined of each candidate that is left to select from.
        share: that ``cvar`` looks at.
    """

    kind: str = "mean"
    futures: int = ranged(8, 1, 65_536)
    share: float = ranged(0.25, 0, 1, above=True)


@dataclass(frozen=True)
class PlanSettings(_Ranged):
    """How the agent plans.

    Attributes:
        horizon: steps per level when it aims at the goal.
        commit: steps a flat agent walks of a plan before it plans again.
        planner: one of `hjepa.planner_names.PLANNERS`, or a class of one's own as ``module:Name``; ``exhaustive``
            enumerates at level 1 and uses adam above, ``actor`` takes the best of a few draws of the actors, without
            search, ``clone`` their likeliest action, comparing nothing; ``value-map`` is a control that descends the
            critic's field and uses no world model (`hjepa.evaluation.value_map`).
        actor: candidates of each search that follow the level's actor; the rest is drawn from its prior.
        metric: distance between latents, one of `levels.metrics_names.METRICS`, or one of one's own as ``module:Name``.
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
        exact: weight of the distance between latents beside the critic's steps to go, where a mission, or a goal that
            has to look the same, asks for a state and not a place alone.
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
        block: episodes per planner call. With fewer than 8, pictures are read one by one, which is quicker for a single
            episode and has other last bits.
        folded: levels that glimpse tokens read what their first layer makes of them, computed once per picture
            (`levels.predictors.Predictor.fold`). Planning many episodes is quicker, and has other last bits than
            lists that were made without. Counted operations are those without.
        veto: cost of a level's best plan to a subgoal above which it leaves the subgoal and aims at the goal itself, in
            median distances of one stride of the level that set it; None: never.
        critic_veto: the same under the metric ``critic``, where it pays: a goal told in steps to go is worth aiming at.
        reached: quantile of one-stride distances in the data within which a level's goal counts as reached.
        critic_reached: the same under the metric ``critic``, which knows better than a distance when it is time to
            hand the goal down.
        subgoals: under the metric ``critic``, what measures subgoals: ``distance``, that of latents, or ``critic``, the
            steps to go to them, where the critic is a field that spreads from any latent.
        doubt: under the metric ``critic``, where it is a field, steps in which an episode may come no nearer by it
            before the way that it claims from there costs more (`hjepa.agent.doubt`); not where there are guardrails.
            None: it is always believed.
        warm_start: try what is left of a level's last plan among its proposals.
        hold: steps for which a proposal of level 1 keeps what it has drawn, at most: a power of two of them, from 1 on,
            by the candidates in turn. Where actions are small pushes, draws that change at every step cancel. Planners
            that draw nothing, such as ``actor`` and ``exhaustive``, have no use for it.
        max_milliseconds: of one planner call, a block of episodes at one level: after that no further iteration
            begins, and the best plan so far is used. What is planned then depends on the machine, so results
            are not bit-identical. None: no limit.
        max_rollouts: most candidates that one planner call imagines per episode, all iterations counted, but
            not what `ground` imagines; the number of proposals follows from it. None: no limit.
        patience: an episode whose best cost gained less than 1 % in so many steps of Adam stops there. None:
            none does.
        walks: of the metric ``imagined``.
        intrinsic: what plans of level 1 cost whatever they are for.
        risk: how level 1 weighs several futures; None: the likeliest one counts.
        flat: per metric, values that replace the ones above where one level plans alone, as `hjepa tune` finds
            them; its horizon is one number, and of its walks only what differs need be given.
        deep: the same where several levels plan; its horizon has one number per level.
    """

    horizon: tuple[int, ...] = ranged((8, 6, 4), 1, 10_000)
    commit: int = ranged(4, 1, 10_000)
    planner: str = "adam"
    actor: int = ranged(0, 0, 4096)
    metric: str = "commute"
    iterations: int = ranged(4, 1, 10_000)
    learning_rate: float = ranged(1.0, 0, 1000, above=True)
    elites: float = ranged(0.125, 0, 1, above=True)
    margin: float = ranged(2.0, 0, 1000)
    support: float = ranged(0.1, 0, WEIGHT)
    support_free: float = ranged(3.0, 0, WEIGHT)
    step_cost: float = ranged(0.05, 0, WEIGHT)
    haste: float = ranged(0.0, 0, WEIGHT)
    pace: float | None = ranged(None, 0, WEIGHT, above=True)
    exact: float = ranged(1.0, 0, WEIGHT)
    start: str = "top"
    danger: float = ranged(0.1, 0, 1, below=True)
    ground: int = ranged(64, 0, 65_536)
    ground_weight: float = ranged(1.0, 0, WEIGHT)
    ground_depth: int = ranged(2, 1, 32)
    share: tuple[float, ...] = ranged((1.0, 1.0, 1.0), 0, WEIGHT, above=True)
    front: float = ranged(1.0, 1, WEIGHT)
    max_candidates: int = ranged(512, 1, 1_048_576)
    block: int = ranged(8, 1, 4096)
    folded: bool = False
    veto: float | None = ranged(None, 0, WEIGHT, above=True)
    critic_veto: float | None = ranged(None, 0, WEIGHT, above=True)
    reached: float = ranged(0.25, 0, 1)
    critic_reached: float = ranged(0.9, 0, 1)
    subgoals: str = "distance"
    doubt: int | None = ranged(None, 1, 10_000)
    warm_start: bool = False
    hold: int = ranged(1, 1, 10_000)
    max_milliseconds: float | None = ranged(None, 0, 1e9, above=True)
    max_rollouts: int | None = ranged(None, 1, 1_000_000_000)
    patience: int | None = ranged(None, 1, 10_000)
    walks: WalkSettings = field(default_factory=WalkSettings)
    intrinsic: IntrinsicSettings = field(default_factory=IntrinsicSettings)
    risk: RiskSettings | None = None
    flat: dict[str, dict[str, Any]] = field(default_factory=dict)
    deep: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def own_distances(self) -> list[str]:
        """The distances named here beside `levels.metrics_names.DISTANCES`, each once."""
        named = dict.fromkeys((self.metric, *self.flat, *self.deep))
        return [name for name in named if name not in METRICS]

    def alone(self) -> PlanSettings:
        """The settings of one level that plans alone."""
        values = dict(self.flat.get(self.metric, {}))
        if "horizon" in values:
            values["horizon"] = (values["horizon"], *self.horizon[1:])
        return self._with(values)

    def together(self) -> PlanSettings:
        """The settings of several levels."""
        return self._with(self.deep.get(self.metric, {}))

    def _with(self, values: dict[str, Any]) -> PlanSettings:
        walks = replace(self.walks, **values.get("walks", {}))
        return replace(self, **{**values, "walks": walks}, flat={}, deep={})


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
