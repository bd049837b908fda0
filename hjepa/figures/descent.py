"""What one level's plans look like before and after gradient descent on a cost: where each imagines to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hjepa.errors import InputError
from hjepa.figures.cost_map import Cost
from hjepa.figures.latent_map import LatentMap
from hjepa.model.level_model import LevelModel
from planners.objectives import GoalCost
from planners.proposals import PriorProposal
from planners.protocols import Problem
from planners.refiners import AdamRefiner
from planners.rollouts import rollout


@dataclass(frozen=True)
class Descent:
    """Plans of one level from one state.

    Attributes:
        before, after: (N, H + 1, 2) places x, y that the plans imagine, read by the probe, the start first: as the
            level's prior draws them, and after gradient descent on their actions.
        cost_before, cost_after: (N,) the least cost that each plan imagines on its way.
    """

    before: np.ndarray
    after: np.ndarray
    cost_before: np.ndarray
    cost_after: np.ndarray


def descend(
    places: LatentMap,
    start: np.ndarray,
    cost: Cost,
    horizon: int,
    count: int = 16,
    iterations: int = 8,
    learning_rate: float = 1.0,
    seed: int = 0,
) -> Descent:
    """Draw plans from a level's prior and let Adam descend on their actions.

    The cost of a plan is the least that it imagines on its way; what planning adds (haste, support, subgoals) is left
    out.

    Args:
        places: of the level, on a floor plan.
        start: (3,) x, y, heading.
        cost: of latents, from `hjepa.figures.cost_map.cost_to`.
        horizon: H, steps of the level.
        count: N, plans.
        iterations, learning_rate: of Adam.
        seed: of the random key.

    Raises:
        InputError: fewer than one step, plan or iteration, or a stack whose probe has not learned places.
    """
    if min(horizon, count, iterations) < 1:
        raise InputError(
            f"{horizon} steps, {count} plans, {iterations} iterations", "figures", "give 1 or more of each"
        )
    stack, k = places.stack, places.level - 1
    probe = stack.probe(k)
    model = LevelModel(stack, k, stack.config.plan.margin)
    begin = places.encode(np.asarray(start)[None])
    objective = GoalCost(begin, lambda latents, goal: cost(latents))
    problem = Problem(begin, places.memories[k], horizon, objective, torch.tensor([seed]))
    drawn = PriorProposal(count)(model, problem)
    trajectory = drawn.trajectory
    assert trajectory is not None  # the prior imagines what it draws
    with torch.enable_grad():
        # Handed on are the best actions that each candidate went through, then the last ones.
        refined = AdamRefiner(iterations, learning_rate)(model, problem, drawn).candidates[:, :count]
    with torch.no_grad():
        found = rollout(model, problem, refined)
        ways = [probe.expected(one.latents[0]).cpu().numpy() for one in (trajectory, found)]
        costs = [objective(one)[0].cpu().numpy() for one in (trajectory, found)]
    first = np.broadcast_to(np.asarray(start, float)[:2], (count, 1, 2))
    before, after = (np.concatenate([first, way], 1) for way in ways)
    return Descent(before, after, *costs)
