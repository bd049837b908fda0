"""Laws of success against compute, for 1 to 4 levels, out of the committed curves.

    python hjepa/published/field/laws.py --json hjepa/published/field/laws.json

**Success against compute.** The odds of success grow as a power of compute: success / failure = (C / C50)^a, with C
the TFLOP of an episode and C50 what half of the tasks need: a logistic regression on log C, fitted by its likelihood.

**Compute against the way.** Tasks are sorted by the steps of their shortest way into thirds, C90 of each is read from
its own fit, and C90 = c * steps^b goes through the thirds of all curves of a cost and a number of levels, d3 and d4
together where both have one. Compute is the mean of a record's tasks, whatever their way.

Intervals draw tasks anew, 1,000 times, the same tasks at every budget. A curve of fewer than two budgets, or one that
never leaves 0 or 100 %, has no exponent. Budgets *inside* solve between 2 and 98 %: with fewer than two of them an
exponent is no more than a least one. C90 is not read further than twice outside of the compute that was measured.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hjepa.evaluation.records import read_records

PUBLISHED = Path(__file__).parents[1]
CURVES = ("told-nested-d3/curve.json", "told-nested-d4/curve.json")
RESAMPLES = 1000
BEYOND = 2.0
INSIDE = (0.02, 0.98)
"""Success from and to which a budget says how steep a curve is."""

RIDGE = 1e-3
"""Keeps the exponent finite where a curve jumps from 0 to all; it draws it to 0."""


def power_of_odds(
    compute: np.ndarray, success: np.ndarray, rounds: int = 25
) -> tuple[np.ndarray, np.ndarray]:
    """Exponent a and log C50 of odds = (C / C50)^a, by Newton's method on the likelihood.

    Args:
        compute: (B,) TFLOP.
        success: (N, B) shares, each of as many tasks, for N fits.
        rounds: of Newton's method.

    Returns:
        a (N,) and log C50 (N,).
    """
    x = np.log(compute)
    centred = x - x.mean()
    level, exponent = np.zeros((2, len(success)))
    for _ in range(rounds):
        chance = 1 / (1 + np.exp(-np.clip(level[:, None] + exponent[:, None] * centred, -30, 30)))
        missing, sure = success - chance, chance * (1 - chance)
        slope = missing.sum(1) - RIDGE * level, missing @ centred - RIDGE * exponent
        curve = sure.sum(1) + RIDGE, sure @ centred, sure @ centred**2 + RIDGE
        scale = curve[0] * curve[2] - curve[1] ** 2
        level = level + np.clip((curve[2] * slope[0] - curve[1] * slope[1]) / scale, -2, 2)
        exponent = exponent + np.clip((curve[0] * slope[1] - curve[1] * slope[0]) / scale, -2, 2)
    return exponent, x.mean() - level / exponent


def log_needed(
    exponent: np.ndarray, log_half: np.ndarray, compute: np.ndarray, share: float = 0.9
) -> np.ndarray:
    """Log of the compute (N,) that a share of the tasks needs.

    NaN where more compute does not help, or where it lies more than `BEYOND` times outside of what was measured.
    """
    needed = log_half + np.log(share / (1 - share)) / exponent
    low, high = np.log(compute.min() / BEYOND), np.log(compute.max() * BEYOND)
    return np.where((exponent > 0) & (needed >= low) & (needed <= high), needed, np.nan)


def curves() -> dict[tuple[str, str, str, int], list[dict[str, Any]]]:
    """(task, cost, planner, levels) -> records at two budgets or more, of those planners that have most."""
    found: dict[tuple[str, str, str, int], list[dict[str, Any]]] = {}
    for file in CURVES:
        for record in read_records(PUBLISHED / file):
            task = record["task"].removeprefix("hjepa/NestedRooms-").removesuffix("-v0")
            found.setdefault((task, record["metric"], record["planner"], record["levels"]), []).append(record)
    return {
        key: records for key, records in sorted(found.items()) if len(records) > 1 and _leaves_ends(records)
    }


def _leaves_ends(records: list[dict[str, Any]]) -> bool:
    return any(0 < record["success_rate"] < 1 for record in records)


def resampled(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shares (1 + RESAMPLES, B) of outcomes (B, T): as they are first, then of tasks drawn anew."""
    tasks = table.shape[1]
    counts = rng.multinomial(tasks, np.full(tasks, 1 / tasks), RESAMPLES)
    return np.concatenate([table.mean(1)[None], counts @ table.T / tasks])


def of_records(records: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Compute (B,) and outcomes (B, T)."""
    compute = np.array([record["tflops_per_episode"] for record in records])
    return compute, np.array([record["success"] for record in records], float)


def against_compute(records: list[dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    """The law of one curve, with intervals."""
    compute, table = of_records(records)
    rate = table.mean(1)
    exponent, log_half = power_of_odds(compute, resampled(table, rng))
    return {
        "budgets": len(records), "inside": int(((INSIDE[0] < rate) & (rate < INSIDE[1])).sum()),
        "tasks": table.shape[1], "compute": compute.tolist(),
        "success": rate.tolist(), "exponent": interval(exponent),
        "needed_90": interval(np.exp(log_needed(exponent, log_half, compute))),
    }  # fmt: skip


def against_way(curves: list[list[dict[str, Any]]], rng: np.random.Generator) -> dict[str, Any] | None:
    """How C90 grows with the way, through thirds of the tasks of some curves; None where too few have one."""
    ways, needed = [], []
    for records in curves:
        compute, table = of_records(records)
        way = np.array(records[0]["oracle_steps"], float)
        thirds = np.digitize(way, np.quantile(way, [1 / 3, 2 / 3]), right=True)
        for third in range(3):
            own = thirds == third
            log90 = log_needed(*power_of_odds(compute, resampled(table[:, own], rng)), compute)
            if np.isfinite(log90[0]):
                ways.append(float(np.log(way[own].mean())))
                needed.append(log90)
    if len(ways) < 3:
        return None
    away = np.array(ways) - np.mean(ways)
    exponent = away @ np.stack(needed) / (away @ away)
    return {
        "exponent": interval(exponent), "curves": len(curves), "ways": np.exp(ways).round(1).tolist(),
        "needed_90": [float(np.exp(log90[0])) for log90 in needed],
    }  # fmt: skip


def interval(values: np.ndarray) -> list[float | None]:
    """The first, and the 95 % interval of the others; None where it does not exist."""
    known = values[1:][np.isfinite(values[1:])]
    ends = np.quantile(known, [0.025, 0.975]) if len(known) > 0.9 * (len(values) - 1) else [np.nan, np.nan]
    return [float(value) if np.isfinite(value) else None for value in (values[0], *ends)]


def laws() -> dict[str, Any]:
    """All of them."""
    found, rng = curves(), np.random.default_rng(0)
    compute = [
        {
            "task": task,
            "metric": metric,
            "planner": planner,
            "levels": levels,
            **against_compute(records, rng),
        }
        for (task, metric, planner, levels), records in found.items()
    ]
    ways = []
    for metric, planner, levels in sorted({key[1:] for key in found}):
        some = [records for key, records in found.items() if key[1:] == (metric, planner, levels)]
        law = against_way(some, rng)
        if law:
            ways.append({"metric": metric, "planner": planner, "levels": levels, **law})
    return {"compute": compute, "way": ways}


def shown(found: dict[str, Any]) -> str:
    """The laws as two tables."""
    lines = [
        "| task | cost | planner | levels | budgets inside | exponent a | TFLOP for 90 % |",
        "|---" * 7 + "|",
    ]
    for row in found["compute"]:
        lines.append(
            f"| {row['task']} | {row['metric']} | {row['planner']} | {row['levels']} |"
            f" {row['inside']} of {row['budgets']} |"
            f" {_text(row['exponent'], '.2f')} | {_text(row['needed_90'], '.2g')} |"
        )
    lines += ["", "| cost | planner | levels | curves | ways, steps | exponent b |", "|---" * 6 + "|"]
    for row in found["way"]:
        ways = f"{min(row['ways']):.0f} to {max(row['ways']):.0f}"
        lines.append(
            f"| {row['metric']} | {row['planner']} | {row['levels']} | {row['curves']} | {ways} |"
            f" {_text(row['exponent'], '.2f')} |"
        )
    return "\n".join(lines)


def _text(values: list[float | None], form: str) -> str:
    value, lo, hi = ("-" if number is None else format(number, form) for number in values)
    return f"{value} ({lo}, {hi})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="the numbers")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what does not exist is None
        found = laws()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(shown(found))


if __name__ == "__main__":
    main()
