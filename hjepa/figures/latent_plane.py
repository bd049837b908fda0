"""Latents of all states of a floor plan on a plane, as a metric sees them, with a way walked and a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.figures.cost_map import metric_matrix
from hjepa.figures.floor import legend_handles
from hjepa.figures.latent_map import latent_map
from hjepa.figures.projection import Projection
from hjepa.figures.style import FAINT, GOAL, INK, SMALL, TITLE, level_colour, new_figure, time_map
from hjepa.figures.walk import read_walk
from tasks import cell_distances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hjepa.evaluation.evaluate import Trace

MEANING = {"l2": "as they are (l2)"}


def latent_planes(
    trace: Trace, episode: int = 0, metrics: Sequence[str] = ("l2", "imagined"), level: int | None = None
) -> Figure:
    """One panel a metric: every state of the floor plan, the way that was walked, and the level's first plan.

    A point is a cell and heading. Its colour is the true number of steps to the goal. Near in the plane is near to the
    metric, as far as two dimensions can show it; the title says how much of the variance they hold.

    Args:
        trace: from `hjepa.watch`.
        episode: row of the trace, from 0.
        metrics: distances after a linear map, of `levels.metrics_names.METRICS`.
        level: from 1; None: the top level in use.

    Raises:
        InputError: no such episode, level or metric, a metric that is no distance after a linear map, or a world whose
            states are not cells and headings.
    """
    walk, stack = read_walk(trace, episode), trace.stack
    if trace.episodes.continuous or walk.path.shape[1] != 3:
        raise InputError("agents that have more than a cell and a heading", "figures", "take nested rooms")
    k = len(walk.plans) if level is None else level
    start, goal = walk.path[0], walk.goal
    places = latent_map(stack, trace.episodes.grid[episode], start, k)
    states, steps = cell_distances(places.walls, any_heading=False)
    at_goal = (states[:, :2] == goal[:2]).all(-1)
    left = steps[:, at_goal].min(1)
    made = [plan for plan in walk.plans[k - 1] if not plan.skipped]
    planned = [places.encode(start[None])[0], *(made[0].latents if made else [])]
    figure = new_figure(6.2 * len(metrics), 6.4)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics):
        matrix = metric_matrix(places, goal, metric, start, key=episode)
        plane = Projection.of(places.latents, matrix)
        dots = panel.scatter(
            *plane.place(places.latents).T, c=left, cmap=time_map().reversed(), s=10, alpha=0.8, linewidths=0,
            zorder=2, gid="states",
        )  # fmt: skip
        panel.plot(*plane.place(places.encode(walk.path)).T, color=INK, linewidth=1.3, zorder=3, gid="path")
        points = plane.place(torch.stack(planned))
        panel.plot(*points.T, "o--", color=level_colour(k), linewidth=1.8, zorder=4, gid="plan")
        panel.plot(
            *points[1:2].T, "o", markersize=13, markerfacecolor="none", markeredgecolor=level_colour(k),
            markeredgewidth=2, zorder=5, gid="subgoal",
        )  # fmt: skip
        panel.plot(*points[0], ">", color="white", markeredgecolor=INK, markersize=11, zorder=6, gid="start")
        aim = plane.place(places.encode(goal[None])[0])
        panel.plot(*aim, "*", color=GOAL, markeredgecolor=INK, markersize=18, zorder=6, gid="goal")
        panel.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        panel.spines[:].set_color(FAINT)
        how = MEANING.get(metric, f"in the {metric} metric")
        panel.set_title(
            f"latents {how}\nthe plane holds {100 * plane.shown:.0f} % of the variance", fontsize=SMALL + 2
        )
    figure.colorbar(dots, ax=list(panels), label="true steps to the goal", shrink=0.8)
    marks = legend_handles(walked=False)
    path = Line2D([], [], color=INK, linewidth=1.3, label="way walked")
    plan = Line2D([], [], color=level_colour(k), linestyle="--", marker="o", label=f"level {k}'s first plan")
    ring = Line2D([], [], linestyle="", marker="o", markersize=11, markerfacecolor="none", markeredgewidth=2,
                  markeredgecolor=level_colour(k), label="its subgoal")  # fmt: skip
    figure.legend(
        handles=[marks[0], marks[2], path, plan, ring], loc="outside lower center", ncols=5, fontsize=SMALL,
        frameon=False,
    )  # fmt: skip
    figure.suptitle(
        f"Every cell and heading of the floor plan in level {k}'s latent space",
        fontsize=TITLE,
        fontweight="bold",
        color=INK,
    )
    return figure
