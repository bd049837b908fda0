"""Doubts about a configuration: doors that memory cannot tell apart."""

from __future__ import annotations

import warnings

import pytest

from hjepa.config import load_preset
from hjepa.training.doubts import DoorsWarning, warn_of_doors
from levels.settings import Sight, World

TOLD = World((25, 25), 7, doors=5)


def test_doors_without_numbers_are_named_with_the_setting() -> None:
    config = load_preset("told-multi-room", ["levels.0.memory.numbers=0", "levels.2.memory.numbers=4"])
    with pytest.warns(DoorsWarning) as said:
        warn_of_doors(config, TOLD)
    (words,) = [str(each.message) for each in said]
    assert "set levels.0.memory.numbers=5, levels.2.memory.numbers=5" in words and "levels.1." not in words


@pytest.mark.parametrize(
    "world", [TOLD, World((9, 9), 7, doors=1, keys=1), World((9, 9), 7, doors=9, sight=Sight("vector", (4,)))]
)
def test_nothing_is_said_where_nothing_is_wrong(world: World) -> None:
    changes = [] if world is TOLD else [f"levels.{k}.memory.numbers=0" for k in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_doors(load_preset("told-multi-room", changes), world)
