"""JSON files that are never half written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from hjepa.errors import InputError


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: no such file, or not JSON (names the line).
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path), "name a file that can be read") from error
    except RecursionError as error:
        raise InputError("too deeply nested", str(path), "delete the file or write it anew") from error
    except ValueError as error:
        raise InputError(f"not JSON: {error}", str(path), "delete the file or write it anew") from error


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a JSON file that holds one object.

    Raises:
        InputError: as `read_json`, or it holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError("holds no object", str(path), "delete the file or write it anew")
    return content


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes JSON so that a reader, or a crash, meets the old file or the new one and never half of it.

    Folders on the way are made. Arrays and numpy numbers become lists and numbers; equal content gives equal
    bytes.

    Raises:
        InputError: the file cannot be written there, or the content holds NaN or infinity.
    """
    path = Path(path)
    try:
        text = json.dumps(plain(content), indent=1, allow_nan=False) + "\n"
    except ValueError as error:
        raise InputError(f"JSON cannot hold this: {error}", str(path), "look for NaN and infinity") from error
    write_text(path, text)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file so that a reader, or a crash, meets the old file or the new one; makes its folder.

    Raises:
        InputError: the file cannot be written there.
    """
    write_bytes(path, _encoded(text))


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file so that a reader, or a crash, meets the old file or the new one; makes its folder.

    Raises:
        InputError: the file cannot be written there.
    """
    path = Path(path)
    # One writer per process and file; two processes never share a temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            error.strerror or str(error), str(path), "name a file that can be written"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def plain(value: Any) -> Any:
    """``value`` with arrays, numpy numbers, tuples and paths made lists, numbers and strings, recursively."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def _encoded(text: str) -> bytes:
    """UTF-8; names of files that an ASCII locale could not read become what they are on the disk again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
