"""MiniGrid's agent dynamics as one pure, batched function.

Turning left and right changes the heading, forward enters the cell ahead unless a wall stands there, and the
four other actions do nothing in a world without objects. Objects that change (doors, keys) and slipping will
need a grid that is part of the state; they belong beside :func:`step_agents`, not inside it.
"""

from __future__ import annotations

import numpy as np

from tasks.observations import ACTIONS, FORWARD, HEADINGS

_TURN = np.array([-1, 1, 0, 0, 0, 0, 0], dtype=np.int64)
_AHEAD_X, _AHEAD_Y = np.ascontiguousarray(HEADINGS[:, 0]), np.ascontiguousarray(HEADINGS[:, 1])


def check_actions(action: np.ndarray) -> np.ndarray:
    """``action`` as an integer array; ValueError unless every entry is one of MiniGrid's 0..6."""
    action = np.asarray(action)
    if not np.issubdtype(action.dtype, np.integer):
        raise ValueError(f"actions have dtype {action.dtype}; pass integers 0..{len(ACTIONS) - 1}")
    if action.size and (action.min() < 0 or action.max() >= len(ACTIONS)):
        wrong = action[(action < 0) | (action >= len(ACTIONS))].flat[0]
        raise ValueError(f"action {wrong} does not exist; MiniGrid's actions are 0..{len(ACTIONS) - 1}")
    return action


def step_agents(walls: np.ndarray, agent: np.ndarray, action: np.ndarray) -> np.ndarray:
    """One step of every agent.

    Args:
        walls: (..., W, H) bool, with a closed outer border; leading dimensions broadcast with the agents',
            and a single (W, H) plan is the fast case.
        agent: (..., 3) integers (x, y, heading).
        action: (...) integers 0..6, not checked here (see :func:`check_actions`).

    Returns:
        (..., 3) int64, a new array.
    """
    agent, action = np.asarray(agent), np.asarray(action)
    lead = np.broadcast_shapes(walls.shape[:-2], agent.shape[:-1], action.shape)
    agent = np.broadcast_to(agent, (*lead, 3))
    x, y, heading = agent[..., 0], agent[..., 1], agent[..., 2]
    ahead_x, ahead_y = x + _AHEAD_X[heading], y + _AHEAD_Y[heading]
    if walls.ndim == 2:
        blocked = walls[ahead_x, ahead_y]
    else:
        rows = np.ogrid[tuple(slice(n) for n in lead)]
        blocked = np.broadcast_to(walls, (*lead, *walls.shape[-2:]))[(*rows, ahead_x, ahead_y)]
    moves = (action == FORWARD) & ~blocked
    after = np.empty((*lead, 3), dtype=np.int64)
    after[..., 0] = np.where(moves, ahead_x, x)
    after[..., 1] = np.where(moves, ahead_y, y)
    after[..., 2] = (heading + _TURN[action]) & 3
    return after
