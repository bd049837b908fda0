"""One view, several interpretations: where may an agent be that sees just this?

    python hjepa/published/learning/measure_answers.py --starts 384 --json answers.json --figure answers.png

Level 1 of `nested-d3` reads features of the picture around where its latent is. On test floor plans there are pairs of
cells around which 5 x 5 cells look the same. The energy of a place is the squared difference between what is read
there and what is read at one of the two; gradient descent on places begins everywhere, and the ends are told apart.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hjepa.figures.floor import draw_floor_plan
from hjepa.figures.style import new_figure
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.perception import draw
from hjepa.model.stack import Stack
from levels.encoders.picture import PLACE
from levels.tokens import Glimpse
from planners.answers import Answers, find_answers
from planners.proposals import PriorProposal
from planners.protocols import ActionSpace, Problem, Trajectory
from planners.refiners import AdamRefiner
from planners.spaces import Box
from tasks import floor_plans
from tasks.suite import plan_seeds

WEIGHTS, CASES = "nested-d3", 200
RADIUS, FAR = 2, 5
"""Cells on each side that look the same, and least cells to where the agent stands while its memory is written."""
STARTS, STEPS, RATE = 96, 40, 0.25
NEAR, LOW = 0.5, 0.01
"""Cells from an end to a place, and energy, up to which the place is found; 1 is how places differ on average."""


@dataclass(frozen=True, eq=False)
class Cases:
    """E views that fit two places: grid (E, W, H, 3), and the cells (E, 2, 2); the first is where it was seen."""

    grid: np.ndarray
    cells: np.ndarray
    away: np.ndarray
    plan: np.ndarray


def ambiguous(task: str, count: int) -> Cases:
    """Pairs of cells, and no third, whose surroundings look the same."""
    seeds = plan_seeds(task, "test", 100, "answers")
    grid, walls = floor_plans(task, seeds)
    rows, cells, aways = [], [], []
    for row, plan in enumerate(walls):
        views: dict[bytes, list[tuple[int, int]]] = {}
        free = np.argwhere(~plan)
        for x, y in free:
            if min(x, y) > RADIUS and max(x, y) < len(plan) - RADIUS - 1:
                view = plan[x - RADIUS : x + RADIUS + 1, y - RADIUS : y + RADIUS + 1]
                views.setdefault(view.tobytes(), []).append((int(x), int(y)))
        for pair in (np.array(found) for found in views.values() if len(found) == 2):
            apart = np.abs(free[:, None] - pair).max(-1).min(1)
            if apart.max() >= FAR:
                rows.append(row)
                cells.append(pair)
                aways.append(free[apart.argmax()])
    kept = slice(count)
    return Cases(grid[rows][kept], np.stack(cells)[kept], np.stack(aways)[kept], seeds[rows][kept])


class Places:
    """A model whose one action is a place (x, y) in cells: a latent's places, moved there."""

    flops = lift_flops = 0.0

    def __init__(self, side: int, maps: int) -> None:
        self.middle, self.maps = (side - 1) / 2, maps
        self.space: ActionSpace = Box(torch.zeros(2), torch.full((2,), side - 1.0))

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return latent

    def prior(self, condition: Tensor) -> Tensor:
        spread = condition.new_tensor([self.middle] * 2 + [math.log(self.middle)] * 2)
        return spread.expand(*condition.shape[:-1], 4)

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        moved = PLACE * (action - self.middle)
        return torch.cat([moved.repeat_interleave(self.maps, -1), latent[..., 2 * self.maps :]], -1)

    def lift(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return latent


class ViewEnergy:
    """Squared difference, in units of how places differ on average, between what is read and what was seen (E, F)."""

    flops = 0.0

    def __init__(self, reader: Glimpse, memory: Tensor, seen: Tensor, unit: Tensor) -> None:
        self.reader, self.memory, self.seen, self.unit = reader, memory, seen, unit

    def __call__(self, trajectory: Trajectory) -> Tensor:
        read = centre(self.reader, trajectory.latents[:, :, 0], self.memory)
        return (read - self.seen.unsqueeze(1)).square().sum(-1) / self.unit[:, None]


def centre(reader: Glimpse, latent: Tensor, memory: Tensor) -> Tensor:
    """What is read at the first place itself, (E, N, C)."""
    read: Tensor = reader(latent, memory)
    return read.unflatten(-1, (reader.maps, len(reader.offsets), -1))[..., 0, len(reader.offsets) // 2, :]


@torch.no_grad()
def energies(stack: Stack, cases: Cases) -> tuple[ViewEnergy, Places, Problem]:
    """The energy of each case, the model of places, and the problem."""
    level, sight, side = stack.level(0), stack.world.sight, cases.grid.shape[1]
    assert sight is not None
    reader = level.predictor.reader
    assert isinstance(reader, Glimpse)
    agent = np.concatenate([cases.away, np.zeros((len(cases.away), 1), np.int64)], 1)
    memory = stack.write_level(0, torch.from_numpy(draw(sight, cases.grid, agent)))
    assert memory is not None
    model, count = Places(side, reader.maps), len(cases.grid)
    start = torch.zeros(count, level.settings.latent_dim)
    here = model.advance(start[:, None], start[:, None], torch.from_numpy(cases.cells[:, :1]).float())
    seen = centre(reader, here, memory)[:, 0]
    unit = memory.flatten(1, 2).var(1).sum(-1)
    energy = ViewEnergy(reader, memory, seen, unit)
    return energy, model, Problem(start, memory, 1, energy, torch.arange(count))


@torch.no_grad()
def exact(energy: ViewEnergy, model: Places, problem: Problem, cells: np.ndarray) -> list[float]:
    """The energy of the cells (E, 2) themselves."""
    start, place = problem.start[:, None], torch.from_numpy(cells[:, None]).float()
    latent = model.advance(start, start, place)
    found = energy(Trajectory(problem.start, place.unsqueeze(2), latent.unsqueeze(2), start[..., :1]))
    return [float(f"{each:.3g}") for each in found[:, 0].tolist()]


def judged(answers: Answers, cases: Cases) -> dict[str, Any]:
    """Per case the energies of the ends nearest to the two places (null: none is near), and how many ends are low."""
    ends, cost = answers.actions[:, :, 0], answers.cost
    found = []
    for which in (0, 1):
        away = (ends - torch.from_numpy(cases.cells[:, which]).float().unsqueeze(1)).norm(dim=-1)
        near = torch.where(away <= NEAR, cost, torch.inf).amin(1)
        found.append([float(f"{each:.3g}") if math.isfinite(each) else None for each in near.tolist()])
    low = (cost <= LOW).sum(1)
    both = [one is not None and other is not None and max(one, other) <= LOW for one, other in zip(*found)]
    return {
        "both": [int(each) for each in both], "share": float(np.mean(both)), "energy_here": found[0],
        "energy_there": found[1], "low_ends": low.tolist(),
    }  # fmt: skip


def picture(path: Path, energy: ViewEnergy, model: Places, answers: Answers, cases: Cases, case: int) -> None:
    """The energy of all places of one case, the two places, and the low ends."""
    side, fine = cases.grid.shape[1], 4
    along = torch.linspace(0, side - 1, fine * (side - 1) + 1)
    where = torch.cartesian_prod(along, along)
    one = ViewEnergy(energy.reader, energy.memory[[case]], energy.seen[[case]], energy.unit[[case]])
    start = torch.zeros(1, len(where), energy.reader.maps * 2)
    latents = model.advance(start, start, where[None])
    with torch.no_grad():
        value = one(Trajectory(start[:, 0], where[None, :, None], latents.unsqueeze(2), start[..., 0]))
    shown = value.view(len(along), len(along)).T.clamp_min(1e-3).log10()
    figure = new_figure(5.6, 5.0)
    axes = figure.add_subplot()
    draw_floor_plan(axes, cases.grid[case, ..., 0] == 2)
    image = axes.imshow(
        shown, extent=(-0.125, side - 0.875, side - 0.875, -0.125), cmap="viridis", alpha=0.75, zorder=2
    )
    figure.colorbar(image, label="energy (log10)")
    low = answers.cost[case] <= LOW
    axes.plot(
        *answers.actions[case, low, 0].T, "o", color="white", markersize=11, markeredgecolor="black", zorder=5
    )
    axes.plot(*cases.cells[case].T, "x", color="#D55E00", markersize=8, markeredgewidth=2, zorder=6)
    axes.set_title("One view fits two places (crosses);\ndescent ends in both (circles)", fontsize=10)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--starts", type=int, default=STARTS)
    options = parser.parse_args()
    stack = load_stack(WEIGHTS)
    cases = ambiguous(stack.config.task, options.cases)
    energy, model, problem = energies(stack, cases)
    answers = find_answers(
        model, problem, PriorProposal(options.starts), AdamRefiner(STEPS, RATE), NEAR, 12,
        describe=lambda trajectory: trajectory.actions[:, :, 0],
    )  # fmt: skip
    found = judged(answers, cases)
    found["exact_there"] = exact(energy, model, problem, cases.cells[:, 1])
    facts = {
        "weights": WEIGHTS, "weights_sha256": describe(WEIGHTS)["sha256"], "starts": options.starts,
        "near": NEAR, "low": LOW,
        "plan": cases.plan.tolist(), "cells": cases.cells.tolist(),
    }  # fmt: skip
    options.json.write_text(re.sub(r",\s+(?=[-\dn])", ", ", json.dumps({**facts, **found}, indent=1)) + "\n")
    good = [case for case, both in enumerate(found["both"]) if both]
    picture(options.figure, energy, model, answers, cases, good[0] if good else 0)


if __name__ == "__main__":
    main()
