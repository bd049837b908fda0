"""Rows of the parts that plan: critic, actor, configurator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np

from hjepa.json_files import read_json
from hjepa.records import Record
from hjepa.report.parts import Row, name_of, of_levels, share
from hjepa.statistics import paired_difference
from tasks.missions import KINDS

TASK = "hjepa/NestedRooms-d3-v0"

SCALES = {"map": "over the map", "span": "within what a level looks ahead"}


def critic_rows(folder: Path) -> Iterator[Row]:
    """Whether steps to go are ordered as the true way is, at the level that does worst."""
    file = folder / "critic.json"
    if not file.exists():
        return
    command = (
        f"hjepa plan --checkpoint nested-d3 --task {TASK} --levels 4 --metric critic,imagined --episodes 80 --split test"
        " --seed 0,1,2 --diagnostics --json critic.json"
    )
    records = read_json(file)
    own, other = ([r for r in records if r["metric"] == metric] for metric in ("critic", "imagined"))
    for scale, words in SCALES.items():
        worst, interval = _worst_level(own, f"rank_correlations_{scale}")
        control, _ = _worst_level(other, f"rank_correlations_{scale}")
        what = f"rank correlation with the steps to the goal {words}, d3, lowest of 4 levels"
        yield Row(
            "critic", what, worst, interval, control, ">= 0.9", worst >= 0.9, command, name_of(file)
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
            f"hjepa plan --checkpoint nested-d3 --task {TASK} --levels 1,3 --planner adam,actor --episodes 200"
            " --split test --seed 0,1,2 --workers 1 --json actor.json"
        )
        for levels in (1, 3):
            slow, fast = (
                [r for r in of_levels(file, levels) if r["planner"] == planner] for planner in ("adam", "actor")
            )
            value, interval = share(fast, "success")
            control, _ = share(slow, "success")
            what, kept = f"success at a glance, d3, {levels} level{'s' * (levels > 1)}", value >= 0.8 * control
            yield Row(
                "actor", what, value, interval, control, ">= 0.8 of control", kept, command, name_of(file)
            )
            for unit, words in (("seconds_per_episode", "seconds"), ("tflops_per_episode", "operations")):
                ratios = [s[unit] / f[unit] for s, f in zip(slow, fast)]
                mean = float(np.mean(ratios))
                what = f"{words} of the search over those of a glance, d3, {levels} level{'s' * (levels > 1)}"
                spread = [min(ratios), max(ratios)]
                yield Row("actor", what, mean, spread, None, ">= 30", mean >= 30, command, name_of(file))
    file = folder / "actor-proposals.json"
    if file.exists():
        command = (
            "hjepa plan --checkpoint nested-d3 --task hjepa/NestedLava-d3-v0 --levels 3 --episodes 200 --split test"
            " --seed 0,1,2 --set plan.actor=16 --set plan.iterations=1 --json actor-proposals.json"
        )
        yield from _proposals(file, folder / "actor-proposals-without.json", command)


def _proposals(file: Path, without: Path, command: str) -> Iterator[Row]:
    difference = _difference(read_json(file), read_json(without), "success")
    met = difference.lo > -0.03
    what = "success with the actor among the proposals and 1 iteration, less that of 3 iterations without, lava"
    yield Row(
        "actor", what, difference.value, [difference.lo, difference.hi], None, "lower bound > -0.03", met, command,
        name_of(file),
    )


def configurator_rows(folder: Path) -> Iterator[Row]:
    """Each kind of mission, and what it saves to begin with as few levels as the distance needs."""
    near, far = folder / "missions.json", folder / "missions-all-levels.json"
    if not (near.exists() and far.exists()):
        return
    command = (
        "hjepa plan --checkpoint nested-keys-d2 --task hjepa/NestedKeys-d2-v0 --mission {} --levels 3 --episodes 200"
        " --split test --seed 0,1,2{} --json {}.json"
    )
    chosen, usual = read_json(near), read_json(far)
    for kind in KINDS:
        own = [record for record in chosen if record["mission"] == kind]
        value, interval = share(own, "success")
        control = float(np.mean([record["random_success_rate"] for record in own]))
        again = command.format(kind, " --set plan.start=distance", kind)
        what = f"missions done, {kind}, control: random actions"
        yield Row(
            "configurator", what, value, interval, control, ">= 0.85", value >= 0.85, again, name_of(near)
        )
    difference = _difference(chosen, usual, "success")
    again = command.format("KIND", " --set plan.start=top", "KIND")
    what = "success, begun by distance less begun with all levels"
    met, interval = difference.lo > -0.03, [difference.lo, difference.hi]
    bar = "lower bound > -0.03"
    yield Row("configurator", what, difference.value, interval, None, bar, met, again, name_of(far))
    saved = [
        1 - one["tflops_per_episode"] / other["tflops_per_episode"]
        for one, other in zip(_in_order(chosen), _in_order(usual))
    ]
    mean, spread = float(np.mean(saved)), [min(saved), max(saved)]
    what = "share of operations saved by beginning by distance (interval: least and most of the records)"
    yield Row("configurator", what, mean, spread, None, ">= 0.3", mean >= 0.3, again, name_of(far))


def _difference(first: Sequence[Record], second: Sequence[Record], name: str):  # type: ignore[no-untyped-def]
    """Paired over the episodes of records in the same order."""
    one, other = (np.concatenate([record[name] for record in _in_order(part)]) for part in (first, second))
    return paired_difference(one, other, np.random.default_rng(0))


def _in_order(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.get("mission", ""), record["levels"], record["seed"]))
