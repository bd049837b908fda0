"""The field's tasks through the command line: collect as published, fit, plan to goals of held-out trajectories."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hjepa.cli import main

pytestmark = pytest.mark.slow

TINY = ["train.steps=[3,2]", "train.batch=128", "train.plans=2", "levels.0.rollout=4", "levels.0.channels=8"]
TINY += ["plan.horizon=[4,2]", "levels.1.rollout=2", "plan.walks.steps=8", "plan.walks.count=8"]
TINY += ["train.metric_trajectories=16", "levels.1.memory.wide=0", "collect.length=20"]

CASES = [
    ("hjepa/TwoRoom-v0", [], "pixels", 25, 50),
    ("hjepa/DiverseMaze-v0", [], "pixels", 25, 50),
    ("hjepa/SokobanLong-v0", ["--observe", "symbols"], "symbols", 25, 50),
    ("hjepa/FourRoomDistractors-v0", [], "pixels", 15, 42),
]


@pytest.mark.parametrize(("task", "observed", "preset", "offset", "budget"), CASES)
def test_from_explorers_to_plans(
    task: str, observed: list[str], preset: str, offset: int, budget: int, tmp_path: Path
) -> None:
    """Budgets are the published ones; success needs no state of a store, only what is seen and done."""
    for name, split, count in (("train", "train", 24), ("held", "test", 8)):
        words = ["collect", "--env", task, *observed, "--policy", "explorer", "--length", "60"]
        words += ["--episodes", str(count), "--split", split, "--out", str(tmp_path / name)]
        assert not main(words)
    sets = [word for value in TINY for word in ("--set", value)]
    words = ["fit", "--preset", preset, "--data", str(tmp_path / "train"), "--out", str(tmp_path / "run")]
    assert not main([*words, *sets])
    found = []
    for states in ("with", "without"):
        if states == "without":
            shutil.rmtree(tmp_path / "held" / "state")
        words = ["plan", "--checkpoint", str(tmp_path / "run"), "--task", task, "--goals", f"offset:{offset}"]
        words += ["--data", str(tmp_path / "held"), "--episodes", "3", "--levels", "1"]
        assert not main([*words, "--budget-tflops", "0.001", "--json", str(tmp_path / f"{states}.json")])
        found.append(json.loads((tmp_path / f"{states}.json").read_text())[0])
    assert found[0]["success"] == found[1]["success"] and found[0]["steps"] == found[1]["steps"]
    record = found[0]
    assert record["step_budget"] == budget and record["task"] == task
    assert record["information"] == "seen" and 0 <= record["random_success_rate"] <= 1
