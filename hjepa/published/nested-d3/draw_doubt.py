"""Draws what doubt does: one agent twice before a wall that the critic takes for a way, and steps to go at the end.

    python hjepa/published/nested-d3/draw_doubt.py --out docs/img/doubt.png

One level of `nested-d3` on a validation task (seed 70, the 50th) that it fails when the critic is believed.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

import hjepa
from hjepa.agent.options import AgentOptions
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from hjepa.figures.cost_map import draw_cost_map, map_legend
from hjepa.figures.style import BODY, DPI, INK, SMALL, new_figure
from levels.costs.field import FieldCost
from tasks import sample_episodes, task_spec
from tasks.observations import WALL

TASK, SEED, EPISODE = "hjepa/NestedRooms-d3-v0", 70, 49
MOST = 60
"""Steps to go that the darkest colour stands for."""


def walked(doubt: int | None) -> tuple[np.ndarray, np.ndarray, bool, Any]:
    """Cells (T, 2) walked, steps to go (W, H) in the end with walls left out, whether it arrived, and the episode."""
    stack, spec = hjepa.load_stack("nested-d3"), task_spec(TASK)
    settings = replace(stack.config.plan, doubt=doubt, folded=True, block=64)
    agent = make_agent(stack, spec, AgentOptions(levels=1, budget_tflops=0.02, settings=settings))
    kept: list[Any] = []
    begin = agent.begin
    agent.begin = lambda *given: kept.append(begin(*given)) or kept[-1]  # type: ignore[method-assign,func-returns-value]
    episodes = sample_episodes(TASK, "validation", episodes=EPISODE + 1, seed=SEED).select(np.array([EPISODE]))
    trace = play(agent, spec, episodes, EPISODE, SEED)
    # The place that attention gives may be the one beside the agent: cells are drawn with what is read for them.
    critic = stack.critic(0)
    assert isinstance(critic, FieldCost)
    latent = agent.reader.encode(torch.from_numpy(episodes.start_observation["image"]))
    middle = (np.array(episodes.grid.shape[1:3]) - 1) / 2
    beside = np.rint(critic.where(latent)[0].numpy() + middle - episodes.start[0, :2]).astype(int)
    field = np.roll(kept[0].plan.levels[0].field[0, 0].numpy(), -beside, (0, 1))
    field[episodes.grid[0, ..., 0] == WALL] = np.nan
    return trace.agent[0, :, :2], field, bool(trace.results.success[0]), episodes


def panel(axes: Axes, doubt: int | None) -> Any:
    """The way of one agent on the field that it ended with."""
    way, field, arrived, episodes = walked(doubt)
    image = draw_cost_map(axes, field, 0, MOST)
    x, y = way.T + np.random.default_rng(0).normal(0, 0.07, way.T.shape)  # ways that lie on each other
    axes.plot(x, y, color=INK, linewidth=1.6, linestyle=":", zorder=3)
    start, goal = episodes.start[0], episodes.goal[0]
    turned = (">", "v", "<", "^")[int(start[2])]
    axes.plot(*start[:2], turned, color=INK, markersize=9, zorder=4)
    axes.plot(*goal[:2], "*", color="white", markeredgecolor=INK, markersize=14, zorder=4)
    if not arrived:
        axes.plot(*way[-1], "X", color="white", markeredgecolor=INK, markersize=11, zorder=4)
    end = f"arrives after {len(way) - 1} steps" if arrived else f"still there after {len(way) - 1} steps"
    name = "the critic is believed" if doubt is None else f"doubt after {doubt} steps without coming nearer"
    axes.set_title(f"{name}:\n{end}", fontsize=BODY)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    figure = new_figure(10.4, 5.6)
    left, right = figure.subplots(1, 2)
    panel(left, None)
    image = panel(right, 8)
    bar = figure.colorbar(image, ax=[left, right], shrink=0.8, extend="max")
    bar.set_label("steps to the goal that the critic claims, in the end", fontsize=SMALL)
    legend = map_legend(cross="where it stands in the end", way="way walked")
    figure.legend(handles=legend, loc="outside lower center", ncols=5, frameon=False, fontsize=SMALL)
    figure.savefig(out, dpi=DPI)


if __name__ == "__main__":
    main()
