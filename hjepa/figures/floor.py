"""Drawing a floor plan and what stands on it. Cell (x, y) has its centre at the point (x, y); y grows downward."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from hjepa.figures.style import FAINT, FLOOR, GOAL, INK, WALL
from tasks.observations import HEADINGS


def draw_floor_plan(axes: Axes, walls: np.ndarray) -> None:
    """Walls (W, H) bool, indexed [x, y], as dark cells; the axes get equal scales and no ticks."""
    width, height = walls.shape
    axes.imshow(
        walls.T,
        cmap=ListedColormap([FLOOR, WALL]),
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        zorder=0,
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[], aspect="equal")


def agent_size(shown: float) -> float:
    """Half the length of an agent's triangle, in cells, on a picture that shows so many cells side by side.

    A triangle fills its cell, but no more than a twentieth of the picture.
    """
    return min(0.42, 0.025 * shown)


def agent_corners(agent: np.ndarray, size: float) -> np.ndarray:
    """The triangle (3, 2) of an agent (x, y, heading), which points where the agent looks; size in cells."""
    ahead = HEADINGS[int(agent[2])].astype(float)
    side = np.array([-ahead[1], ahead[0]])
    centre = np.asarray(agent[:2], float)
    return centre + size * np.stack([ahead, -ahead + 0.8 * side, -ahead - 0.8 * side])


def draw_agent(
    axes: Axes, agent: np.ndarray, face: str = INK, size: float | None = None, gid: str = "agent"
) -> Polygon:
    """An agent (x, y, heading) as a triangle; size as of `agent_size`, None: as it says for these axes."""
    if size is None:
        size = agent_size(float(np.ptp(axes.get_xlim())))
    patch = Polygon(
        agent_corners(agent, size), facecolor=face, edgecolor=INK, linewidth=1.1, zorder=9, gid=gid
    )
    axes.add_patch(patch)
    return patch


def draw_goal(axes: Axes, goal: np.ndarray, size: float = 13.0, face: str = GOAL) -> Line2D:
    """A star on the goal cell (x, y, ...); size in points."""
    (mark,) = axes.plot(
        goal[0], goal[1], "*", markersize=size, color=face, markeredgecolor=INK, zorder=10, gid="goal"
    )
    return mark


def draw_path(
    axes: Axes, path: np.ndarray, colours: np.ndarray | None = None, width: float = 2.0
) -> LineCollection:
    """The path walked, (S + 1, 2 or 3) x, y, ...; colours (S, 4), one per step, or None for grey."""
    points = np.asarray(path, float)[:, :2]
    segments = np.stack([points[:-1], points[1:]], 1)
    lines = LineCollection(
        list(segments),
        colors=FAINT if colours is None else colours,
        linewidths=width,
        capstyle="round",
        zorder=2,
        gid="path",
    )
    axes.add_collection(lines)
    return lines


def legend_handles(start: str = "start", end: str = "end", walked: bool = True) -> list[Line2D]:
    """What the marks of this file mean, for a legend; start and end name the white and the dark triangle."""
    marks = [
        (start, ">", "white", 9.0),
        (end, ">", INK, 9.0),
        ("goal", "*", GOAL, 13.0),
    ]
    handles = [
        Line2D([], [], linestyle="", marker=m, color=c, markeredgecolor=INK, markersize=s, label=name)
        for name, m, c, s in marks
    ]
    if walked:
        handles.insert(0, Line2D([], [], color=FAINT, linewidth=3, label="path walked"))
    return handles
