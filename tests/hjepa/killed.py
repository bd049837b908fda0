"""Kills a function at every moment at which it changes a folder."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
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
        killed, writes = killed_at(work, copy, number)
        if not killed:
            assert writes > 3, "hardly anything was written"
            return
        yield copy
    raise AssertionError("the work never ends")


def killed_at(work: Callable[[Path], Any], folder: Path, number: int | None) -> tuple[bool, int]:
    """Runs work in a process of its own, which ends without warning at a change of a folder.

    Args:
        work: takes the folder.
        folder: the one that it changes.
        number: of the change at which it ends, from 1; None: it does not.

    Returns:
        whether it was killed, and how many changes there were by then.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        changes = _die_at(number, folder)
        code = 1
        try:
            work(folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os.write(theirs, str(len(changes)).encode())
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED), f"the work failed by itself when it was to be killed at write {number}"
    return code == KILLED, int(told) if told else number or 0


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def _die_at(number: int | None, folder: Path) -> list[str]:
    """End this process at a change of a folder; what has been changed so far."""
    changes: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in WRITES or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        # Paths below an open folder are told without it.
        named = os.fsdecode(arguments[0])
        if not named.startswith(str(folder)) and os.path.isabs(named):
            return
        changes.append(event)
        if len(changes) == number:
            os._exit(KILLED)

    sys.addaudithook(hook)
    return changes
