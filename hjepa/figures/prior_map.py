"""What each level believes it can do: where its prior says that one of its steps leads, beside what can be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.figures.floor import draw_agent, draw_floor_plan, legend_handles
from hjepa.figures.latent_map import latent_map
from hjepa.figures.style import INK, MUTED, SMALL, TITLE, level_colour, new_figure
from hjepa.model.level_model import LevelModel
from planners.grounding import Unconstrained
from planners.protocols import Problem
from planners.rollouts import sample_rollout
from tasks import cell_distances

if TYPE_CHECKING:
    from hjepa.model.stack import Stack

REACHABLE: dict[str, Any] = {"linestyle": "", "marker": "s", "color": "#DADADA"}


@dataclass(frozen=True)
class PriorPlaces:
    """One step of one level from one state.

    Attributes:
        level: from 1.
        span: environment steps of one step of the level.
        imagined: (N, 2) places x, y that draws from the prior lead to, read by the level's probe.
        reachable: (C, 2) cells x, y that can be reached in ``span`` steps or fewer.
        share: of the imagined places that lie in a cell that can be reached.
    """

    level: int
    span: int
    imagined: np.ndarray
    reachable: np.ndarray
    share: float


@torch.no_grad()
def prior_places(
    stack: Stack, grid: np.ndarray, agent: np.ndarray, level: int, count: int = 200, seed: int = 0
) -> PriorPlaces:
    """Draw single steps from a level's prior.

    Args:
        stack: with probes that have learned places.
        grid: (W, H, 3) the world without the agent.
        agent: (3,) x, y, heading.
        level: from 1.
        count: N, draws.
        seed: of the random key.

    Raises:
        InputError: no such level, an agent in a wall, or fewer than one draw.
    """
    if count < 1:
        raise InputError(f"{count} draws", "figures", "give 1 or more")
    places = latent_map(stack, grid, agent, level)
    here, k = places.number(agent), level - 1
    problem = Problem(
        places.latents[here : here + 1], places.memories[k], 1, Unconstrained(), torch.tensor([seed])
    )
    drawn = sample_rollout(LevelModel(stack, k, 1.0), problem, count).latents[0, :, 0]
    imagined = stack.probe(k).expected(drawn).cpu().numpy()
    states, steps = cell_distances(places.walls)
    span = stack.config.spans[k]
    row = int(np.flatnonzero((states == np.asarray(agent)[:3]).all(-1))[0])
    reachable = np.unique(states[(steps[row] >= 0) & (steps[row] <= span), :2], axis=0)
    within = (np.rint(imagined).astype(int)[:, None] == reachable[None]).all(-1).any(1)
    return PriorPlaces(level, span, imagined, reachable, float(within.mean()))


def prior_map(stack: Stack, grid: np.ndarray, agent: np.ndarray, levels: int, count: int = 200) -> Figure:
    """One panel a level: what can be reached in one of its steps, and what its prior imagines.

    Args:
        stack, grid, agent, count: as of `prior_places`.
        levels: how many, from level 1.

    Raises:
        InputError: what `prior_places` refuses.
    """
    figure = new_figure(4.1 * levels, 5.4)
    jitter = np.random.default_rng(0)
    for k, panel in enumerate(figure.subplots(1, levels, squeeze=False)[0]):
        found = prior_places(stack, grid, agent, k + 1, count, seed=k)
        draw_floor_plan(panel, latent_map(stack, grid, agent).walls)
        width = panel.get_window_extent().width * 72 / figure.dpi / grid.shape[0]
        panel.plot(*found.reachable.T, markersize=0.95 * width, zorder=1, gid="reachable", **REACHABLE)
        moved = found.imagined + jitter.normal(scale=0.1, size=found.imagined.shape)
        panel.scatter(
            *moved.T, s=9, color=level_colour(k + 1), alpha=0.7, linewidths=0, zorder=3, gid="imagined"
        )
        draw_agent(panel, agent, face="white", gid="start")
        steps = f"{found.span} step{'s' if found.span > 1 else ''}"
        panel.set_title(
            f"level {k + 1}: {steps} from now\n{100 * found.share:.0f} % in cells that can be reached",
            fontsize=SMALL + 1.5,
            color=level_colour(k + 1),
        )
    dot = Line2D([], [], linestyle="", marker="o", color=MUTED, markersize=4,
                 label=f"imagined place, one of {count}, in the level's colour")  # fmt: skip
    cell = Line2D([], [], markersize=10, label="can be reached in this time", **REACHABLE)
    figure.legend(
        handles=[legend_handles(walked=False)[0], cell, dot],
        loc="outside lower center", ncols=3 if levels > 1 else 1, fontsize=SMALL, frameon=False,
    )  # fmt: skip
    figure.suptitle(
        "Where one step of each level leads, by its prior", fontsize=TITLE, fontweight="bold", color=INK
    )
    return figure
