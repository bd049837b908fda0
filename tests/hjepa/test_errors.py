"""What is wrong is said in one line that can be read to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from hjepa.cli import main
from hjepa.errors import LONGEST, InputError, one_line


def test_a_message_is_one_line() -> None:
    assert one_line("a\n  b\tc") == "a b c"
    assert str(InputError("x\ny", "here", "mend\nit")) == "here: x y; mend it"


def test_of_a_long_message_both_ends_are_left() -> None:
    said = str(InputError(f"task {'x' * 5000} is unknown", "--task", "choose another"))
    assert said.startswith("--task: task xxx") and said.endswith("xxx is unknown; choose another")
    assert LONGEST - 2 <= len(said) <= LONGEST
    assert one_line("x" * LONGEST) == "x" * LONGEST


def test_a_run_cannot_begin_with_what_it_moves_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.json").write_text("{}")
    words = [
        "fit",
        "--preset",
        "tiny",
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(run),
        "--fresh",
        "--start",
    ]
    below, unfinished = run / "kept", tmp_path / "run.partial"
    for folder in (below, unfinished):
        folder.mkdir()
        (folder / "model.json").write_text("{}")
    there = sorted(tmp_path.iterdir())
    for start in (run, below, unfinished):
        assert main([*words, str(start)]) == 2
        assert "give another --out" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "nowhere")]) == 2
    assert "no checkpoint" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == there
