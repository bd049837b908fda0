"""Inputs that cannot work, each refused in one line before any work; and settings of the machine that do not matter."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from hjepa.cli import main
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import Trace, make_agent, watch
from hjepa.model.checkpoints import load_stack
from hjepa.sweeps.sweep import collect_store
from tasks import StoreError, collect, task_spec
from tasks.store_files import META

pytestmark = pytest.mark.usefixtures("few_steps_in_file")

PRESET = Path(__file__).parent / "tiny.yaml"
TASK = "hjepa/NestedRooms-d2-v0"


def hjepa(*words: object) -> tuple[int, str]:
    """Exit code and what was said on standard error."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(word) for word in words])
    return code, stderr.getvalue()


def refused(*words: object) -> str:
    """The one line with which a command is refused."""
    code, said = hjepa(*words)
    assert code == 2 and said.count("\n") == 1 and len(said) < 1000, said
    return said


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs") / "data"
    collect_store(load_preset(str(PRESET)), folder)
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    out = data.with_name("run")
    code, said = hjepa("fit", "--preset", PRESET, "--data", data, "--out", out, "--device", "cpu")
    assert code == 0, said
    return out


def planned(run: Path, *more: object) -> tuple[object, ...]:
    return (
        "plan",
        "--checkpoint",
        run,
        "--task",
        TASK,
        "--levels",
        "1",
        "--episodes",
        "2",
        "--workers",
        "1",
        *more,
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--seed", "9223372036854775808"], "seed 9223372036854775808"),
        (["--budget-tflops", "inf"], "budget of inf"),
        (["--budget-tflops", "nan"], "budget of nan"),
        (["--episodes", "1" + "0" * 5000], "episodes"),
        (["--episodes", 10**12], "episodes 1000000000000"),
        (["--levels", 10**6], "levels 1000000"),
        (["--episode-batch", 10**12], "episode batch"),
        (["--workers", 10**6], "workers"),
        (["--set", "plan.learning_rate=nan"], "plan.learning_rate"),
        (["--set", "plan.learning_rate=null"], "plan.learning_rate is null"),
        (["--set", "plan.support=.nan"], "plan.support is nan"),
        (["--set", "train.seed=5"], "'train.seed' cannot be changed after training"),
        (["--set", "critic.steps=9"], "'critic.steps' cannot be changed after training"),
        (["--set", "levels.1.head=10"], "'levels.1.head' cannot be changed after training"),
        (["--set", "task=MiniGrid-FourRooms-v0"], "'task' cannot be changed after training"),
        (["--mission", "a: &x [1]"], "anchor"),
        (["--mission", "[" * 5000 + ":"], "levels of nesting"),
        (["--metric", "foo"], "plan.metric is 'foo'"),
    ],
)
def test_plan_refuses_numbers_and_settings(
    run: Path, tmp_path: Path, words: list[object], named: str
) -> None:
    assert named in refused(*planned(run, *words, "--json", tmp_path / "o.json"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (
            ["tune", "--checkpoint", "x", "--task", TASK, "--metric", "l2", "--json", "o", "--seed", 2**63],
            "--seed",
        ),
        (
            ["tune", "--checkpoint", "x", "--task", TASK, "--metric", "l2", "--json", "o", "--rounds", 0],
            "--rounds",
        ),
        (["distill", "--checkpoint", "x", "--data", "d", "--seed", -1], "--seed"),
        (["distill", "--checkpoint", "x", "--data", "d", "--steps", 10**12], "--steps"),
        (["see", "--checkpoint", "x", "--data", "d", "--hidden", 10**9], "--hidden"),
        (["collect", "--env", TASK, "--out", "o", "--seed", 2**64], "--seed"),
        (["collect", "--env", TASK, "--out", "o", "--length", 1], "--length"),
        (["collect", "--preset", PRESET, "--out", "."], "in use"),
        (
            ["collect", "--preset", PRESET, "--out", "o", "--set", "collect.length=1000000000000"],
            "collect.length",
        ),
        (["fit", "--preset", PRESET, "--data", "d", "--out", "."], "in use"),
        (["fit", "--preset", "x" * 5000, "--data", "d", "--out", "o"], "preset"),
        (["plan", "--checkpoint", "x" * 5000, "--task", TASK], "checkpoint"),
        (["plan", "--checkpoint", "a/" * 2500, "--task", TASK], "checkpoint"),
        (["bench", "plan", "--checkpoint", "x" * 5000], "checkpoint"),
    ],
)
def test_commands_refuse(
    words: list[object], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named in refused(*words)
    assert not list(tmp_path.iterdir())


class Needy(gymnasium.Env[Any, Any]):
    """An environment that misses a package."""

    def __init__(self) -> None:
        raise gymnasium.error.DependencyNotInstalled("networkx is not installed,\nrun `pip install networkx`")


@pytest.mark.parametrize(
    "words", [["collect", "--out", "o", "--env"], ["plan", "--checkpoint", "x", "--task"]]
)
def test_a_package_that_an_environment_misses(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gymnasium.register("MiniGrid-Needy-v0", entry_point=Needy)
    try:
        assert "networkx" in refused(*words, "MiniGrid-Needy-v0")
    finally:
        del gymnasium.registry["MiniGrid-Needy-v0"]
    assert not list(tmp_path.iterdir())


BROKEN = {
    "empty": b"",
    "garbage": b"\x00garbage",
    "no UTF-8": b'{"a": "\xff"}',
    "a list": b"[1, 2]",
    "nested": b"[" * 100_000,
    "null": b"null",
}


def test_broken_progress_of_plans(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "o.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hjepa.sweeps.kept.Kept.record", _interrupt)
        assert hjepa(*planned(run, "--json", file))[0] == 130
    (kept,) = (tmp_path / "o.json.partial").iterdir()
    good = kept.read_bytes()
    for broken in BROKEN.values():
        kept.write_bytes(broken)
        said = refused(*planned(run, "--json", file))
        assert str(kept) in said and ("remove" in said or "delete" in said)
    for name, value in (("parts", [{"success": [1]}]), ("parts", 3), ("record", {"task": 1})):
        kept.write_text(json.dumps(json.loads(good) | {name: value}))
        assert "cannot be gone on with" in refused(*planned(run, "--json", file))
    kept.write_bytes(good)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hjepa.evaluation.evaluate.play", _interrupt)
        assert hjepa(*planned(run, "--json", file))[0] == 0, "what was done is not done again"
    assert json.loads(file.read_text())[0]["episodes"] == 2


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "broken", [*BROKEN.values(), b'{"shards": 1e999, "arguments": {}}', b'{"shards": -1}']
)
def test_broken_progress_of_collecting(tmp_path: Path, broken: bytes) -> None:
    partial = tmp_path / "data.partial"
    partial.mkdir()
    (partial / "progress.json").write_bytes(broken)
    with pytest.raises(StoreError, match="remove .* and collect again"):
        collect(TASK, tmp_path / "data", plans=2, episodes_per_plan=1, length=8, seed=0)


def test_resume_files_cut_anywhere(run: Path, data: Path, tmp_path: Path) -> None:
    words = ("fit", "--preset", PRESET, "--data", data, "--out", tmp_path / "x", "--device", "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hjepa.training.fit.calibrate", _interrupt)
        assert hjepa(*words)[0] == 130
    saved = tmp_path / "x.partial" / "resume.ckpt"
    whole = saved.read_bytes()
    for kept in (0.01, 0.5, 0.99):
        saved.write_bytes(whole[: int(kept * len(whole))])
        assert "remove" in refused(*words)
    saved.write_bytes(whole)
    (tmp_path / "x.partial" / "metrics.csv").write_bytes(b"\xff\xfe" * 100)
    assert hjepa(*words)[0] == 0
    assert (tmp_path / "x" / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_a_loss_that_is_no_number_is_told_at_its_step(data: Path, tmp_path: Path) -> None:
    said = []
    for every in (1, 1000):
        more = (
            "--set",
            "train.learning_rate=1e3",
            "--set",
            "train.clip=0",
            "--set",
            f"train.log_every={every}",
        )
        more += ("--set", "train.steps=[60,6,6]", "--set", "levels.0.loss.prediction=1e6")
        out = tmp_path / f"x{every}"
        said.append(
            refused("fit", "--preset", PRESET, "--data", data, "--out", out, "--device", "cpu", *more)
        )
        assert not out.exists()
    assert said[0] == said[1] and "no number" in said[0] and "lower train.learning_rate" in said[0]


@contextlib.contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


MODES: dict[str, Any] = {
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "float64": lambda: _default(torch.float64),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "meta": lambda: torch.device("meta"),
}


@pytest.fixture(scope="module")
def plain(run: Path) -> Trace:
    """What is planned where no mode is set."""
    return watch(load_stack(run), TASK, levels=1)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_modes_of_torch_change_nothing(run: Path, plain: Trace, mode: Any) -> None:
    mode_on: AbstractContextManager[Any] = mode()
    with mode_on:
        inside = watch(load_stack(run), TASK, levels=1)
        assert mode is not MODES["float64"] or torch.get_default_dtype() == torch.float64
    assert (inside.agent == plain.agent).all() and len(inside.decisions) == len(plain.decisions)
    for one, other in zip(inside.decisions, plain.decisions):
        assert torch.equal(one.plan.latents, other.plan.latents)


def test_other_floats_are_refused(run: Path) -> None:
    for stack in (load_stack(run).half(), load_stack(run).bfloat16(), load_stack(run).double()):
        with pytest.raises(InputError, match=r"call stack.float\(\)"):
            make_agent(stack, task_spec(TASK))
    assert make_agent(load_stack(run).half().float(), task_spec(TASK)).depth == 3


def test_a_locale_of_ascii(run: Path, tmp_path: Path) -> None:
    records = tmp_path / "räume.json"
    assert hjepa(*planned(run, "--json", records))[0] == 0
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-m", "hjepa.cli", "report", str(records), "--out", str(tmp_path / "seite.html")],
        env={name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
        | ascii_only,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert (tmp_path / "seite.html").read_text(encoding="utf-8").startswith("<!")


def test_a_backend_that_there_is_not(run: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hjepa.cli", "report", str(run), "--out", str(tmp_path / "page.html")],
        env=os.environ | {"MPLBACKEND": "foo"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "MPLBACKEND" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("action", 200, "holds 200 in row 5, not 0 to"),
        ("agent", -1, "holds -1 in row 5, not 0 to 8"),
        ("agent", 9, "not 0 to"),
        ("grids", 99, "holds 99"),
        ("grid_index", 1000, "holds 1000 in row 5, not 0 to"),
        ("grid_index", -1, "holds -1 in row 5"),
    ],
)
def test_stores_of_what_cannot_be(data: Path, tmp_path: Path, name: str, value: int, reason: str) -> None:
    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    array = np.load(broken / f"{name}.npy")
    array[min(5, len(array) - 1)] = value
    np.save(broken / f"{name}.npy", array)
    begun = time.process_time()
    said = refused("fit", "--preset", PRESET, "--data", broken, "--out", tmp_path / "x", "--device", "cpu")
    assert reason in said.replace("row 3", "row 5") and f"{name}.npy" in said
    assert time.process_time() - begun < 10
    assert sorted(item.name for item in tmp_path.iterdir()) == ["data"]


def test_a_store_of_a_task_that_there_is_not(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    meta = json.loads((broken / META).read_text())
    for task in ("nowhere", "any", ""):
        (broken / META).write_text(json.dumps(meta | {"task": task}))
        words = ("fit", "--preset", PRESET, "--set", "task=any", "--data", broken, "--out", tmp_path / "x")
        refused(*words)
