"""Fit among links, empty folders, another run, Ctrl-C, kills and other launchers; errors told in one line."""

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
from pathlib import Path

import pytest

from hjepa.cli import main
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.locks import locked_folder
from hjepa.model.checkpoints import load_stack
from hjepa.sweeps.sweep import collect_store
from hjepa.training import fit as training
from hjepa.training.batches import TrajectoryData

PRESET = Path(__file__).parent / "tiny.yaml"


def hjepa(*words: object) -> tuple[int, str]:
    """Exit code and what was said on standard error."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(word) for word in words])
    return code, stderr.getvalue()


def fit(data: Path, out: object, *more: object) -> tuple[int, str]:
    return hjepa("fit", "--preset", PRESET, "--data", data, "--out", out, "--device", "cpu", *more)


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trust") / "data"
    collect_store(load_preset(str(PRESET)), folder)
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    """A run without any trouble."""
    out = data.with_name("run")
    assert fit(data, out)[0] == 0
    return out


def test_a_launcher_of_somebody_else_is_ignored(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("NTASKS", "2"), ("JOB_NAME", "x"), ("JOB_ID", "1"), ("PROCID", "0"),
        ("LOCALID", "0"), ("NODEID", "0"), ("NNODES", "1"),
    ):  # fmt: skip
        monkeypatch.setenv(f"SLURM_{name}", value)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    assert fit(run.with_name("data"), tmp_path / "x")[0] == 0
    assert files(tmp_path / "x") == files(run)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_links_and_empty_folders_are_taken(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    for name in ("link", "empty"):
        assert fit(run.with_name("data"), tmp_path / name)[0] == 0
        assert files(tmp_path / name) == files(run)
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["empty", "link", "nowhere"]


def test_a_folder_has_one_fit(run: Path, tmp_path: Path) -> None:
    with locked_folder(tmp_path / "x.partial", "unused"):
        code, said = fit(run.with_name("data"), tmp_path / "x")
    assert code == 2 and "another hjepa fit works in this folder" in said and said.count("\n") == 1


def test_ctrl_c_in_python_and_going_on(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, handler = TrajectoryData.train_dataloader, signal.getsignal(signal.SIGINT)

    def interrupted(self: TrajectoryData) -> object:
        for number, batch in enumerate(batches(self)):
            if number == 5:
                signal.raise_signal(signal.SIGINT)
            yield batch

    config, data = load_preset(str(PRESET)), run.with_name("data")
    with monkeypatch.context() as patch:
        patch.setattr(TrajectoryData, "train_dataloader", interrupted)
        with pytest.raises(KeyboardInterrupt):
            training.fit(config, data, tmp_path / "x", device="cpu", progress=False)
        assert signal.getsignal(signal.SIGINT) is handler, "a second Ctrl-C works"
        shutil.rmtree(tmp_path / "x.partial")
        code, said = fit(data, tmp_path / "x")
    assert code == 130 and said.endswith("hjepa fit: interrupted; the same command again continues\n")
    assert (tmp_path / "x.partial" / "resume.ckpt").exists() and not (tmp_path / "x").exists()
    assert fit(data, tmp_path / "x")[0] == 0
    assert files(tmp_path / "x") == files(run)


def test_ctrl_c_in_a_shell(run: Path, tmp_path: Path) -> None:
    words = (
        "fit",
        "--preset",
        PRESET,
        "--data",
        run.with_name("data"),
        "--out",
        tmp_path / "x",
        "--device",
        "cpu",
    )
    more = ("--set", "train.steps=[100000,6,6]")
    process = subprocess.Popen(
        [sys.executable, "-m", "hjepa.cli", *map(str, words), *more],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    while not (tmp_path / "x.partial" / "resume.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait() == 130
    assert said.rstrip().endswith("hjepa fit: interrupted; the same command again continues")


@pytest.mark.parametrize("broken", [b"", b"garbage"])
def test_broken_progress_is_one_line(run: Path, tmp_path: Path, broken: bytes) -> None:
    out, partial = tmp_path / "x", tmp_path / "x.partial"
    partial.mkdir()
    found = json.loads((run / "model.json").read_text())
    note = {"config": found["config"], "data_sha256": found["data_sha256"]}
    (partial / "run.json").write_text(json.dumps(note))
    (partial / "resume.ckpt").write_bytes(broken)
    code, said = fit(run.with_name("data"), out)
    assert code == 2 and said.count("\n") == 1 and f"remove {partial} to begin anew" in said


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": None}, "size"),
        ({"size": -3}, "size"),
        ({"size": "ab"}, "size"),
        ({"size": 9.5}, "size"),
        ({"size": [10**6, 10**6]}, "size"),
        ({"size": [9, 9, 9]}, "size"),
        ({"size": [700, 700]}, "is described"),
        ({"actions": None}, "actions"),
        ({"actions": 10**12}, "actions"),
        ({"actions": True}, "actions"),
        ({"actions": 4000}, "is described"),
        ({"doors": "two"}, "doors"),
        ({"continuous": "yes"}, "continuous"),
        ({"config": None}, "config"),
        ({"sha256": None}, "sha256"),
    ],
)
def test_descriptions_from_outside(run: Path, tmp_path: Path, change: dict[str, object], reason: str) -> None:
    shutil.copytree(run, tmp_path / "x")
    file = tmp_path / "x" / "model.json"
    content = json.loads(file.read_text()) | change
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    with pytest.raises(InputError, match=reason):
        load_stack(tmp_path / "x")


def test_a_wide_description_makes_nothing(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "x")
    file = tmp_path / "x" / "model.json"
    content = json.loads(file.read_text())
    for hidden in (60_000, 10**9):
        content["config"]["levels"][1]["hidden"] = hidden
        file.write_text(json.dumps(content))
        with pytest.raises(InputError, match="hidden|is described"):
            load_stack(tmp_path / "x")
    for text in ("[" * 100_000, '{"a":' * 100_000, "", "\0", "[]", " " * (1 << 21)):
        file.write_text(text)
        with pytest.raises(InputError):
            load_stack(tmp_path / "x")
