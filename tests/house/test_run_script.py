"""`./run` with a stand-in for Python: what it installs, when, and what it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Answers the questions ./run asks a Python, makes a folder with itself inside for -m venv, and writes every
# other call into a log: working folder, then the words.
STAND_IN = f"""#!/usr/bin/env bash
case "$1 $2" in
    "-c "*) exec {sys.executable} "$@" ;;
    "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit ;;
    "-m pip") if [ "$3" = "--version" ]; then exit; fi; sleep 0.3 ;;
esac
echo "$PWD|$*" >>"$LOG"
if [ -n "$FAIL" ] && [[ "$*" == *"$FAIL"* ]]; then exit 1; fi
"""

TOGETHER = "-n logical --maxprocesses 8 --dist loadfile"


class Clone:
    """A folder with ./run, a pyproject.toml and the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.root, self.log = folder / "clone with space", folder / "log"
        self.elsewhere = folder / "elsewhere"
        self.root.mkdir()
        self.elsewhere.mkdir()
        shutil.copy(ROOT / "run", self.root / "run")
        (self.root / "pyproject.toml").write_text("[project]\n")
        self.python = folder / "stand-in"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)
        self.venv = self.root / ".venv"

    def start(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        base = {name: value for name, value in os.environ.items() if not name.startswith("HJEPA_")}
        return subprocess.Popen(
            [str(self.root / "run"), *words],
            cwd=cwd or self.elsewhere,
            env={**base, "HJEPA_PYTHON": str(self.python), "LOG": str(self.log), "FAIL": "", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, cwd: Path | None = None, **environment: str) -> tuple[int, str, list[str]]:
        """(exit code, standard error, calls of Python)"""
        self.log.unlink(missing_ok=True)
        process = self.start(*words, cwd=cwd, **environment)
        _, err = process.communicate()
        return process.returncode, err, self.calls()

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def installs(calls: list[str]) -> list[str]:
    return [call.rpartition(" ")[2] for call in calls if "pip install" in call]


def test_installs_torch_first_then_the_rest_once_and_stays_in_the_callers_folder(clone: Clone) -> None:
    code, _, calls = clone.run("hjepa", "tasks", "--json")
    assert code == 0
    assert installs(calls) == ["torch==2.13.0", "space[test]"]
    assert calls[-1] == f"{clone.elsewhere}|-P -m hjepa.cli tasks --json"
    assert not [file for file in clone.elsewhere.iterdir()]
    code, _, calls = clone.run("demo", "--out", "x")
    assert (code, calls) == (0, [f"{clone.elsewhere}|-P -m hjepa.cli demo --out x"])


def test_installs_again_when_the_dependencies_change(clone: Clone) -> None:
    clone.run("install")
    assert installs(clone.run("install")[2]) == []
    (clone.root / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    assert len(installs(clone.run("install")[2])) == 2
    assert installs(clone.run("install")[2]) == []


def test_another_torch_is_installed_and_remembered(clone: Clone) -> None:
    clone.run("install")
    _, _, calls = clone.run("install", HJEPA_TORCH="torch==2.9.1 --index-url file:///wheels")
    assert "torch==2.9.1 --index-url file:///wheels" in calls[0]
    assert installs(clone.run("install")[2]) == []


def test_adopts_a_venv_made_by_hand(clone: Clone) -> None:
    (clone.venv / "bin").mkdir(parents=True)
    shutil.copy(clone.python, clone.venv / "bin" / "python")
    (clone.venv / "mine").touch()
    code, _, calls = clone.run("install")
    assert code == 0 and len(installs(calls)) == 2
    assert (clone.venv / "mine").exists()


def test_replaces_a_venv_without_a_usable_python(clone: Clone) -> None:
    (clone.venv / "bin").mkdir(parents=True)
    (clone.venv / "bin" / "python").symlink_to("/nonexistent/python3.8")
    (clone.venv / "old").touch()
    code, err, calls = clone.run("install")
    assert code == 0 and len(installs(calls)) == 2, err
    assert not (clone.venv / "old").exists()


def test_a_failed_install_says_so_and_is_tried_again(clone: Clone) -> None:
    code, err, _ = clone.run("test", FAIL="torch==2.13.0")
    assert code == 2 and "HJEPA_TORCH" in err
    code, err, _ = clone.run("test", FAIL="[test]")
    assert code == 2 and "dependencies" in err
    assert len(installs(clone.run("install")[2])) == 2


def test_two_at_once_install_once(clone: Clone) -> None:
    both = [clone.start("hjepa", "tasks") for _ in range(2)]
    for process in both:
        process.communicate()
    assert [process.returncode for process in both] == [0, 0]
    calls = clone.calls()
    assert len(installs(calls)) == 2
    assert sum("hjepa.cli tasks" in call for call in calls) == 2
    assert "hjepa.cli" not in "".join(calls[:2]), "nobody starts before the install is done"


def test_no_python_new_enough(clone: Clone) -> None:
    clone.python.write_text("#!/usr/bin/env bash\nexit 1\n")
    code, err, _ = clone.run("test")
    assert code == 2 and "no Python 3.11 or newer" in err and not clone.venv.exists()


def test_tests_run_from_anywhere(clone: Clone) -> None:
    clone.run("install")
    (clone.root / "tests").mkdir()
    start = f"{clone.elsewhere}|-P -m pytest -c {clone.root}/pyproject.toml --rootdir {clone.root}"
    assert clone.run("test")[2] == [f"{start} {TOGETHER} {clone.root}/tests"]
    assert clone.run("test", "--slow", "-k", "wilson")[2] == [
        f"{start} {TOGETHER} --slow -k wilson {clone.root}/tests"
    ]
    (clone.elsewhere / "test_mine.py").touch()
    assert clone.run("test", "test_mine.py::test_it", "-x")[2] == [f"{start} test_mine.py::test_it -x"]


def test_the_callers_number_of_processes_comes_later_and_wins(clone: Clone) -> None:
    clone.run("install")
    (call,) = clone.run("test", "-n", "0")[2]
    assert call.index(TOGETHER) < call.index(" -n 0")


TRIAL = """
import os

def test_it_is_not_alone():
    assert os.environ["PYTEST_XDIST_WORKER_COUNT"] == "2" and os.environ["OMP_NUM_THREADS"] == "1"

def test_it_ends_well():
    {body}
"""


@pytest.mark.parametrize(
    ("body", "code", "said"), [("pass", 0, "3 passed"), ("os._exit(0)", 1, "crashed while running")]
)
def test_a_process_of_the_tests_that_ends_is_red(clone: Clone, body: str, code: int, said: str) -> None:
    """With the real pytest and pytest-xdist, and no plugin beside, which would take seconds."""
    pytest.importorskip("xdist")
    clone.run("install")
    (clone.root / "tests").mkdir()
    (clone.root / "tests" / "test_trial.py").write_text(TRIAL.format(body=body))
    (clone.root / "tests" / "test_other.py").write_text("def test_it(): pass\n")
    (clone.venv / "bin" / "python").write_text(f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n')
    alone = {"PYTEST_XDIST_AUTO_NUM_WORKERS": "2", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    process = clone.start("test", "-p", "xdist.plugin", **alone)
    out, _ = process.communicate()
    assert process.returncode == code and said in out, out


def test_notebooks(clone: Clone) -> None:
    clone.run("install")
    code, err, calls = clone.run("test", "--notebooks")
    assert (code, calls) == (0, []) and "no notebooks yet" in err
    (clone.root / "notebooks").mkdir()
    (clone.root / "notebooks" / "01_quickstart.ipynb").touch()
    (call,) = clone.run("test", "--notebooks")[2]
    assert TOGETHER in call and "--nbmake" in call and call.endswith("notebooks/01_quickstart.ipynb")


def test_lint_runs_both_tools_in_the_clone(clone: Clone) -> None:
    clone.run("install")
    assert clone.run("lint")[2] == [f"{clone.root}|-m ruff check .", f"{clone.root}|-m mypy"]
    code, _, calls = clone.run("lint", FAIL="ruff")
    assert code == 1 and len(calls) == 2, "mypy runs all the same"
    assert clone.run("lint", FAIL="mypy")[0] == 1


def test_docs_are_built_in_the_clone_and_warnings_are_errors(clone: Clone) -> None:
    clone.run("install")
    code, err, calls = clone.run("docs", "--site-dir", "x")
    assert code == 0 and "index.html" in err
    assert calls[-1] == f"{clone.root}|-m mkdocs build --strict --quiet --site-dir x"
    assert installs(calls) in ([], ["space[docs]"]), "what builds them is installed where it is not there yet"
    assert clone.run("docs", FAIL="mkdocs")[0] == 1


def test_a_link_to_run_finds_the_clone(clone: Clone) -> None:
    link = clone.elsewhere / "hj"
    link.symlink_to(clone.root / "run")
    process = subprocess.run(
        [str(link), "install"],
        env={**os.environ, "HJEPA_PYTHON": str(clone.python), "LOG": str(clone.log), "FAIL": ""},
    )
    assert process.returncode == 0 and clone.venv.exists()


@pytest.mark.parametrize(("words", "code"), [([], 2), (["nope"], 2), (["--help"], 0)])
def test_usage(clone: Clone, words: list[str], code: int) -> None:
    process = clone.start(*words)
    out, err = process.communicate()
    assert process.returncode == code
    assert "usage: ./run COMMAND" in (err if code else out)
    assert not clone.venv.exists()
