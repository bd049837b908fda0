"""The command line: options reach the functions, bad ones end in one line and exit code 2."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hjepa import config
from hjepa.cli import COMMANDS, main
from hjepa.commands._options import split_commas, usable_cpus
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.records import build_record, read_records
from levels.settings import LevelSettings

TASK = "hjepa/NestedRooms-d2-v0"


@dataclass
class Collect:
    plans: int = 5
    length: int = 40
    seed: int = 0


@dataclass
class Real(Collect):
    """Every argument of `tasks.collect`."""

    episodes_per_plan: int = 1


@dataclass
class Config:
    task: str = TASK
    levels: tuple[LevelSettings, ...] = (LevelSettings(),)
    collect: Collect = field(default_factory=Collect)


class Calls(list[tuple[Any, ...]]):
    """What the stand-ins were called with."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Stand-ins for the modules behind the commands: this file tests the command line alone."""
    calls = Calls()

    def stand_in(name: str, **functions: Any) -> None:
        module = ModuleType(name)
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, name, module)

    def read_preset(name: str) -> tuple[dict[str, Any], Path]:
        if name == "missing":
            raise InputError(f"no preset {name!r}", remedy="choose from small")
        return {}, Path(f"{name}.yaml")

    def load_preset(name: str, overrides: list[str]) -> Config:
        read_preset(name)
        calls.append(("load_preset", name, list(overrides)))
        return Config()

    def fit(config: Config, data: Path, out: Path, *, device: str, precision: str, **_: None) -> None:
        calls.append(("fit", data, out, device, precision))

    def plan_command(request: PlanRequest, tell: Any = None) -> list[dict[str, Any]]:
        calls.append(("plan", request))
        if request.progress is not None:
            request.progress.mkdir()
        return [record(levels) for levels in request.levels or (1, 2)]

    def run_demo(out: Path, note: Any) -> list[dict[str, Any]]:
        calls.append(("demo", out))
        return [record(1)]

    monkeypatch.setattr(config, "load_preset", load_preset)
    monkeypatch.setattr(config, "read_preset", read_preset)
    stand_in("hjepa.training.fit", fit=fit)
    stand_in("hjepa.sweeps.plan_cells", plan_command=plan_command)
    stand_in("hjepa.demo", run=run_demo)
    return calls


def record(levels: int) -> dict[str, Any]:
    return build_record(
        task=TASK,
        split="test",
        tasks="far",
        seed=0,
        levels=levels,
        depth="truncated",
        metric="l2",
        planner="adam",
        step_budget=64,
        success=[1, 0],
        steps=[12, 64],
        oracle_steps=[10, 10],
        active_share=[1.0] * levels,
        tflops_per_episode=0.1,
    )


def run(*words: str) -> int:
    return main(list(words))


def test_plan_passes_every_option_and_writes_records(calls: Calls, tmp_path: Path) -> None:
    file = tmp_path / "new" / "out.json"
    code = run(
        *("plan", "--checkpoint", "runs/x", "--task", TASK, "--levels", "1,2,3", "--episodes", "7"),
        *("--seed", "5", "--split", "validation", "--tasks", "uniform", "--metric", "l2,commute"),
        *("--planner", "adam,exhaustive", "--budget-tflops", "0.5,1", "--oracle", "none,dynamics"),
        *("--episode-batch", "3", "--set", "plan.a=1", "--set", "plan.b=[1, 2]", "--device", "cpu"),
        *("--precision", "32", "--diagnostics", "--workers", "3", "--json", str(file)),
    )
    assert code == 0
    assert calls == [
        (
            "plan",
            PlanRequest(
                checkpoint="runs/x",
                task=TASK,
                levels=(1, 2, 3),
                episodes=7,
                seed=(5,),
                split="validation",
                tasks="uniform",
                metric=("l2", "commute"),
                planner=("adam", "exhaustive"),
                budget_tflops=(0.5, 1.0),
                oracle=("none", "dynamics"),
                diagnostics=True,
                workers=3,
                episode_batch=3,
                device="cpu",
                precision="32",
                overrides=["plan.a=1", "plan.b=[1, 2]"],
                progress=file.with_name("out.json.partial"),
            ),
        )
    ]
    assert [r["levels"] for r in read_records(file)] == [1, 2, 3]
    assert [f.name for f in file.parent.iterdir()] == ["out.json"], "the progress is removed on success"


def test_plan_defaults_and_table(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "--checkpoint", "small", "--task", TASK) == 0
    assert calls == [
        ("plan", PlanRequest(checkpoint="small", task=TASK, overrides=[], workers=usable_cpus()))
    ]
    out = capsys.readouterr().out
    assert "path ratio" in out and "shortest path" in out


def test_plan_keeps_its_progress_when_interrupted(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(request: PlanRequest, tell: Any) -> None:
        assert request.progress is not None
        request.progress.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["hjepa.sweeps.plan_cells"], "plan_command", interrupted)
    assert run("plan", "--checkpoint", "x", "--task", TASK, "--json", str(tmp_path / "o.json")) == 130
    assert [file.name for file in tmp_path.iterdir()] == ["o.json.partial"]
    assert capsys.readouterr().err == "hjepa plan: interrupted; the same command again continues\n"


def test_what_an_interruption_loses_is_said(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["hjepa.sweeps.plan_cells"], "plan_command", interrupted)
    monkeypatch.setattr(sys.modules["hjepa.training.fit"], "fit", interrupted)
    assert run("plan", "--checkpoint", "x", "--task", TASK) == 130
    assert capsys.readouterr().err == "hjepa plan: interrupted; the same command again begins anew\n"
    assert run("fit", "--preset", "small", "--data", "d", "--out", "runs/none") == 130
    assert capsys.readouterr().err == "hjepa fit: interrupted; the same command again continues\n"


def test_fit_passes_options_and_fresh_moves_the_old_run_aside(calls: Calls, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "figures").mkdir(parents=True)
    (tmp_path / "run.partial").mkdir()
    words = ["fit", "--preset", "small", "--set", "train.steps=9", "--data", "d", "--out", str(out)]
    assert run(*words) == 0
    assert (out / "figures").exists()
    assert run(*words, "--fresh", "--device", "cuda", "--precision", "bf16") == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.1", "run.partial.1"]
    assert (tmp_path / "run.1" / "figures").exists()
    assert calls == [
        ("load_preset", "small", ["train.steps=9"]),
        ("fit", Path("d"), out, "auto", "32"),
        ("load_preset", "small", ["train.steps=9"]),
        ("fit", Path("d"), out, "cuda", "bf16"),
    ]


def test_collect_passes_the_configuration(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tasks

    def collect(task_id: str, out: str, *, progress: Any, **arguments: Any) -> None:
        progress(2, 5)
        progress(5, 5)
        calls.append(("collect", task_id, out, arguments))

    monkeypatch.setattr(tasks, "collect", collect, raising=False)
    assert run("collect", "--preset", "small", "--out", "data/x") == 0
    assert calls[-1] == ("collect", TASK, Path("data/x").absolute(), {"plans": 5, "length": 40, "seed": 0})
    assert "5/5" in capsys.readouterr().err


def test_collect_with_arguments_that_cannot_work(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    """The real `tasks.collect` refuses an episode without a single step."""
    sys.modules["hjepa.config"].load_preset = lambda *_: Config(collect=Real(length=1))  # type: ignore[attr-defined]
    assert run("collect", "--preset", "small", "--out", "data/x") == 2
    err = capsys.readouterr().err
    assert "length is 1" in err.splitlines()[-1] and "Traceback" not in err


def test_demo_prints_the_table(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo") == 0
    assert calls == [("demo", Path("runs/demo"))]
    assert "shortest path" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [40, 72, 120])
def test_help_is_as_wide_as_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also its descriptions; a word that is longer stands alone in its line."""
    monkeypatch.setenv("COLUMNS", str(columns))
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        for line in capsys.readouterr().out.splitlines():
            assert len(line) <= columns or len(line.split()) <= 2, (command, line)


def test_tasks_lists_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tasks", "--json") == 0
    tasks_json = json.loads(capsys.readouterr().out)
    assert TASK in [task["id"] for task in tasks_json]
    assert all(task["default_budget_tflops"] > 0 and task["step_budget"] > 0 for task in tasks_json)
    assert run("tasks") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("id") and max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines[1:] if line[0] != " "] == [task["id"] for task in tasks_json]
    said = " ".join(" ".join(lines).split())
    assert all(task["description"] in said for task in tasks_json)


PLAN = ["plan", "--checkpoint", "x", "--task", TASK]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND"),
        (["nope"], "invalid choice: 'nope'"),
        (["plan"], "required"),
        ([*PLAN, "--levels", "1,x"], "list of whole numbers value: '1,x'"),
        ([*PLAN, "--levels", "0"], "levels 0"),
        ([*PLAN, "--levels", "1,1"], "name each once"),
        ([*PLAN, "--episodes", "1.5"], "1.5"),
        ([*PLAN, "--episodes", "0"], "episodes 0"),
        ([*PLAN, "--seed", "-1"], "seed -1"),
        ([*PLAN, "--split", "tset"], "invalid choice: 'tset'"),
        ([*PLAN, "--budget-tflops", "0"], "positive budget"),
        ([*PLAN, "--level", "1"], "unrecognized arguments: --level"),
        ([*PLAN, "--set", "x"], "assignment value: 'x'"),
        ([*PLAN, "--json", "."], "this is a folder"),
        ([*PLAN, "--json", __file__ + "/out.json"], "test_cli_options.py"),
        (["plan", "--checkpoint", "x", "--task", "hjepa/Nowhere-v0"], "hjepa/NestedRooms-d2-v0"),
        (["fit", "--preset", "missing", "--data", "d", "--out", "o"], "choose from small"),
        (["report", "nowhere", "--out", "page.html"], "nowhere: no such file or folder"),
        (
            ["plan", "--checkpoint", "x", "--task", TASK, "--precision", "bf16"],
            "planning computes in 32 bits",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    calls: Calls, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.startswith("hjepa")
    assert message in captured.err
    assert not any(call[0] in ("plan", "fit") for call in calls)


def test_missing_files_and_broken_stores_are_input_errors(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class StoreError(ValueError):
        pass

    trajectories = ModuleType("tasks.trajectories")
    trajectories.StoreError = StoreError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tasks.trajectories", trajectories)
    for error in (StoreError("store d is\ntruncated"), FileNotFoundError(2, "No such file", "d/meta.json")):

        def fit(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(sys.modules["hjepa.training.fit"], "fit", fit)
        assert run("fit", "--preset", "small", "--data", "d", "--out", "o") == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and ("truncated" in lines[0] or "d/meta.json" in lines[0])


def test_a_bug_is_not_dressed_up_as_an_input_error(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(sys.modules["hjepa.training.fit"], "fit", fit)
    with pytest.raises(ValueError, match="a bug"):
        run("fit", "--preset", "small", "--data", "d", "--out", "o")


def test_traceback_on_request(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HJEPA_TRACEBACK", "1")
    with pytest.raises(InputError):
        run("report", "x", "--out", "page.html")


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            run(command, "--help")
        assert caught.value.code == 0
        assert "usage: hjepa" in capsys.readouterr().out


def test_split_commas_respects_brackets_and_quotes() -> None:
    assert split_commas("x, y") == ["x", "y"]
    assert split_commas("[1,2],{a: 1, b: 2},'a,b'") == ["[1,2]", "{a: 1, b: 2}", "'a,b'"]
    for text in ("", "a,", "[1,2", "'a"):
        with pytest.raises(ValueError, match="separated by commas"):
            split_commas(text)
