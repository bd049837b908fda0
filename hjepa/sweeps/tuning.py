"""Tuning of planning on validation tasks, so that no agent in a comparison is a straw man.

First horizon and commitment together, then one by one what else could suit the agent, then all of that which helped
at once; further rounds try the same on top of the best so far. The compute is the same throughout, and everything that
was tried is kept; a killed run goes on after the last trial that it finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hjepa.agent.options import AgentOptions
from hjepa.checks import FARTHER
from hjepa.devices import fix_threads
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate
from hjepa.evaluation.held_out import Evaluation
from hjepa.json_files import plain, read_object, write_json
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.stack import Stack
from hjepa.sweeps.workers import workers as worker_pool
from tasks import task_spec

HORIZONS = (4, 6, 8, 12, 16)
"""Of the flat agent, as far as it learned to imagine."""

OTHERS: tuple[dict[str, Any], ...] = (
    {"planner": "sampling"},
    {"planner": "cem"},
    {"support": 0.0},
    {"iterations": 8},
    {"elites": 1.0},
    {"haste": 0.0},
    {"haste": 1.0},
    {"step_cost": 0.0},
    {"front": 1.0},
    {"walks": {"lag": 4}},
    {"walks": {"lag": 16}},
    {"walks": {"lag": 4, "steps": 256}},
    {"walks": {"lag": 16, "steps": 256}},
)
"""What is changed one by one once horizon and commitment are found; walks make the metric ``imagined`` alone."""

OTHERS_ABOVE: tuple[dict[str, Any], ...] = (
    {"reached": 0.25},
    {"reached": 0.75},
    {"pace": None},
    {"pace": 1.25},
    {"veto": 0.15},
    {"ground": 0},
)
"""The same for what lies between levels, where there are several."""

Trial = dict[str, Any]


def tune(
    checkpoint: str,
    task: str,
    metrics: tuple[str, ...],
    levels: int = 1,
    episodes: int = 48,
    seed: int = 0,
    tasks: str | None = None,
    budget_tflops: float | None = None,
    workers: int = 1,
    note: Callable[[str], None] = lambda text: None,
    horizons: tuple[int, ...] | None = None,
    commits: tuple[int, ...] | None = None,
    rounds: int = 1,
    progress: Path | None = None,
) -> dict[str, Any]:
    """The best settings of planning under each metric, on validation tasks.

    Args:
        checkpoint: shipped weights or a run folder.
        task: id.
        metrics: each is tuned by itself.
        levels: of the agent; the horizon is that of its top level.
        episodes, seed, tasks: the validation episodes.
        budget_tflops: per episode; None: the task's.
        workers: trials at once.
        note: told each result.
        horizons: of the top level, that are tried; None: all that make sense.
        commits: steps of a plan that the flat agent walks before the next, that are tried with each horizon that is as
            long; None: all that make sense.
        rounds: how often all the other settings are tried, each time on top of the best so far.
        progress: file that keeps finished trials, so that a killed run goes on; whoever asks deletes it once the result
            is written. None: nothing is kept.

    Returns:
        what was tuned, and per metric everything that was tried and the best of it, by success and then by SPL.

    Raises:
        InputError: more levels than there are, or a horizon that the top level has not learned to imagine.
    """
    fix_threads()
    stack = load_stack(checkpoint)
    if not 1 <= levels <= stack.depth:
        raise InputError(f"levels {levels}", "levels", f"choose from 1 to {stack.depth}")
    if commits is not None and (levels > 1 or not commits or min(commits) < 1):
        raise InputError(f"commits {list(commits)}", "commits", "give 1 or more, for one level alone")
    if rounds < 1:
        raise InputError(f"rounds {rounds}", "rounds", "give 1 or more")
    longest = stack.config.levels[levels - 1].rollout * (FARTHER if levels == 1 else 1)
    horizons = _horizons(longest, levels) if horizons is None else horizons
    if not horizons or not all(1 <= horizon <= longest for horizon in horizons):
        raise InputError(f"horizons {list(horizons)}", "horizons", f"choose from 1 to {longest}")
    pairs = list(_pairs(horizons, levels, commits))
    if not pairs:
        raise InputError(
            f"horizons {list(horizons)}", "commits", "all are longer, so there is nothing to try"
        )
    asked = (checkpoint, task, levels, episodes, seed, tasks, budget_tflops)
    sha256 = describe(checkpoint)["sha256"]
    kept = _Kept(progress, [*asked[1:], sha256, repr(stack.config)])
    found: dict[str, Any] = {}
    with worker_pool(workers) as pool:

        def score(metric: str, trials: list[Trial]) -> list[Trial]:
            jobs = {
                index: pool.submit(_try, asked, metric, _settings(stack, levels, trial))
                for index, trial in enumerate(trials)
                if kept.measured(metric, trial) is None
            }
            rows = []
            for index, trial in enumerate(trials):
                measured = kept.measured(metric, trial)
                if measured is None:
                    measured = jobs[index].result()
                    kept.keep(metric, trial, measured)
                rows.append({**trial, **measured})
                note(f"{metric}: {rows[-1]}")
            return rows

        for metric in metrics:
            tried = score(metric, pairs)
            others = [other for other in OTHERS if metric == "imagined" or "walks" not in other]
            others += _above(metric) if levels > 1 else []
            for _ in range(rounds):
                before = best(tried)
                base = {key: value for key, value in before.items() if key not in MEASURED}
                rows = score(metric, [trial for other in others if (trial := {**base, **other}) != base])
                helped = [row for row in rows if _rank(row) > _rank(before)]
                tried += rows
                together: Trial = dict(base)
                for row in sorted(helped, key=_rank):
                    together |= {
                        key: row[key] for key in row if key not in MEASURED and row[key] != base.get(key)
                    }
                if len(helped) > 1:
                    tried += score(metric, [together])
                if not helped:
                    break
            found[metric] = {"chosen": best(tried), "tried": tried}
    return {
        "task": task,
        "split": "validation",
        "tasks": tasks or task_spec(task).kinds[0],
        "episodes": episodes,
        "seed": seed,
        "levels": levels,
        "budget_tflops": budget_tflops,
        "checkpoint_sha256": sha256,
        "metrics": found,
    }


MEASURED = ("success_rate", "spl", "tflops_per_episode")


def best(tried: list[Trial]) -> Trial:
    """The row of highest success, of several the one of highest SPL."""
    return max(tried, key=_rank)


class _Kept:
    """Finished trials, and the file of them."""

    def __init__(self, file: Path | None, identity: list[Any]) -> None:
        self.file, self.identity = file, plain(identity)
        self.trials: list[tuple[str, Trial, Trial]] = []  # (metric, trial, what was measured)
        if file is not None and file.exists():
            content = read_object(file)
            if content.get("identity") == self.identity:
                self.trials = _finished(content.get("trials"), file)

    def measured(self, metric: str, trial: Trial) -> Trial | None:
        """What a trial came to, None where it has not been finished."""
        found = (row for of, tried, row in self.trials if of == metric and tried == plain(trial))
        return next(found, None)

    def keep(self, metric: str, trial: Trial, measured: Trial) -> None:
        self.trials.append((metric, plain(trial), plain(measured)))
        if self.file is not None:
            write_json(self.file, {"identity": self.identity, "trials": self.trials})


def _finished(found: Any, file: Path) -> list[tuple[str, Trial, Trial]]:
    """Finished trials as they stand in a file."""
    rows: list[Any] = found if isinstance(found, list) else [None]
    for row in rows:
        whole = (
            isinstance(row, list) and len(row) == 3 and isinstance(row[1], dict) and isinstance(row[2], dict)
        )
        if not whole or not all(isinstance(row[2].get(name), (int, float)) for name in MEASURED):
            raise InputError("cannot be gone on with", str(file), "remove it to begin anew")
    return [(metric, trial, measured) for metric, trial, measured in rows]


def _rank(row: Trial) -> tuple[float, float]:
    return row["success_rate"], row["spl"]


def _horizons(longest: int, levels: int) -> tuple[int, ...]:
    if levels > 1:
        return tuple(range(1, longest + 1))
    return tuple(sorted({horizon for horizon in HORIZONS if horizon <= longest} | {longest}))


def _pairs(horizons: tuple[int, ...], levels: int, commits: tuple[int, ...] | None) -> Iterator[Trial]:
    """Each horizon, for the flat agent with what it may commit to."""
    for horizon in horizons:
        if levels > 1:
            yield {"horizon": horizon}
            continue
        for commit in sorted({1, 2, 4, 8, horizon} if commits is None else commits):
            if commit <= horizon:
                yield {"horizon": horizon, "commit": commit}


def _above(metric: str) -> list[Trial]:
    """`OTHERS_ABOVE` under the names that they have for the metric."""
    own = {"reached": "critic_reached", "veto": "critic_veto"} if metric == "critic" else {}
    return [{own.get(key, key): value for key, value in other.items()} for other in OTHERS_ABOVE]


def _settings(stack: Stack, levels: int, trial: Trial) -> Trial:
    """A trial as changes of the whole stack's settings, whose horizons come one per level."""
    if "walks" in trial:
        trial = {**trial, "walks": replace(stack.config.plan.walks, **trial["walks"])}
    if "horizon" not in trial:
        return trial
    horizons = list(stack.config.plan.horizon)
    horizons[levels - 1] = trial["horizon"]
    return {**trial, "horizon": tuple(horizons)}


def _try(asked: tuple[Any, ...], metric: str, changes: Trial) -> Trial:
    fix_threads()
    checkpoint, task, levels, episodes, seed, tasks, budget = asked
    stack = load_stack(checkpoint)
    settings = replace(stack.config.plan, metric=metric, flat={}, deep={}, **changes)
    agent = AgentOptions(levels, budget, settings)
    record = evaluate(stack, Evaluation(task_spec(task), agent, episodes, seed, "validation", tasks))
    return {key: record[key] for key in MEASURED}
