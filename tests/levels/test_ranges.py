"""Ranges of settings: what is inside is taken, what is outside is named with what would be."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levels.ranges import Range, check_ranges, kinds_of, range_of, ranged, refusal, shown
from levels.settings import LevelSettings, LossWeights, MemorySettings


@dataclass(frozen=True)
class Walk:
    steps: int = ranged(64, 2, 4096)
    pace: float | None = ranged(None, 0, 10, above=True)
    belief: float = ranged(0.5, 0, 1, below=True)
    spans: tuple[int, ...] = ranged((1,), 1, 8, entries=(1, 3))
    stops: tuple[float, ...] = ranged((0.0,), 0, 1)
    name: str = "walk"


def test_defaults_and_the_ends_of_ranges_are_taken() -> None:
    assert refusal(Walk()) is None
    assert refusal(Walk(2, 10, 0, (8, 8, 8))) is None
    assert refusal(Walk(4096, 1e-300, math.nextafter(1, 0), (1,))) is None
    assert refusal(Walk(stops=(0.5,) * 32)) is None
    assert refusal(Walk(np.int64(5), np.float32(5), np.float64(0.5), (np.int8(3),))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "name", "remedy"),
    [
        ({"steps": 1}, "steps", "give a whole number from 2 to 4096"),
        ({"steps": 4097}, "steps", "give a whole number from 2 to 4096"),
        ({"steps": 2.0}, "steps", "give a whole number from 2 to 4096"),
        ({"steps": True}, "steps", "give a whole number from 2 to 4096"),
        ({"steps": None}, "steps", "give a whole number from 2 to 4096"),
        ({"steps": "64"}, "steps", "give a whole number from 2 to 4096"),
        ({"steps": 10**5000}, "steps", "give a whole number from 2 to 4096"),
        ({"pace": 0}, "pace", "give a number above 0, up to 10, or null"),
        ({"pace": math.nan}, "pace", "give a number above 0, up to 10, or null"),
        ({"pace": math.inf}, "pace", "give a number above 0, up to 10, or null"),
        ({"belief": 1}, "belief", "give a number from 0 below 1"),
        ({"belief": -math.inf}, "belief", "give a number from 0 below 1"),
        ({"spans": ()}, "spans", "give 1 to 3 whole numbers from 1 to 8, as a list"),
        ({"spans": (1, 1, 1, 1)}, "spans", "give 1 to 3 whole numbers from 1 to 8, as a list"),
        ({"spans": (1, 9)}, "spans", "give 1 to 3 whole numbers from 1 to 8, as a list"),
        ({"spans": (1, 2.0)}, "spans", "give 1 to 3 whole numbers from 1 to 8, as a list"),
        ({"stops": (0.5,) * 33}, "stops", "give 1 to 32 numbers from 0 to 1, as a list"),
        ({"spans": 3}, "spans", "give 1 to 3 whole numbers from 1 to 8, as a list"),
    ],
)
def test_what_is_outside_is_named(wrong: dict[str, Any], name: str, remedy: str) -> None:
    found = refusal(Walk(**wrong))
    assert found is not None and (found[0], found[2]) == (name, remedy)
    with pytest.raises(ValueError, match=f"walk {name} is ") as caught:
        check_ranges(Walk(**wrong), "walk")
    assert remedy in str(caught.value) and len(str(caught.value)) < 250 and "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.floats(), st.floats(-5, 5), st.floats(-5, 5), st.booleans(), st.booleans())
def test_a_range_holds_what_lies_between(number: float, a: float, b: float, above: bool, below: bool) -> None:
    least, most = min(a, b), max(a, b)
    inside = least < number < most or (number == least and not above and (least < most or not below))
    inside = inside or (number == most and not below and (least < most or not above))
    assert Range(least, most, above, below).holds(number) == inside


@pytest.mark.parametrize("section", [LevelSettings, MemorySettings, LossWeights])
def test_every_number_of_a_level_has_a_range(section: type) -> None:
    kinds = kinds_of(section)
    for item in fields(section):
        if item.name in (
            "anti_collapse_with",
            "others",
        ):  # numbers by name, checked where the names are known
            continue
        numbers = any(name in str(kinds[item.name]) for name in ("'int'", "'float'", "int", "float"))
        assert (range_of(item) is not None) == numbers, item.name


def test_what_is_shown_of_a_value_is_short() -> None:
    assert shown(None) == "null" and shown("a\nb") == r"'a\nb'"
    assert shown("x" * 78) == repr("x" * 78), "80 characters with its quotes"
    assert len(shown("x" * 79)) == len(shown("x" * 1000)) == 80 and "digits" in shown(10**5000)
