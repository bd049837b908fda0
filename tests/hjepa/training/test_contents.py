"""What a store holds is what its world can show and do: the ends of ranges are taken, what lies beyond is named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from hjepa.errors import InputError
from hjepa.training.contents import check_seen
from tasks import ObservationStore
from tasks.worlds import Actions, Sense

TURNS, PUSHES = Actions(3), Actions(2, (-2.0, 0.0), (2.0, 1.0))
CODES = (4, 2)


def store(actions: Actions, action: np.ndarray, **changes: np.ndarray) -> ObservationStore:
    """Two moments of a vector, of symbols and of a picture, all of them at the ends of what there can be."""
    symbols = np.zeros((2, 3, 3, 2), np.uint8)
    symbols[1] = np.array(CODES) - 1
    held = {
        "place": np.array([[-1e30], [1e30]]),
        "tiles": symbols,
        "view": np.full((2, 4, 4, 3), 255, np.uint8),
    }
    senses = {
        "place": Sense("vector", (1,)),
        "tiles": Sense("symbols", (3, 3, 2), CODES),
        "view": Sense("image", (4, 4, 3)),
    }
    parts: Any = {"path": Path("data"), "actions": actions, "senses": senses, "action": action}
    return cast(ObservationStore, SimpleNamespace(**parts, observation=held | changes))


def changed(value: float) -> np.ndarray:
    """Symbols of which one, of the second channel, is another."""
    symbols = np.zeros((2, 3, 3, 2), np.int64)
    symbols[1, 2, 0, 1] = value
    return symbols


@pytest.mark.parametrize("sense", ["place", "tiles", "view"])
def test_the_ends_of_ranges_are_taken(sense: str) -> None:
    check_seen(store(TURNS, np.array([0, 2])), sense)
    check_seen(store(PUSHES, np.array([[-2.0, 0.0], [2.0, 1.0]])), sense)
    check_seen(store(PUSHES, np.array([[-2.00001, 0.0], [2.0, 1.00001]])), sense)  # as they were rounded


@pytest.mark.parametrize(
    ("held", "sense", "said"),
    [
        (store(TURNS, np.array([0, 3])), "view", r"action.npy.* holds 3 in row 1, not 0 to 2"),
        (store(TURNS, np.array([-1, 0])), "view", r"action.npy.* holds -1 in row 0, not 0 to 2"),
        (store(PUSHES, np.array([[0, 0], [0, 1.01]])), "view", r"action.npy.* holds 1.01 in row 1, not 0 to 1"),
        (store(TURNS, np.array([0, 2]), tiles=changed(2)), "tiles", r"tiles.npy.* holds 2 in row 1, not 0 to 1"),
        (store(TURNS, np.array([0, 2]), tiles=changed(-1)), "tiles", r"tiles.npy.* holds -1 in row 1"),
        (store(TURNS, np.array([0, 2]), place=np.array([[0], [np.nan]])), "place", r"place.npy.* nan in row 1"),
    ],
)  # fmt: skip
def test_what_a_world_cannot_show_or_do_is_named(held: ObservationStore, sense: str, said: str) -> None:
    with pytest.raises(InputError, match=f"{said}.*collect the store again"):
        check_seen(held, sense)
