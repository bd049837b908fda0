"""The command line. `hjepa --help` imports neither torch nor numpy: each command loads what it needs when
it runs.

Exit codes: 0 done; 1 some of the work failed, or a bug (with its traceback); 2 the input cannot work, and one line
says what, where and the remedy; 130 interrupted by Ctrl-C. With HJEPA_TRACEBACK=1 every error shows its traceback.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from inspect import cleandoc
from types import ModuleType
from typing import Any, NoReturn

from hjepa.errors import InputError, one_line
from hjepa.own_code import allow

COMMANDS = (
    "demo",
    "collect",
    "fit",
    "distill",
    "see",
    "plan",
    "tune",
    "ablate",
    "report",
    "claims",
    "explore",
    "advise",
    "bench",
    "tasks",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code.

    Args:
        arguments: the words behind ``hjepa``; by default those of this process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # Where a locale has no letters but ASCII, a sign is better written otherwise than not at all.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="backslashreplace")
    name = " ".join(["hjepa", *[word for word in arguments[:1] if word in COMMANDS]])
    hint = "the same command again begins anew"
    try:
        parsed = parse(arguments)
        command = _module(parsed.command)
        allow(getattr(parsed, "allow", ()))
        _find_modules_here()
        if getattr(command, "continues", lambda _: False)(parsed):
            hint = "the same command again continues"
        return int(command.run(parsed) or 0)
    except KeyboardInterrupt:
        print(f"{name}: interrupted; {hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe, such as head, has enough; silence Python's own complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("HJEPA_TRACEBACK") or not is_input_error(error):
            raise
        print(f"{name}: error: {one_line(error)}", file=sys.stderr)
        return 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed command line: the options of a command, and its name as ``command``.

    Raises:
        InputError: the words do not fit.
        SystemExit: help was asked for and printed.
    """
    parser = _Parser(
        prog="hjepa",
        description="Stacks of joint-embedding predictive levels: learn from trajectories, plan top down.",
        epilog="Every command says more with --help.",
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", required=True, parser_class=_Parser
    )
    for name in COMMANDS:
        module = _module(name)
        text = one_line((module.__doc__ or "").split("\n\n")[0])
        module.add_arguments(commands.add_parser(name, description=module.__doc__, help=text))
    return parser.parse_args(list(arguments))


def is_input_error(error: BaseException) -> bool:
    """Whether a person can mend this error by another input, so that one line suffices."""
    # StoreError belongs to a pillar that this module must not import before it is needed.
    store_error = getattr(sys.modules.get("tasks.trajectories"), "StoreError", ())
    return isinstance(error, (InputError, store_error)) or (
        isinstance(error, OSError) and error.filename is not None
    )


class _Paragraphs(argparse.HelpFormatter):
    """Fills every paragraph of a description to the width of the terminal; lines that are set in are kept."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = cleandoc(text).split("\n\n")
        kept = [any(line.startswith(" ") for line in part.splitlines()) for part in parts]
        filled = [
            textwrap.indent(part, indent)
            if keep
            else textwrap.fill(one_line(part), width, initial_indent=indent, subsequent_indent=indent)
            for part, keep in zip(parts, kept)
        ]
        return "\n\n".join(filled)


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, takes whole option names only and prints plain help."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", _Paragraphs)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise InputError(
            message if len(message) <= 400 else f"{message[:397]}...", "", f"see {self.prog} --help"
        )


def _find_modules_here() -> None:
    """Let a user's own modules lie in the folder that the command is called from; behind all others, so that none of
    ours is hidden by one that lies there."""
    with suppress(OSError):  # a folder that is gone
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())


def _module(command: str) -> ModuleType:
    return import_module(f"hjepa.commands.{command}")


if __name__ == "__main__":
    sys.exit(main())
