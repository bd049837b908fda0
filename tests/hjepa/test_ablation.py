"""Ablations: names of cells, skipping, failures, dead workers, kills, shared trainings."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hjepa import ablation, cells, engines
from hjepa.commands._live import LiveGrid
from hjepa.config import with_plan
from hjepa.errors import InputError
from hjepa.records import build_record, read_json

ROOT = Path(ablation.__file__).parent.parent

# A module that workers can import; it stands in for training and planning.
FAKE = '''
import os, time
from pathlib import Path
from hjepa.records import build_record

def run_cell(spec, out):
    """Leaves a line per run; what it does then depends on the training seed."""
    print("a word from the cell")
    with open(Path(out) / "runs.txt", "a") as file:
        file.write(f"{spec['train_seed']} {os.environ.get('OMP_NUM_THREADS')} {os.getpid()}\\n")
    if spec["train_seed"] == 1 and not (Path(out) / "mended").exists():
        raise RuntimeError("no luck\\nwith this one")
    if spec["train_seed"] == 2 and not (Path(out) / "mended").exists():
        os.kill(os.getpid(), 9)
    if spec["train_seed"] == 3 and not (Path(out) / "mended").exists():
        time.sleep(600)
    return build_record(
        task=spec["task"], split=spec["split"], tasks=spec["tasks"], seed=spec["seed"], levels=spec["levels"],
        depth=spec["depth"], metric="l2", planner="adam", step_budget=64, success=[1], steps=[9],
        oracle_steps=[9], active_share=[1.0] * spec["levels"], tflops_per_episode=0.1,
        train_seed=spec["train_seed"],
    )
'''


def make(train_seed: int = 0, levels: int = 1, **changes: Any) -> cells.Spec:
    spec: cells.Spec = {
        "preset": "small",
        "overrides": [],
        "config_sha256": "0" * 64,
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


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of `FAKE`, importable here and in workers."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    (folder / "fake_cells.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "fake_cells", raising=False)
    import fake_cells

    return fake_cells


def seeds_run(out: Path) -> list[int]:
    """Training seeds of the cells that were started, in order."""
    return [int(line.split()[0]) for line in (out / "runs.txt").read_text().splitlines()]


def test_name_is_the_hash_of_the_specification_alone() -> None:
    key = cells.cell_key(make())
    assert key == cells.cell_key(dict(reversed(make().items())))
    # a literal: a change of the canonical form would orphan the cells of every earlier ablation
    assert key == "8d878aacaf213260df55e1e22a9c8642551d47bc5b7ac8ac411051f46a7aeefd"
    for field_name in cells.FIELDS:
        assert cells.cell_key({**make(), field_name: "other"}) != key, field_name


def test_incomplete_specifications_are_refused() -> None:
    spec = make()
    del spec["config_sha256"]
    with pytest.raises(InputError, match="config_sha256 missing or unknown"):
        cells.cell_key(spec)


def test_cells_are_written_and_skipped_the_next_time(tmp_path: Path, fake: ModuleType) -> None:
    specs = [make(4), make(5), make(6)]
    outcomes: list[engines.Outcome] = []
    first = ablation.ablate(specs[:2], tmp_path, engines.LocalProcesses(2), fake.run_cell)
    again = ablation.ablate(
        specs, tmp_path, engines.LocalProcesses(2), fake.run_cell, on_outcome=outcomes.append
    )
    assert (first.skipped, again.skipped) == (0, 2)
    assert sorted(seeds_run(tmp_path)) == [4, 5, 6]
    assert [record["train_seed"] for record in again.records] == [4, 5, 6], "in the order asked for"
    assert [outcome.key for outcome in outcomes] == [cells.cell_key(spec) for spec in specs]
    for spec in specs:
        record = read_json(tmp_path / "cells" / f"{cells.cell_key(spec)}.json")
        assert record["spec"] == spec and record["success"] == [1]


def test_workers_are_other_processes_with_one_thread_and_a_log(
    tmp_path: Path, fake: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    ablation.ablate([make(4), make(5), make(6)], tmp_path, engines.LocalProcesses(2), fake.run_cell)
    lines = [line.split() for line in (tmp_path / "runs.txt").read_text().splitlines()]
    assert {threads for _, threads, _ in lines} == {"1"}
    processes = {process for *_, process in lines}
    assert str(os.getpid()) not in processes and 1 <= len(processes) <= 2
    assert (tmp_path / "log.txt").read_text() == "a word from the cell\n" * 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_failed_and_killed_cells_spare_the_rest_and_are_retried(
    tmp_path: Path, fake: ModuleType, workers: int
) -> None:
    specs = [make(1), make(2), make(4), make(5)]
    failed_key, killed_key = cells.cell_key(specs[0]), cells.cell_key(specs[1])
    result = ablation.ablate(specs, tmp_path, engines.LocalProcesses(workers), fake.run_cell)
    assert [record["train_seed"] for record in result.records] == [4, 5]
    assert result.failed == {
        failed_key: "RuntimeError: no luck with this one",
        killed_key: "the worker process died (exit code -9)",
    }
    note = read_json(tmp_path / "failed" / f"{failed_key}.json")
    assert note["spec"] == specs[0] and "Traceback" in note["traceback"]

    (tmp_path / "mended").touch()
    again = ablation.ablate(specs, tmp_path, engines.LocalProcesses(workers), fake.run_cell)
    assert not again.failed and len(again.records) == 4 and again.skipped == 2
    assert sorted(seeds_run(tmp_path)) == [1, 1, 2, 2, 4, 5]
    assert list((tmp_path / "failed").iterdir()) == []


def test_a_record_that_breaks_the_contract_is_a_failure(tmp_path: Path) -> None:
    result = ablation.ablate([make()], tmp_path, engines.InProcess(), lambda spec, out: {"task": "x"})
    assert "lacks split" in next(iter(result.failed.values()))
    assert not (tmp_path / "cells").exists()


SWEEP = """
import sys
from pathlib import Path
import fake_cells
from hjepa import ablation, engines
from test_ablation import make

if __name__ == "__main__":
    specs = [make(seed) for seed in (4, 5, 3, 6, 7)]
    result = ablation.ablate(specs, Path(sys.argv[1]), engines.LocalProcesses(2), fake_cells.run_cell)
    print(result.skipped, len(result.records), len(result.failed))
"""


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # a zombie that nobody has reaped yet runs no more
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_only_missing_cells_run_again(
    tmp_path: Path, fake: ModuleType, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    """One worker sits in the cell of seed 3 while the other finishes the rest; then it all is ended."""
    out = tmp_path / "out"
    program = tmp_path / "sweep.py"
    program.write_text(SWEEP)
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ["PYTHONPATH"]]))
    sweep = [sys.executable, str(program), str(out)]
    running = subprocess.Popen(sweep, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: len(list(out.glob("cells/*.json"))) == 4)
    workers = {int(line.split()[2]) for line in (out / "runs.txt").read_text().splitlines()}
    if end == signal.SIGINT:
        os.killpg(running.pid, end)  # as Ctrl-C in a terminal reaches the workers too
    else:
        running.send_signal(end)
    try:
        wait_for(lambda: not any(map(is_running, workers)))
    finally:
        for worker in filter(is_running, workers):
            os.kill(worker, signal.SIGKILL)
    _, err = running.communicate(timeout=30)
    assert running.returncode != 0
    assert "Process SpawnProcess" not in err + (out / "log.txt").read_text(), (
        "workers leave a Ctrl-C to their parent"
    )

    before = {file.name: file.stat().st_mtime_ns for file in out.glob("cells/*.json")}
    (out / "mended").touch()
    again = subprocess.run(sweep, capture_output=True, text=True, timeout=120, check=True)
    assert again.stdout.split() == ["4", "5", "0"]
    assert sorted(seeds_run(out)) == [3, 3, 4, 5, 6, 7]
    after = {file.name: file.stat().st_mtime_ns for file in out.glob("cells/*.json")}
    assert {name: after[name] for name in before} == before
    assert not list(out.rglob("*.tmp"))


def test_two_ablations_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        ablation.locked(tmp_path / "ablation.lock"),
        pytest.raises(InputError, match="another hjepa ablate works in this folder"),
    ):
        ablation.ablate([], tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [("{", "not JSON"), ("{}", "lacks task"), (None, "record of another cell")]
)
def test_a_foreign_file_among_the_cells_is_refused_and_kept(
    tmp_path: Path, fake: ModuleType, content: str | None, message: str
) -> None:
    file = engines.cell_path(tmp_path, cells.cell_key(make(4)))
    if content is None:
        content = json.dumps({**fake.run_cell(make(5), tmp_path), "spec": make(5)})
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        ablation.ablate([make(4)], tmp_path, engines.InProcess(), fake.run_cell)
    assert file.read_text() == content


def test_neighbours_need_different_weights() -> None:
    specs = [make(seed, levels=levels) for seed in (0, 1) for levels in (1, 2)]
    specs += [make(0, metric="l2"), make(0, overrides=["plan.horizon=3"])]
    jobs = [engines.Job(cells.cell_key(spec), spec, "", ablation.run_cell) for spec in specs]
    order = [cells.training_group(job.spec) for job in ablation.spread(jobs)]
    assert len(set(order[:4])) == 4
    assert order[4:] == [order[0], order[0]], "planning settings do not change the weights"


# From here on with a stand-in for the configuration and for everything that it configures.


@dataclass(frozen=True)
class Section:
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Config:
    task: str = "hjepa/NestedRooms-d2-v0"
    levels: tuple[int, ...] = (1, 4, 4)
    train: Section = field(default_factory=Section)
    plan: Section = field(default_factory=Section)
    collect: Section = field(default_factory=Section)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def load_preset(name: str, overrides: list[str]) -> Config:
        sections: dict[str, list[tuple[str, str]]] = {"train": [], "plan": [], "collect": []}
        for override in overrides:
            key, _, value = override.partition("=")
            section, _, name_below = key.partition(".")
            sections[section].append((name_below, value))
        return Config(**{name: Section(tuple(values)) for name, values in sections.items()})

    def fit(config: Config, data: Path, out: Path, **_: Any) -> None:
        calls.append(("fit", config, out))
        if ("lr", "nan") in config.train.values:
            raise InputError("loss is NaN")

    def plan_command(request: Any) -> list[dict[str, Any]]:
        calls.append(("plan", request))
        request.progress.write_text("what a killed evaluation would continue from")
        (levels,) = request.levels
        return [
            build_record(
                **{name: getattr(request, name) for name in ("task", "split", "tasks", "seed")},
                **{"levels": levels, "depth": "truncated", "metric": "l2", "planner": "adam"},
                **{"step_budget": 64, "success": [1], "steps": [9], "oracle_steps": [9]},
                **{"active_share": [1.0] * levels, "tflops_per_episode": 0.1},
            )
        ]

    def stand_in(name: str, **functions: Any) -> None:
        module = ModuleType(name)
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, name, module)

    stand_in(
        "hjepa.config",
        load_preset=load_preset,
        with_levels=lambda config, n: replace(config, levels=config.levels[:n]),
    )
    stand_in("hjepa.training", fit=fit)
    stand_in("hjepa.evaluation", plan_command=plan_command)
    stand_in(
        "tasks",
        collect=lambda task, out, **_: calls.append(("collect", task, out)),
        StoreError=type("StoreError", (ValueError,), {}),
    )
    return calls


def test_expand_gives_each_combination_once(calls: list[Any]) -> None:
    specs = cells.expand("small", train_seeds=(0, 1), metrics=("l2", "commute"))
    assert [(s["levels"], s["depth"]) for s in specs[::4]] == [
        (1, "truncated"),
        (1, "trained"),
        (2, "truncated"),
        (2, "trained"),
        (3, "trained"),
    ]
    assert len({cells.cell_key(spec) for spec in specs}) == len(specs) == 20
    swept = cells.expand("small", overrides={"train.lr": ["1", "2"], "plan.h": ["3"]}, levels=(2,))
    assert [spec["overrides"] for spec in swept[::2]] == [
        ["plan.h=3", "train.lr=1"],
        ["plan.h=3", "train.lr=2"],
    ]
    assert len({spec["config_sha256"] for spec in swept}) == 2
    with pytest.raises(InputError, match="choose from 1 to its 3 levels"):
        cells.expand("small", levels=(4,))
    with pytest.raises(InputError, match="depth 'deep'"):
        cells.expand("small", depths=("deep",))


def test_cells_share_trainings_and_trajectories(calls: list[Any], tmp_path: Path) -> None:
    specs = cells.expand(
        "small", overrides={"plan.h": ["3", "4"]}, train_seeds=(0, 1), metrics=("l2", "commute")
    )
    result = ablation.ablate(specs, tmp_path, engines.InProcess())
    assert not result.failed and len(result.records) == len(specs) == 40
    fits = [call for call in calls if call[0] == "fit"]
    # per seed: the whole stack (also truncated) and stacks trained with 1 and with 2 levels
    assert len(fits) == len({out for _, _, out in fits}) == 6
    assert {config.plan for _, config, _ in fits} == {Section()}, "planning settings stay out of the weights"
    assert len({out for _, _, out in (call for call in calls if call[0] == "collect")}) == 1
    plans = [call[1] for call in calls if call[0] == "plan"]
    assert {tuple(request.overrides) for request in plans} == {
        ("plan.values=[[h, '3']]",),
        ("plan.values=[[h, '4']]",),
    }
    assert {request.checkpoint for request in plans} == {str(out) for _, _, out in fits}
    assert len({request.progress for request in plans}) == 40
    assert not any(request.progress.exists() for request in plans), "removed once the record is written"
    for record in result.records:
        assert record["depth"] == record["spec"]["depth"]
        assert record["train_seed"] == record["spec"]["train_seed"]


SLOW_TRAINING = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from hjepa import ablation
from hjepa.records import build_record

@dataclass(frozen=True)
class Section:
    pass

@dataclass(frozen=True)
class Config:
    task: str
    collect: Section = Section()
    plan: Section = Section()

def stand_in(name, **functions):
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(functions)

def fit(config, data, out, **_):
    with open(Path(out).with_suffix(".txt"), "a") as file:
        file.write("begin\\n")
        file.flush()
        time.sleep(0.7)
        file.write("end\\n")

def plan_command(request):
    return [build_record(
        task="x", split="test", tasks="far", seed=0, levels=1, depth="trained", metric="l2", planner="adam",
        step_budget=64, success=[1], steps=[9], oracle_steps=[9], active_share=[1.0], tflops_per_episode=0.1,
    )]

def run_cell(spec, out):
    stand_in("hjepa.config", load_preset=lambda name, overrides: Config(str(overrides)),
             with_levels=lambda config, n: config)
    stand_in("hjepa.training", fit=fit)
    stand_in("hjepa.evaluation", plan_command=plan_command)
    stand_in("tasks", collect=lambda *_, **__: None, StoreError=KeyError)
    return ablation.run_cell(spec, out)
"""


def test_two_workers_that_need_the_same_weights_train_them_once(
    tmp_path: Path, fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fakes" / "slow_training.py").write_text(SLOW_TRAINING)
    monkeypatch.delitem(sys.modules, "slow_training", raising=False)
    import slow_training

    specs = [make(metric="l2"), make(metric="commute"), make(train_seed=1)]
    result = ablation.ablate(specs, tmp_path, engines.LocalProcesses(3), slow_training.run_cell)
    assert len(result.records) == 3, result.failed
    trainings = [file.read_text().split() for file in tmp_path.glob("train/*.txt")]
    assert trainings == [["begin", "end"]] * 2, "one per training seed"


def test_a_failed_training_fails_its_cells_once_and_is_tried_again(calls: list[Any], tmp_path: Path) -> None:
    specs = cells.expand(
        "small", overrides={"train.lr": ["1", "nan"]}, levels=(3,), metrics=("l2", "commute")
    )
    for _ in range(2):
        calls.clear()
        result = ablation.ablate(specs, tmp_path, engines.InProcess())
        broken = [call for call in calls if call[0] == "fit" and ("lr", "nan") in call[1].train.values]
        assert len(broken) == 1
        assert len(result.records) == 2
        first, second = result.failed.values()
        assert first == "loss is NaN" and "its training failed: InputError: loss is NaN" in second


def test_planning_settings_of_the_demo_fit_every_number_of_levels() -> None:
    """With the real configuration: lists that have an entry per level are cut to the levels trained."""
    overrides = {"plan.horizon": ["[5, 3, 2]"], "plan.learning_rate": ["0.00001"], "train.batch": ["128"]}
    specs = cells.expand("demo", overrides=overrides)
    assert [(spec["levels"], spec["depth"]) for spec in specs][-1] == (3, "trained")
    found = {(spec["levels"], spec["depth"]): cells.planning_overrides(spec) for spec in specs}
    rate = "plan.learning_rate=1.0e-05"
    assert found[1, "trained"] == ["plan.horizon=[5]", rate]
    assert found[2, "trained"] == ["plan.horizon=[5, 3]", rate]
    assert found[1, "truncated"] == found[3, "trained"] == ["plan.horizon=[5, 3, 2]", rate]
    for spec in specs:
        trained = cells.training_config(spec)
        assert trained.train.batch == 128 and trained.plan.horizon[0] == 6
        planned = with_plan(trained, cells.planning_overrides(spec))
        assert planned.plan.horizon == (5, 3, 2)[: len(trained.levels)]
        assert planned.plan.learning_rate == 0.00001


def test_live_grid_without_a_terminal_writes_a_line_per_cell(tmp_path: Path, fake: ModuleType) -> None:
    specs = [make(1), make(4), make(4, levels=2)]
    stream = io.StringIO()
    grid = LiveGrid(specs, stream)
    ablation.ablate(specs, tmp_path, engines.InProcess(), fake.run_cell, on_outcome=grid.show)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[1/3] levels=1 train_seed=1 failed: RuntimeError: no luck")
    grid.close()
    assert [line.split() for line in grid.text().splitlines()[:3]] == [
        ["levels", "seed", "1", "seed", "4"],
        ["1", "failed", "100.0", "%"],
        ["2", "100.0", "%"],
    ]
    assert "3 of 3 cells, 1 failed" in stream.getvalue()
