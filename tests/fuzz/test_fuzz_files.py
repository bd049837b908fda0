"""Files from anywhere: records, stores, descriptions of checkpoints, and progress of what was interrupted."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import TEXTS, Begun, Random, dumped, judge, mutated, noisy, run_all, spoil

from hjepa.config import load_preset
from hjepa.evaluation.records import build_record, read_records
from hjepa.evaluation.tables import table
from hjepa.model.checkpoints import load_stack
from hjepa.report import page
from hjepa.training import fit as training
from tasks import TrajectoryStore, collect

PRESET = Path(__file__).parents[1] / "end_to_end" / "tiny.yaml"
pytestmark = pytest.mark.slow

TASK = "hjepa/NestedRooms-d2-v0"


def records() -> list[dict[str, Any]]:
    """Records as ``hjepa plan`` writes them."""
    rng = np.random.default_rng(0)
    found = []
    for levels in (1, 2):
        oracle = rng.integers(2, 40, 12)
        success = (rng.random(12) < 0.5).astype(int)
        steps = np.where(success, oracle * 2, 120)
        found.append(
            build_record(
                task=TASK, split="test", tasks="far", seed=0, levels=levels, depth="trained", metric="l2",
                planner="adam", step_budget=120, success=success, steps=steps, oracle_steps=oracle,
                active_share=[1.0] * levels, tflops_per_episode=0.1, budget_tflops=0.1, train_seed=0,
                checkpoint_sha256="ab" * 32, random_success_rate=0.1, plan_ms=1.0, seconds_per_episode=0.1,
                peak_mb=10.0, layout=[str(i % 5) for i in range(12)],
            )
            | {"overrides": ["plan.block=4"], "spec": None, "memory": "map"}
        )  # fmt: skip
    return found


class NoPictures:
    """In place of `hjepa.report.pictures.Pictures`, which takes a second a page."""

    def keep(self, *_: object) -> None: ...

    def write(self, _: object) -> list[Path]:
        return []


@pytest.mark.parametrize("count", [100, pytest.param(2500, marks=pytest.mark.slow)])
def test_records(count: int, tmp_path: Path) -> None:
    file, base = tmp_path / "r.json", records()

    def use() -> None:
        print_nothing = table(read_records(file))
        print_nothing.encode(errors="surrogatepass")

    def case(rng: Random) -> None:
        data = dumped(mutated(rng, base)).encode()
        if rng.random() < 0.2:
            data = noisy(rng, data)
        file.write_bytes(data)
        judge("records", data, use)

    run_all("records", count, case)


@pytest.mark.parametrize("count", [6, pytest.param(300, marks=pytest.mark.slow)])
def test_pages(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "Pictures", NoPictures)
    file, out, base = tmp_path / "r.json", tmp_path / "page.html", records()

    def case(rng: Random) -> None:
        data = dumped(mutated(rng, base, 1)).encode()
        file.write_bytes(data)
        out.unlink(missing_ok=True)
        judge("pages", data, lambda: page.write_report([file], out), lambda: out.exists())

    run_all("pages", count, case)


@pytest.mark.parametrize("count", [20, pytest.param(700, marks=pytest.mark.slow)])
def test_stores(count: int, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_train", _begun)
    config, store, out = load_preset(str(PRESET)), tmp_path / "data", tmp_path / "x"

    def case(rng: Random) -> None:
        for folder in (store, out, tmp_path / "x.partial"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small / "data", store)
        file = rng.choice(sorted(store.iterdir()))
        spoil(rng, file)
        judge(
            "stores",
            file.name,
            lambda: training.fit(config, store, out, device="cpu", progress=False),
            lambda: [item.name for item in tmp_path.iterdir() if item.name != "data"],
        )

    run_all("stores", count, case)


def _begun(*_: object, **__: object) -> None:
    raise Begun


@pytest.mark.parametrize("count", [30, pytest.param(1200, marks=pytest.mark.slow)])
def test_descriptions_of_checkpoints(count: int, small: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small / "run", run)
    file = run / "model.json"
    base = json.loads(file.read_text())

    def case(rng: Random) -> None:
        data = dumped(mutated(rng, base)).encode()
        if rng.random() < 0.2:
            data = noisy(rng, data)
        file.write_bytes(data)
        judge("checkpoints", data[:3000], lambda: load_stack(run))

    run_all("checkpoints", count, case)


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_weights_of_checkpoints(count: int, small: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small / "run", run)
    weights = (run / "model.safetensors").read_bytes()
    content = json.loads((run / "model.json").read_text())

    def case(rng: Random) -> None:
        data = noisy(rng, weights[:2000] if rng.random() < 0.7 else weights, 1)
        data = data + weights[2000:] if len(data) < 5000 else data
        (run / "model.safetensors").write_bytes(data)
        known = {"sha256": hashlib.sha256(data).hexdigest()} if rng.random() < 0.9 else {}
        (run / "model.json").write_text(json.dumps(content | known))
        judge("weights", len(data), lambda: load_stack(run))

    run_all("weights", count, case)


@pytest.mark.parametrize("count", [10, pytest.param(250, marks=pytest.mark.slow)])
def test_progress_of_fits(count: int, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, partial, begun = tmp_path / "x", tmp_path / "x.partial", tmp_path / "begun"
    config = load_preset(str(PRESET), ["train.steps=[2,2,2]", "critic.steps=2"])
    with monkeypatch.context() as patch:
        patch.setattr(training, "calibrate", _begun)
        with pytest.raises(Begun):
            training.fit(config, small / "data", out, device="cpu", progress=False)
    partial.rename(begun)
    monkeypatch.setattr(training, "run_trainer", _begun)

    def case(rng: Random) -> None:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(begun, partial)
        file = rng.choice([item for item in sorted(partial.iterdir()) if item.is_file()])
        if file.suffix == ".json" and rng.random() < 0.7:
            file.write_text(dumped(mutated(rng, json.loads(file.read_text()))))
        else:
            file.write_bytes(noisy(rng, file.read_bytes()))
        judge(
            "progress of fits",
            file.name,
            lambda: training.fit(config, small / "data", out, device="cpu", progress=False),
            lambda: [out.name] if out.exists() else [],
        )

    run_all("progress of fits", count, case)


@pytest.mark.parametrize("count", [20, pytest.param(250, marks=pytest.mark.slow)])
def test_progress_of_collecting(count: int, tmp_path: Path) -> None:
    out, partial = tmp_path / "d", tmp_path / "d.partial"
    arguments = {"plans": 2, "episodes_per_plan": 1, "length": 6, "seed": 0}
    collect(TASK, out, **arguments)  # type: ignore[arg-type]
    known = json.loads((out / "meta.json").read_text())["arguments"]
    whole = TrajectoryStore.open(out).sha256
    base = {"arguments": known, "shards": 0}

    def use() -> None:
        assert collect(TASK, out, **arguments).sha256 == whole  # type: ignore[arg-type]

    def case(rng: Random) -> None:
        for folder in (out, partial):
            shutil.rmtree(folder, ignore_errors=True)
        partial.mkdir()
        data = dumped(mutated(rng, base)).encode()
        (partial / "progress.json").write_bytes(noisy(rng, data) if rng.random() < 0.4 else data)
        judge("progress of collecting", data, use, lambda: out.exists())

    run_all("progress of collecting", count, case)


def test_wild_texts_are_of_every_sort() -> None:
    assert {"", "\x00", "\ud800", "日本"} <= set(TEXTS)
