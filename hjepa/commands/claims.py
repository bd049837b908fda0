"""Compute anew what cards and the README claim, from the per-episode lists, and compare it with the text.

Exit code 1: a text states a number that the lists do not give; lines on stderr say which. Bars that were not met are no
fault of the text.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hjepa.report.claim_values import Found

WIDTH = 100
"""Columns of a terminal that the table fits."""

_WORDS, _VALUE, _CONTROL, _BAR = 46, 22, 7, 17
"""Columns of what is claimed, value and interval, control, bar; what is left says whether it was met."""


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--part", metavar="P", help="of one part: agent, seen, field, learning, speed or trust; default: all")
    add(
        "--json",
        metavar="FILE",
        help="where the list goes, one entry per claim; without it a table is printed",
    )
    add("--cards", metavar="DIR", help="a folder of folders with cards; default: what comes with the package")


def run(options: Any) -> int:
    from hjepa.builder import nearest
    from hjepa.errors import InputError
    from hjepa.places import output_file
    from hjepa.report.claims import PARTS, PUBLISHED, read_claims

    if options.part is not None and options.part not in PARTS:
        raise InputError(f"there is no part {options.part[:80]!r}", "--part", nearest(options.part, PARTS))
    file = None if options.json is None else output_file(options.json)
    folder = PUBLISHED if options.cards is None else Path(options.cards)

    from hjepa.json_files import write_json
    from hjepa.report.claim_values import evaluate

    found, unread = evaluate(read_claims(folder, options.part), folder)
    if file is None:
        for line in _table(found):
            print(line)
    else:
        write_json(file, [each.row() for each in found])
    for each in found:
        for wrong in each.wrong:
            print(f"{each.placed.where}: {wrong.file} {wrong.what}", file=sys.stderr)
    count = sum(bool(each.wrong) for each in found)
    print(
        f"claims: {len(found)}; bars met: {sum(each.met is True for each in found)}, not met: "
        f"{sum(each.met is False for each in found)}; stated otherwise than the lists give: {count}"
    )
    if unread:
        print(f"not compared, as it does not come with the package: {', '.join(unread)}", file=sys.stderr)
    return 1 if count else 0


def _table(found: Sequence[Found]) -> Iterator[str]:
    """The claims, list by list and task by task."""
    heading = ""
    yield _line("", "value (interval)", "control", "bar", "met")
    for each in found:
        claim = each.placed.claim
        below = f"{each.placed.folder.name}/{claim.results_file}, {claim.task}, part {claim.part}"
        if below != heading:
            yield from ("", *textwrap.wrap(below, WIDTH))
            heading = below
        value = _number(each.value)
        if each.interval is not None:
            value += f" ({', '.join(map(_number, each.interval))})"
        control = "" if each.control is None else _number(each.control)
        met = {True: "yes", False: "no", None: ""}[each.met]
        words = textwrap.wrap(claim.words(), _WORDS - 2, initial_indent="", subsequent_indent="  ")
        bars = textwrap.wrap(claim.bar or "", _BAR) or [""]
        lines = max(len(words), len(bars))
        words, bars = words + [""] * (lines - len(words)), bars + [""] * (lines - len(bars))
        yield _line(words[0], value, control, bars[0], met)
        for left, right in zip(words[1:], bars[1:]):
            yield _line(left, "", "", right, "")


def _line(words: str, value: str, control: str, bar: str, met: str) -> str:
    return f"{words:{_WORDS}} {value:{_VALUE}} {control:{_CONTROL}} {bar:{_BAR}} {met}".rstrip()


def _number(number: float) -> str:
    """Four figures, and so at most seven columns: 0.985, -0.361, 51.81."""
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.4g}"
