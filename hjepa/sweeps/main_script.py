"""Starting processes from a person's own script.

A spawned process imports the script that started it, as Python does without ``fork``. A call that is not under a main
guard would be made by every process again; and a script that came from standard input cannot be imported at all.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType

from hjepa.errors import InputError

GUARD = 'if __name__ == "__main__":'


def check_guarded() -> None:
    """Refuse to start processes for a call that stands outside of the main guard of a script.

    Raises:
        InputError: it does; names the file, the line and the guard.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is None or file is None or not os.path.isfile(file) or _named(main):
        return
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if _is_top_of(frame, main):
            if not _guarded(file, frame.f_lineno):
                raise InputError(
                    "starts processes, each of which would run the whole script again",
                    f"{file}, line {frame.f_lineno}",
                    f"put what the script does under {GUARD}",
                )
            return
        frame = frame.f_back


@contextmanager
def importable_main() -> Iterator[None]:
    """Processes started inside do not look for the script where it is no file: it came from standard input.

    What they are to run has to stand in a module, then.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is None or file is None or os.path.isfile(file) or _named(main):
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = file


def _named(main: ModuleType) -> bool:
    """Whether a module was run by its name (``python -m``): then that is what a process imports."""
    return getattr(main, "__spec__", None) is not None


def _is_top_of(frame: FrameType, main: ModuleType) -> bool:
    """Whether a frame runs the script itself, no function of it and no cell of a notebook."""
    return (
        frame.f_code.co_name == "<module>"
        and frame.f_globals is vars(main)
        and os.path.abspath(frame.f_code.co_filename) == os.path.abspath(str(main.__file__))
    )


def _guarded(file: str, line: int) -> bool:
    """Whether a line of a script stands under a main guard; true where the script cannot be read."""
    try:
        with open(file, "rb") as stream:
            tree = ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):
        return True
    return any(
        isinstance(node, ast.If)
        and "__name__" in ast.unparse(node.test)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        for node in ast.walk(tree)
    )
