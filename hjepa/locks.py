"""Locks between processes, kept in files."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hjepa.errors import InputError


@contextmanager
def locked(path: Path, refusal: str | None = None) -> Iterator[None]:
    """Holds a lock on ``path``; it falls when the holder ends, however it ends.

    It holds among the processes of one machine, and among machines where their shared file system passes
    ``flock`` on, as NFS does and Lustre does when mounted with ``flock``.

    Args:
        path: the file of the lock; it stays.
        refusal: raise `InputError` with these words instead of waiting.

    Raises:
        InputError: another process holds the lock and ``refusal`` is given, or the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError as error:
            raise InputError(refusal or "", str(path.parent), "wait for it or name another folder") from error
        except OSError as error:
            raise InputError(
                f"the file system has no locks ({error.strerror})",
                str(path.parent),
                "name a folder on another file system, or mount this one with flock",
            ) from error
        yield
