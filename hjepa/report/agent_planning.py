"""Rows of the parts that plan: critic, actor, configurator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np

from hjepa.evaluation.records import Record
from hjepa.evaluation.statistics import Estimate, paired_difference
from hjepa.json_files import read_json
from hjepa.report.parts import Row, name_of, of_levels, share
from tasks.missions import KINDS

EVALUATED = "--episodes 200 --split test --seed 0,1,2"
ROOMS, KEYS = "hjepa/NestedRooms-d3-v0", "hjepa/NestedKeys-d2-v0"

SCALES = {"map": "over the map", "span": "within what a level looks ahead"}
NO_LOSS = "lower bound > -0.03"


def critic_rows(folder: Path) -> Iterator[Row]:
    """Whether steps to go are ordered as the true way is, at the level that does worst."""
    file = folder / "critic.json"
    if not file.exists():
        return
    command = (
        f"hjepa plan --checkpoint told-nested-d3 --task {ROOMS} --levels 4 --metric critic,imagined --episodes 80"
        " --split test --seed 0,1,2 --diagnostics --json critic.json"
    )
    records = read_json(file)
    own, other = ([r for r in records if r["metric"] == metric] for metric in ("critic", "imagined"))
    for scale, words in SCALES.items():
        value, interval = _worst_level(own, f"rank_correlations_{scale}")
        control, _ = _worst_level(other, f"rank_correlations_{scale}")
        what = f"rank correlation with the true steps {words}, d3, lowest of 4 levels; control: imagined"
        yield Row("critic", what, value, interval, control, ">= 0.9", value >= 0.9, command, name_of(file))
    difference = _difference(own, other)
    what = "success, 4 levels, d3; control: imagined, the best metric before it"
    value, interval = share(own, "success")
    yield Row(
        "critic",
        what,
        value,
        interval,
        share(other, "success")[0],
        "not below control",
        difference.hi >= 0,
        command,
        name_of(file),
    )


def _worst_level(records: Sequence[Record], name: str) -> tuple[float, list[float]]:
    """The lowest mean over floor plans of all levels, and its interval."""
    means = []
    for k in range(len(records[0]["diagnostics"])):
        found = [value for record in records for value in record["diagnostics"][k][name] if value is not None]
        half = NormalDist().inv_cdf(0.975) * float(np.std(found, ddof=1)) / sqrt(len(found))
        mean = float(np.mean(found))
        means.append((mean, [mean - half, mean + half]))
    return min(means)


def actor_rows(folder: Path) -> Iterator[Row]:
    """The fast mode against the slow one, and the slow one with the fast one among its proposals."""
    file = folder / "actor.json"
    if file.exists():
        command = (
            f"hjepa plan --checkpoint told-nested-d3 --task {ROOMS} --levels 1,3 --planner adam,actor {EVALUATED}"
            " --workers 1 --json actor.json"
        )
        for levels in (1, 3):
            yield from _glances(file, levels, command)
    yield from _proposals(folder)


def _proposals(folder: Path) -> Iterator[Row]:
    """Success and ways of few candidates, some of them the actor's, with a third of the iterations."""
    file, without = folder / "actor-proposals.json", folder / "actor-proposals-without.json"
    if not (file.exists() and without.exists()):
        return
    command = (
        f"hjepa plan --checkpoint told-nested-d3 --task {ROOMS} --levels 3 {EVALUATED} --budget-tflops 0.02"
        " --set plan.max_candidates=16 --set plan.iterations=1 --set plan.actor=8 --json actor-proposals.json"
    )
    own, other = read_json(file), read_json(without)
    what = "d3, 3 levels, 16 candidates: 1 iteration, 8 candidates of the actor's, less 3 iterations without"
    difference, ways = _difference(own, other), _difference_of_ways(own, other)
    for name, found, bar, met in (
        ("success", difference, NO_LOSS, difference.lo > -0.03),
        ("path / shortest where both arrive", ways, "upper bound <= 0", ways.hi <= 0),
    ):
        interval = [found.lo, found.hi]
        yield Row("actor", f"{name}, {what}", found.value, interval, None, bar, met, command, name_of(file))


def _glances(file: Path, levels: int, command: str) -> Iterator[Row]:
    """Success and speed of the fast mode with some levels."""
    slow, fast = (
        _in_order([r for r in of_levels(file, levels) if r["planner"] == planner])
        for planner in ("adam", "actor")
    )
    count = f"{levels} level{'s' * (levels > 1)}"
    (value, interval), (control, _) = share(fast, "success"), share(slow, "success")
    what, bar = f"success at a glance, d3, {count}; control: by search", ">= 0.8 of control"
    met = value >= 0.8 * control
    yield Row("actor", what, value, interval, control, bar, met, command, name_of(file))
    for unit, words in (("seconds_per_episode", "seconds"), ("tflops_per_episode", "operations")):
        ratios = [one[unit] / other[unit] for one, other in zip(slow, fast)]
        mean, spread = float(np.mean(ratios)), [min(ratios), max(ratios)]
        what = f"{words} of search over those of a glance, d3, {count} (interval: least and most of a seed)"
        yield Row("actor", what, mean, spread, None, ">= 30", mean >= 30, command, name_of(file))


def configurator_rows(folder: Path) -> Iterator[Row]:
    """Each kind of mission, and what it saves to begin with as few levels as the distance needs."""
    near, far = folder / "missions.json", folder / "missions-all-levels.json"
    if not (near.exists() and far.exists()):
        return
    command = (
        f"hjepa plan --checkpoint told-nested-keys-d2 --task {KEYS} --mission {{}} --levels 3 {EVALUATED}"
        " --set plan.start={} --json {}.json"
    )
    chosen, usual = read_json(near), read_json(far)
    for kind in KINDS:
        own = [record for record in chosen if record["mission"] == kind]
        value, interval = share(own, "success")
        control = float(np.mean([record["random_success_rate"] for record in own]))
        what, met = f"missions done: {kind}; control: random actions", value >= 0.85
        again = command.format(kind, "distance", kind)
        yield Row("configurator", what, value, interval, control, ">= 0.85", met, again, name_of(near))
    again, difference = command.format("KIND", "top", "KIND"), _difference(chosen, usual)
    what = "missions done, begun by distance less begun with all levels"
    interval, met = [difference.lo, difference.hi], difference.lo > -0.03
    yield Row("configurator", what, difference.value, interval, None, NO_LOSS, met, again, name_of(far))
    saved = [
        1 - one["tflops_per_episode"] / other["tflops_per_episode"]
        for one, other in zip(_in_order(chosen), _in_order(usual))
    ]
    mean, spread = float(np.mean(saved)), [min(saved), max(saved)]
    what = "share of operations saved by beginning by distance (interval: least and most of a record)"
    yield Row("configurator", what, mean, spread, None, ">= 0.3", mean >= 0.3, again, name_of(far))


def _difference(first: Sequence[Record], second: Sequence[Record]) -> Estimate:
    """Of success, paired over the episodes."""
    return paired_difference(_successes(first), _successes(second), np.random.default_rng(0))


def _difference_of_ways(first: Sequence[Record], second: Sequence[Record]) -> Estimate:
    """Of steps over the shortest way, paired over the episodes that both solved."""
    both = (_successes(first) * _successes(second)).astype(bool)
    own, other = (
        np.concatenate([np.divide(r["steps"], r["oracle_steps"]) for r in _in_order(records)])[both]
        for records in (first, second)
    )
    return paired_difference(own, other, np.random.default_rng(0))


def _successes(records: Sequence[Record]) -> np.ndarray:
    return np.concatenate([record["success"] for record in _in_order(records)])


def _in_order(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.get("mission", ""), record["levels"], record["seed"]))
