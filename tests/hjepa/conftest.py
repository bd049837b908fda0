"""Made-up results for the report, and cells that need no training for the engines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hjepa.evaluation.records import Record, build_record
from hjepa.sweeps.cell import cell_key

if TYPE_CHECKING:
    from hjepa.model.stack import Stack

TASK = "hjepa/NestedRooms-d3-v0"
FAKES = Path(__file__).parent / "fakes"
ROOT = Path(__file__).parents[2]


def synthetic_record(
    levels: int,
    strength: float,
    *,
    train_seed: int = 0,
    seed: int = 0,
    episodes: int = 120,
    depth: str = "trained",
    **changes: Any,
) -> Record:
    """Made up, no result: success falls with the shortest path, the same luck for all agents on an episode.

    Args:
        levels: of the agent.
        strength: about the share of episodes of middling length that succeed.
        train_seed, seed, episodes, depth: as in a record.
        changes: other fields of `build_record`, and ``extra`` fields on top.
    """
    world = np.random.default_rng([7, seed])
    oracle = world.integers(9, 61, size=1000)[:episodes]
    luck = world.random(1000)[:episodes]
    own = np.random.default_rng([levels, train_seed, seed]).normal(0, 0.08, episodes)
    chance = strength + 0.02 * train_seed - 0.012 * (oracle - 30) * (1.25 - 0.25 * levels)
    success = (luck + own < chance).astype(int)
    steps = np.where(success, np.minimum((oracle * 1.4).astype(int), 240), 240)
    extra = changes.pop("extra", {})
    arguments: dict[str, Any] = {
        "task": TASK, "split": "test", "tasks": "far", "seed": seed, "levels": levels, "depth": depth,
        "metric": "commute", "planner": "adam", "step_budget": 240, "success": success, "steps": steps,
        "oracle_steps": oracle, "active_share": np.linspace(1.0, 0.8, levels), "budget_tflops": 0.1,
        "tflops_per_episode": 0.02 * levels + 0.01, "train_seed": train_seed, "random_success_rate": 0.04,
        "checkpoint_sha256": f"{levels if depth == 'trained' else 9:02d}{train_seed:02d}" * 16,
        "plan_ms": 4.0 + levels, "seconds_per_episode": 0.3, "peak_mb": 100.0,
        "versions": {"hjepa": "0", "python": "3", "torch": "2", "threads": 1},
    }  # fmt: skip
    return {**build_record(**{**arguments, **changes}), **extra}


def diagnostics(levels: int) -> list[dict[str, Any]]:
    """Made-up numbers of every level; the top one lacks one and has one that is no number."""
    found: list[dict[str, Any]] = [
        {"rank_correlation_span": 0.9 - 0.1 * k, "rank_correlation_map": 0.4 + 0.1 * k,
         "position_accuracy": 0.99 - 0.1 * k, "effective_rank": 20.0 - 4 * k, "support_distance": 1.0 + k,
         "candidate_coverage": 0.7 - 0.1 * k, "subgoals_reached": 0.8 - 0.1 * k}
        for k in range(levels)
    ]  # fmt: skip
    found[-1].pop("candidate_coverage")
    found[-1]["support_distance"] = None
    return found


def spec_of(record: Record) -> dict[str, Any]:
    """The specification of the cell that the record would be of."""
    shared = ("task", "split", "tasks", "seed", "episodes", "levels", "depth", "train_seed", "metric",
              "planner", "budget_tflops")  # fmt: skip
    return {
        "preset": "small",
        "overrides": [],
        "config": {"task": record["task"]},
        **{name: record[name] for name in shared},
    }


def synthetic_grid() -> Iterator[Record]:
    """Made up: three training seeds, up to four levels, both depths, three budgets, two metrics, a ladder."""
    strength = {1: 0.25, 2: 0.6, 3: 0.82, 4: 0.81}
    for seed in range(3):
        for k, share in strength.items():
            yield synthetic_record(k, share, train_seed=seed, extra={"diagnostics": diagnostics(k)})
            if k < 4:
                weights = f"04{seed:02d}" * 16
                yield synthetic_record(
                    k, share - 0.05, train_seed=seed, depth="truncated", checkpoint_sha256=weights
                )
            yield synthetic_record(k, share - 0.25, train_seed=seed, metric="l2")
            for budget, change in ((0.02, -0.2), (0.5, 0.02)):
                spent = budget * (0.2 + 0.2 * k)
                yield synthetic_record(
                    k, share + change, train_seed=seed, budget_tflops=budget, tflops_per_episode=spent
                )
    for k in (2, 3):
        for rung, change in (
            ("random-subgoals", -0.4),
            ("cost", 0.05),
            ("dynamics", 0.02),
            ("subgoals:1", 0.3),
        ):
            for seed in range(3):
                yield synthetic_record(k, strength[k] + change, train_seed=seed, oracle=rung)


def write_ablation(out: Path) -> Path:
    """The made-up grid as the folder of an ablation, with a cell that failed."""
    (out / "cells").mkdir(parents=True)
    (out / "failed").mkdir()
    for record in synthetic_grid():
        spec = spec_of(record)
        content, name = {**record, "spec": spec}, cell_key(spec)
        if record["oracle"] is not None:
            # Oracles are no part of a specification: these are as from hjepa plan.
            content, name = record, f"{record['oracle']}-{record['levels']}-{record['train_seed']}"
        (out / "cells" / f"{name}.json").write_text(json.dumps(content))
    spec = spec_of(synthetic_record(4, 0.8, train_seed=7))
    error = {"error": "RuntimeError: loss is <NaN> & worse", "traceback": "Traceback\n  <b>", "seconds": 1.0}
    failure = {**error, "spec": spec}
    (out / "failed" / f"{cell_key(spec)}.json").write_text(json.dumps(failure))
    return out


@pytest.fixture
def made_up() -> Callable[..., Record]:
    """`synthetic_record`."""
    return synthetic_record


@pytest.fixture(scope="session")
def ablation_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up ablation; tests leave it as it is."""
    return write_ablation(tmp_path_factory.mktemp("made-up") / "sweep")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ``fakes/fake_cells.py``."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), str(ROOT)]), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(FAKES))
    monkeypatch.delitem(sys.modules, "fake_cells", raising=False)
    import fake_cells

    return fake_cells


@pytest.fixture(scope="module")
def stack() -> Stack:
    """A stack that nobody has trained: its plans are bad, their shapes and what they cost are real."""
    import torch

    from hjepa.config import load_preset
    from hjepa.model.perception import world_of
    from hjepa.model.stack import Stack
    from tasks import task_spec

    torch.manual_seed(0)
    config = load_preset(str(ROOT / "tests" / "end_to_end" / "tiny.yaml"))
    return Stack(config, world_of(task_spec(config.task))).eval().requires_grad_(False)
