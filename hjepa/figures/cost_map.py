"""What a cost says of latents on one floor plan, measured as planning measures it, and drawn as a map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from hjepa.errors import InputError
from hjepa.figures.latent_map import LatentMap
from hjepa.figures.style import INK, WALL
from hjepa.settings import WalkSettings
from levels.metrics import squared_distance
from levels.metrics_names import METRICS

Cost = Callable[[Tensor], Tensor]
"""Latents (..., D) -> what they cost (...)."""


@torch.no_grad()
def cost_to(
    places: LatentMap,
    goal: np.ndarray,
    metric: str,
    start: np.ndarray | None = None,
    walks: WalkSettings | None = None,
    key: int = 0,
) -> Cost:
    """How far latents of a map's level are from a goal.

    Args:
        places: of a floor plan.
        goal: (3,) x, y, heading.
        metric: one of `levels.metrics_names.METRICS`. `critic` counts steps to go, the others are squared distances.
        start: (3,) where half of the walks of `imagined` begin; the others begin at the goal. None: all at the goal.
        walks: of `imagined`; None: the stack's.
        key: of the walks.

    Raises:
        InputError: no such metric.
    """
    stack, k = places.stack, places.level - 1
    if metric not in METRICS:
        raise InputError(f"metric {metric!r}", "figures", f"choose from {', '.join(METRICS)}")
    aim = places.encode(np.asarray(goal)[None])
    if metric == "critic":
        critic, settings = stack.critic(k), stack.config.critic
        assert settings is not None
        field = critic.field(places.layout, aim, settings.sweeps)
        return lambda latents: critic(latents.reshape(1, -1, latents.shape[-1]), field).view(
            latents.shape[:-1]
        )
    own = metric_matrix(places, goal, metric, start, walks, key)
    return lambda latents: squared_distance(latents, aim[0].expand_as(latents), own)


@torch.no_grad()
def metric_matrix(
    places: LatentMap,
    goal: np.ndarray,
    metric: str,
    start: np.ndarray | None = None,
    walks: WalkSettings | None = None,
    key: int = 0,
) -> Tensor | None:
    """The linear map (D, M) of latents after which a metric is plain distance; None: of ``l2``, which has none.

    Args:
        places, goal, metric, start, walks, key: as of `cost_to`.

    Raises:
        InputError: no metric that is a distance after a linear map.
    """
    stack, k = places.stack, places.level - 1
    if metric not in METRICS or metric == "critic":
        linear = ", ".join(name for name in METRICS if name != "critic")
        raise InputError(f"metric {metric!r}", "figures", f"choose from {linear}")
    if metric != "imagined":
        return stack.metric(metric, k)
    from hjepa.agent.imagination import imagined_metrics
    from hjepa.model.level_model import LevelModel

    ends = places.encode(np.stack([goal if start is None else start, goal]), 1)[None]
    part = stack.truncate(places.level)
    keys = torch.full((1,), key, dtype=torch.int64, device=ends.device)
    models = [LevelModel(part, level, 1.0) for level in range(places.level)]
    memories = places.memories[: places.level]
    return imagined_metrics(part, models, ends, memories, keys, walks or stack.config.plan.walks)[-1][0]


def draw_cost_map(
    axes: Axes, values: np.ndarray, least: float | None = None, most: float | None = None
) -> AxesImage:
    """A cost of every cell (W, H), near bright and far dark; walls, where it is NaN, as tiles with an edge.

    Args:
        axes: to draw on; they get equal scales and no ticks.
        values: indexed [x, y].
        least, most: ends of the colours; None: those of the values.
    """
    width, height = values.shape
    image = axes.imshow(
        np.ma.masked_invalid(values.T),
        cmap=_near_to_far(),
        interpolation="nearest",
        vmin=least,
        vmax=most,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        zorder=0,
        gid="cost",
    )
    for x, y in np.argwhere(np.isnan(values)):
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, zorder=1, **_TILE))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[], aspect="equal")
    return image


def map_legend(*, start: bool = True, cross: str = "", way: str = "") -> list[Artist]:
    """What the marks on a map of costs mean; ``cross`` and ``way`` name a dark cross and a white line, if there are."""
    found: list[Artist] = []
    if start:
        found.append(_mark("agent, at the start", ">", INK, 9))
    found += [_mark("goal", "*", "white", 14), _mark("wall", "s", WALL, 10)]
    if cross:
        found.append(_mark(cross, "X", "white", 11))
    if way:
        found.append(Line2D([], [], color=INK, linewidth=2, linestyle=":", label=way))
    return found


_TILE: dict[str, Any] = {"facecolor": WALL, "edgecolor": "white", "linewidth": 0.6}


def _mark(label: str, marker: str, face: str, size: float) -> Line2D:
    return Line2D(
        [], [], linestyle="", marker=marker, color=face, markeredgecolor=INK, markersize=size, label=label
    )


def _near_to_far() -> Colormap:
    """Viridis from its bright end, without its darkest third: walls are dark."""
    colours = colormaps["viridis"](np.linspace(1.0, 0.25, 256))
    return ListedColormap(colours, name="hjepa_near_to_far").with_extremes(bad=WALL)
