"""What a level makes of every state of a floor plan: how far it thinks the goal is, and a map of its latents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hjepa.agent.agent import Agent
from hjepa.agent.episodes import Episodes
from hjepa.evaluation.statistics import rank_correlation
from hjepa.figures.latent_map import encode_states, free_states
from hjepa.figures.projection import Projection
from levels.metrics import squared_distance
from levels.metrics_names import DISTANCES, distance_of
from tasks import EpisodeBatch


@dataclass(frozen=True)
class LatentMap:
    """One level in one episode.

    Attributes:
        cost: (W, H) how far the level thinks the goal is, least over the headings; NaN where nobody can be.
        unit: what the cost is counted in.
        rank: rank correlation of the cost with the steps of the shortest path; NaN where that is not known.
        projection: of the latents of all states.
        places: (N, 2) of the states in the map.
        goal: (2,) of the goal.
        path: (S + 1, 2) of the states walked through.
    """

    cost: np.ndarray
    unit: str
    rank: float
    projection: Projection
    places: np.ndarray
    goal: np.ndarray
    path: np.ndarray


def states_of(batch: EpisodeBatch) -> np.ndarray:
    """Every state (N, A) of the one floor plan of a batch: its free cells, x first, and in each the four headings.

    Doors and keys are as at the start. In a continuous world it is the middle of each cell.
    """
    if batch.continuous:
        return (np.argwhere(~batch.walls[0]) + 0.5).astype(np.float32)
    states = free_states(batch.walls[0])
    rest = np.broadcast_to(batch.start[0, 3:], (len(states), batch.start.shape[1] - 3))
    return np.concatenate([states, rest], -1)


@torch.no_grad()
def latent_maps(
    agent: Agent, begun: Episodes, row: int, batch: EpisodeBatch, path: np.ndarray, steps: np.ndarray
) -> list[LatentMap]:
    """The maps of all levels in use.

    Args:
        agent: that plans.
        begun: its episodes at their start, which hold what costs are measured by.
        row: of the episode in them.
        batch: the one episode.
        path: (S + 1, A) states walked through.
        steps: (W, H) of the shortest path to the goal, -1 where there is none.
    """
    states = states_of(batch)
    memories = [None if memory is None else memory[row : row + 1] for memory in begun.memories]
    latents = encode_states(agent.stack, batch.grid[0], states, memories)
    walked = encode_states(agent.stack, batch.grid[0], path, memories)
    free = ~batch.walls[0]
    found = []
    for k in range(agent.depth):
        apart, unit, metric = costs(agent, begun, row, k, latents[k])
        cost = np.full(free.shape, np.nan)
        cost[free] = torch.from_numpy(apart).view(int(free.sum()), -1).amin(1).numpy()
        known = free & (steps >= 0)
        rank = rank_correlation(cost[known], steps[known]) if known.sum() > 1 else float("nan")
        seen = Projection.of(latents[k], metric)
        goal = begun.plan.levels[k].goal[row]
        ends = seen.place(latents[k]), seen.place(goal), seen.place(walked[k])
        found.append(LatentMap(cost, unit, rank, seen, *ends))
    return found


@torch.no_grad()
def costs(
    agent: Agent, begun: Episodes, row: int, k: int, latents: Tensor
) -> tuple[np.ndarray, str, Tensor | None]:
    """How far a level thinks the goal of an episode is.

    Args:
        agent: that plans.
        begun: its episodes at their start.
        row: of the episode in them.
        k: the level, from 0.
        latents: (N, D) of it.

    Returns:
        (N,) float64; what it is counted in; and (D, M) what the metric sees differences of, None: all the same.
    """
    own = begun.plan.levels[k]
    name, goal = agent.settings.metric, own.goal[row]
    linear = distance_of(name) in DISTANCES
    metric = agent.stack.metric(name, k) if linear and own.metric is None else None
    if own.metric is not None:
        metric = own.metric[row]
    if own.field is not None:
        apart = agent.stack.critic(k)(latents[None], own.field[row : row + 1])[0]
    elif metric is not None:
        apart = squared_distance(latents, goal, metric)
    else:
        apart = agent.stack.distance(name, k)(latents, goal)
    unit = "steps" if own.field is not None else "squared distance"
    return apart.double().cpu().numpy(), unit, metric
