"""Options and environment of the whole test suite."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def ray_apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray started here neither finds nor is found by another on this machine, and leaves no token at home."""
    pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="ray")  # a short path: it becomes part of a socket's
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield
    shutil.rmtree(folder, ignore_errors=True)
