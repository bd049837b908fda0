"""Shipped weights: small, made by the preset of their name, and as good as their card says."""

from __future__ import annotations

import json
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import hjepa
from hjepa.config import load_preset, parse_config, with_plan
from hjepa.devices import fix_threads
from hjepa.evaluation.records import Record, overrides_of, read_records
from hjepa.model.checkpoints import SHIPPED, describe
from hjepa.model.perception import draw
from tasks import cell_distances, sample_episodes, step_agents

NAMES = sorted(folder.parent.name for folder in SHIPPED.glob("*/model.json"))
PUBLISHED = Path(hjepa.__file__).parent / "published"
REPLAYED = 8
"""Episodes that are planned anew, the first of a published list."""


def test_all_weights_together_are_small() -> None:
    assert NAMES
    sizes = [(SHIPPED / name / "model.safetensors").stat().st_size for name in NAMES]
    assert max(sizes) <= 5_000_000 and sum(sizes) <= 40_000_000


@pytest.mark.parametrize("name", NAMES)
def test_weights_come_from_the_preset_of_their_name_and_have_a_card(name: str) -> None:
    found, card = describe(name), (PUBLISHED / name / "card.md").read_text()
    assert found["sha256"] in card
    # The last command that trains them, as the card has it; parsed, so that later settings have their defaults.
    commands = [line for line in card.replace("\\\n", " ").splitlines() if line.startswith("hjepa fit ")]
    words = shlex.split([line for line in commands if f"--preset {name} " in line][-1])
    overrides = [value for word, value in pairwise(words) if word == "--set"]
    assert parse_config(found["config"], name) == load_preset(name, overrides)
    assert ("--start" in words) == ("start_sha256" in found)
    records = json.loads((PUBLISHED / name / "results.json").read_text())
    assert {record["checkpoint_sha256"] for record in records} == {found["sha256"]}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("told-nested-d")])
def test_level_1_imagines_unseen_plans_exactly(name: str) -> None:
    stack = hjepa.load_stack(name)
    episodes = sample_episodes(stack.config.task, "validation", episodes=4, seed=3)
    memories, level = stack.write(torch.from_numpy(episodes.grid)), stack.level(0)
    memory = memories[0]
    assert memory is not None
    rng, exact = np.random.default_rng(0), []
    for episode in range(4):
        walls = episodes.walls[episode : episode + 1].repeat(100, 0)
        states = np.asarray(cell_distances(walls[0])[0])
        own, agent = memory[episode : episode + 1], states[rng.integers(0, len(states), 100)]
        every = level.encode(torch.from_numpy(states)[None], None)[0]
        latent = level.encode(torch.from_numpy(agent)[None], None)
        for _ in range(8):
            action = rng.choice(3, 100, p=[0.2, 0.2, 0.6])
            agent = step_agents(walls, agent, action)
            step = F.one_hot(torch.from_numpy(action), stack.world.actions).float()[None]
            latent = level.advance(latent, level.condition(latent, own), step)
        nearest = states[torch.cdist(latent[0], every).argmin(1).numpy()]
        exact.append((nearest == agent).all(-1).mean())
    assert np.mean(exact) >= 0.98


def published(name: str) -> Record:
    """The list of the whole stack under the critic, whose walks depend on rounding least."""
    records = read_records(PUBLISHED / name / "results.json")
    first = [r for r in records if r["seed"] == 0]
    own = [r for r in first if r["metric"] == "critic"]
    plain = [r for r in own if not r.get("overrides")]
    return max(plain or own or first, key=lambda record: record["levels"])


@pytest.mark.parametrize("name", NAMES)
def test_who_is_told_the_state_says_so(name: str) -> None:
    assert name.startswith("told-") == (not hjepa.load_stack(name).sees)


MISSES = ("nested-d3-images",)
"""Weights whose level 1 imagines 8 steps exactly in less than 95 %: measured, 94, and said in the card."""


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("nested-d")])
def test_level_1_sees_where_it_is_and_imagines_unseen_plans_exactly(name: str) -> None:
    stack = hjepa.load_stack(name)
    level, sight = stack.level(0), stack.world.sight
    assert sight is not None
    episodes = sample_episodes(stack.config.task, "validation", episodes=4, seed=3)
    rng, seen, exact = np.random.default_rng(0), [], []
    for episode in range(4):
        grid, walls = episodes.grid[episode : episode + 1], episodes.walls[episode : episode + 1]
        states = np.asarray(cell_distances(walls[0])[0])

        def latents(agent: np.ndarray, grid: np.ndarray = grid) -> torch.Tensor:
            parts = [
                torch.from_numpy(draw(sight, grid.repeat(len(some), 0), some))[None]
                for some in np.array_split(agent, 4)
            ]
            return torch.cat([level.encode(part, None) for part in parts], 1)

        every, agent = latents(states)[0], states[rng.integers(0, len(states), 100)]
        memory = level.write(torch.from_numpy(draw(sight, grid, agent[:1])))
        latent = latents(agent)
        seen.append((states[torch.cdist(latent[0], every).argmin(1).numpy()] == agent).all(-1).mean())
        for _ in range(8):
            action = rng.choice(3, 100, p=[0.2, 0.2, 0.6])
            agent = step_agents(walls.repeat(100, 0), agent, action)
            step = F.one_hot(torch.from_numpy(action), stack.world.actions).float()[None]
            latent = level.advance(latent, level.condition(latent, memory), step)
        exact.append((states[torch.cdist(latent[0], every).argmin(1).numpy()] == agent).all(-1).mean())
    assert np.mean(seen) == 1
    assert (np.mean(exact) >= 0.95) == (name not in MISSES), np.mean(exact)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_weights_plan_their_published_list_again(name: str) -> None:
    fix_threads()
    stack, record = hjepa.load_stack(name), published(name)
    if record.get("goals"):
        pytest.skip("its goals come from trajectories, or from its world")
    planned = [f"plan.metric={record['metric']}", f"plan.planner={record['planner']}", *overrides_of(record)]
    again = hjepa.evaluate(
        stack,
        record["task"],
        levels=record["levels"],
        episodes=REPLAYED,
        seed=record["seed"],
        split=record["split"],
        tasks=record["tasks"],
        budget_tflops=record["budget_tflops"],
        settings=with_plan(stack.config, planned).plan,
    )
    for key in ("metric", "planner", "step_budget", "budget_tflops", "depth"):
        assert again[key] == record[key], key
    assert again["oracle_steps"] == record["oracle_steps"][:REPLAYED]
    # Processors of another kind round otherwise, and where two plans are as good the other one may be walked.
    ours, theirs = (list(zip(each["success"], each["steps"]))[:REPLAYED] for each in (again, record))
    assert sum(one == other for one, other in zip(ours, theirs)) >= REPLAYED / 2
    assert abs(sum(again["success"]) - sum(record["success"][:REPLAYED])) <= 2
