"""Options and environment of the whole test suite."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts tests in the background ignores Ctrl-C for them and all they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything imports matplotlib or pygame: no test needs a screen.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
# And before anything imports torch: two threads on two cores collapse as soon as anything else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")
    parser.addoption("--fuzzed", metavar="FILE", help="write what became of fuzzed cases, by fuzzer, as JSON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


FUZZED = pytest.StashKey[dict[str, Counter[str]]]()
"""Name of a fuzzer -> what became of its cases in all processes."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What fuzzers counted here goes to the process that prints it, which is this one unless pytest-xdist runs it."""
    fuzzing = sys.modules.get("fuzzing")
    if fuzzing is None:
        return
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["fuzzed"] = {
            name: dict(counts) for name, counts in fuzzing.COUNTS.items()
        }
    else:
        _add_fuzzed(session.config, fuzzing.COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist has ended; one that crashed leaves nothing."""
    _add_fuzzed(node.config, getattr(node, "workeroutput", {}).get("fuzzed", {}))


def _add_fuzzed(config: pytest.Config, counted: dict[str, Any]) -> None:
    fuzzed = config.stash.setdefault(FUZZED, {})
    for name, counts in counted.items():
        fuzzed.setdefault(name, Counter()).update(counts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, counts in sorted(config.stash.get(FUZZED, {}).items()):
        said = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        terminalreporter.write_line(f"fuzzed {name}: {sum(counts.values())} cases, {said}")
    if config.getoption("--fuzzed"):
        counted: list[dict[str, Any]] = [
            {"fuzzer": name, "cases": sum(counts.values()), "found": 0, **counts}
            for name, counts in sorted(config.stash.get(FUZZED, {}).items())
        ]
        whole = {"cases": sum(row["cases"] for row in counted), "found": sum(row["found"] for row in counted)}
        Path(config.getoption("--fuzzed")).write_text(
            json.dumps({**whole, "fuzzers": counted}, indent=1) + "\n"
        )


@pytest.fixture
def ray_apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray started here neither finds nor is found by another on this machine, and leaves no token at home.

    Where tests run in several processes, their Rays take turns: each takes all cores for its own.
    """
    pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="ray")  # a short path: it becomes part of a socket's
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with (everyones(tmp_path_factory) / "ray.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _short_episodes() -> Iterator[None]:
    """Episodes of the smallest task end after 24 steps instead of 128, in this process and what is forked from it."""
    from tasks import suite

    name = "hjepa/NestedRooms-d2-v0"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(suite._SPECS, name, replace(suite._SPECS[name], step_budget=24))
        yield


@pytest.fixture
def few_steps() -> Iterator[None]:
    """Short episodes, for a test of what is kept, refused or equal, which does not care how well is planned."""
    with _short_episodes():
        yield


@pytest.fixture(scope="module")
def few_steps_in_file() -> Iterator[None]:
    """The same for all tests and fixtures of a file."""
    with _short_episodes():
        yield


def everyones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of this run of the tests see."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
