"""What records say together: pooled over training seeds, paired by episode, cut by distance.

A *block* holds the records of one evaluation: the same task, split, kind of tasks and step budget. In it, an
*agent* is a setting (metric, planner, oracle, budget, variant) with a number of levels and a kind of depth;
its training seeds are the rows of a table whose columns are the episodes. An episode is known by the
evaluation seed, its number and the length of its shortest path, so agents are only ever paired on episodes
that are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hjepa.errors import InputError
from hjepa.evaluation.layouts import clustered_proportions, clustered_wilson, trials, whole_plans
from hjepa.evaluation.records import DEPTHS, DISTANCE_EDGES, Record
from hjepa.evaluation.statistics import (
    crossed_improvement,
    crossed_iqm,
    crossed_mean,
)

Array = NDArray[np.float64]
EVALUATION = ("task", "split", "tasks", "step_budget")
SETTING = ("metric", "planner", "oracle", "budget_tflops")
SMALLEST_BUCKET = 10
"""Episodes below which a distance bucket does not count in the interquartile mean."""

RESAMPLES = 2_000
RESAMPLING_SEED = 0
"""Every interval starts its own generator from this seed: the same records give the same page."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A record, the name of its source (``R3``) and the variant it belongs to, such as its overrides."""

    record: Record
    source: str = ""
    variant: str = ""


@dataclass(frozen=True)
class Measured:
    """A number with what it rests on.

    Attributes:
        value, lo, hi: the number and its 95 % interval; None where there is no interval.
        episodes: different episodes behind it.
        trainings: training seeds behind it.
        sources: names of the records behind it.
    """

    value: float
    lo: float | None
    hi: float | None
    episodes: int
    trainings: int
    sources: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Setting:
    """How an agent plans, apart from its levels; null values are written as an empty text or -1."""

    metric: str
    planner: str
    oracle: str
    budget_tflops: float
    variant: str

    def differing(self, others: Iterable[Setting]) -> dict[str, str]:
        """The fields in which the settings among ``others`` are not all alike, with this one's values."""
        others = list(others)
        texts = {}
        for name in (*SETTING, "variant"):
            if len({getattr(other, name) for other in others}) > 1:
                value = getattr(self, name)
                texts[name] = f"{value:g} TFLOP" if name == "budget_tflops" else str(value or "none")
        return texts


@dataclass(frozen=True, eq=False)
class Agent:
    """One setting with one number of levels of one kind of depth, over all its training seeds.

    Attributes:
        setting, levels, depth: what it is.
        entries: its records.
        seeds: (S,) training seeds, the rows of the tables; -1 where it is not known.
        success: (S, E) 0 or 1, NaN where not played; E counts the episodes of the block.
        scores: (S, E) success times shortest path over steps walked, between 0 and 1; NaN where not played.
        ratios: (S, E) steps walked over shortest path of the episodes that were solved, else NaN.
    """

    setting: Setting
    levels: int
    depth: str
    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    success: Array
    scores: Array
    ratios: Array

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(entry.source for entry in self.entries)

    @property
    def checkpoints(self) -> set[str]:
        """SHA-256 of the weights, as far as they are known."""
        return {entry.record["checkpoint_sha256"] for entry in self.entries} - {None}

    def mean(self, field: str) -> float | None:
        """Mean of a field over the records, each weighted by its episodes; None where no record has it."""
        known = [e.record for e in self.entries if isinstance(e.record.get(field), (int, float))]
        weight = sum(record["episodes"] for record in known)
        return sum(r[field] * r["episodes"] for r in known) / weight if weight else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two agents on the same episodes.

    Attributes:
        upper, lower: compared; the difference is upper minus lower.
        difference: of success, between -1 and 1.
        improvement: how likely the upper does better on an episode (solves it, or in fewer steps); a tie
            counts half.
        paired_trainings: whether the same training seeds stand on both sides.
    """

    upper: Agent
    lower: Agent
    difference: Measured
    improvement: Measured
    paired_trainings: bool


class Block:
    """All agents of one evaluation.

    Attributes:
        task, split, tasks, step_budget: which evaluation.
        episodes: (E,) of (evaluation seed, number, length of the shortest path), sorted.
        layouts: (E,) the floor plan of each episode; where records do not tell, each counts as one of its own.
        agents: sorted by setting, levels and depth.
        flat_planners: setting -> planner of its flat agents, where tuning gave them another than the hierarchies.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        first = entries[0].record
        self.task, self.split, self.tasks, self.step_budget = (first[name] for name in EVALUATION)
        self.entries = tuple(entries)
        keys = sorted({key for entry in entries for key in _episode_keys(entry.record)})
        self.episodes = keys
        self._column = {key: number for number, key in enumerate(keys)}
        self.layouts = self._layouts()
        groups: dict[tuple[Setting, int, str], list[Entry]] = {}
        for entry in entries:
            where = (setting_of(entry), entry.record["levels"], entry.record["depth"])
            groups.setdefault(where, []).append(entry)
        groups, self.flat_planners = _with_their_hierarchy(groups)
        self.agents = [self._agent(*where, found) for where, found in sorted(groups.items(), key=_order)]

    @cached_property
    def oracle_steps(self) -> Array:
        return np.array([steps for _, _, steps in self.episodes], float)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the evaluation."""
        return sorted({seed for seed, _, _ in self.episodes})

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(entry.source for entry in self.entries)

    def settings(self, oracle: bool = False) -> list[Setting]:
        """The settings of the block; with ``oracle`` also those that plan with a piece of the truth."""
        found = sorted({agent.setting for agent in self.agents})
        return [setting for setting in found if oracle or not setting.oracle]

    def buckets(self) -> list[tuple[str, NDArray[np.bool_]]]:
        """Name and mask (E,) of each distance bucket that holds episodes."""
        edges = (*DISTANCE_EDGES, np.inf)
        found = []
        for lo, hi in pairwise(edges):
            inside = (self.oracle_steps >= lo) & (self.oracle_steps < hi)
            if inside.any():
                found.append((f"{lo}+" if hi == np.inf else f"{lo}–{int(hi) - 1}", inside))
        return found

    def rate(self, agent: Agent, mask: NDArray[np.bool_] | None = None) -> Measured | None:
        """Success of an agent, of all episodes or of some; None where it played none of them.

        One training: Wilson's interval. Several: the bootstrap over trainings and episodes, never narrower
        than Wilson's interval of everything that was played. Episodes that share a floor plan count as
        `hjepa.evaluation.layouts` has it.
        """
        table, plans = agent.success, self.layouts
        if mask is not None:
            table, plans = table[:, mask], plans[mask]
        table = table[~np.isnan(table).all(axis=1)]
        known = ~np.isnan(table)
        played = table[known]
        if not played.size:
            return None
        lo, hi = clustered_wilson(*trials(table, plans))
        if len(table) > 1:
            spread = crossed_mean(table, _rng(), RESAMPLES, layouts=whole_plans(plans))
            lo, hi = min(lo, spread.lo), max(hi, spread.hi)
        episodes = int((~np.isnan(table)).any(axis=0).sum())
        return Measured(float(played.mean()), lo, hi, episodes, len(table), agent.sources)

    def iqm(self, agent: Agent) -> Measured | None:
        """Interquartile mean of success over trainings and distance buckets; None where a table has holes."""
        played = ~np.isnan(agent.success).all(axis=0)
        strata = np.digitize(self.oracle_steps, DISTANCE_EDGES)
        crowd = np.bincount(strata[played])
        # The rate of a bucket with a handful of episodes is noise, and counts as much as any other.
        played &= np.isin(strata, np.flatnonzero(crowd >= min(SMALLEST_BUCKET, crowd.max())))
        table, strata = agent.success[:, played], strata[played]
        if np.isnan(table).any():
            return None
        found = crossed_iqm(table, strata, _rng(), RESAMPLES)
        return Measured(found.value, found.lo, found.hi, table.shape[1], len(table), agent.sources)

    def compare(self, upper: Agent, lower: Agent) -> Comparison | None:
        """Upper minus lower on the episodes that both played; None where there are none.

        Where both have the same training seeds, the trainings are paired as well. The interval is never
        narrower than Bonett and Price's for all pairs, which has a width even where no episode differs.
        """
        shared = [seed for seed in upper.seeds if seed in lower.seeds and seed >= 0]
        paired = bool(shared) and set(upper.seeds) == set(lower.seeds)
        rows_u = [upper.seeds.index(s) for s in shared] if shared else list(range(len(upper.seeds)))
        rows_l = [lower.seeds.index(s) for s in shared] if shared else list(range(len(lower.seeds)))
        if not shared and min(len(rows_u), len(rows_l)) > 1:
            return None  # several trainings on either side and none in common: nothing to pair
        difference = upper.success[rows_u] - lower.success[rows_l]
        if np.isnan(difference).all():
            return None
        floor = clustered_proportions(*trials(difference, self.layouts))
        spread = crossed_mean(difference, _rng(), RESAMPLES, layouts=whole_plans(self.layouts))
        columns = ~np.isnan(difference).all(axis=0)
        wins = crossed_improvement(
            upper.scores[rows_u][:, columns],
            lower.scores[rows_l][:, columns],
            _rng(),
            RESAMPLES,
            layouts=whole_plans(self.layouts[columns]),
        )
        rests = (int(columns.sum()), len(difference), (*upper.sources, *lower.sources))
        return Comparison(
            upper,
            lower,
            Measured(floor.value, min(floor.lo, spread.lo), max(floor.hi, spread.hi), *rests),
            Measured(wins.value, wins.lo, wins.hi, *rests),
            paired,
        )

    def floor(self) -> Measured | None:
        """Success of the random policy, mean over the records that state it; no interval is known."""
        known = [e for e in self.entries if e.record["random_success_rate"] is not None]
        if not known:
            return None
        weight = sum(e.record["episodes"] for e in known)
        value = sum(e.record["random_success_rate"] * e.record["episodes"] for e in known) / weight
        return Measured(value, None, None, len(self.episodes), 0, tuple(e.source for e in known))

    def ceiling(self) -> Measured:
        """The share of episodes whose shortest path fits the step budget."""
        value = float((self.oracle_steps <= self.step_budget).mean())
        return Measured(value, None, None, len(self.episodes), 0, self.sources)

    def depths(self, setting: Setting) -> dict[str, dict[int, Agent]]:
        """Number of levels -> agent, for each kind of depth that was run with this setting.

        Cut to all its levels a stack is the trained one, so that one ends both series where its weights are
        those of the cut ones. A series that is wholly in the other is left out.
        """
        own = [agent for agent in self.agents if agent.setting == setting]
        trained = {a.levels: a for a in own if a.depth == "trained"}
        truncated = {a.levels: a for a in own if a.depth == "truncated"}
        if truncated:
            cut = set.union(*(a.checkpoints for a in truncated.values()))
            deepest = max(truncated)
            whole = {k: a for k, a in trained.items() if k > deepest and (a.checkpoints & cut or not cut)}
            truncated = {**whole, **truncated}
        series = {"trained": trained, "truncated": truncated}
        if set(trained.values()) <= set(truncated.values()):
            del series["trained"]
        return {depth: dict(sorted(found.items())) for depth, found in series.items() if found}

    def _layouts(self) -> NDArray[np.str_]:
        told: dict[tuple[int, int, float], str] = {}
        for entry in self.entries:
            told.update(zip(_episode_keys(entry.record), entry.record.get("layout", ())))
        return np.array([told.get(key, f"episode {number}") for number, key in enumerate(self.episodes)])

    def _agent(self, setting: Setting, levels: int, depth: str, entries: list[Entry]) -> Agent:
        seeds = sorted({_seed(entry.record) for entry in entries})
        success, scores, ratios = np.full((3, len(seeds), len(self.episodes)), np.nan)
        for entry in entries:
            record, row = entry.record, seeds.index(_seed(entry.record))
            columns = [self._column[key] for key in _episode_keys(record)]
            if not np.isnan(success[row, columns]).all():
                raise InputError(
                    f"two results of one agent on the same episodes ({levels} levels, {depth}, "
                    f"{setting.metric}, training seed {record['train_seed']})",
                    self.task,
                    "give folders that do not hold the same cell twice",
                )
            solved = np.asarray(record["success"], float)
            steps, oracle = np.asarray(record["steps"], float), np.asarray(record["oracle_steps"], float)
            success[row, columns] = solved
            scores[row, columns] = solved * oracle / np.maximum(steps, oracle)
            ratios[row, columns] = np.where(solved > 0, steps / oracle, np.nan)
        return Agent(setting, levels, depth, tuple(entries), tuple(seeds), success, scores, ratios)


def blocks(entries: Sequence[Entry]) -> list[Block]:
    """The entries, one block per evaluation, in the order of their names.

    Raises:
        InputError: none at all, or two results of one agent on the same episodes.
    """
    if not entries:
        raise InputError("no records", "report", "give what hjepa plan or hjepa ablate wrote")
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(tuple(entry.record[name] for name in EVALUATION), []).append(entry)
    return [Block(group) for _, group in sorted(groups.items())]


def setting_of(entry: Entry) -> Setting:
    """The setting a record was made with."""
    record = entry.record
    budget = record["budget_tflops"]
    return Setting(
        record["metric"],
        record["planner"],
        record["oracle"] or "",
        -1.0 if budget is None else float(budget),
        ", ".join(filter(None, [entry.variant, record.get("perception", "")])),
    )


def _with_their_hierarchy(
    groups: dict[tuple[Setting, int, str], list[Entry]],
) -> tuple[dict[tuple[Setting, int, str], list[Entry]], dict[Setting, str]]:
    """Flat agents with a planner of their own moved to the setting of the hierarchies they are compared with.

    A flat agent is tuned, its planner too (`hjepa tune`). Where all hierarchies of the same metric, oracle, budget and
    variant have one other planner, and no flat agent has that one, the comparison is meant.
    """
    moved, planners = dict(groups), {}
    for setting, levels, depth in groups:
        if levels != 1:
            continue
        others = {
            other.planner
            for other, count, _ in groups
            if count > 1 and replace(other, planner="") == replace(setting, planner="")
        }
        home = replace(setting, planner=next(iter(others), setting.planner))
        if len(others) == 1 and home != setting and all((home, 1, kind) not in groups for kind in DEPTHS):
            moved[home, 1, depth] = moved.pop((setting, levels, depth))
            planners[home] = setting.planner
    return moved, planners


def _episode_keys(record: Record) -> list[tuple[int, int, float]]:
    return [(record["seed"], number, steps) for number, steps in enumerate(record["oracle_steps"])]


def _seed(record: Record) -> int:
    return -1 if record["train_seed"] is None else int(record["train_seed"])


def _order(item: tuple[tuple[Setting, int, str], list[Entry]]) -> tuple[Setting, int, str]:
    return item[0]


def _rng() -> np.random.Generator:
    return np.random.default_rng(RESAMPLING_SEED)
