"""Where things are read from and written to: names against paths, and outputs that are tried before the work."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hjepa.errors import InputError

PACKAGE = Path(__file__).resolve().parent
"""The installed package. Nothing is written into its weights and presets."""

SHIPPED = "shipped:"
"""In front of a name: what comes with the package, whatever lies in the current folder."""

KEPT = ("weights", "presets")


def shipped_or_here(name: str | os.PathLike[str], shipped: Path, kind: str, folder: bool) -> Path:
    """The path that a name stands for: of what comes with the package, or of what lies in the current folder.

    A text without a separator is a name; one with a separator, such as ``./nested-d2``, and every `pathlib.Path` is a
    path; ``shipped:nested-d2`` is a name only.

    Args:
        name: as a person gave it.
        shipped: where it would be, if it came with the package.
        kind: what is looked for, as ``weights``.
        folder: whether that is a folder, else a file.

    Raises:
        InputError: a name of both.
    """
    text = os.fspath(name)
    if isinstance(name, str) and text.startswith(SHIPPED):
        return shipped
    here = Path(text)
    bare = isinstance(name, str) and text == here.name and text not in (".", "..", "")
    if not bare or not os.path.exists(shipped):
        return here
    found = os.path.isdir(here) if folder else os.path.isfile(here)
    if found and not os.path.samefile(here, shipped):
        what = "folder" if folder else "file"
        raise InputError(
            f"{text!r} names shipped {kind} and a {what} here",
            "",
            f"write ./{text} for the {what}, or {SHIPPED}{text} for what comes with the package",
        )
    return shipped


def plain_name(name: str) -> str:
    """A name without `SHIPPED` in front."""
    return name.removeprefix(SHIPPED)


def is_shipped(path: Path) -> bool:
    """Whether a path lies in what comes with the package."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(PACKAGE / part) for part in KEPT)


def output_folder(path: str | os.PathLike[str], renamed: bool = True) -> Path:
    """The real path of a folder that is about to be written, with links followed.

    It is tried whether something can be written there; nothing is made.

    Args:
        path: of the folder.
        renamed: whether the folder is made elsewhere and renamed into place, which the current folder and a mount
            point do not allow.

    Raises:
        InputError: a file, a place where nothing can be written, or what comes with the package.
    """
    real = _real(path)
    if os.path.lexists(real) and not real.is_dir():
        raise InputError("this is a file", str(path), "name a folder")
    if renamed and (Path.cwd().is_relative_to(real) or os.path.ismount(real)):
        raise InputError("this folder is in use", str(path), "name a new folder in it")
    _try_writing(real if real.is_dir() and not renamed else real.parent, str(path), "folder")
    return real


def output_file(path: str | os.PathLike[str]) -> Path:
    """The real path of a file that is about to be written, with links followed; makes its folder.

    Raises:
        InputError: nothing can be written there.
    """
    real = _real(path)
    if real.is_dir():
        raise InputError("this is a folder", str(path), "name a file in it")
    if os.path.lexists(real) and not real.is_file():
        raise InputError("this is no ordinary file", str(path), "name another file")
    _try_writing(real.parent, str(path), "file")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(error.strerror or str(error), str(real.parent), "name another file") from error
    return real


def is_empty(folder: Path) -> bool:
    """Whether a folder is not there, or holds nothing."""
    return not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir()))


def _real(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    try:
        text.encode()
        real = Path(os.path.realpath(text))
        looped = real.is_symlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(reason, repr(_short(text)), "name another place") from None
    if not text or looped:
        raise InputError("this leads nowhere", repr(_short(text)), "name another place")
    if is_shipped(real):
        raise InputError("this comes with the package", str(path), "name a place of your own")
    return real


def _try_writing(folder: Path, given: str, what: str) -> None:
    """Write a nameless file to the nearest folder that is there."""
    try:
        while not os.path.lexists(folder):
            # A name that is too long shows only here.
            os.stat(folder.parent)
            folder = folder.parent
    except FileNotFoundError:
        return _try_writing(folder.parent, given, what)
    except OSError as error:
        raise InputError(error.strerror or str(error), _short(given), f"name another {what}") from None
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", _short(given), f"name another {what}")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        raise InputError(
            f"nothing can be written in {folder} ({error.strerror})", _short(given), f"name another {what}"
        ) from None
    return None


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."
