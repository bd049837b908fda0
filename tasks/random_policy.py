"""The random floor: how often somebody arrives who takes any action at all."""

from __future__ import annotations

import numpy as np

from tasks.dynamics import step_agents
from tasks.episode_batches import EpisodeBatch
from tasks.observations import ACTIONS, FREE, grid_to_lava
from tasks.point_dynamics import step_points
from tasks.point_oracles import at_goal
from tasks.randomness import keyed_generator


def random_success(episodes: EpisodeBatch, step_budget: int, seed: int = 0, repeats: int = 1) -> float:
    """Success rate of the uniform random policy (over the 7 actions, or in -1..1) within the step budget.

    Args:
        episodes: the evaluated episodes.
        step_budget: steps before an episode is given up.
        seed: key of the random actions.
        repeats: independent runs of every episode that are averaged.
    """
    if episodes.continuous:
        return _random_points(episodes, step_budget, seed, repeats)
    lava = np.repeat(grid_to_lava(episodes.grid), repeats, 0)
    walls = np.repeat(episodes.barriers, repeats, 0)
    walls[lava] = FREE  # for an agent that does not care
    agent = np.repeat(episodes.start, repeats, 0)
    goal = np.repeat(episodes.goal, repeats, 0)
    rng = keyed_generator("random success", int(seed))
    arrived, rows = np.zeros(len(agent), dtype=bool), np.arange(len(agent))
    for _ in range(step_budget):
        after = step_agents(walls, agent, rng.integers(0, len(ACTIONS), len(agent)))
        agent = np.where(lava[rows, agent[:, 0], agent[:, 1]][:, None], agent, after)
        arrived |= (agent[:, :2] == goal[:, :2]).all(-1)
    return float(arrived.mean())


def _random_points(episodes: EpisodeBatch, step_budget: int, seed: int, repeats: int) -> float:
    """:func:`random_success` for points: actions uniform in -1..1."""
    walls = np.repeat(episodes.walls, repeats, 0)
    agent, goal = np.repeat(episodes.start, repeats, 0), np.repeat(episodes.goal, repeats, 0)
    rng = keyed_generator("random success", int(seed))
    arrived = np.zeros(len(agent), dtype=bool)
    for _ in range(step_budget):
        agent = step_points(walls, agent, rng.uniform(-1, 1, agent.shape).astype(np.float32))
        arrived |= at_goal(agent, goal)
    return float(arrived.mean())
