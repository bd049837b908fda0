"""Walks of explorers, many side by side, from random states."""

from __future__ import annotations

import numpy as np

from tasks.dynamics import step_agents
from tasks.explorers import make_explorer
from tasks.key_explorers import random_key_states
from tasks.observations import CLOSED, DONE, FIRST_DOOR, FREE
from tasks.point_dynamics import step_points
from tasks.point_explorers import make_point_explorer
from tasks.point_oracles import place_in_cells
from tasks.specs import TaskSpec


def walk(
    walls: np.ndarray,
    length: int,
    explorer: str,
    rng: np.random.Generator,
    first: int = 0,
    spec: TaskSpec | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Walk E explorers from random free states.

    Nothing ends a walk, also not a goal object that happens to stand in the way.

    Args:
        walls: (E, W, H) bool, or barrier maps where there are doors.
        length: observations per episode.
        explorer: name, see :func:`tasks.explorers.make_explorer`, which also explains ``first``.
        rng: source of all draws.
        spec: the task, which tells continuous worlds, door slots and keys; None: none of them.

    Returns:
        agent (E, length, 3 + M + K) int16 and action (E, length) uint8, whose last column is padding (``done``);
        in a continuous world agent (E, length, 2) float32 and action (E, length, 2) float32, padded with 0.
    """
    count = len(walls)
    if spec is not None and spec.continuous:
        agent = np.empty((count, length, 2), dtype=np.float32)
        action = np.zeros((count, length, 2), dtype=np.float32)
        now = place_in_cells(rng, random_states(walls, rng))
        policy, step_world = make_point_explorer(explorer, walls, rng, first), step_points
    else:
        keys = spec is not None and spec.keys > 0
        now = random_key_states(walls, rng) if keys else random_states(walls, rng, spec.doors if spec else 0)
        agent = np.empty((count, length, now.shape[1]), dtype=np.int16)
        action = np.full((count, length), DONE, dtype=np.uint8)
        policy, step_world = make_explorer(explorer, walls, rng, first), step_agents
    agent[:, 0] = now
    for step in range(length - 1):
        action[:, step] = policy.act(now)
        now = step_world(walls, now, action[:, step])
        agent[:, step + 1] = now
    return agent, action


def random_states(walls: np.ndarray, rng: np.random.Generator, doors: int = 0) -> np.ndarray:
    """A uniformly random free cell and heading on each of the plans (E, W, H): (E, 3 + M) int64.

    In half of the plans all doors are closed; in the others the share of open ones is itself random.
    """
    ranks = (walls == FREE).reshape(len(walls), -1).cumsum(-1)
    wanted = (rng.random(len(walls)) * ranks[:, -1]).astype(np.int64)
    cell = (ranks > wanted[:, None]).argmax(-1)
    states = np.stack([*np.divmod(cell, walls.shape[2]), rng.integers(0, 4, len(walls))], -1)
    if not doors:
        return states
    share = np.maximum(0, 2 * rng.random(len(walls)) - 1)
    there = np.arange(doors) < (walls >= FIRST_DOOR).sum((1, 2))[:, None]
    closed = there & (rng.random((len(walls), doors)) >= share[:, None])
    return np.concatenate([states, closed * CLOSED], -1)
