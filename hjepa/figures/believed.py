"""What an agent that sees a part of its world believes of it, what it must keep out of, and what it is after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from hjepa.figures.floor import draw_agent, draw_floor_plan, draw_goal, draw_path
from hjepa.figures.style import FAINT, GOAL, INK, level_colour
from tasks.observations import grid_to_walls
from tasks.views import UNSEEN

NEVER_SEEN: dict[str, Any] = {"facecolor": "#E3E3E3", "edgecolor": "#9A9A9A", "hatch": "....", "linewidth": 0}
FORBIDDEN: dict[str, Any] = {"facecolor": "#F3C7A5", "edgecolor": "#B14D00", "hatch": "////", "linewidth": 1}
DRAWN_LATER: dict[str, Any] = {
    "facecolor": "#F7D4E3",
    "edgecolor": "#A2175B",
    "hatch": "xxxx",
    "linewidth": 1,
}
KEY_COLOUR, DOOR_COLOUR = "#CC79A7", "#A6761D"


def draw_believed(
    axes: Axes,
    known: np.ndarray,
    pose: np.ndarray,
    walked: np.ndarray,
    goal: np.ndarray,
    aim: np.ndarray,
    avoid: np.ndarray | None = None,
    zone: np.ndarray | None = None,
    key: np.ndarray | None = None,
    door: np.ndarray | None = None,
    subgoals: Mapping[int, np.ndarray] | None = None,
) -> None:
    """Draw one moment.

    Args:
        axes: to draw on.
        known: (W, H, 3) what has been seen, with `tasks.views.UNSEEN` where nothing has.
        pose: (3 + M,) x, y, heading, door state, and whether the key still lies there.
        walked: (S, A) agents up to now.
        goal: x, y, ... of the goal.
        aim: (2,) x, y of what is aimed at now.
        avoid: (W, H) bool, cells forbidden from the start.
        zone: (W, H) bool, cells forbidden on the way.
        key, door: (2,) their cells.
        subgoals: level -> (2,) x, y of the subgoal that it handed down.
    """
    draw_floor_plan(axes, grid_to_walls(known[None])[0])
    for cells, look in ((known[..., 0] == UNSEEN, NEVER_SEEN), (avoid, FORBIDDEN), (zone, DRAWN_LATER)):
        for x, y in [] if cells is None else np.argwhere(cells):
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **look))
    draw_path(axes, walked, width=3)
    if key is not None and pose[-1]:
        axes.plot(*key, "P", markersize=11, color=KEY_COLOUR, markeredgecolor=INK)
    if door is not None:
        face = "white" if pose[3] == 0 else DOOR_COLOUR
        axes.plot(*door, "s", markersize=11, color=face, markeredgecolor=INK)
    draw_goal(axes, goal)
    axes.plot(*aim, "o", markersize=19, fillstyle="none", color=INK, markeredgewidth=1.6)
    draw_agent(axes, pose, size=0.36)
    for level, place in sorted((subgoals or {}).items(), reverse=True):
        colour = level_colour(level)
        axes.plot([pose[0], place[0]], [pose[1], place[1]], "--", color=colour, linewidth=1.6, zorder=8)
        axes.plot(
            *place, "o", markersize=13, color="white", markeredgecolor=colour, markeredgewidth=2.2, zorder=9
        )
        axes.text(
            place[0], place[1], str(level), ha="center", va="center", fontsize=8, fontweight="bold", zorder=10
        )


def believed_legend(levels: int = 3, zone: bool = False) -> list[Artist]:
    """What the marks of `draw_believed` mean.

    Args:
        levels: of the agent; above level 1 each hands subgoals down.
        zone: whether cells are forbidden on the way.
    """

    def mark(marker: str, label: str, colour: str, **more: Any) -> Line2D:
        return Line2D([], [], linestyle="", marker=marker, color=colour, label=label, **more)

    found: list[Artist] = [
        mark(">", "agent", INK, markersize=9),
        mark("P", "key", KEY_COLOUR, markeredgecolor=INK, markersize=9),
        mark("s", "door (white: open)", DOOR_COLOUR, markeredgecolor=INK, markersize=9),
        mark("*", "goal", GOAL, markeredgecolor=INK, markersize=13),
        mark("o", "aimed at now", INK, fillstyle="none", markersize=12),
    ]
    for level in range(levels, 1, -1):
        look: dict[str, Any] = {
            "markeredgecolor": level_colour(level),
            "markeredgewidth": 2.2,
            "markersize": 11,
        }
        found.append(mark("o", f"subgoal that level {level} hands down", "white", **look))
    found += [
        Line2D([], [], color=FAINT, linewidth=3, label="walked"),
        Patch(label="forbidden", **FORBIDDEN),
        Patch(label="never seen", **NEVER_SEEN),
    ]
    if zone:
        found.append(Patch(label="forbidden on the way", **DRAWN_LATER))
    return found
