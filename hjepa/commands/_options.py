"""Kinds of options that several commands share, and what their handlers do with them."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hjepa.errors import InputError, one_line
from levels.ranges import Range, shown


class Separated:
    """A list written with commas, as ``1,2,3``; commas inside brackets, braces or quotes do not separate."""

    def __init__(self, kind: Callable[[str], Any], name: str) -> None:
        self.kind, self.__name__ = kind, name

    def __call__(self, value: str) -> tuple[Any, ...]:
        return tuple(self.kind(part) for part in split_commas(value))


def split_commas(text: str) -> list[str]:
    """The parts of ``text`` between its outermost commas, stripped.

    Raises:
        ValueError: an empty part, or brackets and quotes that do not close.
    """
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    parts = [part.strip() for part in parts]
    if depth or quote or not all(parts):
        raise ValueError(f"{text!r} is not a list separated by commas")
    return parts


integers = Separated(int, "list of whole numbers")
numbers = Separated(float, "list of numbers")
words = Separated(str, "list of words")


class Between:
    """A number from a least to a most, as the type of an option."""

    def __init__(self, kind: type, least: float, most: float, above: bool = False) -> None:
        self.kind, self.within = kind, Range(least, most, above)

    def __call__(self, value: str) -> Any:
        try:
            number = self.kind(value)
        except (ValueError, OverflowError):
            number = None
        if not self.within.holds(number):
            raise ArgumentTypeError(f"{shown(value)} is not {self.within.words(self.kind)}")
        return number


def whole(least: int, most: int = 1_000_000_000) -> Between:
    """Whole numbers."""
    return Between(int, least, most)


def between(least: float, most: float, above: bool = False) -> Between:
    """Numbers, without NaN and infinity."""
    return Between(float, least, most, above)


seeds = whole(0, 2**63 - 1)


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def add_preset(parser: Any) -> None:
    """``--preset`` and ``--set``: where a configuration comes from."""
    parser.add_argument("--preset", required=True, metavar="NAME", help="a preset, or a YAML file like one")
    add_overrides(parser, "replace one value of the preset, as train.steps=100; may be repeated")


def add_overrides(parser: Any, text: str) -> None:
    """``--set``, gathered in ``overrides``."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        type=assignment,
        default=[],
        metavar="KEY=VALUE",
        help=text,
    )


def assignment(text: str) -> str:
    """``text`` when it reads key=value.

    Raises:
        ValueError: it does not.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip() or not value.strip():
        raise ValueError(f"{text!r} does not read key=value")
    return text


def add_allow(parser: Any) -> None:
    """``--allow``, of commands that open a checkpoint; see `hjepa.own_code`."""
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module of your own that a checkpoint may import its parts from; may be repeated",
    )


def add_device(parser: Any) -> None:
    """``--device`` and ``--precision``."""
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto")
    parser.add_argument("--precision", choices=["32", "bf16"], default="32", help="of floats; default: 32")


def known_task(task_id: str) -> Any:
    """The `tasks.TaskSpec` of an id.

    Raises:
        InputError: there is no such task; lists those that are.
    """
    import tasks

    try:
        return tasks.task_spec(task_id)
    except ValueError as error:
        raise InputError(str(error)) from error


def check_drawing() -> None:
    """Raise InputError where the environment names a backend of matplotlib that there is not."""
    try:
        import matplotlib  # noqa: F401
    except ValueError as error:
        raise InputError(one_line(error), "MPLBACKEND", "unset it, or name another backend") from None


@contextmanager
def progress_bar(description: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, moved by calling what this gives with (done, total); none is drawn before, so that
    what is refused at once is one line."""
    from tqdm import tqdm

    bars: list[Any] = []

    def move(done: int, total: int) -> None:
        if not bars:
            bars.append(tqdm(total=total, desc=description, unit=unit, dynamic_ncols=True, mininterval=0.5))
        bars[0].total = total
        bars[0].update(done - bars[0].n)

    try:
        yield move
    finally:
        for bar in bars:
            bar.close()


@contextmanager
def success_bar(description: str) -> Iterator[Callable[[int, int, int], None]]:
    """A line on standard error with success so far and the time left, moved by calling what this gives with (episodes
    over, solved, all); what is done within a second shows none."""
    from tqdm import tqdm

    bars: list[Any] = []

    def move(over: int, solved: int, every: int) -> None:
        if not bars:
            bars.append(
                tqdm(total=every, desc=description, unit="episode", dynamic_ncols=True, delay=1, smoothing=0)
            )
        if over:
            bars[0].set_postfix_str(f"{100 * solved / over:.1f} % solved so far", refresh=False)
        bars[0].update(over - bars[0].n)

    try:
        yield move
    finally:
        for bar in bars:
            bar.close()
