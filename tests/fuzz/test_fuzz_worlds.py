"""Stores of what a world showed, and progress of plans, from anywhere."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest
from fuzzing import Begun, Random, command, dumped, judge, mutated, noisy, run_all, spoil

from hjepa.cli import main
from hjepa.config import load_preset
from hjepa.training import fit as training

TASK = "hjepa/NestedRooms-d2-v0"
pytestmark = pytest.mark.slow

SHORT = [
    "levels.0.rollout=4", "levels.1.rollout=1", "plan.horizon=[4,1]", "collect.length=9", "train.plans=2",
    "train.batch=64",
]  # fmt: skip


def _begun(*_: object, **__: object) -> None:
    raise Begun


@pytest.mark.parametrize("count", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_stores_of_observations(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_train", _begun)
    whole, store, out = tmp_path / "whole", tmp_path / "data", tmp_path / "x"
    words = ("collect", "--env", "CartPole-v1", "--policy", "random", "--episodes", "8", "--length", "9")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main([*words, "--layouts", "4", "--out", str(whole)]) == 0
    config = load_preset("vector", SHORT)
    with pytest.raises(Begun):
        training.fit(config, whole, out, device="cpu", progress=False)

    def case(rng: Random) -> None:
        for folder in (store, out, tmp_path / "x.partial"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, store)
        file = rng.choice(sorted(item for item in store.rglob("*") if item.is_file()))
        spoil(rng, file)
        judge(
            "stores of observations",
            file.name,
            lambda: training.fit(config, store, out, device="cpu", progress=False),
            lambda: [item.name for item in tmp_path.iterdir() if item.name not in ("data", "whole")],
        )

    run_all("stores of observations", count, case)


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_progress_of_plans(count: int, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, partial = tmp_path / "o.json", tmp_path / "o.json.partial"
    words = ["plan", "--checkpoint", str(small / "run"), "--task", TASK, "--levels", "1", "--episodes", "2"]
    words += ["--workers", "1", "--json", str(file)]
    with monkeypatch.context() as patch:
        patch.setattr("hjepa.sweeps.kept.Kept.record", _begun)
        with pytest.raises(Begun), contextlib.redirect_stderr(io.StringIO()):
            main(words)
    (kept,) = partial.iterdir()
    base = json.loads(kept.read_text())
    monkeypatch.setattr("hjepa.sweeps.plan_cells.evaluate", _begun)

    def case(rng: Random) -> None:
        file.unlink(missing_ok=True)
        partial.mkdir(exist_ok=True)
        data = dumped(mutated(rng, base)).encode()
        kept.write_bytes(noisy(rng, data) if rng.random() < 0.4 else data)
        judge("progress of plans", data, lambda: command(words), lambda: file.exists())

    run_all("progress of plans", count, case)
