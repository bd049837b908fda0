"""The record of one evaluation: built, checked, written, read and printed.

A record is a plain dictionary whose fields are the contract of ``hjepa plan --json``; a file holds a list
of them. Programs read these files, so a field is never renamed, and a value that does not exist is null,
never NaN.

| fields | meaning |
|---|---|
| `task, split, tasks, seed` | which evaluation episodes |
| `levels, depth, metric, planner, oracle` | who acted |
| `budget_tflops, step_budget, train_seed, checkpoint_sha256` | with what |
| `episodes` and the lists `success, steps, oracle_steps` | what happened, episode by episode |
| `success_rate, success_ci95, path_ratio, spl, random_success_rate, by_distance` | summary of success |
| `layout`, `layouts` | the floor plan of each episode, by what it shows, and how many there are; old records lack it |
| `success_ci95_clustered` | the interval to quote where episodes share floor plans (`hjepa.evaluation.layouts`) |
| `active_share, tflops_per_episode, violations` | summary of planning |
| `guardrails, violated`, `memory` | of worlds with forbidden cells, and of worlds that are seen in parts |
| `perception, perception_sha256` | what the agent saw with and its hash, where it was not the symbolic observation |
| `ways` | ``unknown`` where nobody knows the shortest way: `oracle_steps`, `spl` and `by_distance` then mean nothing |
| `overrides` | settings of planning that `hjepa plan --set` replaced, if any |
| `active_episodes` | share of episodes in which each level planned at all; records of old have none |
| `plan_ms, seconds_per_episode, peak_mb, versions` | timing: all that two equal runs may differ in |
"""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hjepa.errors import InputError
from hjepa.evaluation.layouts import clustered, clustered_wilson
from hjepa.evaluation.plan_request import DEPTHS
from hjepa.evaluation.statistics import spl, wilson
from hjepa.json_files import plain, read_json, write_json

__all__ = [
    "DEPTHS",
    "DISTANCE_EDGES",
    "TIMING_FIELDS",
    "UNKNOWN",
    "Record",
    "build_record",
    "by_distance",
    "check_record",
    "installed_versions",
    "overrides_of",
    "pooled",
    "read_json",
    "read_records",
    "success_interval",
    "without_timing",
    "write_json",
]

Record = dict[str, Any]

DISTANCE_EDGES = (1, 9, 17, 27, 41, 61, 91)
"""Shortest-path lengths at which `by_distance` is cut; bin i holds ``edges[i] <= length < edges[i + 1]``."""

UNKNOWN = "unknown"
"""`ways` of records of worlds that show a goal and not the way to it; their `oracle_steps` are 1 and mean nothing."""

TIMING_FIELDS = ("plan_ms", "seconds_per_episode", "peak_mb", "versions")
"""Fields exempt from bit-identity."""

# Field -> what it may hold. `None` in the tuple: null is allowed.
_FIELDS: dict[str, tuple[type | None, ...]] = {
    "task": (str,),
    "split": (str,),
    "tasks": (str,),
    "seed": (int,),
    "levels": (int,),
    "depth": (str,),
    "metric": (str,),
    "planner": (str,),
    "oracle": (str, None),
    "budget_tflops": (float, None),
    "step_budget": (int,),
    "train_seed": (int, None),
    "checkpoint_sha256": (str, None),
    "episodes": (int,),
    "success": (list,),
    "steps": (list,),
    "oracle_steps": (list,),
    "success_rate": (float,),
    "success_ci95": (list,),
    "path_ratio": (float, None),
    "spl": (float,),
    "random_success_rate": (float, None),
    "by_distance": (list,),
    "active_share": (list,),
    "tflops_per_episode": (float,),
    "violations": (float,),
    "plan_ms": (float, None),
    "seconds_per_episode": (float, None),
    "peak_mb": (float, None),
    "versions": (dict,),
}

# The same of fields that not every record has.
_MORE: dict[str, tuple[type | None, ...]] = {
    "success_ci95_clustered": (list,),
    "spec": (dict, None),
    "overrides": (list,),
    "guardrails": (list,),
    "memory": (str,),
    "mission": (str,),
    "perception": (str,),
    "perception_sha256": (str, None),
    "ways": (str,),
}

_NUMBERS = ("success_ci95", "success_ci95_clustered", "active_share")
"""Fields that hold numbers alone."""


def build_record(
    *,
    task: str,
    split: str,
    tasks: str,
    seed: int,
    levels: int,
    depth: str,
    metric: str,
    planner: str,
    step_budget: int,
    success: ArrayLike,
    steps: ArrayLike,
    oracle_steps: ArrayLike,
    active_share: ArrayLike,
    tflops_per_episode: float,
    oracle: str | None = None,
    budget_tflops: float | None = None,
    train_seed: int | None = None,
    checkpoint_sha256: str | None = None,
    random_success_rate: float | None = None,
    violations: ArrayLike = 0.0,
    plan_ms: float | None = None,
    seconds_per_episode: float | None = None,
    peak_mb: float | None = None,
    versions: Mapping[str, Any] | None = None,
    layout: Sequence[str] | None = None,
) -> Record:
    """One record from what happened in each episode; the summary is computed here and nowhere else.

    Args:
        task, split, tasks, seed: the evaluation episodes.
        levels: levels of the agent, at least 1.
        depth: one of `DEPTHS`.
        metric, planner, oracle: as named on the command line; oracle null when none is used.
        budget_tflops: compute allowed per episode, in TFLOP.
        step_budget: environment steps allowed per episode.
        train_seed, checkpoint_sha256: the weights.
        success: (E,) 0 or 1.
        steps: (E,) environment steps taken, the whole step budget where the episode failed.
        oracle_steps: (E,) steps of a shortest path, positive.
        active_share: (levels,) share of replans in which each level planned, level 1 first.
        tflops_per_episode: mean compute spent: forward, backward, every candidate, perception.
        random_success_rate: of the uniform random policy on these episodes.
        violations: (E,) whether or how often an episode broke a guardrail, or the share of episodes that did.
        plan_ms: median milliseconds of planning per episode and replan.
        seconds_per_episode: wall time.
        peak_mb: peak memory of the process, or of the accelerator where one is used.
        versions: by default `versions()`.
        layout: (E,) name of each episode's floor plan; None: not known.

    Raises:
        InputError: lengths differ or a value is out of range.
    """
    success, steps, oracle_steps = (np.asarray(values) for values in (success, steps, oracle_steps))
    path_weighted = spl(success, steps, oracle_steps)  # refuses unequal lengths and impossible paths
    if not np.isin(success, (0, 1)).all():
        raise InputError("success holds something other than 0 and 1", "build_record", "give 0 or 1 each")
    solved = success.astype(bool)
    path_ratio = float((steps / oracle_steps)[solved].mean()) if solved.any() else None
    broken = np.asarray(violations, float)
    record: Record = {
        "task": task,
        "split": split,
        "tasks": tasks,
        "seed": seed,
        "levels": levels,
        "depth": depth,
        "metric": metric,
        "planner": planner,
        "oracle": oracle,
        "budget_tflops": budget_tflops,
        "step_budget": step_budget,
        "train_seed": train_seed,
        "checkpoint_sha256": checkpoint_sha256,
        "episodes": success.size,
        "success": solved.astype(int),
        "steps": steps,
        "oracle_steps": oracle_steps,
        "success_rate": float(solved.mean()),
        "success_ci95": list(wilson(int(solved.sum()), solved.size)),
        "path_ratio": path_ratio,
        "spl": path_weighted,
        "random_success_rate": random_success_rate,
        "by_distance": by_distance(solved, oracle_steps),
        "active_share": np.asarray(active_share, float),
        "tflops_per_episode": tflops_per_episode,
        "violations": float((broken > 0).mean()) if broken.ndim else float(broken),
        "plan_ms": plan_ms,
        "seconds_per_episode": seconds_per_episode,
        "peak_mb": peak_mb,
        "versions": dict(versions if versions is not None else installed_versions()),
    }
    if layout is not None:
        record |= layout_fields(solved, layout)
    record = plain(record)
    check_record(record, where="build_record")
    return record


def layout_fields(success: ArrayLike, layout: Sequence[str]) -> dict[str, Any]:
    """The fields of a record that say which floor plans its episodes (E,) are on, and what follows for success."""
    fields: dict[str, Any] = {"layout": list(layout), "layouts": len(set(layout))}
    if clustered(layout):
        fields["success_ci95_clustered"] = list(clustered_wilson(success, layout))
    return fields


def success_interval(record: Mapping[str, Any]) -> list[float]:
    """The 95 % interval of success: clustered by floor plan where episodes share some."""
    return list(record.get("success_ci95_clustered", record["success_ci95"]))


def pooled(records: Sequence[Record]) -> Record:
    """One record of all episodes of records that differ in the evaluation seed alone; its seed is the first one's.

    What was measured per record, as compute and time, is averaged over episodes.

    Raises:
        InputError: no records, or some that differ in the agent or the task.
    """
    same = ("task", "split", "tasks", "levels", "depth", "metric", "planner", "oracle", "budget_tflops",
            "step_budget", "train_seed", "checkpoint_sha256")  # fmt: skip
    if not records:
        raise InputError("no records", "pooled", "give at least one")
    first = records[0]
    for name in same:
        if any(record[name] != first[name] for record in records):
            raise InputError(f"records differ in {name}", "pooled", "give those of one agent and task")
    for name in (
        "guardrails",
        "memory",
        "mission",
        "overrides",
        "perception",
        "perception_sha256",
    ):  # which most do not have
        if any(record.get(name) != first.get(name) for record in records):
            raise InputError(f"records differ in {name}", "pooled", "give those of one agent and task")
    episodes = np.array([record["episodes"] for record in records], float)

    def mean(name: str) -> Any:
        values = [record[name] for record in records]
        return None if None in values else np.average(np.array(values, float), axis=0, weights=episodes)

    averaged = ("active_share", "tflops_per_episode", "random_success_rate", "violations", "plan_ms",
                "seconds_per_episode", "peak_mb")  # fmt: skip
    joined: dict[str, Any] = {
        name: np.concatenate([record[name] for record in records])
        for name in ("success", "steps", "oracle_steps")
    }
    facts: dict[str, Any] = {name: first[name] for name in (*same, "seed", "versions")}
    if all("layout" in record for record in records):
        facts["layout"] = [plan for record in records for plan in record["layout"]]
    record = build_record(**facts, **joined, **{name: mean(name) for name in averaged})
    if all("active_episodes" in record for record in records):
        record["active_episodes"] = plain(mean("active_episodes"))
    if all("violated" in record for record in records):
        record["violated"] = [broken for each in records for broken in each["violated"]]
    if any(each.get("ways") == UNKNOWN for each in records):
        record |= {"ways": UNKNOWN, "path_ratio": None}
    dropped = {"active_episodes", "layout", "layouts", "steps_to_success", "success_ci95_clustered"}
    # What else a record may hold, as its specification, is the first one's; an average of some would be none of all.
    return record | {name: first[name] for name in first.keys() - record.keys() - dropped}


def overrides_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """What was replaced for a record, each ``key=value``: in its preset by an ablation, in planning by `hjepa plan`."""
    found = (record.get("spec") or record).get("overrides")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def by_distance(success: ArrayLike, oracle_steps: ArrayLike) -> list[dict[str, Any]]:
    """Success by length of the shortest path, one entry per bin of `DISTANCE_EDGES`, empty bins too.

    Args:
        success: (E,) 0 or 1.
        oracle_steps: (E,) steps of a shortest path.

    Returns:
        dictionaries ``lo, hi, episodes, success_rate``: ``lo <= length < hi``, success_rate null in an
        empty bin. Paths of the last edge and more get one more bin with ``hi`` null, which is there only
        when such paths are.
    """
    success, oracle_steps = np.asarray(success, float), np.asarray(oracle_steps)
    bins = []
    for lo, hi in zip(DISTANCE_EDGES, (*DISTANCE_EDGES[1:], None)):
        inside = oracle_steps >= lo
        if hi is not None:
            inside &= oracle_steps < hi
        elif not inside.any():
            break
        count = int(inside.sum())
        rate = float(success[inside].mean()) if count else None
        bins.append({"lo": lo, "hi": hi, "episodes": count, "success_rate": rate})
    return bins


def without_timing(record: Record) -> Record:
    """A copy of ``record`` without `TIMING_FIELDS`: what two equal runs must agree on to the last bit."""
    return {name: value for name, value in record.items() if name not in TIMING_FIELDS}


def installed_versions() -> dict[str, Any]:
    """Versions and thread count behind a result; torch's threads only when torch is already imported."""
    found: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for name in ("hjepa", "torch", "lightning", "numpy", "gymnasium", "minigrid"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    torch = sys.modules.get("torch")
    found["threads"] = torch.get_num_threads() if torch is not None else None
    return found


def check_record(record: Any, where: str = "record") -> None:
    """Checks fields, types, lengths, ranges and that the summary fits the episodes. Extra fields are allowed.

    Raises:
        InputError: names ``where``, the field and its value.
    """

    def refuse(what: str) -> None:
        raise InputError(
            what, where, "write the record with hjepa plan or hjepa.evaluation.records.build_record"
        )

    if not isinstance(record, dict):
        refuse(f"a record is an object with fields, this is {type(record).__name__}")
    missing = [name for name in _FIELDS if name not in record]
    if missing:
        refuse(f"the record lacks {', '.join(missing)}")
    for name, kinds in (_FIELDS | _MORE).items():
        if name in record and not _fits(record[name], kinds):
            wanted = " or ".join("null" if kind is None else kind.__name__ for kind in kinds)
            refuse(f"{name} is {_shown(record[name])}, not {wanted}")
    for name in _NUMBERS:
        if not all(_fits(value, (float,)) for value in record.get(name, ())):
            refuse(f"{name} holds something that is no number")
    for name in ("success_ci95", "success_ci95_clustered"):
        if name in record and len(record[name]) != 2:
            refuse(f"{name} has {len(record[name])} values, an interval has 2")
    if not all(isinstance(word, str) for word in record.get("guardrails", ())):
        refuse(f"guardrails are {_shown(record['guardrails'])}, not names")
    episodes = record["episodes"]
    for name in ("success", "steps", "oracle_steps"):
        values = record[name]
        if len(values) != episodes or episodes < 1:
            refuse(f"{name} has {len(values)} values for {episodes} episodes")
        if not all(_fits(value, (float,)) for value in values):
            refuse(f"{name} holds something that is no number")
    if "layout" in record:
        plans = record["layout"]
        if (
            not isinstance(plans, list)
            or len(plans) != episodes
            or not all(isinstance(p, str) for p in plans)
        ):
            refuse(f"layout does not name the floor plan of each of {episodes} episodes")
        if record.get("layouts") != len(set(plans)):
            refuse(f"layouts is {_shown(record.get('layouts'))}, and there are {len(set(plans))} in layout")
    if any(value not in (0, 1) for value in record["success"]):
        refuse("success holds something other than 0 and 1")
    if min(record["oracle_steps"]) <= 0:
        refuse(f"oracle_steps holds {min(record['oracle_steps'])}, and a shortest path is at least 1 step")
    if record["depth"] not in DEPTHS:
        refuse(f"depth is {record['depth']!r}, not one of {', '.join(DEPTHS)}")
    if record["levels"] < 1 or len(record["active_share"]) != record["levels"]:
        refuse(f"active_share has {len(record['active_share'])} values for {record['levels']} levels")
    for name in ("success_rate", "spl", "violations", "random_success_rate"):
        if record[name] is not None and not 0 <= record[name] <= 1:
            refuse(f"{name} is {record[name]}, not between 0 and 1")
    if abs(record["success_rate"] - sum(record["success"]) / episodes) > 1e-9:
        refuse(f"success_rate is {record['success_rate']}: {sum(record['success'])} of {episodes} succeeded")


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """The records in a JSON file that holds a list of them, or a single one; each is checked.

    Raises:
        InputError: no such file, not JSON, or a record that breaks the contract.
    """
    content = read_json(path)
    records = content if isinstance(content, list) else [content]
    for index, record in enumerate(records):
        check_record(record, where=f"{path}, record {index}" if len(records) > 1 else str(path))
    return records


def _fits(value: Any, kinds: tuple[type | None, ...]) -> bool:
    """Whether ``value`` is of one of the kinds; a whole number is a float too, a truth value is no number."""
    if value is None:
        return None in kinds
    if isinstance(value, bool):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(value, int) and float in kinds:
        return True
    return isinstance(value, tuple(kind for kind in kinds if kind is not None))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
