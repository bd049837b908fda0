"""What the stores on disk share: folders of ``.npy`` arrays described by a ``meta.json``.

Arrays are read through memory maps and only after their files were compared with the description. Everything is
written to ``OUT.partial`` beside the output and renamed into place, under a lock that dies with its process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

META = "meta.json"
PROGRESS = "progress.json"
FULL = (errno.ENOSPC, errno.EDQUOT)
REMEDY = "restore the file or collect the store again"


class StoreError(ValueError):
    """A store that cannot be read or written: one line that says what, where and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def read_description(folder: Path, kind: str, form: str, version: int) -> dict[str, Any]:
    """``meta.json`` of a store.

    Args:
        folder: of the store.
        kind: what such a store is called, for messages.
        form: the name of the format it must have.
        version: the version it must have.

    Raises:
        StoreError: the folder is no store, or one of another format or version, or it does not describe its arrays.
    """
    file = folder / META
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{folder} holds no {kind} ({META} is missing); collect one there") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{file} cannot be read ({error}); collect the store again") from None
    if not isinstance(meta, dict) or meta.get("format") != form:
        raise StoreError(f"{folder} is not {_a(kind)} of this project; choose another folder")
    if meta.get("version") != version:
        raise StoreError(
            f"{folder} has store version {meta.get('version')}, this code reads {version};"
            " collect the store again"
        )
    arrays = meta.get("arrays")
    if not isinstance(arrays, dict) or not all(map(_describes, arrays.values())):
        raise StoreError(f"{file} does not describe every array; collect the store again")
    return meta


def open_array(folder: Path, name: str, described: dict[str, Any], verify: str) -> np.ndarray:
    """The array ``name`` of a store, memory mapped, once its file is what the description says.

    Args:
        folder: of the store.
        name: of the file, without its ending; may name a folder below.
        described: its dtype, shape and sha256.
        verify: ``sizes``, or ``hash`` to compare the contents as well.

    Raises:
        StoreError: the file is missing, truncated, or holds something else.
    """
    if verify not in ("sizes", "hash"):
        raise ValueError(f"verify is {verify!r}; choose 'sizes' or 'hash'")
    file = folder / f"{name}.npy"
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        found = file.stat().st_size
    except FileNotFoundError:
        raise StoreError(f"{file} is missing; {REMEDY}") from None
    except (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError) as error:
        raise StoreError(f"{file} is truncated or not an array ({error}); {REMEDY}") from None
    if str(array.dtype) != described["dtype"] or list(array.shape) != list(described["shape"]):
        raise StoreError(
            f"{file} holds {array.dtype} {array.shape}, {META} says {described['dtype']}"
            f" {tuple(described['shape'])}; {REMEDY}"
        )
    offset = array.offset if isinstance(array, np.memmap) else 0
    if found != offset + array.nbytes:
        raise StoreError(f"{file} has {found} bytes, {offset + array.nbytes} expected; {REMEDY}")
    if verify == "hash" and sha256_of(file) != described["sha256"]:
        raise StoreError(f"{file} does not have the contents {META} describes (sha256 differs); {REMEDY}")
    return np.asarray(array)


def describe_array(folder: Path, name: str) -> dict[str, Any]:
    """Dtype, shape and sha256 of the array ``name`` in ``folder``."""
    file = folder / f"{name}.npy"
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": sha256_of(file)}


def versions() -> dict[str, str]:
    """Versions of what made the data."""
    packages = ("numpy", "gymnasium", "minigrid")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def sha256_of(file: Path) -> str:
    """Hash of a file's bytes, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write JSON so that the file is always either the old or the new one."""
    temporary = file.with_name(file.name + ".new")
    with temporary.open("w") as stream:
        json.dump(content, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def output_folder(out: str | os.PathLike[str]) -> Path:
    """Where a store at ``out`` is to lie, links resolved; a free place, an empty folder or a store.

    Raises:
        StoreError: nothing can be made there: it is a file or a mount point, holds something else, or the folder
            above cannot be written to. Nothing is made.
    """
    folder = Path(out).resolve()
    above = next(place for place in folder.parents if place.exists())
    if not above.is_dir():
        raise StoreError(f"{above} is a file, so {folder} cannot be made; choose another folder")
    if folder.exists():
        if not folder.is_dir():
            raise StoreError(f"{folder} is a file; choose another folder")
        if (folder / META).exists():
            return folder
        if any(folder.iterdir()):
            raise StoreError(f"{folder} exists and is not a trajectory store; choose another folder")
        if folder.stat().st_dev != above.stat().st_dev:
            raise StoreError(f"{folder} is a mount point and cannot be renamed to; name a folder in it")
    if not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(f"{above} cannot be written to, so {folder} cannot be made; choose another folder")
    return folder


def partial_folder(folder: Path) -> Path:
    """Where a store is made before it is renamed to ``folder``."""
    return folder.with_name(folder.name + ".partial")


def require_space(folder: Path, needed: int, kept: int = 0) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: to be written to; need not exist.
        needed: bytes of the whole.
        kept: bytes of it that lie there already.

    Raises:
        StoreError: fewer bytes are free.
    """
    above = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(above).free
    if needed - kept > free:
        raise StoreError(
            f"{folder} needs up to {_bytes(needed - kept)} and {_bytes(free)} are free;"
            " free some space, choose another disk, or collect less"
        )


def same_arguments(folder: Path, found: Any, wanted: dict[str, Any]) -> None:
    """Raise StoreError where a store or its beginnings were made with other arguments."""
    found = found if isinstance(found, dict) else {}
    for name, value in wanted.items():
        if found.get(name) != value:
            raise StoreError(
                f"{folder} was collected with {name}={found.get(name)!r}, not {value!r};"
                " choose another folder, or remove this one"
            )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from collecting into the same folder; the lock dies with its process."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"{folder} is being collected by another process; wait for it") from None
        yield
    finally:
        os.close(handle)


def reserve(file: Path) -> None:
    """Have the disk hold all of a file that is to be written through a memory map, where a full disk kills a process.

    Raises:
        StoreError: the disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with file.open("r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
        except OSError as error:
            if error.errno in FULL:
                raise StoreError(f"the disk is full, {file} cannot be written; free some space") from None
            # Other errors: the file system has no such call.


def _describes(described: Any) -> bool:
    if not isinstance(described, dict):
        return False
    shape, words = described.get("shape"), (described.get("dtype"), described.get("sha256"))
    return all(isinstance(word, str) for word in words) and (
        isinstance(shape, list) and all(isinstance(side, int) for side in shape)
    )


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _bytes(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count //= 1024
    return f"{count} GiB"
