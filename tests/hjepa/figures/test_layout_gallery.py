"""The gallery shows the floor plans that tasks have, under the right names."""

from __future__ import annotations

import numpy as np
import pytest

from hjepa.errors import InputError
from hjepa.figures import layout_gallery
from tasks.layouts import MIXTURES, family_of, layout_plan


def test_every_panel_is_a_floor_plan_of_its_family() -> None:
    figure = layout_gallery(side=9, plans=2, split="validation")
    names = [family for parts in MIXTURES.values() for family in parts]
    panels = np.array(figure.axes).reshape(2, len(names))
    for column, name in enumerate(names):
        assert panels[0, column].get_title().replace(" rooms", "") == name
        layout = next(layout for layout, parts in MIXTURES.items() if name in parts)
        shown = [np.asarray(panel.images[0].get_array()).T.astype(bool) for panel in panels[:, column]]
        own = [
            layout_plan(seed, layout, 9).walls
            for seed in range(1_000_000_000, 1_000_000_020)
            if family_of(layout, seed) == name
        ]
        assert all((walls == plan).all() for walls, plan in zip(shown, own))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"plans": 0}, "0 plans"),
        ({"side": 11}, "a side of 11 cells does not fit layout mixed"),
        ({"split": "dev"}, "unknown split 'dev'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        layout_gallery(**arguments)  # type: ignore[arg-type]
