"""The built wheel, installed where nothing of the working tree is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("hjepa", "levels", "planners", "tasks")


def run(*words: str | Path, cwd: Path = ROOT) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_it_holds_every_file_of_the_four_packages_and_nothing_else(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and file.parent.name != "__pycache__"
    }
    assert expected - held == set()
    assert {name.partition("/")[0] for name in held - expected} == {
        f"{wheel.name.rsplit('-', 3)[0]}.dist-info"
    }


def test_installed_in_a_clean_venv_it_imports_and_answers(wheel: Path, tmp_path: Path) -> None:
    """The venv gets the wheel alone; what it depends on is lent by this Python through a .pth file."""
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
    )
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = f"import {', '.join(PACKAGES)}; print({', '.join(f'{name}.__file__' for name in PACKAGES)})"
    files = run(python, "-c", program, cwd=elsewhere).split()
    assert files == [str(site / name / "__init__.py") for name in PACKAGES]
    assert "collect" in run(venv / "bin" / "hjepa", "--help", cwd=elsewhere)
    assert "NestedRooms-d2" in run(venv / "bin" / "hjepa", "tasks", cwd=elsewhere)
