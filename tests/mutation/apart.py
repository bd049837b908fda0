"""A process of its own for some files of tests, forked from one that has imported what they need of others."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from instead import ROOT

SURVIVED, KILLED, LATE = "survived", "killed", "late"

WAIT = 40
"""So many seconds may pass for each one of computing, on a machine that does other work, or in a test that waits."""

FAILED = 70
"""The exit code of a process in which pytest never began or never ended."""

THEIRS = (
    "numpy", "scipy.stats", "torch", "torch.optim", "gymnasium", "minigrid", "hypothesis", "pytest", "lightning",
    "lightning.pytorch", "safetensors.torch", "einops", "jinja2", "yaml", "tqdm", "matplotlib.pyplot",
)  # fmt: skip


def preload() -> None:
    """Import what the tests of all files need and none of ours, once for all processes."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    for name in THEIRS:
        importlib.import_module(name)
    import hypothesis
    import torch

    torch.set_num_threads(1)
    # The same examples each time, none that is left over from another mutant, and no clock.
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutants")


def forked(
    files: Sequence[str], longest: float, plugin: Callable[[], Any], folder: Path, *more: str
) -> tuple[str, float]:
    """What becomes of tests in a process of their own, and the seconds of computing that it took.

    Args:
        files: of tests, from the root of the repository.
        longest: seconds of computing, and a `WAIT`-th of what may pass.
        plugin: of pytest, made in the new process.
        folder: what the tests write goes there.
        more: words for pytest.

    Raises:
        RuntimeError: the tests could not be run.
    """
    child = os.fork()
    if child == 0:
        _in_child(files, longest, plugin, folder, more)
    clock = threading.Timer(WAIT * longest, _end, (child,))
    clock.start()
    try:
        _, status, usage = os.wait4(child, 0)
    finally:
        clock.cancel()
        _end(child)
    took = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        by = os.WTERMSIG(status)
        return (LATE if by in (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL) else KILLED), took
    if os.WEXITSTATUS(status) == FAILED:
        raise RuntimeError(f"{', '.join(files)} could not be run")
    return (SURVIVED if os.WEXITSTATUS(status) in (0, 5) else KILLED), took


def _end(child: int) -> None:
    """A process that was forked here and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def _in_child(
    files: Sequence[str], longest: float, plugin: Callable[[], Any], folder: Path, more: Sequence[str]
) -> None:
    """Run the tests in this process and end it; never returns."""
    code = FAILED
    try:
        os.setsid()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(longest) + 1, int(longest) + 2))
        os.chdir(ROOT)
        # For processes that tests start, this is no script with a main guard that could be missing.
        sys.modules["__main__"], sys.argv[:] = ModuleType("__main__"), ["pytest"]
        import pytest

        words = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-o",
            "timeout=0",
            f"--basetemp={folder / 'tmp'}",
        ]
        words += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), *more]
        code = int(pytest.main([*words, *(str(ROOT / file) for file in files)], plugins=[plugin()]))
    finally:
        os._exit(code)


def computed() -> float:
    """Seconds of computing of this process and of those that it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)
