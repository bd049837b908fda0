"""An episode as a moving picture: the agent, its path, and the plan that each level follows at that moment."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.figures.floor import agent_corners, agent_size, draw_agent, draw_floor_plan, draw_goal
from hjepa.figures.style import BODY, FAINT, INK, SMALL, level_colour, new_figure
from hjepa.figures.walk import Imagined, Walk, read_walk

if TYPE_CHECKING:
    from hjepa.evaluation.evaluate import Trace


def plan_animation(
    trace: Trace, episode: int = 0, fps: float = 5.0, task: str | None = None
) -> FuncAnimation:
    """One frame per environment step, the start included.

    A line in the colour of a level is the plan it follows, from where the agent stood when it was made; the large
    ring is the subgoal that the plan hands down. A level that was skipped shows nothing until it plans again.

    Args:
        trace: from `hjepa.evaluation.evaluate.play` with an agent made with ``record=True``.
        episode: row of the trace, from 0.
        fps: frames per second.
        task: id for the title; None: the task that the stack was trained for.

    Returns:
        for `save_gif` or `to_html`; keep it until it is saved.

    Raises:
        InputError: no such episode, a trace without decisions, or no positive number of frames per second.
    """
    if not fps > 0:
        raise InputError(f"{fps} frames per second", "figures", "give a positive number")
    walk = read_walk(trace, episode)
    depth = len(walk.plans)
    figure = new_figure(6.2, 6.9)
    axes = figure.add_subplot()
    draw_floor_plan(axes, walk.walls)
    draw_goal(axes, walk.goal, size=16)
    (trail,) = axes.plot([], [], color=FAINT, linewidth=4, solid_capstyle="round", zorder=2, gid="path")
    size = agent_size(len(walk.walls))
    agent = draw_agent(axes, walk.path[0], size=size)
    lines, rings = [], []
    for level in range(1, depth + 1):
        colour = level_colour(level)
        thick = 1.2 + 0.8 * level
        lines += axes.plot([], [], color=colour, linewidth=thick, marker=".", markersize=7, zorder=3 + 1 / level,
                           gid=f"plan-level-{level}")  # fmt: skip
        ring = 5.0 + 4.0 * level
        rings += axes.plot([], [], "o", markersize=ring, markerfacecolor="none", markeredgecolor=colour,
                           markeredgewidth=2.4, zorder=5, gid=f"subgoal-level-{level}")  # fmt: skip
    axes.set_title(f"{task or walk.task}, episode {episode}", fontsize=BODY, fontweight="bold", color=INK)
    status = axes.set_xlabel("", fontsize=BODY)
    handles = [
        Line2D([], [], color=level_colour(k), linewidth=3, label=f"plan of level {k}")
        for k in range(depth, 0, -1)
    ]
    if depth > 1:
        handles.append(Line2D([], [], linestyle="", marker="o", markersize=11, markerfacecolor="none",
                              markeredgecolor=INK, label="subgoal handed down"))  # fmt: skip
    columns = 4 if depth <= 3 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False)

    def draw(step: int) -> Iterable[Artist]:
        trail.set_data(*walk.path[: step + 1, :2].T)
        agent.set_xy(agent_corners(walk.path[step], size))
        for k in range(depth):
            plan = followed(walk.plans[k], step)
            points = np.zeros((0, 2)) if plan is None else np.vstack([plan.origin, plan.positions])
            lines[k].set_data(*points.T)
            # Level 1 hands its first prediction to nobody: it has no ring.
            rings[k].set_data(*(points[1:2] if k else points[:0]).T)
        status.set_text(_status(walk, step))
        return [trail, agent, *lines, *rings, status]

    return FuncAnimation(figure, draw, frames=walk.steps + 1, init_func=lambda: draw(0), interval=1000 / fps)


def followed(plans: list[Imagined], step: int) -> Imagined | None:
    """The plan in force at an environment step; None before the first and while the level is skipped."""
    made = [plan for plan in plans if plan.time <= step]
    return None if not made or made[-1].skipped else made[-1]


def save_gif(
    animation: FuncAnimation, path: str | os.PathLike[str], fps: float = 5.0, dpi: float = 80.0
) -> None:
    """Write an animation as a GIF that repeats.

    Args:
        animation: from `plan_animation`.
        path: file to write.
        fps: frames per second.
        dpi: pixels per inch; the picture is 6.2 by 6.9 inches.
    """
    animation.save(os.fspath(path), writer=PillowWriter(fps=fps), dpi=dpi)  # type: ignore[arg-type]


def to_html(animation: FuncAnimation, fps: float = 5.0) -> str:
    """An animation as HTML with buttons, every frame inside it: for notebooks and pages."""
    return animation.to_jshtml(fps=fps)  # type: ignore[arg-type]


def _status(walk: Walk, step: int) -> str:
    where = f"step {step} of {walk.steps}, {int(walk.left[step])} steps to the goal"
    if step < walk.steps:
        return where
    return f"reached the goal in {step} steps (shortest path: {walk.shortest})" if walk.success else where
