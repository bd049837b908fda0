"""Which spaces can be sensed, and as what."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from tasks.senses import average, sense_of, sensed, senses_of
from tasks.worlds import Sense

BYTES = np.uint8


@pytest.mark.parametrize(
    ("space", "kind", "wanted"),
    [
        (spaces.Box(0, 255, (40, 60, 3), BYTES), "", Sense("image", (40, 60, 3))),
        (spaces.Box(0, 255, (84, 84), BYTES), "", Sense("image", (84, 84, 1))),
        (spaces.Box(0, 9, (5, 7, 2), BYTES), "", Sense("symbols", (5, 7, 2), (10, 10))),
        (spaces.Box(0, 9, (5, 7, 2), BYTES), "image", Sense("image", (5, 7, 2))),
        (spaces.Box(0, 9, (40, 40), BYTES), "symbols", Sense("symbols", (40, 40, 1), (10,))),
        (spaces.Box(0, 3, (5, 7), np.int64), "", Sense("symbols", (5, 7, 1), (4,))),
        (spaces.MultiDiscrete([[2, 3], [4, 2]]), "", Sense("symbols", (2, 2, 1), (4,))),
        (spaces.Box(-np.inf, np.inf, (5,), np.float64), "", Sense("vector", (5,))),
        (spaces.Box(0, 255, (128,), BYTES), "", Sense("vector", (128,))),
        (spaces.MultiDiscrete([5, 5, 4]), "", Sense("vector", (3,))),
        (spaces.Discrete(4, start=2), "", Sense("vector", (4,))),
        (spaces.Box(-1, 3, (5, 7), np.int64), "", None),
        (spaces.Box(0, 999, (5, 7), np.int64), "", None),
        (spaces.Box(0, 1, (40, 40, 3), np.float32), "", None),
        (spaces.Box(0, 255, (4, 84, 84), BYTES), "", None),
        (spaces.Box(0, 255, (40, 40, 6), BYTES), "", None),
        (spaces.Text(5), "", None),
    ],
)
def test_sense_of_a_space(space: spaces.Space, kind: str, wanted: Sense | None) -> None:
    assert sense_of(space, kind) == wanted
    if wanted is not None:
        space.seed(1)
        found = sensed(space.sample(), space, wanted)
        assert found.shape == wanted.shape
        assert found.dtype == (np.float32 if wanted.kind == "vector" else np.uint8)


def test_a_dictionary_keeps_its_names_and_loses_what_cannot_be_sensed() -> None:
    inner = spaces.Dict({"speed": spaces.Box(-1, 1, (2,), np.float32), "mission": spaces.Text(5)})
    space = spaces.Dict({"body": inner, "eye": spaces.Box(0, 255, (32, 32, 3), BYTES)})
    assert set(senses_of(space)) == {"body.speed", "eye"}
    assert set(senses_of(space, "vector")) == {"body.speed"}
    assert set(senses_of(space, "image")) == {"eye"}
    assert senses_of(inner, "symbols") == senses_of(inner, "image") == {}
    assert set(senses_of(spaces.Box(-1, 1, (2,)))) == {"vector"}


def test_a_discrete_number_is_a_place_in_a_row() -> None:
    assert sensed(4, spaces.Discrete(3, start=2), Sense("vector", (3,))).tolist() == [0, 0, 1]


@pytest.mark.parametrize(("height", "width"), [(3, 4), (5, 3), (7, 9), (2, 2)])
def test_averages_are_those_of_the_areas(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    fine = np.repeat(np.repeat(picture.astype(float), height, 0), width, 1)
    means = fine.reshape(height, 6, width, 10, 3).mean((1, 3))
    assert np.abs(average(picture, height, width) - means).max() <= 0.501
    assert average(picture, 6, 10) is picture
    assert (average(np.full((6, 10, 1), 255, dtype=np.uint8), height, width) == 255).all()


def test_stacked_frames_are_one_picture_the_latest_last() -> None:
    space = spaces.Box(0, 255, (2, 40, 48, 3), np.uint8)
    sense = sense_of(space)
    assert sense == Sense("image", (40, 48, 6), frames=2)
    frames = np.random.default_rng(0).integers(0, 256, space.shape, dtype=np.uint8)
    seen = sensed(frames, space, sense)
    assert np.array_equal(seen[..., :3], frames[0]) and np.array_equal(seen[..., 3:], frames[1])


@pytest.mark.parametrize(
    ("kind", "shape", "frames"), [("vector", (4,), 2), ("image", (8, 8, 3), 2), ("image", (8, 8, 3), 0)]
)
def test_frames_that_do_not_fit_are_refused(kind: str, shape: tuple[int, ...], frames: int) -> None:
    with pytest.raises(ValueError, match=f"has {frames} frames"):
        Sense(kind, shape, frames=frames)
