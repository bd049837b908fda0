"""Steps that may turn out in two ways: a slippery floor, and a door that closes by itself.

As pure functions of a uniform number per agent, beside `tasks.dynamics`; `tasks.chance_rooms` has the environments.
"""

from __future__ import annotations

import numpy as np

from tasks.dynamics import step_agents
from tasks.observations import CLOSED, FIRST_DOOR, FORWARD, OPEN

SLIPS, CLOSES = 0.25, 0.25
"""Probability that a step forward slides on by a cell, and that an open door closes at a step."""

CHANCE_ROOMS = {
    "hjepa/SlipperyRooms-d2-v0": ("tasks.chance_rooms:SlipperyRooms", 64),
    "hjepa/ClosingDoorRooms-d2-v0": ("tasks.chance_rooms:ClosingDoorRooms", 96),
}
"""Environments and their step budgets."""


def slippery_step(
    walls: np.ndarray, agent: np.ndarray, action: np.ndarray, chance: np.ndarray, slips: float = SLIPS
) -> np.ndarray:
    """One step on a slippery floor: who enters a cell slides on into the next one with probability ``slips``.

    Args:
        walls, agent, action: of `tasks.dynamics.step_agents`.
        chance: (...) uniform numbers in [0, 1).
        slips: probability.

    Returns:
        (..., A) int64. Where the next cell is closed nobody slides, and turns are certain.
    """
    after = step_agents(walls, agent, action)
    moved = (np.asarray(action) == FORWARD) & (after[..., :2] != np.asarray(agent)[..., :2]).any(-1)
    further = step_agents(walls, after, np.full(after.shape[:-1], FORWARD))
    return np.where((moved & (chance < slips))[..., None], further, after)


def closing_step(
    barriers: np.ndarray, agent: np.ndarray, action: np.ndarray, chance: np.ndarray, closes: float = CLOSES
) -> np.ndarray:
    """One step in a world whose door closes by itself with probability ``closes``, if it was open and nobody is in it.

    Args:
        barriers: (B, W, H) int8 with one door, see `tasks.observations.grid_to_barriers`.
        agent, action: (B, A) and (B,), of `tasks.dynamics.step_agents`; the door's state is the fourth number.
        chance: (B,) uniform numbers in [0, 1).
        closes: probability.

    Returns:
        (B, A) int64. What was locked once closes unlocked.
    """
    after = step_agents(barriers, agent, action)
    x, y = after[:, 0], after[:, 1]
    inside = barriers[np.arange(len(after)), x, y] >= FIRST_DOOR
    open_still = (np.asarray(agent)[:, 3] == OPEN) & (after[:, 3] == OPEN) & ~inside
    after[:, 3] = np.where(open_still & (chance < closes), CLOSED, after[:, 3])
    return after
