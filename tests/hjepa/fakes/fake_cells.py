"""Cells that need no training, for workers to import; what one does depends on its training seed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from hjepa.evaluation.records import build_record


def make(train_seed: int = 0, levels: int = 1, **changes: Any) -> dict[str, Any]:
    """A complete specification."""
    spec = {
        "preset": "small",
        "config": {"task": "hjepa/NestedRooms-d2-v0"},
        "overrides": [],
        "task": "hjepa/NestedRooms-d2-v0",
        "split": "test",
        "tasks": "far",
        "seed": 0,
        "episodes": 1,
        "levels": levels,
        "depth": "trained",
        "train_seed": train_seed,
        "metric": None,
        "planner": None,
        "budget_tflops": None,
    }
    return {**spec, **changes}


def run_cell(spec: dict[str, Any], out: Path) -> dict[str, Any]:
    """Leaves a line per run; seeds 1, 2 and 3 fail, die and hang until a file says they are mended."""
    print("a word from the cell")
    with open(Path(out) / "runs.txt", "a") as file:
        file.write(f"{spec['train_seed']} {os.environ.get('OMP_NUM_THREADS')} {os.getpid()}\n")
    if not (Path(out) / "mended").exists():
        if spec["train_seed"] == 1:
            raise RuntimeError("no luck\nwith this one")
        if spec["train_seed"] == 2:
            os.kill(os.getpid(), 9)
        if spec["train_seed"] == 3:
            time.sleep(600)
    return build_record(
        task=spec["task"],
        split=spec["split"],
        tasks=spec["tasks"],
        seed=spec["seed"],
        levels=spec["levels"],
        depth=spec["depth"],
        metric="l2",
        planner="adam",
        step_budget=64,
        success=[1],
        steps=[9],
        oracle_steps=[9],
        active_share=[1.0] * spec["levels"],
        tflops_per_episode=0.1,
        train_seed=spec["train_seed"],
    )


def seeds_run(out: Path) -> list[int]:
    """Training seeds of the cells that were started, in order."""
    return [int(line.split()[0]) for line in (out / "runs.txt").read_text().splitlines()]
