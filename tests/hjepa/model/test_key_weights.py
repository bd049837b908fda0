"""What shipped weights of a world with a key know of it: level 1's imagination, event by event, on unseen plans."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import hjepa
from hjepa.model.stack import Stack
from tasks import EpisodeBatch, sample_episodes, step_agents, task_spec
from tasks.dynamics import cell_ahead
from tasks.key_explorers import STARTS, random_key_states
from tasks.observations import BARRIER, FIRST_DOOR, FORWARD, KEY_SPOT, LOCKED, LYING, OPEN, PICKUP, TOGGLE
from tasks.walks import walk

PLANS, EACH, STEPS = 6, 400, 8
EXACT = 0.98


class Rollouts(NamedTuple):
    """True agents (N, T + 1, 5), actions (N, T), what is ahead (N, T), imagined and read agents (N, T, 5)."""

    agent: np.ndarray
    action: np.ndarray
    ahead: np.ndarray
    nearest: np.ndarray
    read: np.ndarray


@pytest.fixture(scope="module")
def stack() -> Stack:
    return hjepa.load_stack("told-nested-keys-d2")


def states_of(barriers: np.ndarray) -> np.ndarray:
    """Every state (S, 5) that an agent can come to on one plan."""
    found = []
    for door, key in STARTS.tolist():
        solid = (barriers == BARRIER) | ((barriers == KEY_SPOT) & (key == LYING))
        solid |= (barriers >= FIRST_DOOR) & (door != OPEN)
        cells = np.repeat(np.argwhere(~solid), 4, 0)
        heading = np.tile(np.arange(4), len(cells) // 4)[:, None]
        found.append(np.concatenate([cells, heading, np.tile((door, key), (len(cells), 1))], -1))
    return np.concatenate(found)


@torch.no_grad()
def imagine(stack: Stack, episodes: EpisodeBatch, explorer: str | None) -> Rollouts:
    """Level 1 along explorers' actions, or random ones, on validation plans."""
    memory, level = stack.write(torch.from_numpy(episodes.grid))[0], stack.level(0)
    assert memory is not None
    parts = []
    for plan in range(len(episodes)):
        rng = np.random.default_rng(plan)
        barriers = np.repeat(episodes.barriers[plan : plan + 1], EACH, 0)
        if explorer is None:
            agents = [random_key_states(barriers, rng)]
            action = rng.choice(7, (EACH, STEPS), p=(0.12, 0.12, 0.3, 0.18, 0.06, 0.18, 0.04))
            for step in range(STEPS):
                agents.append(step_agents(barriers, agents[-1], action[:, step]))
            agent = np.stack(agents, 1)
        else:
            agent, action = walk(barriers, STEPS + 1, explorer, rng, 0, task_spec(stack.config.task))
            agent, action = agent.astype(np.int64), action[:, :-1].astype(np.int64)
        states = states_of(barriers[0])
        every = level.encode(torch.from_numpy(states)[None], None)[0]
        latent, own = level.encode(torch.from_numpy(agent[:, 0])[None], None), memory[plan : plan + 1]
        nearest, read = [], []
        for step in range(STEPS):
            one = F.one_hot(torch.from_numpy(action[:, step]), 7).float()[None]
            latent = level.advance(latent, level.condition(latent, own), one)
            nearest.append(states[torch.cdist(latent[0], every).argmin(1).numpy()])
            read.append(stack.probe(0)(latent[0]).numpy())
        ahead = cell_ahead(barriers[:, None], agent[:, :-1])
        parts.append((agent, action, ahead, np.stack(nearest, 1), np.stack(read, 1)))
    return Rollouts(*(np.concatenate(part) for part in zip(*parts)))


@pytest.mark.parametrize("explorer", ["goal-seeking", None])
def test_level_1_imagines_keys_and_locks_on_unseen_plans(stack: Stack, explorer: str | None) -> None:
    found = imagine(stack, sample_episodes(stack.config.task, "validation", episodes=PLANS, seed=3), explorer)
    after, before = found.agent[:, 1:], found.agent[:, :-1]
    right = (found.nearest == after).all(-1)
    assert right[:, -1].mean() >= EXACT, "after eight steps: cell, heading, door and key"
    door, key = found.ahead >= FIRST_DOOR, found.ahead == KEY_SPOT
    lying, locked = before[..., 4] == LYING, before[..., 3] == LOCKED
    events = {
        "pickup": key & lying & (found.action == PICKUP),
        "unlock": door & locked & ~lying & (found.action == TOGGLE),
        "bump": ((key & lying) | (door & (before[..., 3] != OPEN))) & (found.action == FORWARD),
        "toggle without the key": door & locked & lying & (found.action == TOGGLE),
        "pickup of nothing": ~(key & lying) & (found.action == PICKUP),
    }
    for name, event in events.items():
        assert event.sum() >= 5 and right[event].mean() >= EXACT, (name, event.sum(), right[event].mean())
    # What costs will ask of imagined latents.
    assert (found.read[..., 3:] == after[..., 3:]).all(-1).mean() >= EXACT
