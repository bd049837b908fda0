"""A gallery of the floor plans that tasks have."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hjepa.errors import InputError
from hjepa.figures.floor import draw_floor_plan
from hjepa.figures.style import BODY, INK, MUTED, SMALL, TITLE, level_colour, new_figure
from tasks.floorplans import split_seeds
from tasks.layouts import MIXTURES, layout_plan
from tasks.layouts.families import NESTED
from tasks.oracles import distances


def layout_gallery(side: int = 17, plans: int = 3, split: str = "train") -> Figure:
    """Floor plans of every family, a column each: those that ``mixed`` holds, then those left out of it.

    Below each family stands the longest of the shortest ways in these plans, in steps, turns counted.

    Args:
        side: cells a side, one that nested rooms have.
        plans: of each family, one below the other.
        split: whose floor plans.

    Raises:
        InputError: a side or a split that does not exist, or no plans.
    """
    if plans < 1:
        raise InputError(f"{plans} plans", "layout_gallery", "give 1 or more")
    families = [(layout, family) for layout, parts in MIXTURES.items() for family in parts]
    figure = new_figure(1.32 * len(families), 1.42 * plans + 0.9)
    axes = figure.subplots(plans, len(families), squeeze=False)
    try:
        seeds = split_seeds(split)[: plans * 10]
        for column, (layout, family) in enumerate(families):
            place = MIXTURES[layout].index(family)
            own = [seed for seed in seeds if seed % len(MIXTURES[layout]) == place][:plans]
            longest = []
            for row, seed in enumerate(own):
                walls = layout_plan(seed, layout, side).walls
                draw_floor_plan(axes[row, column], walls)
                longest.append(int(distances(walls, np.argwhere(~walls)).max()))
            panel = axes[0, column]
            colour = level_colour(1 if layout == "mixed" else 2)
            panel.set_title(family if family != NESTED else "nested rooms", fontsize=BODY, color=colour)
            axes[-1, column].set_xlabel(f"ways up to {max(longest)}", fontsize=SMALL, color=MUTED)
    except ValueError as error:
        raise InputError(str(error), "layout_gallery") from None
    figure.suptitle(f"Families of floor plans, {side}x{side}", fontsize=TITLE, color=INK)
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    text = {"mixed": "in the mixture for training", "leftout": "left out of it"}
    marks = [
        figure.axes[0].plot([], [], "s", color=level_colour(k), label=text[layout])[0]
        for k, layout in enumerate(MIXTURES, start=1)
    ]
    figure.legend(
        handles=marks,
        loc="outside lower center",
        ncols=len(marks),
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
    )
