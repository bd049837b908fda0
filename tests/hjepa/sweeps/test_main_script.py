"""Processes started from scripts: outside of the main guard they are refused, from standard input they work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BODY = """
from hjepa.sweeps.sweep import ablate
from hjepa.sweeps.workers import workers

def both():
    ablate([], "out")
    with workers(1) as pool:
        return pool.submit(abs, -3).result()

"""


def run(
    folder: Path, text: str | None, *words: str, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    if text is not None:
        (folder / "script.py").write_text(text)
        words = ("script.py",)
    return subprocess.run([sys.executable, *words], cwd=folder, input=given, capture_output=True, text=True)


@pytest.mark.parametrize("first", ["both()", "ablate([], 'out')", "with workers(1) as pool:\n    pass"])
def test_outside_of_the_main_guard(tmp_path: Path, first: str) -> None:
    done = run(tmp_path, BODY + first)
    said = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "InputError" in said
    assert "script.py, line 10" in said and 'if __name__ == "__main__":' in said
    assert sorted(item.name for item in tmp_path.iterdir()) == ["script.py"]


def test_under_the_main_guard_and_from_standard_input(tmp_path: Path) -> None:
    guarded = run(tmp_path, f"{BODY}if '__main__' == __name__:\n    print(both())")
    assert guarded.returncode == 0 and guarded.stdout == "3\n", guarded.stderr
    from_input = run(tmp_path, None, "-", given=f"{BODY}print(both(), '__file__' in globals())")
    assert from_input.returncode == 0 and from_input.stdout.startswith("3 "), from_input.stderr
