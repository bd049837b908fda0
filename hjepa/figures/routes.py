"""Floor plans with the ways that agents of different numbers of levels walked, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.figure import Figure

from hjepa.figures.floor import draw_floor_plan, draw_goal
from hjepa.figures.measured import NARROW, NOTE, TEXT, page_figure, settled
from hjepa.figures.style import INK, MUTED, level_colour


@dataclass(frozen=True)
class Route:
    """What one agent did in one episode.

    Attributes:
        title: above the picture, such as ``2 levels``.
        note: below the title, such as ``solved in 21 steps``.
        level: gives the way its colour.
        path: (S + 1, 2 or more) of x, y, ...; None: it is not known.
    """

    title: str
    note: str
    level: int
    path: np.ndarray | None = None


@dataclass(frozen=True)
class Scene:
    """One episode and the agents that walked it.

    Attributes:
        title: of the row; on a phone a line ends where a semicolon stands.
        walls: (W, H) bool.
        start, goal: x, y, ...
        routes: at least one.
    """

    title: str
    walls: np.ndarray
    start: np.ndarray
    goal: np.ndarray
    routes: Sequence[Route]


def route_panels(scenes: Sequence[Scene], width: float = 960) -> Figure:
    """A row of floor plans for every scene, one picture a number of levels; on a phone two side by side.

    Args:
        scenes: at least one.
        width: CSS pixels.
    """
    most = max(len(scene.routes) for scene in scenes)
    columns = 2 if width < NARROW and most > 1 else max(most, 3)
    lines = [ceil(len(scene.routes) / columns) for scene in scenes]
    cell = min(width / columns, 300)
    # On a phone a title has a line for each of its parts: one line would be cut at the margin.
    titles = [scene.title.replace("; ", "\n") if width < NARROW else scene.title for scene in scenes]
    head = [36 + 18 * title.count("\n") for title in titles]
    figure = page_figure(width, sum(lines) * (cell + 44) + sum(head))
    heights = [above + count * (cell + 44) for above, count in zip(head, lines)]
    parts = figure.subfigures(len(scenes), 1, height_ratios=heights, squeeze=False)
    for scene, title, count, part in zip(scenes, titles, lines, parts[:, 0]):
        part.suptitle(title, x=0.01, ha="left", fontsize=TEXT, color=INK, fontweight="bold")
        grid = part.add_gridspec(count, columns)
        for number, route in enumerate(scene.routes):
            axes = part.add_subplot(grid[number // columns, number % columns])
            draw_floor_plan(axes, scene.walls)
            colour = level_colour(route.level)
            if route.path is not None:
                points = np.asarray(route.path, float)[:, :2]
                axes.plot(
                    points[:, 0], points[:, 1], color=colour, linewidth=2.4, solid_capstyle="round", zorder=3
                )
                axes.plot(*points[-1], "s", color=colour, markersize=6, markeredgecolor=INK, zorder=8)
            axes.plot(
                *np.asarray(scene.start, float)[:2],
                "o",
                color="white",
                markersize=8,
                markeredgecolor=INK,
                zorder=9,
            )
            draw_goal(axes, scene.goal)
            axes.set_title(route.title, fontsize=NOTE + 0.5, color=INK, loc="left", pad=18)
            axes.annotate(
                route.note, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", fontsize=NOTE,
                color=MUTED,
            )  # fmt: skip
            for spine in axes.spines.values():
                spine.set_visible(False)
    return settled(figure)
