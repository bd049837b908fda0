"""Locks between processes, kept in files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hjepa.errors import InputError


@contextmanager
def locked_folder(folder: Path, refusal: str) -> Iterator[None]:
    """Holds a lock on a folder, which is made if it is not there, without a file of its own.

    Args:
        folder: may be removed or renamed by the holder.
        refusal: words of the error where another process holds the lock.

    Raises:
        InputError: another process holds the lock, or no folder can be there.
    """
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # its holder removed it in between
            continue
        except OSError as error:
            raise InputError(
                error.strerror or str(error), str(folder), "name a folder that can be made"
            ) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(refusal, str(folder), "wait for it or name another folder") from error
            except OSError as error:
                raise _no_locks(error, folder) from error
            if not _still_there(handle, folder):
                continue
            yield
            return
        finally:
            os.close(handle)


def _still_there(handle: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder))
    except FileNotFoundError:
        return False


def _no_locks(error: OSError, folder: Path) -> InputError:
    return InputError(
        f"the file system has no locks ({error.strerror})",
        str(folder),
        "name a folder on another file system, or mount this one with flock",
    )


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
            raise _no_locks(error, path.parent) from error
        yield
