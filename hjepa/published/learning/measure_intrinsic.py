"""What intrinsic cost does to behaviour, and how well a critic foresees what is still to be paid.

    python hjepa/published/learning/measure_intrinsic.py behaviour --json intrinsic-behaviour.json
    python hjepa/published/learning/measure_intrinsic.py critic --json intrinsic-critic.json

Behaviour: shipped weights `nested-d2`, one level, held-out tasks, weights of energy and discomfort one after another;
steps, turns and bumps are counted in the world. Turns are dear, three times a step ahead, so that there is a choice.
Critic: sums of energy and discomfort over the next steps of an explorer's trajectories, from level 1's view of a state.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.evaluation.playing import play
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.perception import draw
from hjepa.model.stack import Stack
from hjepa.settings import IntrinsicSettings
from levels.costs.future_sum import FutureSum, explained, sums_to_come
from planners.intrinsic import IntrinsicCost
from planners.protocols import Trajectory
from tasks import TrajectoryStore, collect, sample_episodes, task_spec
from tasks.randomness import keyed_generator

WEIGHTS = "nested-d2"
PRICES = (1.5, 1.5, 0.5, 0.5, 0.5, 0.5, 0.0)
"""Energy of MiniGrid's actions: turns are dear, doing nothing is free."""
CELLS = ((0.0, 0.0), (0.1, 0.0), (0.3, 0.0), (1.0, 0.0), (3.0, 0.0), (0.0, 1.0))
"""Weights of energy and discomfort."""
HORIZON, DISCOUNT = 8, 0.9


def behaviour(episodes: int, seed: int) -> dict[str, Any]:
    """One cell per pair of weights."""
    stack = load_stack(WEIGHTS)
    spec = task_spec(stack.config.task)
    batch = sample_episodes(spec.id, "test", episodes=episodes, seed=seed)
    cells = []
    for energy, discomfort in CELLS:
        intrinsic = IntrinsicSettings(energy, PRICES, discomfort)
        settings = replace(stack.config.plan, metric="critic", intrinsic=intrinsic)
        options = AgentOptions(levels=1, settings=settings, budget_tflops=spec.default_budget_tflops)
        trace = play(Agent(stack, spec.step_budget, options), spec, batch, 0, seed)
        steps = trace.results.steps
        before, after = trace.agent[:, :-1].astype(int), trace.agent[:, 1:].astype(int)
        counted = np.arange(before.shape[1]) < steps[:, None]
        turned = (before[..., 2] != after[..., 2]) & counted
        still = (before == after).all(-1) & counted
        cells.append(
            {
                "energy": energy, "discomfort": discomfort, "success": trace.results.success.tolist(),
                "steps": steps.tolist(), "turns": turned.sum(1).tolist(), "still": still.sum(1).tolist(),
            }
        )  # fmt: skip
    return {
        "episodes": episodes,
        "oracle_steps": batch.oracle_steps.tolist(),
        "prices": PRICES,
        "cells": cells,
    }


@torch.no_grad()
def states_and_costs(
    stack: Stack, store: TrajectoryStore, count: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What level 1 makes of the first state of windows (B, hidden), and the costs of their steps (B, HORIZON)."""
    level, sight = stack.level(0), stack.world.sight
    assert sight is not None
    plans = store.plans
    windows = store.windows(keyed_generator(seed, "critic"), count // plans * plans, HORIZON + 1, plans)
    grid = store.grids[windows.grid_index[:, 0]]
    cost = IntrinsicCost(1.0, PRICES, 1.0, float(stack.step_distance))
    states, costs = [], []
    each = len(grid) // plans
    for row in range(plans):
        part = slice(row * each, (row + 1) * each)
        frames = draw(sight, np.repeat(grid[part], HORIZON + 1, 0), windows.agent[part].reshape(-1, 3))
        seen = torch.from_numpy(frames.reshape(1, each, HORIZON + 1, *sight.shape))
        memory = stack.write_level(0, seen[:, 0, 0])
        latent = level.encode(seen, memory)[0]
        states.append(level.condition(latent[None, :, 0], memory)[0])
        done = F.one_hot(torch.from_numpy(windows.action[part].astype(np.int64)), 7).float()
        steps = Trajectory(latent[:, 0], done[:, None], latent[:, None, 1:], torch.zeros(each, 1, HORIZON))
        costs.append(cost.per_step(steps)[:, 0])
    return torch.cat(states), torch.cat(costs)


def critic(folder: Path, windows: int, steps: int, seed: int) -> dict[str, Any]:
    """Trains on floor plans of the training split, scores those of the test split."""
    stack = load_stack(WEIGHTS)
    data = []
    for split in ("train", "test"):
        store = collect(
            stack.config.task, folder.with_suffix(f".{split}"), plans=32, episodes_per_plan=8, length=64, seed=seed,
            split=split, explorer="mixture",
        )  # fmt: skip
        state, cost = states_and_costs(stack, store, windows, seed)
        data.append((state, sums_to_come(cost, HORIZON, DISCOUNT)[:, 0]))
    (state, sums), (held, true) = data
    torch.manual_seed(seed)
    head = FutureSum(state.shape[1])
    head.measure(sums)
    optimizer = torch.optim.AdamW(head.parameters(), 3e-3, weight_decay=1e-2)
    rng = keyed_generator(seed, "critic training")
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(state), 256))
        optimizer.zero_grad()
        head.loss(state[rows], sums[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        estimate = head(held)
        learned = explained(head(state), sums)
    lists = {
        name: [float(f"{each:.5g}") for each in value.tolist()]
        for name, value in (("estimate", estimate), ("true", true))
    }
    return {
        "horizon": HORIZON, "discount": DISCOUNT, "windows": windows, "steps": steps, "prices": PRICES,
        "r2_train": learned, "r2": explained(estimate, true), "held_out": lists,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("behaviour", "critic"))
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=24)
    parser.add_argument("--windows", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.what == "behaviour":
        found = behaviour(options.episodes, options.seed)
    else:
        found = critic(options.json, options.windows, options.steps, options.seed)
    facts = {"weights": WEIGHTS, "weights_sha256": describe(WEIGHTS)["sha256"], "seed": options.seed}
    options.json.write_text(re.sub(r",\s+(?=[-\d])", ", ", json.dumps(facts | found, indent=1)) + "\n")


if __name__ == "__main__":
    main()
