"""An episode as a moving picture: the agent, its path, and the plan that each level follows at that moment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.figures.floor import agent_corners, agent_size, draw_agent, draw_floor_plan, draw_goal
from hjepa.figures.style import BODY, FAINT, INK, SMALL, level_colour, new_figure, plan_stroke
from hjepa.figures.walk import Imagined, Walk, read_walk

if TYPE_CHECKING:
    from hjepa.evaluation.evaluate import Trace

HELD = 12
"""Frames for which the end of a moving picture stands still, so that it can be read before it begins anew."""


def plan_animation(
    trace: Trace, episode: int = 0, fps: float = 5.0, task: str | None = None
) -> FuncAnimation:
    """One frame per environment step, the start included.

    A line in the colour of a level is the plan it follows, from where the agent stood when it was made: dashed above
    level 1, where it joins predictions many steps apart and may cross walls. The large ring is the subgoal that the
    plan hands down. A level that was skipped shows nothing until it plans again.

    Args:
        trace: from `hjepa.evaluation.evaluate.play` with an agent made with ``record=True``.
        episode: row of the trace, from 0.
        fps: frames per second.
        task: id for the title; None: the task that the stack was trained for.

    Returns:
        for `save_gif`; keep it until it is saved.

    Raises:
        InputError: no such episode, a trace without decisions, or no positive number of frames per second.
    """
    walk = read_walk(trace, episode)
    return _animation(
        [walk], [f"{task or walk.task}, episode {episode}"], range(walk.steps + 1), fps, 6.2, 6.9
    )


def side_by_side(
    traces: Sequence[Trace], titles: Sequence[str], episode: int = 0, fps: float = 10.0, every: int = 3
) -> FuncAnimation:
    """Several agents on the same task, each in its own panel, as `plan_animation` draws them.

    There is a frame per step until the first agent is there; what the others still walk is shown faster.

    Args:
        traces: one per agent, of the same episodes.
        titles: one per agent.
        episode: row of all traces, from 0.
        fps: frames per second.
        every: steps of a frame after the first agent has ended.

    Raises:
        InputError: other numbers of titles, traces of other tasks, or what `plan_animation` refuses.
    """
    walks = [read_walk(trace, episode) for trace in traces]
    if not walks or len(titles) != len(walks):
        raise InputError(f"{len(titles)} titles of {len(walks)} traces", "figures", "give a title for each")
    first = walks[0]
    for walk in walks:
        if not np.array_equal(walk.walls, first.walls) or not np.array_equal(walk.goal, first.goal):
            raise InputError("traces of different tasks", "figures", "plan the same episodes with all agents")
    soon, last = min(walk.steps for walk in walks), max(walk.steps for walk in walks)
    later = [*range(soon + every, last, every), last] if last > soon else []
    frames = [*range(soon + 1), *later, *[last] * HELD]
    return _animation(walks, titles, frames, fps, 4.9 * len(walks), 5.9)


def _animation(
    walks: Sequence[Walk],
    titles: Sequence[str],
    frames: Sequence[int],
    fps: float,
    width: float,
    height: float,
) -> FuncAnimation:
    if not fps > 0:
        raise InputError(f"{fps} frames per second", "figures", "give a positive number")
    figure = new_figure(width, height)
    panels = [
        _Panel(figure.add_subplot(1, len(walks), place + 1), walk, title)
        for place, (walk, title) in enumerate(zip(walks, titles))
    ]
    depth = max(len(walk.plans) for walk in walks)
    handles = [
        Line2D(
            [], [], color=level_colour(k), linewidth=3, linestyle=plan_stroke(k), label=f"plan of level {k}"
        )
        for k in range(depth, 0, -1)
    ]
    if depth > 1:
        handles.append(Line2D([], [], linestyle="", marker="o", markersize=11, markerfacecolor="none",
                              markeredgecolor=INK, label="subgoal handed down"))  # fmt: skip
    columns = len(handles) if len(walks) > 1 or depth <= 3 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False)
    figure.draw_without_rendering()
    # The same place for everything in every frame; to find it anew each time takes most of the time.
    figure.set_layout_engine("none")

    def draw(step: int) -> Iterable[Artist]:
        return [artist for panel in panels for artist in panel.draw(step)]

    return FuncAnimation(figure, draw, frames=frames, init_func=lambda: draw(0), interval=1000 / fps)


class _Panel:
    """One agent of a moving picture, on its own axes."""

    def __init__(self, axes: Axes, walk: Walk, title: str) -> None:
        self.walk = walk
        draw_floor_plan(axes, walk.walls)
        draw_goal(axes, walk.goal, size=16)
        (self.trail,) = axes.plot(
            [], [], color=FAINT, linewidth=4, solid_capstyle="round", zorder=2, gid="path"
        )
        self.size = agent_size(len(walk.walls))
        self.agent = draw_agent(axes, walk.path[0], size=self.size)
        self.lines: list[Line2D] = []
        self.rings: list[Line2D] = []
        for level in range(1, len(walk.plans) + 1):
            colour = level_colour(level)
            thick = 1.2 + 0.8 * level
            self.lines += axes.plot([], [], color=colour, linewidth=thick, linestyle=plan_stroke(level), marker=".",
                                    markersize=7, zorder=3 + 1 / level, gid=f"plan-level-{level}")  # fmt: skip
            ring = 5.0 + 4.0 * level
            self.rings += axes.plot([], [], "o", markersize=ring, markerfacecolor="none", markeredgecolor=colour,
                                    markeredgewidth=2.4, zorder=5, gid=f"subgoal-level-{level}")  # fmt: skip
        axes.set_title(title, fontsize=BODY, fontweight="bold", color=INK)
        self.status = axes.set_xlabel(_status(walk, 0), fontsize=BODY)

    def draw(self, step: int) -> list[Artist]:
        """Move everything to where it is at a step; behind its last one an agent stands still."""
        walk, step = self.walk, min(step, self.walk.steps)
        self.trail.set_data(*walk.path[: step + 1, :2].T)
        self.agent.set_xy(agent_corners(walk.path[step], self.size))
        for k, plans in enumerate(walk.plans):
            plan = followed(plans, step)
            points = np.zeros((0, 2)) if plan is None else np.vstack([plan.origin, plan.positions])
            self.lines[k].set_data(*points.T)
            # Level 1 hands its first prediction to nobody: it has no ring.
            self.rings[k].set_data(*(points[1:2] if k else points[:0]).T)
        self.status.set_text(_status(walk, step))
        return [self.trail, self.agent, *self.lines, *self.rings, self.status]


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
        dpi: pixels per inch; the picture of one agent is 6.2 by 6.9 inches, of two 9.8 by 5.9.
    """
    animation.save(os.fspath(path), writer=PillowWriter(fps=fps), dpi=dpi)  # type: ignore[arg-type]


def _status(walk: Walk, step: int) -> str:
    where = f"step {step} of {walk.steps}, shortest way left: {int(walk.left[step])} steps"
    if step < walk.steps:
        return where
    if not walk.success:
        return f"not there after {step} steps (shortest path: {walk.shortest})"
    return f"reached the goal in {step} steps (shortest path: {walk.shortest})"
