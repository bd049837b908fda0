"""The look that all figures share: colours of levels and of time, sizes, and how a figure is made.

Categorical colours are those of Okabe and Ito ("Color universal design", 2008), ordered maps are viridis and
cividis: all can be told apart with any common colour blindness. What has both a level and a time has the level's hue
and is the darker the later it is; lightness is seen alike with every colour blindness. Figures are made without pyplot,
so that drawing leaves no state behind and works under any backend.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure

INK = "#222222"
MUTED = "#595959"
FAINT = "#BDBDBD"
WALL = "#4A4A4A"
FLOOR = "#FFFFFF"
GOAL = "#F0E442"
REFERENCE = "#999999"

DPI = 200
"""Pixels per inch of pictures that are kept."""

SMALL, BODY, TITLE = 9.0, 10.0, 12.0
"""Font sizes in points: notes and tick labels, axis labels, titles."""

_LEVELS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


TINT, SHADE = 0.55, 0.45
"""Shares of white and of black in a level's first and last colour of time."""


def level_colour(level: int) -> str:
    """The colour of a level in every figure, as ``#RRGGBB``; they come again after six levels.

    Args:
        level: from 1.

    Raises:
        ValueError: a level below 1.
    """
    if level < 1:
        raise ValueError(f"level {level}; levels are counted from 1")
    return _LEVELS[(level - 1) % len(_LEVELS)]


def time_map(level: int | None = None) -> Colormap:
    """The colours of environment steps in pictures of a level: its hue, light at first and dark at the end.

    Args:
        level: from 1; None: of things that belong to no level, in viridis without its palest end, which is hard to see
            on white.
    """
    if level is None:
        return ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.93, 256)), name="hjepa_time")
    full = np.array(to_rgb(level_colour(level)))
    tint, shade = full + TINT * (1 - full), (1 - SHADE) * full
    return LinearSegmentedColormap.from_list(f"hjepa_time_{level}", [tint, full, shade])


def time_colours(steps: np.ndarray, first: int, last: int, level: int | None = None) -> np.ndarray:
    """RGBA (N, 4) of environment steps (N,) in a picture of the steps from first to last; level as of `time_map`."""
    return time_map(level)(Normalize(first, max(last, first + 1))(np.asarray(steps, float)))


def plan_stroke(level: int) -> Literal["-"] | tuple[float, tuple[float, float]]:
    """Of a plan's line: whole at level 1, which predicts every step, else dashed: it joins predictions many steps apart
    and may cross walls."""
    return "-" if level == 1 else (0.0, (2.0, 0.8))


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure in inches, with constrained layout."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def plain_axes(axes: Axes, grid: str | None = "y") -> None:
    """Only what is needed: no upper and right spine, small tick labels, faint grid lines along ``grid``."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL, colors=INK)
    axes.set_axisbelow(True)
    if grid is not None:
        options: Any = {"axis": grid, "color": "#E6E6E6", "linewidth": 0.8}
        axes.grid(True, **options)
