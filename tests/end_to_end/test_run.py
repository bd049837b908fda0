"""Collect, fit and plan through the command line: killed runs, equal runs, input that cannot work."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hjepa.cli import main
from hjepa.evaluation.records import TIMING_FIELDS, check_record

PRESET = Path(__file__).parent / "tiny.yaml"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Done:
    returncode: int
    stderr: str


def hjepa(*arguments: object, check: int = 0) -> Done:
    """Run a command in this process, which saves importing torch each time."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(argument) for argument in arguments])
    assert code == check, stderr.getvalue()
    return Done(code, stderr.getvalue())


def kill_when(condition: Path, *arguments: object) -> None:
    """Run a command and kill it without warning as soon as a file is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hjepa.cli", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )
    while not condition.exists():
        assert process.poll() is None, "the command ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and a trained run."""
    folder = tmp_path_factory.mktemp("run")
    hjepa("collect", "--preset", PRESET, "--out", folder / "data")
    hjepa("fit", "--preset", PRESET, "--data", folder / "data", "--out", folder / "stack", "--device", "cpu")
    return folder


def plan(run: Path, out: Path, *more: object, workers: int = 1) -> list[dict]:
    # In this process unless said otherwise, for workers import torch each.
    options = ("--task", "hjepa/NestedRooms-d2-v0", "--episodes", 6, "--device", "cpu", "--json", out)
    hjepa("plan", "--checkpoint", run / "stack", *options, "--workers", workers, *more)
    return [
        {name: value for name, value in record.items() if name not in TIMING_FIELDS}
        for record in json.loads(out.read_text())
    ]


def test_run_folder_is_complete(run: Path) -> None:
    names = {file.name for file in (run / "stack").iterdir()}
    assert names == {"config.yaml", "metrics.csv", "model.json", "model.safetensors"}
    rows = (run / "stack" / "metrics.csv").read_text().splitlines()
    assert (
        len(rows) == 1 + 4 + 3 + 3 + 3 * 2
    )  # header, every second step of 8, 6 and 6, and of 4 for three critics


def test_killed_fit_ends_in_the_same_weights(run: Path, tmp_path: Path) -> None:
    arguments = (
        "fit",
        "--preset",
        PRESET,
        "--data",
        run / "data",
        "--out",
        tmp_path / "again",
        "--device",
        "cpu",
    )
    kill_when(tmp_path / "again.partial" / "resume.ckpt", *arguments)
    assert not (tmp_path / "again").exists()
    hjepa(*arguments)
    for name in ("model.safetensors", "metrics.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (run / "stack" / name).read_bytes()
    assert not (tmp_path / "again.partial").exists()


def test_plan_is_a_function_of_its_arguments(run: Path, tmp_path: Path) -> None:
    first = plan(run, tmp_path / "a.json", "--metric", "l2,commute,critic")
    assert (
        plan(run, tmp_path / "b.json", "--metric", "l2,commute,critic", "--episode-batch", 4, workers=2)
        == first
    )
    assert [(record["metric"], record["levels"]) for record in first].count(("l2", 3)) == 1
    for record in json.loads((tmp_path / "a.json").read_text()):
        check_record(record, where="test")
        assert 0 < record["tflops_per_episode"] <= record["budget_tflops"]
    (other,) = plan(run, tmp_path / "c.json", "--metric", "l2", "--levels", 1, "--seed", 1)
    (same,) = (record for record in first if (record["metric"], record["levels"]) == ("l2", 1))
    assert other["oracle_steps"] != same["oracle_steps"], "other episodes"


def test_killed_plan_continues(run: Path, tmp_path: Path) -> None:
    whole = plan(run, tmp_path / "whole.json")
    out = tmp_path / "killed.json"
    options = ("--task", "hjepa/NestedRooms-d2-v0", "--episodes", 6, "--device", "cpu", "--json", out)
    partial = tmp_path / "killed.json.partial"
    kill_when(partial, "plan", "--checkpoint", run / "stack", *options, "--episode-batch", 2)
    assert not out.exists()
    assert plan(run, out, "--episode-batch", 2) == whole
    assert not partial.exists()


def test_planners_and_overrides(run: Path, tmp_path: Path) -> None:
    records = plan(
        run,
        tmp_path / "p.json",
        "--planner",
        "cem,exhaustive,sampling",
        "--levels",
        2,
        "--budget-tflops",
        0.2,
    )
    assert [record["planner"] for record in records] == ["cem", "exhaustive", "sampling"]
    fewer = plan(run, tmp_path / "q.json", "--levels", 2, "--set", "plan.max_candidates=8")
    more = plan(run, tmp_path / "r.json", "--levels", 2, "--set", "plan.max_candidates=32")
    assert fewer[0]["tflops_per_episode"] < more[0]["tflops_per_episode"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--budget-tflops", "1e-9"), "candidate"),
        (("--levels", "4"), "levels"),
        (("--task", "hjepa/NestedRooms-d3-v0"), "grids"),
        (("--set", "plan.horizon=[9,3,2]"), "rollouts of 3"),
        (("--metric", "cosine"), "cosine"),
        (("--checkpoint", "nowhere"), "nowhere"),
    ],
)
def test_input_that_cannot_work(run: Path, tmp_path: Path, arguments: tuple[str, str], reason: str) -> None:
    options = {"--checkpoint": run / "stack", "--task": "hjepa/NestedRooms-d2-v0", "--episodes": 2}
    options |= dict([arguments])
    flat = [part for pair in options.items() for part in pair]
    done = hjepa("plan", *flat, "--json", tmp_path / "x.json", check=2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert reason in done.stderr
    assert not (tmp_path / "x.json").exists()


def test_broken_checkpoints_are_refused(run: Path, tmp_path: Path) -> None:
    for damage in ("truncate", "foreign", "missing"):
        folder = tmp_path / damage
        shutil.copytree(run / "stack", folder)
        weights = folder / "model.safetensors"
        if damage == "truncate":
            weights.write_bytes(weights.read_bytes()[:-10])
        elif damage == "foreign":
            (folder / "model.json").write_text('{"format": "something else"}')
        else:
            weights.unlink()
        options = ("--task", "hjepa/NestedRooms-d2-v0", "--episodes", 2)
        done = hjepa("plan", "--checkpoint", folder, *options, check=2)
        assert len(done.stderr.strip().splitlines()) == 1


def test_another_run_is_never_overwritten(run: Path) -> None:
    before = (run / "stack" / "model.safetensors").read_bytes()
    arguments = ("--data", run / "data", "--out", run / "stack", "--device", "cpu")
    done = hjepa("fit", "--preset", PRESET, *arguments, "--set", "train.seed=5", check=2)
    assert "finished run" in done.stderr
    assert (run / "stack" / "model.safetensors").read_bytes() == before


def python_block(page: str) -> str:
    """The one block of Python on a page of the repository."""
    (block,) = (Path(__file__).parents[2] / page).read_text().split("```python\n")[1:]
    return block.split("```")[0]


def test_the_examples_in_readme_and_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo, guarded = python_block("README.md"), python_block("docs/guardrails.md")
    fixed = (
        "--set",
        "task=hjepa/NestedRoomsFixed-d3-v0",
        "--set",
        "collect.plans=1",
        "--set",
        "train.plans=1",
        "--set",
        "critic.plans=1",
    )
    hjepa("collect", "--preset", PRESET, *fixed, "--out", tmp_path / "data")
    hjepa("fit", "--preset", PRESET, *fixed, "--data", tmp_path / "data", "--out", tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    exec(compile(demo, "README.md", "exec"), {})
    assert (tmp_path / "subgoals.png").stat().st_size > 10_000
    known: dict[str, Any] = {}
    exec(compile(guarded, "docs/guardrails.md", "exec"), known)
    crossed = (known["trace"].agent[..., 0] == 8) & (known["trace"].agent[..., 1] < 8)
    assert not crossed.any() and known["trace"].results.success.any()
