"""The ways that several agents walked on one task, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal, draw_path, legend_handles
from hjepa.figures.style import BODY, INK, MUTED, SMALL, TITLE, new_figure, time_colours
from hjepa.figures.walk import read_walk

if TYPE_CHECKING:
    from hjepa.evaluation.evaluate import Trace

SLANT = 0.25
"""Cells by which a way is moved up and left at its start, and down and right at its end."""


def ways_walked(traces: Sequence[Trace], names: Sequence[str], episode: int = 0) -> Figure:
    """One panel an agent: its way, in the colour of its top level, light at first and dark at the end.

    Lines move a little to the lower right as time goes on, so that a way walked twice can be seen.

    Args:
        traces: one per agent, of the same episodes, from `hjepa.watch`.
        names: one per agent.
        episode: row of all traces, from 0.

    Raises:
        InputError: other numbers of names, traces of other tasks, no such episode, or traces without decisions.
    """
    walks = [read_walk(trace, episode) for trace in traces]
    if not walks or len(names) != len(walks):
        raise InputError(f"{len(names)} names of {len(walks)} traces", "figures", "give a name for each")
    first = walks[0]
    figure = new_figure(4.1 * len(walks), 5.4)
    for panel, walk, name in zip(figure.subplots(1, len(walks), squeeze=False)[0], walks, names):
        if not np.array_equal(walk.walls, first.walls) or not np.array_equal(walk.goal, first.goal):
            raise InputError("traces of different tasks", "figures", "plan the same episodes with all agents")
        path = walk.path[:, :2] + np.linspace(-SLANT, SLANT, walk.steps + 1)[:, None]
        draw_floor_plan(panel, walk.walls)
        colours = time_colours(np.arange(walk.steps), 0, walk.steps, len(walk.plans))
        draw_path(panel, path, colours, width=2.6)
        draw_agent(panel, walk.path[0], face="white", gid="start")
        draw_agent(panel, walk.path[-1], gid="end")
        draw_goal(panel, walk.goal, size=15)
        outcome = "reached the goal in" if walk.success else "not there after"
        panel.set_title(f"{name}\n{outcome} {walk.steps} steps", fontsize=BODY)
    line = Line2D([], [], color=MUTED, linewidth=2.6, label="way walked, light at first and dark at the end")
    figure.legend(
        handles=[line, *legend_handles(walked=False)],
        loc="outside lower center", ncols=4 if len(walks) > 1 else 2, fontsize=SMALL, frameon=False,
    )  # fmt: skip
    figure.suptitle(
        f"The same task (shortest way: {first.shortest} steps)", fontsize=TITLE, fontweight="bold", color=INK
    )
    return figure
