"""Numbers that stand in files of measurements, which are no lists of episodes: how they are named and found.

A number is named by the steps that lead to it, as ``planning 64 episodes > ratio``. A step into an object is its key; a
step into a list is what a text of the one entry that is meant begins with, or ``#3``, the third entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hjepa.builder import nearest
from hjepa.errors import InputError
from levels.ranges import shown

STEP = " > "

BESIDE = ("ours", "theirs")
"""What a ratio is of, where it stands beside it."""


@dataclass(frozen=True)
class Measured:
    """A number in a file of measurements.

    Attributes:
        value: the number.
        interval: the pair that stands beside it, of a ``ratio`` its ``least`` and ``most``, of any other ``interval``;
            None: there is none.
        beside: what is there of `BESIDE`.
    """

    value: float
    interval: tuple[float, float] | None
    beside: dict[str, float]


def number_at(content: Any, named: str, where: str) -> Measured:
    """The number at a place, with what stands beside it.

    Args:
        content: of a file.
        named: steps, see above.
        where: named in errors.

    Raises:
        InputError: a step that leads nowhere or to several places, or to what is no number.
    """
    inside, steps = content, named.split(STEP)
    for step in steps[:-1]:
        inside = _entered(inside, step, where)
    value = _entered(inside, steps[-1], where)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{named!r} is {shown(value)}", where, "name a number")
    beside = inside if isinstance(inside, dict) else {}
    pair = (beside.get("least"), beside.get("most")) if steps[-1] == "ratio" else beside.get("interval")
    numbers = {name: float(beside[name]) for name in BESIDE if isinstance(beside.get(name), (int, float))}
    interval = None
    if isinstance(pair, (list, tuple)) and len(pair) == 2 and None not in pair:
        interval = float(pair[0]), float(pair[1])
    return Measured(float(value), interval, numbers)


def _entered(content: Any, step: str, where: str) -> Any:
    if isinstance(content, dict):
        if step not in content:
            raise InputError(f"no {shown(step)} there", where, nearest(step, list(content)))
        return content[step]
    if not isinstance(content, list):
        raise InputError(f"{shown(step)} of {shown(content)}", where, "name fewer steps")
    if step.startswith("#") and step[1:].isdigit():
        number = int(step[1:])
        if not 1 <= number <= len(content):
            raise InputError(f"entry {number} of {len(content)}", where, "count from 1")
        return content[number - 1]
    found = [entry for entry in content if isinstance(entry, dict) and _tells(entry, step)]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} entries have a text that begins {step!r}", where, "name the one that is meant"
        )
    return found[0]


def _tells(entry: dict[str, Any], step: str) -> bool:
    return any(isinstance(text, str) and text.startswith(step) for text in entry.values())
