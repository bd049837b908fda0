"""Predicted number of levels against the best one of the committed lists.

    python hjepa/published/advice/check.py --json FILE [--only told-nested-d2:l2,...]

A run of this goes on where it was stopped: what stands in FILE is not measured again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from hjepa.advice.advisor import advise_run
from hjepa.evaluation.layouts import clustered_proportions

HERE = Path(__file__).parent
ALL = ("critic", "imagined", "l2")
CASES = {
    "told-nested-d2": ALL, "nested-d2": ALL, "told-nested-d3": ALL, "told-nested-d4": ("critic", "imagined"),
    "told-four-rooms": ALL, "nested-d3": ("critic",), "told-multi-room": ("critic",),
    "four-room-distractors": ("commute",),
}  # fmt: skip
MADE_ON = {("told-nested-d2", "critic")}


def successes(weights: str, metric: str) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Levels -> success (N,) on the same tasks in the same order, of all evaluation seeds that all of them have.

    And the names of their floor plans (N,), each a name of its own where the records hold none.
    """
    records = json.loads((HERE.parent / weights / "results.json").read_text())
    found: dict[int, dict[int, Any]] = {}
    for record in records:
        if record["metric"] == metric and record["oracle"] is None and record["split"] == "test":
            found.setdefault(record["levels"], {})[record["seed"]] = record
    seeds = sorted(set.intersection(*(set(own) for own in found.values())))
    solved = {
        levels: np.concatenate([own[seed]["success"] for seed in seeds])
        for levels, own in sorted(found.items())
    }
    first = next(iter(found.values()))
    names = [name for seed in seeds for name in first[seed].get("layout") or ()]
    count = len(next(iter(solved.values())))
    return solved, np.array([str(name) for name in (names if len(names) == count else range(count))])


def check(weights: str, metric: str) -> dict[str, Any]:
    """One row: what is advised, what turned out best, and the paired interval of their difference."""
    solved, plans = successes(weights, metric)
    best = max(solved, key=lambda levels: (solved[levels].mean(), -levels))
    found = advise_run(weights, metric=metric)
    predicted = min(found.advice.levels, max(solved))
    worse = clustered_proportions(solved[best] - solved[predicted], plans)
    return {
        "weights": weights, "metric": metric, "made_on": (weights, metric) in MADE_ON,
        "success": {str(levels): round(float(own.mean()), 4) for levels, own in solved.items()},
        "best": best, "predicted": predicted, "lost": [worse.value, worse.lo, worse.hi],
        "within": bool(worse.lo <= 0), "advice": found.as_json(),
    }  # fmt: skip


def shown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table, and the shares."""
    lines = [
        "| weights | metric | success % by levels | best | predicted | lost, points | within |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        rates = " / ".join(f"{100 * rate:.1f}" for rate in row["success"].values())
        value, lo, hi = (100 * number for number in row["lost"])
        name = f"`{row['weights']}`" + (" (made on)" if row["made_on"] else "")
        lost = f"{value:.1f} ({lo:.1f}, {hi:.1f})"
        within = "yes" if row["within"] else "no"
        lines.append(
            f"| {name} | {row['metric']} | {rates} | {row['best']} | {row['predicted']} | {lost} | {within} |"
        )
    held_out = [row for row in rows if not row["made_on"]]
    near = sum(row["within"] for row in held_out)
    lines.append(f"\nHeld out: {near} of {len(held_out)} within the interval of the best.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--only", default="", help="weights:metric, separated by commas")
    options = parser.parse_args()
    rows = json.loads(options.json.read_text()) if options.json.exists() else []
    done = {(row["weights"], row["metric"]) for row in rows}
    asked = {tuple(name.split(":")) for name in options.only.split(",") if name}
    for weights, metrics in CASES.items():
        for metric in metrics:
            if (weights, metric) in done or (asked and (weights, metric) not in asked):
                continue
            rows.append(check(weights, metric))
            options.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(shown(rows))


if __name__ == "__main__":
    main()
