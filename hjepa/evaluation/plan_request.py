"""What `hjepa plan` is asked to do, as one checked value; evaluation takes it and answers with records."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hjepa.errors import InputError
from levels.ranges import shown

DEPTHS = ("truncated", "trained")
"""`truncated`: the lower levels of a deeper stack; `trained`: a stack trained with that many levels."""

SPLITS = ("train", "validation", "test")
LARGEST_SEED, MOST = 2**63 - 1, 1_000_000
"""Of episodes and their noise; the most episodes, episodes in a batch and TFLOP."""

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("32", "bf16")
TASK_KINDS = ("far", "uniform", "own")

PERCEPTIONS = ("symbolic", "pixels")
"""What an agent sees with: MiniGrid's symbols, or pictures of them; see `hjepa.model.perception`."""

ORACLES = ("dynamics", "cost", "random-subgoals")
"""Parts that the truth can take the place of, besides `SUBGOALS`; see `hjepa.evaluation.oracles`."""

SUBGOALS = "subgoals:"
"""Followed by the number of the level whose subgoals are true ones."""


@dataclass(frozen=True)
class PlanRequest:
    """Plan episodes of one task with one checkpoint: a record per seed, level count, metric, planner,
    budget and memory.

    Attributes:
        checkpoint: name of shipped weights or a run folder.
        task: task id.
        levels: numbers of levels to plan with; None: 1 to all of the checkpoint's.
        episodes: how many, at least 1.
        seed: one or several, each of its own episodes and of the planner's noise on them.
        split: one of `SPLITS`.
        tasks: one of `TASK_KINDS`; None: the task's first, ``far`` on our floor plans.
        metric: metrics of the goal cost; None: the checkpoint's default.
        planner: planners, as adam, cem, exhaustive; None: the checkpoint's default.
        budget_tflops: budgets of compute per episode in TFLOP; None: the task's default.
        oracle: parts that are replaced by the truth, one at a time, for diagnosis: of `ORACLES`, ``subgoals:k``, or
            ``none``; ``subgoals:k`` is planned with k levels. None: nothing is.
        zones: forbid cells across the shortest way of every episode that the world does not show (`tasks.zones`);
            steps of shortest paths are then those of the way round.
        perception: one of `PERCEPTIONS`.
        unguarded: keep no guardrail, so that the record says how often one would have been broken.
        mission: what to do instead of reaching the goal: the name of a kind, a YAML file or a line of YAML
            (`tasks.missions`).
        memory: what is kept of what has been seen, in a world that is seen in parts
            (`hjepa.gridworld.short_term_memory`); None: a map.
        diagnostics: put what is known of every level into the records (`hjepa.evaluation.diagnostics`).
        episode_batch: episodes planned at once; changes time and memory, never the result. None: chosen.
        device: one of `DEVICES`.
        precision: only ``32`` plans; the other of `PRECISIONS` is for training, and refused.
        overrides: settings of planning that replace the checkpoint's, each ``"key.below=value"``.
        workers: cells planned at once, each in a process of its own; on GPUs one on each.
        progress: folder in which finished work is kept, so that a killed run continues; whoever asks
            removes it once the records are written. None: nothing is kept.
    """

    checkpoint: str
    task: str
    levels: Sequence[int] | None = None
    episodes: int = 200
    seed: Sequence[int] = (0,)
    split: str = "test"
    tasks: str | None = None
    metric: Sequence[str] | None = None
    planner: Sequence[str] | None = None
    budget_tflops: Sequence[float] | None = None
    oracle: Sequence[str] | None = None
    zones: bool = False
    perception: str = "symbolic"
    unguarded: bool = False
    mission: str | None = None
    memory: Sequence[str] | None = None
    diagnostics: bool = False
    episode_batch: int | None = None
    device: str = "auto"
    precision: str = "32"
    overrides: Sequence[str] = ()
    workers: int = 1
    progress: Path | None = None

    def __post_init__(self) -> None:
        _one_of("split", self.split, SPLITS)
        if self.tasks is not None:
            _one_of("tasks", self.tasks, TASK_KINDS)
        _one_of("perception", self.perception, PERCEPTIONS)
        _one_of("device", self.device, DEVICES)
        _one_of("precision", self.precision, PRECISIONS)
        if self.precision != "32":
            raise InputError(
                f"precision {self.precision!r}", "plan", "planning computes in 32 bits; leave it out"
            )
        _from_to("episodes", self.episodes, 1, MOST)
        for seed in self.seed:
            _from_to("seed", seed, 0, LARGEST_SEED)
        _from_to("workers", self.workers, 1, 1024)
        if self.episode_batch is not None:
            _from_to("episode batch", self.episode_batch, 1, MOST)
        for levels in self.levels or ():
            _from_to("levels", levels, 1, 32)
        for oracle in self.oracle or ():
            if oracle != "none":
                check_oracle(oracle)
        for name, values in (
            ("levels", self.levels),
            ("seed", self.seed),
            ("metric", self.metric),
            ("planner", self.planner),
            ("budget_tflops", self.budget_tflops),
            ("oracle", self.oracle),
            ("memory", self.memory),
        ):
            if values is not None and (not values or len(set(values)) < len(values)):
                raise InputError(f"{name} {','.join(map(str, values))}", "plan", "name each once")
        if self.mission is not None and (self.zones or self.oracle not in (None, ("none",), ["none"])):
            other = "zones" if self.zones else "an oracle"
            raise InputError(f"mission {self.mission!r} with {other}", "plan", "leave one of them out")
        for budget in self.budget_tflops or ():
            if not 0 < budget <= MOST:
                raise InputError(f"budget of {budget} TFLOP", "plan", f"give a positive budget up to {MOST}")


def remove_progress(progress: Path) -> None:
    """Deletes the progress of a run whose result is written, be it a file, a folder or not there."""
    if progress.is_dir():
        shutil.rmtree(progress)
    else:
        progress.unlink(missing_ok=True)


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"{name} {value!r}", "plan", f"choose from {', '.join(allowed)}")


def check_oracle(oracle: str) -> None:
    """Raise InputError unless ``oracle`` names a part that the truth can take the place of."""
    number = oracle.removeprefix(SUBGOALS)
    if oracle.startswith(SUBGOALS) and number.isdecimal() and int(number) >= 2:
        return
    if oracle not in ORACLES:
        raise InputError(
            f"oracle {oracle!r}",
            "plan",
            f"choose from none, {', '.join(ORACLES)}, {SUBGOALS}2, {SUBGOALS}3, ...",
        )


def _from_to(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InputError(f"{name} {shown(value)}", "plan", f"give {least} to {most}")
