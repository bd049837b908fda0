"""Kills a function at every moment at which it changes a folder."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WRITES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink")
KILLED = 9


def killed_everywhere(work: Callable[[Path], Any], start: Path, folder: Path) -> Iterator[Path]:
    """Runs work in copies of a folder, in processes that end without warning at their 1st, 2nd, ... change of it.

    Args:
        work: takes the copy; changes nothing but files in it.
        start: what is copied each time.
        folder: where copies are made.

    Yields:
        each copy, as the kill left it; the last is not yielded, where the work ends before it is killed.
    """
    for number in range(1, 200):
        copy = folder / str(number)
        shutil.copytree(start, copy)
        child = os.fork()
        if child == 0:
            _die_at(number, copy)
            try:
                work(copy)
            except BaseException:
                os._exit(1)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, KILLED), f"the work failed by itself when it was to be killed at write {number}"
        if code == 0:
            assert number > 3, "hardly anything was written"
            return
        yield copy
    raise AssertionError("the work never ends")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def _die_at(number: int, folder: Path) -> None:
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in WRITES or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        # Paths below an open folder are told without it.
        named = os.fsdecode(arguments[0])
        if not named.startswith(str(folder)) and os.path.isabs(named):
            return
        count += 1
        if count == number:
            os._exit(KILLED)

    sys.addaudithook(hook)
