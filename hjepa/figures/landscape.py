"""Energy landscapes: how far every cell is from the goal in a level's latent space, on the floor plan.

What a level's planner descends. A landscape without false valleys ranks cells as the true path length does, so
each title gives their rank correlation (Spearman 1904).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hjepa.evaluation.statistics import rank_correlation
from hjepa.figures.cost_map import cost_to
from hjepa.figures.floor import draw_goal
from hjepa.figures.latent_map import latent_map
from hjepa.figures.style import BODY, INK, MUTED, SMALL, TITLE, level_colour, new_figure
from tasks import distances

if TYPE_CHECKING:
    from hjepa.model.stack import Stack

LANDSCAPE_WALL = "#C4C4C4"
"""Walls between the colours of viridis: neither its dark nor its bright end."""


@dataclass(frozen=True)
class Landscape:
    """The energy of one level towards one goal.

    Attributes:
        level: from 1.
        energy: (W, H) squared distance to the goal's latent, least over the four headings; NaN at walls.
        path: (W, H) steps of the shortest path to the goal, least over the headings; NaN where there is none.
        rank_correlation: Spearman's, between both, over the cells with a path.
    """

    level: int
    energy: np.ndarray
    path: np.ndarray
    rank_correlation: float


def landscape(
    stack: Stack, grid: np.ndarray, goal: np.ndarray, level: int, metric: str = "commute"
) -> Landscape:
    """The energy of every free cell, as numbers; of a stack that sees, from a picture of the agent at the goal.

    Args:
        stack: trained levels.
        grid: (W, H, 3) the world without the agent, as `tasks.EpisodeBatch.grid[e]`.
        goal: (3,) x, y, heading.
        level: from 1.
        metric: one of `levels.metrics_names.METRICS`; `critic` gives its steps to the goal.

    Raises:
        InputError: no such level or metric.
    """
    places = latent_map(stack, grid, goal, level)
    energy = places.as_map(cost_to(places, goal, metric)(places.latents).cpu())
    steps = distances(places.walls[None], np.asarray(goal)[None])[0].min(-1)
    path = np.where(steps >= 0, steps, np.nan)
    known = ~np.isnan(path)
    return Landscape(level, energy, path, rank_correlation(energy[known], path[known]))


def energy_landscape(
    stack: Stack, grid: np.ndarray, goal: np.ndarray, level: int, metric: str = "commute"
) -> Figure:
    """The energy of one level as a heat map; arguments and errors as for `landscape`."""
    found = landscape(stack, grid, goal, level, metric)
    figure = new_figure(5.6, 5.4)
    _draw(figure, figure.add_subplot(), found, goal, metric)
    _explain(figure)
    return figure


def landscapes(stack: Stack, grid: np.ndarray, goal: np.ndarray, metric: str = "commute") -> Figure:
    """The energy of every level side by side, the top level first, and the true path length for comparison.

    Arguments and errors as for `landscape`.
    """
    found = [landscape(stack, grid, goal, level, metric) for level in range(stack.depth, 0, -1)]
    figure = new_figure(4.4 * (len(found) + 1), 5.4)
    figure.suptitle("How far each level thinks the goal is", fontsize=TITLE, fontweight="bold", color=INK)
    # The critic counts steps, as the truth does: equal colours have to mean equal numbers.
    farthest = None
    if metric == "critic":
        farthest = max(float(np.nanmax(values)) for one in found for values in (one.energy, one.path))
    for place, one in enumerate(found):
        _draw(figure, figure.add_subplot(1, len(found) + 1, place + 1), one, goal, metric, farthest)
    last = figure.add_subplot(1, len(found) + 1, len(found) + 1)
    _heat(figure, last, found[0].path, goal, "steps, turns counted", farthest)
    last.set_title("True shortest path\nfor comparison", fontsize=BODY, color=INK, fontweight="bold")
    _explain(figure, "" if metric == "critic" else " Every map has a scale of its own.")
    return figure


def _draw(
    figure: Figure, axes: Axes, found: Landscape, goal: np.ndarray, metric: str, farthest: float | None = None
) -> None:
    colour = level_colour(found.level)
    label = "steps to the goal (critic)" if metric == "critic" else f"squared distance to the goal ({metric})"
    _heat(figure, axes, found.energy, goal, label, farthest)
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=3)
    title = f"Level {found.level}\nrank correlation with true path: {found.rank_correlation:.2f}"
    axes.set_title(title, fontsize=BODY, color=colour, fontweight="bold")


def _heat(
    figure: Figure,
    axes: Axes,
    values: np.ndarray,
    goal: np.ndarray,
    label: str,
    farthest: float | None = None,
) -> None:
    width, height = values.shape
    colours = colormaps["viridis_r"].with_extremes(bad=LANDSCAPE_WALL)
    image = axes.imshow(
        np.ma.masked_invalid(values.T),
        cmap=colours,
        interpolation="nearest",
        vmin=None if farthest is None else 0.0,
        vmax=farthest,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        gid="energy",
    )
    # Yellow is the colour of what is near: the star has to stand out from it.
    draw_goal(axes, goal, size=15, face="white")
    axes.set(xticks=[], yticks=[])
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.85, pad=0.03)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def _explain(figure: Figure, more: str = "") -> None:
    text = "Star: the goal. Bright: near it. Grey: walls. Each cell takes the nearest of its four headings."
    figure.supxlabel(f"\n{text}{more}", fontsize=SMALL, color=MUTED)
