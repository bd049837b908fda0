"""Ranges of numbers, declared beside the fields of a dataclass of settings and checked in one place.

    @dataclass(frozen=True)
    class Walk:
        steps: int = ranged(64, 2, 4096)
        pace: float | None = ranged(None, 0, 100, above=True)

`refusal` names the first number that cannot work, and says what can.
"""

from __future__ import annotations

import math
import types
from dataclasses import Field, dataclass, field, fields
from functools import cache
from numbers import Integral, Real
from typing import Any, Union, get_args, get_origin, get_type_hints

RANGE = "range"
"""Key of a field's metadata under which its `Range` stands."""


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may be; NaN and infinity never are.

    Attributes:
        least, most: of each number.
        above: more than ``least``, not as much.
        below: less than ``most``, not as much.
        entries: fewest and most numbers, where the setting is a list of them.
    """

    least: float
    most: float
    above: bool = False
    below: bool = False
    entries: tuple[int, int] = (1, 32)

    def holds(self, number: Any) -> bool:
        """Whether a number lies within; what is no number does not."""
        if isinstance(number, bool) or not isinstance(number, Real) or number != number:
            return False
        value: Any = number
        low = value > self.least if self.above else value >= self.least
        return bool(low and (value < self.most if self.below else value <= self.most))

    def words(self, kind: Any) -> str:
        """What may be given, for a person.

        Args:
            kind: type of the setting.
        """
        inner, null = without_none(kind)
        many = get_origin(inner) is tuple
        whole = (get_args(inner)[0] if many else inner) is int
        low = f"above {_short(self.least)}, " if self.above else f"from {_short(self.least)} "
        high = f"below {_short(self.most)}" if self.below else f"up to {_short(self.most)}"
        high = high if self.above or self.below else high.removeprefix("up ")
        noun = "whole number" if whole else "number"
        said = f"a {noun} {low}{high}"
        if many:
            said = f"{self.entries[0]} to {self.entries[1]} {noun}s {low}{high}, as a list"
        return f"{said}, or null" if null else said


def ranged(
    default: Any,
    least: float,
    most: float,
    *,
    above: bool = False,
    below: bool = False,
    entries: tuple[int, int] = Range.entries,
) -> Any:
    """A dataclass field of numbers with a default and a `Range`.

    A field may be None only where its type says so.
    """
    return field(default=default, metadata={RANGE: Range(least, most, above, below, entries)})


def range_of(item: Field[Any]) -> Range | None:
    """The range of a dataclass field; None: it has none."""
    return item.metadata.get(RANGE)


@cache
def kinds_of(settings: type) -> dict[str, Any]:
    """The types of a dataclass's fields by name."""
    return get_type_hints(settings)


def without_none(kind: Any) -> tuple[Any, bool]:
    """A type without None, and whether None was one of its choices."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind, False
    others = [part for part in get_args(kind) if part is not type(None)]
    return (others[0] if len(others) == 1 else kind), len(others) < len(get_args(kind))


def number_refusal(kind: Any, within: Range, value: Any) -> str | None:
    """What to give instead of a value that cannot be a setting; None: it can.

    Args:
        kind: type of the setting: int, float, a tuple of them, each perhaps with None.
        within: its range.
        value: to be checked.
    """
    inner, null = without_none(kind)
    if value is None and null:
        return None
    values = (value,)
    if get_origin(inner) is tuple:
        if not isinstance(value, (tuple, list)) or not within.entries[0] <= len(value) <= within.entries[1]:
            return f"give {within.words(kind)}"
        values, inner = tuple(value), get_args(inner)[0]
    if all(within.holds(one) and (inner is not int or isinstance(one, Integral)) for one in values):
        return None
    return f"give {within.words(kind)}"


def refusal(settings: Any) -> tuple[str, Any, str] | None:
    """Name, value and remedy of the first number of a dataclass that is out of its range; None: there is none."""
    kind: type = type(settings)
    kinds = kinds_of(kind)
    for item in fields(settings):
        within = range_of(item)
        value = getattr(settings, item.name)
        remedy = None if within is None else number_refusal(kinds[item.name], within, value)
        if remedy is not None:
            return item.name, value, remedy
    return None


def check_ranges(settings: Any, kind: str) -> None:
    """Raise ValueError for a number of a dataclass that is out of its range.

    Args:
        settings: of whose fields `ranged` has made some.
        kind: what is being set, as ``level``.
    """
    found = refusal(settings)
    if found is not None:
        name, value, remedy = found
        raise ValueError(f"{kind} {name} is {shown(value)}; {remedy}")


def shown(value: Any) -> str:
    """A value in a line of at most 80 characters, None as it is written in a file."""
    try:
        text = "null" if value is None else repr(value)
    except ValueError:  # a whole number of more digits than Python prints
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _short(number: float) -> str:
    whole = math.isfinite(number) and number == int(number)
    return str(int(number)) if whole else str(number)
