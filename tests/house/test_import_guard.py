"""`import hjepa`: quick, without torch, and never beside a stranger's levels, planners or tasks."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import hjepa
from hjepa._guard import PILLARS, check_pillars

ROOT = Path(hjepa.__file__).parent.parent


def python(*words: str, cwd: Path, path: tuple[Path, ...] = (ROOT,)) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", PILLARS)
@pytest.mark.parametrize("kind", ["module", "package"])
def test_an_intruder_in_the_working_folder_is_named(tmp_path: Path, name: str, kind: str) -> None:
    intruder = tmp_path / f"{name}.py" if kind == "module" else tmp_path / name / "__init__.py"
    intruder.parent.mkdir(exist_ok=True)
    intruder.write_text("raise SystemExit('the intruder ran')")
    result = python("-c", "import hjepa", cwd=tmp_path)
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith("ImportError: ") and "rename or uninstall" in line
    assert str(intruder if kind == "module" else intruder.parent) in line
    assert str(ROOT / name) in line


def test_an_intruder_behind_ours_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "behind").mkdir()
    (tmp_path / "behind" / "tasks.py").write_text("raise SystemExit('the intruder ran')")
    result = python("-c", "import hjepa", cwd=tmp_path, path=(ROOT, tmp_path / "behind"))
    assert result.returncode == 0, result.stderr


def test_a_folder_without_python_does_no_harm(tmp_path: Path) -> None:
    """Somebody's own tasks/ with notes in it is no package, and ours is found behind it."""
    (tmp_path / "tasks").mkdir()
    result = python("-c", "import hjepa, tasks; print(tasks.__file__)", cwd=tmp_path)
    assert result.stdout.strip() == str(ROOT / "tasks" / "__init__.py"), result.stderr


def test_an_intruder_that_is_imported_already_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = ModuleType("tasks")
    stranger.__file__ = str(tmp_path / "tasks.py")
    monkeypatch.setitem(sys.modules, "tasks", stranger)
    with pytest.raises(ImportError, match="tasks.py comes first"):
        check_pillars()


def test_a_missing_pillar_is_named(tmp_path: Path) -> None:
    (tmp_path / "hjepa").mkdir()
    for file in ("__init__.py", "_guard.py"):
        (tmp_path / "hjepa" / file).write_bytes((ROOT / "hjepa" / file).read_bytes())
    result = python("-S", "-c", "import hjepa", cwd=tmp_path, path=(tmp_path,))
    assert "finds none; the installation is incomplete" in result.stderr.splitlines()[-1]


LIGHT = """
import contextlib, sys
import hjepa
from hjepa.cli import main
with contextlib.suppress(SystemExit):
    main(["--help"])
heavy = {"torch", "lightning", "numpy", "gymnasium", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_needs_no_heavy_import(tmp_path: Path) -> None:
    result = python("-c", LIGHT, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "collect" in result.stdout


def test_help_answers_in_under_a_second_of_computing(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert python("-m", "hjepa.cli", "--help", cwd=tmp_path).returncode == 0
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    assert min(seconds) < 1.0


@pytest.mark.parametrize("name", hjepa.__all__)
def test_public_names_load(name: str) -> None:
    value = getattr(hjepa, name)
    home = import_module(hjepa._HOMES.get(name, f"hjepa.{name}"))
    assert value is home or value is getattr(home, name)


def test_unknown_names_are_refused_and_known_ones_listed() -> None:
    with pytest.raises(AttributeError, match="it has Agent, "):
        hjepa.nothing_of_this_name  # noqa: B018
    assert {*hjepa.__all__, "__version__"} <= set(dir(hjepa))
    assert hjepa.__version__
