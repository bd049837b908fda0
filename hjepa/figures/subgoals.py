"""The picture of the project: what every level imagined and set as subgoals while one episode was walked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal, draw_path, legend_handles
from hjepa.figures.style import (
    BODY,
    INK,
    MUTED,
    SMALL,
    TITLE,
    level_colour,
    new_figure,
    plain_axes,
    plan_stroke,
    time_colours,
    time_map,
)
from hjepa.figures.walk import Imagined, Walk, between, read_walk

if TYPE_CHECKING:
    from hjepa.evaluation.evaluate import Trace

NUMBERED = 14
"""At most so many subgoals of a panel carry their number; with more, every second or third does."""

SAME = 0.5
"""Subgoals that are less than this apart, in cells, share one label."""


def subgoals(
    trace: Trace, episode: int = 0, start: int | None = None, stop: int | None = None, task: str | None = None
) -> Figure:
    """Floor plan, walked path and every level's subgoals, level by level, above a timeline.

    One panel per level, the top level first: the path walked, every plan that the level made as a line from
    where the agent stood through the predicted latents, read out as positions by the level's probe, and the
    first predicted latent, which is the subgoal of the level below, as a numbered circle (small dots at level 1,
    whose first prediction is the next step). Each level has its colour, light for what it planned early in the episode
    and dark for what it planned late; lines above level 1 are dashed. Plans of a skipped level are not drawn, as nobody
    followed them. Below: when each level planned or was skipped, and the true shortest path left to the goal.

    Args:
        trace: from `hjepa.evaluation.evaluate.play` with an agent made with ``record=True``.
        episode: row of the trace, from 0.
        start, stop: draw only what happened from environment step ``start`` up to ``stop``; None: all of it.
        task: id for the title; None: the task that the stack was trained for.

    Raises:
        InputError: no such episode or steps, or a trace without decisions.
    """
    walk = read_walk(trace, episode)
    first, last = step_range(walk, start, stop)
    depth = len(walk.plans)
    width = max(4.3 * depth, 8.0)
    wide = width >= 12
    heights = [4.6, 0.35 * depth + 0.5, 1.5, 0.5 if wide else 0.9]
    figure = new_figure(width, sum(heights) + 2.0)
    grid = figure.add_gridspec(4, depth, height_ratios=heights)
    for column, level in enumerate(range(depth, 0, -1)):
        draw_level(figure.add_subplot(grid[0, column]), walk, level, first, last, top=column == 0)
    strip = figure.add_subplot(grid[1, :])
    draw_strip(strip, walk, first, last)
    draw_left(figure.add_subplot(grid[2, :], sharex=strip), walk, first, last)
    shown = "" if (first, last) == (0, walk.steps) else f", steps {first} to {last} shown"
    plural = "level" if depth == 1 else "levels"
    subject = f"{task or walk.task}, episode {episode}, {depth} {plural}:"
    figure.suptitle(
        f"{subject}{' ' if wide else chr(10)}{walk.outcome}{shown}",
        fontsize=TITLE,
        fontweight="bold",
        color=INK,
    )
    key = figure.add_subplot(grid[3, :])
    key.set_axis_off()
    key.legend(
        handles=[*legend_handles(*_ends(walk, first, last)), *_plan_handles(depth)],
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.3)},
        loc="center",
        ncols=5 if wide else 3,
        fontsize=SMALL,
        frameon=False,
    )
    figure.supxlabel(_explanation(depth, wide), fontsize=SMALL, color=INK, x=0.5)
    return figure


def step_range(walk: Walk, start: int | None, stop: int | None) -> tuple[int, int]:
    """The steps to draw, checked.

    Raises:
        InputError: none of the episode's steps.
    """
    first, last = 0 if start is None else start, walk.steps if stop is None else stop
    if not 0 <= first < last <= walk.steps:
        raise InputError(
            f"steps {first} to {last} of an episode of {walk.steps}",
            "figures",
            f"choose 0 <= start < stop <= {walk.steps}",
        )
    return first, last


def draw_level(axes: Axes, walk: Walk, level: int, first: int, last: int, top: bool) -> None:
    """The panel of one level."""
    colour = level_colour(level)
    draw_floor_plan(axes, walk.walls)
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=3)
    draw_path(axes, walk.path[first : last + 1], width=4.0)
    plans = between(walk.plans[level - 1], first, last)
    made = [plan for plan in plans if not plan.skipped]
    draw_plans(axes, made, level, first, last)
    draw_goal(axes, walk.goal, size=16)
    draw_agent(axes, walk.path[first], face="white", gid="start")
    draw_agent(axes, walk.path[last], gid="end")
    skipped = len(plans) - len(made)
    note = f", skipped {_times(skipped)}" if skipped else ""
    aim = "aims at the goal" if top else f"aims at level {level + 1}'s subgoals"
    axes.set_title(f"Level {level}: {aim}", fontsize=TITLE, color=colour, fontweight="bold")
    axes.set_xlabel(f"planned {_times(len(made))}{note}", fontsize=BODY, color=INK)


def _ends(walk: Walk, first: int, last: int) -> tuple[str, str]:
    """What the two triangles are: of a part of an episode, where the agent came from and where it walks on."""
    start = "agent at step " + str(first) if first else "start"
    return start, "agent at step " + str(last) if last < walk.steps else "end"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def draw_plans(axes: Axes, plans: list[Imagined], level: int, first: int, last: int) -> None:
    """Imagined plans as lines, their latents as dots, and the subgoals as circles, the darker the later."""
    if not plans:
        return
    colours = time_colours(np.array([plan.time for plan in plans]), first, last, level)
    lines = [np.vstack([plan.origin, plan.positions]) for plan in plans]
    alpha = 0.9 if len(plans) <= NUMBERED else 0.7
    axes.add_collection(
        LineCollection(
            lines,
            colors=colours,
            linewidths=1.6,
            linestyles=[plan_stroke(level)],
            alpha=alpha,
            zorder=4,
            gid=f"plans-level-{level}",
        )
    )
    later = [plan.positions[1:] for plan in plans]
    x, y = np.concatenate(later).T
    axes.scatter(
        x,
        y,
        s=11,
        c=np.repeat(colours, [len(part) for part in later], 0),
        zorder=5,
        linewidths=0,
        gid=f"latents-level-{level}",
    )
    subgoal = np.stack([plan.positions[0] for plan in plans])
    axes.scatter(
        subgoal[:, 0],
        subgoal[:, 1],
        s=20 if level == 1 else 130,
        c=colours,
        edgecolors=level_colour(level),
        linewidths=0.6 if level == 1 else 1.8,
        # Numbers have to be read: they lie on the agent and on the goal.
        zorder=6 if level == 1 else 11,
        gid=f"subgoals-level-{level}",
    )
    if level > 1:
        groups = same_place(subgoal)
        every = -(-len(groups) // NUMBERED)
        for group in groups[::every]:
            colour = colours[group[-1]]
            # One label for all that lie there, as wide as it has to be, in the colours of the last one.
            pill = {"boxstyle": "round,pad=0.25", "facecolor": colour, "edgecolor": level_colour(level),
                    "linewidth": 1.8}  # fmt: skip
            axes.annotate(
                runs([plans[member].number for member in group]),
                subgoal[group[-1]],
                ha="center",
                va="center",
                fontsize=7 if len(group) == 1 else 6,
                fontweight="bold",
                color=ink_on(colour),
                bbox=pill if len(group) > 1 else None,
                zorder=12,
                annotation_clip=False,
                gid=f"number-level-{level}",
            )


def same_place(points: np.ndarray) -> list[list[int]]:
    """Rows of points (N, 2) in groups: a point joins the first group whose first point is less than `SAME` away."""
    groups: list[list[int]] = []
    for row, point in enumerate(points):
        for group in groups:
            if np.hypot(*(points[group[0]] - point)) < SAME:
                group.append(row)
                break
        else:
            groups.append([row])
    return groups


def runs(numbers: list[int]) -> str:
    """Rising numbers in short: ``4–6,9``; of more than three runs the first two and the last."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    texts = [",".join(map(str, run)) if len(run) < 3 else f"{run[0]}–{run[-1]}" for run in found]
    return ",".join(texts if len(texts) < 4 else [*texts[:2], "…", texts[-1]])


def ink_on(colour: np.ndarray) -> str:
    """Black or white, whichever can be read on an RGB(A) colour."""
    return "black" if float(np.dot(colour[:3], (0.299, 0.587, 0.114))) > 0.5 else "white"


def draw_strip(axes: Axes, walk: Walk, first: int, last: int) -> None:
    """When each level planned (circles, numbered as on its map) and when it was skipped (crosses), on its colours."""
    depth = len(walk.plans)
    for level in range(1, depth + 1):
        plans = between(walk.plans[level - 1], first, last)
        made = [plan for plan in plans if not plan.skipped]
        missed = [plan.time for plan in plans if plan.skipped]
        axes.imshow(
            np.linspace(0, 1, 256)[None],
            cmap=time_map(level),
            aspect="auto",
            extent=(first, last, level - 0.06, level + 0.06),
            zorder=1,
            gid=f"time-level-{level}",
        )
        times = np.array([plan.time for plan in made], float)
        axes.scatter(
            times,
            np.full(len(times), level),
            s=20 if level == 1 else 110,
            c=time_colours(times, first, last, level) if len(times) else None,
            # A dot as small as level 1's would be lost in its own colour.
            edgecolors=INK if level == 1 else level_colour(level),
            linewidths=0.6 if level == 1 else 1.6,
            zorder=3,
            clip_on=False,
            gid=f"planned-level-{level}",
        )
        axes.scatter(
            missed,
            np.full(len(missed), level),
            s=45,
            marker="x",
            color=INK,
            linewidths=1.6,
            zorder=3,
            clip_on=False,
            gid=f"skipped-level-{level}",
        )
        if level > 1:
            every = -(-len(made) // (2 * NUMBERED)) if made else 1
            for plan, colour in list(zip(made, time_colours(times, first, last, level)))[::every]:
                axes.annotate(
                    str(plan.number),
                    (plan.time, level),
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color=ink_on(colour),
                    zorder=4,
                )
    plain_axes(axes, grid=None)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(range(1, depth + 1), [f"level {k}" for k in range(1, depth + 1)])
    for level, label in enumerate(axes.get_yticklabels(), 1):
        label.set_color(level_colour(level))
    axes.tick_params(length=0, pad=9, labelbottom=False)
    axes.set(xlim=(first, last), ylim=(0.4, depth + 0.6))
    passed = "; crosses: a level skipped, its goal handed straight to the level below" if depth > 1 else ""
    axes.set_title(f"When each level planned{passed}", fontsize=BODY, loc="left", color=INK)


def draw_left(axes: Axes, walk: Walk, first: int, last: int) -> None:
    """The true shortest path left to the goal, over time."""
    steps = np.arange(first, last + 1)
    axes.plot(steps, walk.left[first : last + 1], color=INK, linewidth=1.8, gid="left")
    if first == 0:
        ideal = np.arange(0, min(walk.shortest, last) + 1)
        axes.plot(ideal, walk.shortest - ideal, color=MUTED, linewidth=1.2, linestyle=":", gid="ideal")
    plain_axes(axes)
    axes.set(xlim=(first, last), ylim=(0, None))
    axes.set_xlabel("environment step", fontsize=BODY)
    axes.set_ylabel("steps to goal", fontsize=BODY)
    dotted = "; dotted: of an agent on a shortest path" if first == 0 else ""
    title = f"True shortest path left (turns count){dotted}"
    axes.set_title(title, fontsize=BODY, loc="left", color=INK)


def _plan_handles(depth: int) -> list[Any]:
    circle: dict[str, Any] = {"linestyle": "", "marker": "o"}
    dots = tuple(
        Line2D([], [], **circle, color=time_map(depth)(when), markersize=7, label="planned early to late")
        for when in (0.0, 0.5, 1.0)
    )
    dot = Line2D([], [], **circle, color=MUTED, markersize=4, label="predicted latent")
    if depth == 1:
        return [dot, _Together(dots)]
    return [
        Line2D([], [], color=MUTED, label="plan of level 1", linewidth=1.6, linestyle=plan_stroke(1)),
        Line2D([], [], color=MUTED, label="plan above level 1", linewidth=1.6, linestyle=plan_stroke(2)),
        Line2D([], [], **circle, color="white", markersize=11, markeredgecolor=MUTED, label="subgoal"),
        dot,
        Line2D([], [], linestyle="", marker="x", color=INK, markersize=7, label="level skipped"),
        _Together(dots),
    ]


class _Together(tuple[Line2D, ...]):
    """Marks that share an entry of a legend."""

    def get_label(self) -> str:
        return str(self[0].get_label())


def _explanation(depth: int, wide: bool) -> str:
    lines = [
        "How to read: a line starts where the agent stood when the level planned and joins the positions that its",
        "predicted latents stand for. Light: early in the episode, dark: late.",
    ]
    if depth > 1:
        lines += [
            "A numbered circle is a plan's first latent, the subgoal of the level below, numbered as on the timeline.",
            "Dashed lines join points many steps apart and may cross walls; a probe reads positions.",
        ]
    else:
        lines += ["Positions are read out by a probe and can fall on walls."]
    if wide:
        return " ".join(lines[:2]) + "\n" + " ".join(lines[2:])
    return "\n".join(lines)
