"""`hjepa advise`: measurements of a run, and the advice that follows from them."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

from hjepa.advice.measure import LevelMeasures, measure
from hjepa.advice.rule import GAP, NEAR, TRUST, Advice, advise
from hjepa.advice.trajectories import EACH, LAYOUTS, trajectories
from hjepa.advice.walked import walk_layouts
from hjepa.errors import InputError
from hjepa.model.checkpoints import describe, load_stack
from levels.metrics_names import METRICS

GOALS = 32
"""Pairs of start and goal on each layout."""


@dataclass(frozen=True)
class Advised:
    """What was measured, and what follows.

    Attributes:
        facts: run, task, metric, seed, thresholds, and what trajectories were measured on.
        levels: measurements, level 1 first.
        advice: that follows.
    """

    facts: dict[str, Any]
    levels: list[LevelMeasures]
    advice: Advice

    def as_json(self) -> dict[str, Any]:
        """Plain values; numbers that do not exist are None."""
        rows = []
        for measures, reach in zip(self.levels, self.advice.reaches):
            row = asdict(measures) | {"reach": reach.steps, "held_by": reach.held_by}
            row |= {"arrives": reach.arrives, "counts": reach.counts}
            row["descent"] = {str(hop): share for hop, share in measures.descent.items()}
            row["rank"] = measures.rank if math.isfinite(measures.rank) else None
            rows.append(row)
        advice = asdict(self.advice)
        del advice["reaches"]
        return {**self.facts, "levels": rows, "advice": {**advice, "strides": list(self.advice.strides)}}


def advise_run(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    metric: str | None = None,
    seed: int = 0,
    layouts: int = LAYOUTS,
) -> Advised:
    """Measure a run, and say how many levels to use and which strides to train.

    Args:
        run: shipped weights or a run folder.
        data: trajectories in its world; None: some are collected, on validation layouts of its own task.
        metric: that goals are measured by; None: the run's own.
        seed: of all draws.
        layouts: that are measured on, at most.

    Raises:
        InputError: a run that cannot be read, a metric it has not, or data that do not fit.
        StoreError: data that cannot be read.
    """
    described, stack = describe(run), load_stack(run)
    metric = stack.config.plan.metric if metric is None else metric
    known = (*METRICS, *stack.config.plan.own_distances)
    if metric not in known:
        raise InputError(f"metric {metric!r}", "advise", f"choose from {', '.join(known)}")
    if metric == "critic":
        stack.critic(0)
    with trajectories(stack, described, data, seed) as source:
        # Whole steps of the top level, and one at least.
        span = stack.config.spans[-1]
        length = (source.clip - 1) // span * span + 1
        if length == 1:
            raise InputError(
                f"clips of {source.clip} observations, of levels that step {span}",
                str(source.path),
                "collect longer ones",
            )
        used = min(layouts, source.layouts)
        walked = walk_layouts(stack, source, used, max(EACH * LAYOUTS // used, 1) if used < LAYOUTS else EACH,
                              length, GOALS, seed)  # fmt: skip
        levels, way = measure(stack, walked, metric)
        clip, sha256 = source.clip, source.sha256
    learned = described.get("data")
    if isinstance(learned, dict) and isinstance(learned.get("length"), int):
        clip = min(clip, learned["length"]) if data is not None else learned["length"]
    facts = {
        "run": str(run), "checkpoint_sha256": described["sha256"], "task": described.get("task", stack.config.task),
        "metric": metric, "seed": seed, "layouts": used, "clip": clip, "way": way,
        "data_sha256": None if data is None else sha256,
        "thresholds": {"trust": TRUST, "near": NEAR, "gap": GAP},
    }  # fmt: skip
    return Advised(facts, levels, advise(levels, clip, way))


def advice_table(found: Advised) -> str:
    """The measurements as a table, and the advice below."""
    head = (
        "level",
        "stride",
        "span",
        "looks",
        "trusted",
        "reach",
        "arrives",
        "rank",
        "gap",
        "slow",
        "error of 1 / 4 / 8",
    )
    rows = [head]
    for measures, reach in zip(found.levels, found.advice.reaches):
        growth = measures.growth
        errors = " / ".join(f"{growth[at - 1]:.2f}" if at <= len(growth) else "-" for at in (1, 4, 8))
        trusted = next((step for step, error in enumerate(growth) if not error < TRUST), None)
        rows.append(
            (
                str(measures.level), str(measures.stride), str(measures.span), str(measures.looks),
                f"{len(growth) * measures.span}+" if trusted is None else str(trusted * measures.span),
                str(reach.steps), f"{reach.arrives:.0%}", f"{measures.rank:.2f}", f"{measures.gap:.1f}",
                f"{measures.slow_steps:.0f}", errors,
            )
        )  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows]
    facts = found.facts
    about = f"{facts['run']}, {facts['task']}, metric {facts['metric']}"
    on = f"measured on {facts['layouts']} layouts, clips of {facts['clip']} observations"
    return "\n".join([f"{about}; {on}", *lines, found.advice.line])
