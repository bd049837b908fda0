"""TwoRoom drawn: the dot is read where the world put it, and ways are those that were walked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from hjepa.errors import InputError
from hjepa.figures.two_room import Ways, dot_places, draw_two_rooms, draw_way
from tasks.field.two_room import TwoRoom


@pytest.mark.parametrize("pixels", [64, 224])
def test_the_dot_is_read_where_it_is(pixels: int) -> None:
    places = np.array([[40.0, 60.0], [112.0, 49.0], [150.5, 170.25]])
    shown = TwoRoom(pixels=pixels).show({"place": places})["image"]
    np.testing.assert_allclose(dot_places(shown), places, atol=1.5)
    with pytest.raises(InputError, match="picture 1 shows no red dot"):
        dot_places(np.stack([shown[0], np.full_like(shown[0], 255)]))


def test_ways_are_what_was_seen() -> None:
    world, ways = TwoRoom(), Ways()
    walked = np.array(
        [[[40.0, 60.0], [60.0, 90.0]], [[45.0, 60.0], [60.0, 95.0]], [[50.0, 60.0], [60.0, 100.0]]]
    )
    state: Any = None
    ways.begin(state, world.show({"place": walked[0]}))
    for moment in walked[1:]:
        ways.step(world.show({"place": moment}))
    np.testing.assert_allclose(ways.of(1, 2), walked[:, 1], atol=1.5)
    assert ways.of(0, 1).shape == (2, 2)


def test_a_way_is_drawn_through_its_places_and_strengthens() -> None:
    axes = Figure().add_subplot()
    draw_two_rooms(axes)
    lines = draw_way(axes, np.array([[20.0, 30.0], [25.0, 30.0], [25.0, 40.0]]), "#0072B2")
    assert [segment.tolist() for segment in lines.get_segments()] == [
        [[20, 30], [25, 30]],
        [[25, 30], [25, 40]],
    ]
    first, last = lines.get_colors()[:, 3]
    assert first < last == 1.0
    walls = axes.get_images()[0].get_array()
    assert walls[150, 112] and not walls[49, 112] and not walls[100, 50]  # the wall, its door, the room
