"""Killed at every write: files beside a checkpoint are old or new and whole, and a rerun ends as if nothing was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hjepa.config import load_preset, to_plain
from hjepa.errors import InputError
from hjepa.json_files import read_json, write_json
from hjepa.locks import locked_folder
from hjepa.model.beside import load_beside, save_beside
from hjepa.training.progress import append_metrics, claim, drop_metrics, finish, remove_progress_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from killed import contents, killed_everywhere

CONFIG = load_preset(str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"))
IDENTITY: dict[str, Any] = {"config": to_plain(CONFIG), "data_sha256": "0" * 64}


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((3,), value), "bias": torch.zeros(2)}


def test_weights_beside_a_checkpoint_are_whole_at_every_moment(tmp_path: Path) -> None:
    start, whole = tmp_path / "start", tmp_path / "whole"
    for folder in (start, whole):
        folder.mkdir()
        save_beside(folder, "actors", weights(1.0), {"of": "old"})
    save_beside(whole, "actors", weights(2.0), {"of": "new"})
    assert len(contents(whole)) == 2, "what was replaced is removed"
    seen = set()
    (tmp_path / "killed").mkdir()
    for folder in killed_everywhere(
        lambda copy: save_beside(copy, "actors", weights(2.0), {"of": "new"}), start, tmp_path / "killed"
    ):
        found = load_beside(folder, "actors", "")
        assert found is not None
        assert (found[0]["of"], float(found[1]["weight"][0])) in (("old", 1.0), ("new", 2.0))
        seen.add(found[0]["of"])
        save_beside(folder, "actors", weights(2.0), {"of": "new"})
        for stray in folder.glob(".*.tmp"):  # of a process that is no more
            stray.unlink()
        assert contents(folder) == contents(whole)
    assert seen == {"old", "new"}


def train(root: Path) -> None:
    """What `fit` does with its folders, without the training."""
    out, folder = root / "run", root / "run.partial"
    if out.exists():
        remove_progress_of(folder, IDENTITY)
        return
    with locked_folder(folder, "in use"):
        claim(folder, CONFIG, IDENTITY)
        file, resume = folder / "metrics.csv", folder / "resume.ckpt"
        done = torch.load(resume, weights_only=True)["global_step"] if resume.exists() else 0
        for step in range(done, 4):
            append_metrics(file, [{"step": step + 1, "level": 1, "loss": step / 3}])
            new = folder / "resume.ckpt.new"
            with new.open("wb") as stream:
                torch.save({"global_step": step + 1, "state_dict": {}}, stream)
            new.replace(resume)
        append_metrics(file, [{"step": 5, "level": 1, "loss": 0.0}])
        finish(folder, out, lambda made: write_json(made / "model.json", IDENTITY))


def test_a_run_folder_is_the_same_wherever_the_run_was_killed(tmp_path: Path) -> None:
    start, whole = tmp_path / "start", tmp_path / "whole"
    for folder in (start, whole, tmp_path / "killed"):
        folder.mkdir()
    train(whole)
    assert set(contents(whole)) == {"run/config.yaml", "run/metrics.csv", "run/model.json"}
    assert len(contents(whole)["run/metrics.csv"].splitlines()) == 1 + 5
    kills = 0
    for folder in killed_everywhere(train, start, tmp_path / "killed"):
        if (folder / "run").exists():
            assert contents(folder / "run") == contents(whole / "run"), "the output is never half of it"
        train(folder)
        assert contents(folder) == contents(whole) and not (folder / "run.partial").exists()
        kills += 1
    assert kills > 20


def test_an_empty_output_folder_becomes_the_run(tmp_path: Path) -> None:
    folder, out = tmp_path / "x.partial", tmp_path / "x"
    folder.mkdir()
    out.mkdir()
    claim(folder, CONFIG, IDENTITY)
    append_metrics(folder / "metrics.csv", [])
    finish(folder, out, lambda made: write_json(made / "model.json", IDENTITY))
    assert read_json(out / "model.json") == IDENTITY and not folder.exists()


def test_a_row_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    append_metrics(file, [{"step": step, "level": 1, "loss": 0.5} for step in (1, 2, 123)])
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(whole) - len(lines[-1]), len(whole) + 1):
        file.write_bytes(whole[:cut])
        drop_metrics(file, 12)
        assert file.read_bytes() == b"".join(lines[:3])
    for cut in range(len(lines[0])):
        file.write_bytes(whole[:cut])
        drop_metrics(file, 0)
        append_metrics(file, [{"step": 1, "level": 1, "loss": 0.5}])
        assert file.read_bytes() == b"".join(lines[:2])


def test_what_no_run_has_put_there_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "x.partial"
    folder.mkdir()
    (folder / "thesis.tex").write_text("dear")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        claim(folder, CONFIG, IDENTITY)
    remove_progress_of(folder, IDENTITY)
    assert contents(folder) == {"thesis.tex": b"dear"}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("broken", [b"", b"garbage", b"PK\x03\x04half", b"\x80\x04N."])
def test_progress_that_cannot_be_gone_on_with(tmp_path: Path, broken: bytes) -> None:
    folder = tmp_path / "x.partial"
    folder.mkdir()
    claim(folder, CONFIG, IDENTITY)
    (folder / "resume.ckpt").write_bytes(broken)
    with pytest.raises(
        InputError, match=r"resume\.ckpt: cannot be gone on with .*; remove .*x\.partial to beg"
    ):
        claim(folder, CONFIG, IDENTITY)
    torch.save({"global_step": 3, "state_dict": {}}, folder / "resume.ckpt")
    half = (folder / "resume.ckpt").read_bytes()
    (folder / "resume.ckpt").write_bytes(half[: len(half) // 2])
    with pytest.raises(InputError, match="cannot be gone on with"):
        claim(folder, CONFIG, IDENTITY)
    (folder / "run.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"run\.json"):
        claim(folder, CONFIG, IDENTITY)
    (folder / "run.json").unlink()
    claim(folder, CONFIG, IDENTITY)
    assert not (folder / "resume.ckpt").exists(), "it may be of another run"


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    with locked_folder(folder, "another one works here"):
        with (
            pytest.raises(InputError, match="another one works here"),
            locked_folder(folder, "another one works here"),
        ):
            pass
        folder.rename(tmp_path / "y")
    with locked_folder(folder, "another one works here"):
        assert folder.exists()
