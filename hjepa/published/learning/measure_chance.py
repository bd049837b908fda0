"""What a latent variable is worth where steps may turn out in two ways, and how many bits it is told where.

    python hjepa/published/learning/measure_chance.py --world slippery --json chance-slippery.json
    python hjepa/published/learning/measure_chance.py --world door --json chance-door.json

Level 1 of shipped weights goes on seeing as it did. Its predictor goes on learning in the world of chance, twice, from
the same transitions and for as many steps: as it is, and with a latent variable. Floor plans of the test split are
scored.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hjepa.evaluation.energy_score import score_level, widened
from hjepa.evaluation.statistics import paired_difference
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.perception import draw
from hjepa.model.stack import Stack
from hjepa.tensors import as_tensor
from levels.level import Level
from levels.settings import LatentVariableSettings
from tasks import floor_plans
from tasks.chance import CLOSES, SLIPS, closing_step, slippery_step
from tasks.dynamics import step_agents
from tasks.observations import FIRST_DOOR, FORWARD, FREE, IN_HAND, OPEN, TOGGLE
from tasks.randomness import keyed_generator
from tasks.suite import plan_seeds

WINDOWS, MOMENTS = 32, 3
"""Windows of a floor plan, and moments in each."""
FUTURES = 32
CODES = 4


@dataclass(frozen=True, eq=False)
class World:
    """A world of chance.

    Attributes:
        weights: shipped, of the same world without chance.
        step: (walls, agents, actions, uniform numbers, probability) -> agents.
        chance: the probability.
        actions: those that are drawn.
    """

    weights: str
    step: Callable[..., np.ndarray]
    chance: float
    actions: tuple[int, ...]


WORLDS = {
    "slippery": World("nested-d2", slippery_step, SLIPS, (0, 1, FORWARD, FORWARD, FORWARD)),
    "door": World("told-nested-keys-d2", closing_step, CLOSES, (0, 1, FORWARD, FORWARD, TOGGLE, 6)),
}


def transitions(world: World, task: str, split: str, plans: int) -> dict[str, np.ndarray]:
    """Windows from anywhere on floor plans: grid (P, ...), agent (P, n, F, A), action, uncertain and other (P, n, F-1).

    ``uncertain`` says whether chance could have made another state of the step, ``other`` whether it did.
    """
    seeds = plan_seeds(task, split, plans, "chance")
    grid, walls = floor_plans(task, seeds)
    rng = keyed_generator("chance", task, split)
    barriers = np.repeat(walls, WINDOWS, 0)
    free = np.where(barriers == FREE, rng.random(barriers.shape), -1.0).reshape(len(barriers), -1).argmax(1)
    x, y = np.divmod(free, barriers.shape[2])
    agent = np.stack([x, y, rng.integers(0, 4, len(x))], 1)
    if walls.dtype != np.bool_:
        # The door open and the key in hand; half of the agents stand around the door.
        agent = np.concatenate([agent, np.full((len(x), 1), OPEN), np.full((len(x), 1), IN_HAND)], 1)
        doors = np.argwhere(barriers >= FIRST_DOOR)[:, 1:]
        near = np.abs(doors - agent[:, :2]).sum(1)
        agent[:, 3] = np.where((near > 6) & (rng.random(len(x)) < 0.3), 1, OPEN)
    agents, actions, uncertain, other = [agent], [], [], []
    for _ in range(MOMENTS - 1):
        action = rng.choice(world.actions, len(agent))
        sure, by_chance = (
            world.step(barriers, agents[-1], action, np.full(len(agent), each), world.chance)
            for each in (1.0, 0.0)
        )
        after = world.step(barriers, agents[-1], action, rng.random(len(agent)), world.chance)
        actions.append(action)
        uncertain.append((sure != by_chance).any(1))
        other.append((after != step_agents(barriers, agents[-1], action)).any(1))
        agents.append(after)
    found = {
        "agent": np.stack(agents, 1), "action": np.stack(actions, 1),
        "uncertain": np.stack(uncertain, 1), "other": np.stack(other, 1),
    }  # fmt: skip
    shaped = {name: value.reshape(plans, WINDOWS, *value.shape[1:]) for name, value in found.items()}
    return {**shaped, "grid": grid, "seed": seeds}


@torch.no_grad()
def encoded(stack: Stack, found: dict[str, np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """What memories are written from, latents (P, n, F, D) and one-hot actions."""
    grid, agent = found["grid"], found["agent"]
    sight = stack.world.sight
    context, moments = as_tensor(grid), as_tensor(agent)
    if sight is not None:
        flat = agent.reshape(-1, agent.shape[-1])
        frames = draw(sight, np.repeat(grid, len(flat) // len(grid), 0), flat)
        moments = torch.from_numpy(frames.reshape(*agent.shape[:3], *sight.shape))
        context = moments[:, 0, 0]
    latents = [
        stack.encode(moments[[row]], [stack.write_level(0, context[[row]])], upto=1)[0]
        for row in range(len(grid))
    ]
    return context, torch.cat(latents), F.one_hot(as_tensor(found["action"]), stack.world.actions).float()


def train(stack: Stack, level: Level, data: tuple[Tensor, Tensor, Tensor], steps: int, seed: int) -> Level:
    """The level, trained in place of the stack's on latents that stay."""
    stack.levels[0] = level.train()
    optimizer = torch.optim.AdamW(level.parameters(), 2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    rng = keyed_generator("chance training", seed)
    context, latent, action = data
    torch.manual_seed(seed)
    for step in range(steps):
        rows = rng.integers(0, len(context), 8)
        memory = stack.write_level(0, context[rows])
        loss, _ = level.losses(latent[rows], action[rows], memory, step / steps, encoded=True)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(level.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return level.eval().requires_grad_(False)


@torch.no_grad()
def scored(
    stack: Stack, level: Level, data: tuple[Tensor, Tensor, Tensor], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Energy scores and bits of all transitions, (P * n * (F - 1),) each."""
    stack.levels[0] = level
    context, latent, action = data
    memory = stack.write_level(0, context)
    before, after = latent[:, :, :-1].flatten(1, 2), latent[:, :, 1:].flatten(1, 2)
    generator = torch.Generator().manual_seed(seed)
    score, bits = score_level(level, before, after, action.flatten(1, 2), memory, FUTURES, generator)
    return score.flatten().numpy(), bits.flatten().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", choices=sorted(WORLDS), required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument(
        "--sharp", type=float, default=4.0, help="codes are told apart at a step's length by this"
    )
    parser.add_argument(
        "--plans", type=int, default=64, help="floor plans to learn from; half as many are scored"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    world = WORLDS[options.world]
    stack = load_stack(world.weights)
    task, settings = stack.config.task, stack.config.levels[0]
    learned, held = (
        transitions(world, task, split, count)
        for split, count in (("train", options.plans), ("test", options.plans // 2))
    )
    data, tested = encoded(stack, learned), encoded(stack, held)
    sigma = float((data[1][:, :, 1:] - data[1][:, :, :-1]).norm(dim=-1).quantile(0.75)) / options.sharp
    source = deepcopy(stack.level(0))
    torch.manual_seed(options.seed)
    unsaid = LatentVariableSettings(CODES, sigma)
    coded = widened(
        Level(replace(settings, latent_variable=unsaid), 0, stack.world.actions, stack.world), source
    )
    found: dict[str, Any] = {"plan": np.repeat(held["seed"], WINDOWS * (MOMENTS - 1))}
    for name, level in (("one", deepcopy(source).requires_grad_(True)), ("several", coded)):
        trained = train(stack, level, data, options.steps, options.seed)
        found[name], bits = scored(stack, trained, tested, options.seed)
    found |= {"bits": bits, "uncertain": held["uncertain"].ravel(), "other": held["other"].ravel()}
    facts = {
        "world": options.world, "task": task, "weights_sha256": describe(world.weights)["sha256"],
        "seed": options.seed, "steps": options.steps, "futures": FUTURES, "codes": CODES, "sigma": sigma,
        "chance": world.chance, "table": table(found, options.seed),
    }  # fmt: skip
    lists = {name: [_plain(each) for each in value.tolist()] for name, value in found.items()}
    options.json.write_text(
        re.sub(r",\s+(?=[-\d])", ", ", json.dumps({**facts, "transitions": lists}, indent=1)) + "\n"
    )


def table(found: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Per kind of transition: how many, the scores, their difference with a 95 % interval, and bits."""
    rows = []
    sure = ~np.asarray(found["uncertain"], bool)
    for name, kept in (("all", sure | ~sure), ("uncertain", ~sure), ("certain", sure)):
        part = {key: np.asarray(value)[kept] for key, value in found.items()}
        rng = keyed_generator(seed, "energy score", name)
        gain = paired_difference(part["one"], part["several"], rng, 2000, layouts=part["plan"].astype(str))
        rows.append(
            {
                "transitions": name, "count": int(kept.sum()), "plans": len(np.unique(part["plan"])),
                "one": float(part["one"].mean()), "several": float(part["several"].mean()),
                "gain": gain.value, "lo": gain.lo, "hi": gain.hi, "bits": float(part["bits"].mean()),
                "bits_if_other": float(part["bits"][part["other"].astype(bool)].mean()) if part["other"].any() else 0.0,
            }
        )  # fmt: skip
    return rows


def _plain(value: float | bool | int) -> float | int:
    return float(f"{value:.5g}") if isinstance(value, float) else int(value)


if __name__ == "__main__":
    main()
