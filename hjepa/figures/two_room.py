"""TwoRoom drawn, and where the dot went: read off the pictures that the agent sees."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, to_rgba

from hjepa.agent.episodes import Episodes
from hjepa.errors import InputError
from hjepa.figures.floor import draw_path
from hjepa.figures.style import FLOOR, WALL
from tasks.field.two_room import BORDER, LINE, SIDE, background
from tasks.worlds import Observation


def dot_places(pictures: np.ndarray) -> np.ndarray:
    """Where the red dot is: pictures (E, P, P, 3) uint8 -> (E, 2) x, y in units of the world's 224 x 224 drawing.

    Raises:
        InputError: a picture without anything red.
    """
    red = np.clip(pictures[..., 0].astype(float) - pictures[..., 1], 0, None)
    total = red.sum((1, 2))
    if (total <= 0).any():
        raise InputError(f"picture {int(np.argmin(total))} shows no red dot", "figures", "give TwoRoom's")
    middle = (np.arange(red.shape[1]) + 0.5) * SIDE / red.shape[1] - 0.5
    x, y = (red.sum(1) * middle).sum(1), (red.sum(2) * middle).sum(1)
    return np.stack([x, y], 1) / total[:, None]


class Ways:
    """Looks on while tasks are played and keeps where the dot was, see `hjepa.evaluation.worlds.play_world`.

    Attributes:
        sense: name of the picture in an observation.
        places: one (E, 2) per moment, the first before the first step.
    """

    def __init__(self, sense: str = "image") -> None:
        self.sense = sense
        self.places: list[np.ndarray] = []

    def begin(self, state: Episodes, seen: Observation) -> None:
        """The tasks have begun."""
        self.places = [dot_places(seen[self.sense])]

    def step(self, seen: Observation) -> None:
        """A step was taken."""
        self.places.append(dot_places(seen[self.sense]))

    def of(self, task: int, steps: int) -> np.ndarray:
        """The way (steps + 1, 2) that was walked in a task."""
        return np.stack(self.places[: steps + 1])[:, task]


def draw_two_rooms(axes: Axes) -> None:
    """The walls and the door; the axes get equal scales and no ticks, and y grows downward."""
    walls = background()[..., 0] == 0
    colours = ListedColormap([FLOOR, WALL])
    axes.imshow(walls, cmap=colours, vmin=0, vmax=1, interpolation="nearest", zorder=0, gid="rooms")
    low, high = BORDER - LINE - 0.5, SIDE - BORDER + LINE - 0.5
    axes.set(xlim=(low, high), ylim=(high, low), xticks=[], yticks=[], aspect="equal")


def draw_way(axes: Axes, way: np.ndarray, colour: str, width: float = 2.2) -> LineCollection:
    """A way (S + 1, 2) as a line that is pale at first and full at the end."""
    colours = np.array([to_rgba(colour, strength) for strength in np.linspace(0.35, 1.0, len(way) - 1)])
    lines = draw_path(axes, way, colours, width)
    lines.set(zorder=3, gid="way")
    return lines
