"""Command lines and missions from anywhere; what is accepted goes on until its work would begin."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from fuzzing import Begun, Random, command, judge, mutated, noisy, one_of, run_all

from hjepa.gridworld.missions import mission_text, read_mission, sample_missions

PRESET = str(Path(__file__).parents[1] / "end_to_end" / "tiny.yaml")
pytestmark = pytest.mark.slow

TASK, KEYS = "hjepa/NestedRooms-d2-v0", "hjepa/NestedKeys-d2-v0"

WORK = (
    "hjepa.sweeps.plan_cells.evaluate",
    "hjepa.sweeps.plan_cells.workers", "hjepa.training.fit._train", "hjepa.sweeps.tuning.worker_pool",
    "hjepa.training.actor_distillation.lectures", "hjepa.training.pixel_distillation._train", "hjepa.demo.run",
    "hjepa.sweeps.sweep.ablate", "hjepa.bench.kinds.measured", "tasks.collect",
    "tasks.collect_world", "hjepa.report.page.gather",
)  # fmt: skip
"""Where the work of commands begins."""


def bases(small: Path, out: Path) -> list[list[str]]:
    """Command lines that work."""
    run, data = str(small / "run"), str(small / "data")
    fit = ["fit", "--preset", PRESET, "--data", data, "--out", str(out / "x")]
    plan = ["plan", "--checkpoint", run, "--task", TASK, "--episodes", "2", "--workers", "1"]
    return [
        [*plan, "--levels", "1,2", "--seed", "0,1", "--metric", "l2", "--json", str(out / "o.json")],
        [*plan, "--planner", "cem", "--budget-tflops", "0.5", "--split", "validation", "--tasks", "uniform"],
        [*plan, "--set", "plan.iterations=2", "--oracle", "none,dynamics", "--device", "cpu", "--episode-batch", "2"],
        [*plan, "--levels", "1", "--mission", "{do: [{reach: [1, 1]}]}", "--diagnostics"],
        [*plan, "--levels", "1", "--zones", "--unguarded", "--precision", "32", "--memory", "map"],
        [*fit, "--device", "cpu", "--set", "train.clip=1"],
        [*fit, "--start", run, "--fresh"],
        ["collect", "--preset", PRESET, "--out", str(out / "d"), "--set", "collect.plans=2"],
        ["collect", "--env", TASK, "--out", str(out / "d"), "--episodes", "2", "--length", "9", "--seed", "1"],
        ["collect", "--env", "CartPole-v1", "--out", str(out / "d"), "--policy", "random", "--observe", "vector"],
        ["tune", "--checkpoint", run, "--task", TASK, "--metric", "l2", "--levels", "1", "--episodes", "2",
         "--horizons", "2,3", "--commits", "1", "--rounds", "1", "--workers", "1", "--json", str(out / "t.json")],
        ["ablate", "--preset", PRESET, "--out", str(out / "a"), "--levels", "1,2", "--metric", "l2", "--episodes", "2",
         "--set", "plan.iterations=2,3", "--engine", "local", "--workers", "1", "--train-seeds", "0,1"],
        ["distill", "--checkpoint", run, "--data", data, "--questions", "8", "--steps", "2", "--out", str(out / "c")],
        ["see", "--checkpoint", run, "--data", data, "--steps", "2", "--batch", "2", "--out", str(out / "c")],
        ["report", str(small / "none"), "--out", str(out / "p.html")],
        ["bench", "plan", "--checkpoint", run], ["bench", "tasks", "--task", TASK], ["tasks", "--json"],
        ["demo", "--out", str(out / "demo")],
    ]  # fmt: skip


@pytest.mark.parametrize("count", [80, pytest.param(3000, marks=pytest.mark.slow)])
def test_command_lines(count: int, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.throughput  # so that it can be replaced  # noqa: F401

    for place in WORK:
        monkeypatch.setattr(place, _begun)
    home, own = tmp_path / "home", tmp_path / "own"
    home.mkdir()
    monkeypatch.chdir(home)

    def case(rng: Random) -> None:
        for part in ("data", "run"):  # a command may have been told to set one of them aside
            if not (own / part).is_dir():
                shutil.copytree(small / part, own / part)
        words = one_of(rng, rng.choice(bases(own, Path("out"))))
        before = contents(tmp_path)
        judge("command lines", words, lambda: command(words), lambda: sorted(contents(tmp_path) - before))
        clear(home)

    run_all("command lines", count, case)


def contents(folder: Path) -> set[str]:
    """Files below a folder; empty folders do not count."""
    return {os.path.join(at, name) for at, _, names in os.walk(folder) for name in names}


def clear(folder: Path) -> None:
    """Remove what is below a folder."""
    for item in folder.iterdir():
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


def _begun(*_: object, **__: object) -> None:
    raise Begun


@pytest.mark.parametrize("count", [30, pytest.param(700, marks=pytest.mark.slow)])
def test_missions(count: int, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    base: dict[str, Any] = {
        "do": [
            {"reach": [3, 4]},
            {"fetch": "key"},
            {"open": "door"},
            {"match": "goal"},
            {"reach": "somewhere"},
        ],
        "avoid": [[3, 4], [5, 1, 7, 2]],
    }

    def case(rng: Random) -> None:
        start = {"do": rng.sample(base["do"], rng.randint(1, 3))} | (
            {"avoid": base["avoid"]} if rng.random() < 0.5 else {}
        )
        text = json.dumps(mutated(rng, start, 2), default=str)
        if rng.random() < 0.3:
            text = noisy(rng, text.encode()).decode(errors="replace")
        asked = text
        if rng.random() < 0.3:
            file.write_text(text, errors="replace")
            asked = str(file)
        task = rng.choice((TASK, KEYS))

        def use() -> None:
            mission_text(asked)
            sample_missions(task, read_mission(asked), "test", None, 1, rng.choice((0, 5)))

        judge("missions", (task, text), use)

    run_all("missions", count, case)
