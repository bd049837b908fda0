"""Planners at equal compute: a Markdown table out of the committed per-episode lists.

    python hjepa/published/field/compare_planners.py

Of every list `planners-*.json` beside this script and every number of levels in it: success by planner, and the paired
difference of each planner less the cross-entropy method on the same test tasks, with its 95 % interval (clustered by
floor plan where tasks share them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hjepa.evaluation.layouts import clustered_proportions
from hjepa.evaluation.records import read_records

HERE = Path(__file__).parent
AGAINST = "cem"


def by_planner(file: Path) -> dict[int, dict[str, dict[str, Any]]]:
    """Levels -> planner -> record."""
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for record in read_records(file):
        found.setdefault(record["levels"], {})[record["planner"]] = record
    return found


def against(one: dict[str, Any], other: dict[str, Any]) -> tuple[float, float, float]:
    """Points of success of one record less those of another on the same tasks, and their 95 % interval.

    Raises:
        ValueError: records of other tasks.
    """
    if (one["seed"], one["oracle_steps"]) != (other["seed"], other["oracle_steps"]):
        raise ValueError(f"{one['task']}: the lists of two planners hold other tasks")
    apart = np.asarray(one["success"], float) - np.asarray(other["success"], float)
    plans = np.asarray(one.get("layout") or np.arange(len(apart))).astype(str)
    found = clustered_proportions(apart, plans)
    return 100 * found.value, 100 * found.lo, 100 * found.hi


def rows() -> list[str]:
    """The table, line by line."""
    lines = ["| tasks | levels | planner | success % | less CEM | TFLOP / episode |", "|---|---|---|---|---|---|"]
    for file in sorted(HERE.glob("planners-*.json")):
        for levels, found in sorted(by_planner(file).items()):
            for name, record in found.items():
                apart = ""
                if name != AGAINST:
                    value, lo, hi = against(record, found[AGAINST])
                    apart = f"{value:+.1f} ({lo:.1f}, {hi:.1f})"
                tasks, success = file.stem.removeprefix("planners-"), f"{100 * record['success_rate']:.1f}"
                spent = f"{record['tflops_per_episode']:.4f}"
                lines.append(f"| {tasks} | {levels} | {name} | {success} | {apart} | {spent} |")
    return lines


if __name__ == "__main__":
    print("\n".join(rows()))
