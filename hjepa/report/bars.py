"""What had to come out of a claim: conditions as ``>= 0.9, control <= 0.5``, all of which have to hold.

A condition is ``[what] (>=|<=|>|<) NUMBER [of control]``. What is compared is ``value`` unless another is named:
``low`` and ``high`` are the ends of the interval, ``control`` is the control's value and ``gain`` the value less that.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from hjepa.errors import InputError
from levels.ranges import shown

_CONDITION = re.compile(
    r"(?:(value|low|high|control|gain) +)?(>=|<=|>|<) *(-?\d+(?:\.\d+)?)( +of control)?", re.ASCII
)

_SLACK = 1e-12
"""What rounding in the last bit may cost a number that is exactly on the bar."""

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, bar: value >= bar - _SLACK,
    "<=": lambda value, bar: value <= bar + _SLACK,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Condition:
    """One comparison.

    Attributes:
        what: is compared: value, low, high, control or gain.
        sign: how.
        number: with what.
        of_control: whether ``number`` counts in the control's value.
    """

    what: str
    sign: str
    number: float
    of_control: bool


def read_bar(text: str | None, control: bool) -> tuple[Condition, ...]:
    """The conditions of a bar; none for None.

    Args:
        text: as above.
        control: whether there is a control.

    Raises:
        InputError: it cannot be understood, or it compares with a control that is not there.
    """
    conditions = []
    for part in [] if text is None else text.split(","):
        found = _CONDITION.fullmatch(part.strip())
        if found is None:
            raise InputError(f"bar {shown(text)}", "", "give conditions such as '>= 0.9, gain >= 0.2'")
        what, sign, number, of_control = found.groups()
        if not control and (of_control or what in ("control", "gain")):
            raise InputError(f"bar {shown(text)} without a control", "", "give a control")
        conditions.append(Condition(what or "value", sign, float(number), of_control is not None))
    return tuple(conditions)


def met(
    conditions: tuple[Condition, ...],
    value: float,
    interval: tuple[float, float] | None,
    control: float | None,
) -> bool | None:
    """Whether all conditions hold; None where there are none, or one is about an interval that there is not."""
    low, high = interval or (None, None)
    numbers = {"value": value, "low": low, "high": high, "control": control}
    numbers["gain"] = None if control is None else value - control
    held = []
    for each in conditions:
        found = numbers[each.what]
        if found is None or (each.of_control and control is None):
            return None
        bar = each.number * control if each.of_control and control is not None else each.number
        held.append(_HOLDS[each.sign](found, bar))
    return all(held) if held else None
