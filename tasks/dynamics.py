"""MiniGrid's agent dynamics as one pure, batched function.

Turning left and right changes the heading, forward enters the cell ahead unless a wall, a lying key or a door
that is not open stands there. Toggle opens or closes the door ahead; a locked one it opens with the key in
hand, which stays there. Pickup takes the key that lies ahead. ``drop`` does nothing, unlike MiniGrid's: a key
could come to lie anywhere, and the state would be more than the agent vector. Nor does ``done``.

Door and key states are part of the agent vector (see :mod:`tasks.observations`), so a world without doors is
the case of no door slots. Doors are locked only where there is a key, so the last number of the vector is then
the key's state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.observations import (
    ACTIONS,
    BARRIER,
    CLOSED,
    FIRST_DOOR,
    FORWARD,
    HEADINGS,
    IN_HAND,
    KEY_SPOT,
    LOCKED,
    LYING,
    OPEN,
    PICKUP,
    TOGGLE,
)

_TURN = np.array([-1, 1, 0, 0, 0, 0, 0], dtype=np.int64)
_AHEAD_X, _AHEAD_Y = np.ascontiguousarray(HEADINGS[:, 0]), np.ascontiguousarray(HEADINGS[:, 1])


def check_actions(action: np.ndarray) -> np.ndarray:
    """``action`` as an integer array; ValueError unless every entry is one of MiniGrid's 0..6."""
    action = np.asarray(action)
    if action.dtype.kind not in "iu":
        raise ValueError(f"actions have dtype {action.dtype}; pass integers 0..{len(ACTIONS) - 1}")
    if action.size and (action.min() < 0 or action.max() >= len(ACTIONS)):
        wrong = action[(action < 0) | (action >= len(ACTIONS))].flat[0]
        raise ValueError(f"action {wrong} does not exist; MiniGrid's actions are 0..{len(ACTIONS) - 1}")
    return action


def cell_ahead(walls: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """The entry of ``walls`` (see :func:`step_agents`) in front of every agent: (...) bool or int8.

    Codes of 2 and more are doors, whatever their state, and -1 is where the key lies or lay.
    """
    return _look_up(walls, *_in_front(np.asarray(agent)))


def step_agents(walls: np.ndarray, agent: np.ndarray, action: np.ndarray) -> np.ndarray:
    """One step of every agent.

    Args:
        walls: (..., W, H) bool, with a closed border around where agents can be, or a barrier map with doors
            and keys (int8, see :func:`tasks.observations.grid_to_barriers`); leading dimensions broadcast with
            the agents', and a single (W, H) plan is the fast case.
        agent: (..., 3 + M + K) integers (x, y, heading, door states, key state).
        action: (...) integers 0..6, not checked here (see :func:`check_actions`).

    Returns:
        (..., 3 + M + K) int64, a new array.
    """
    agent, action = np.asarray(agent), np.asarray(action)
    lead = action.shape
    # Nothing is to broadcast where each agent has its own plan.
    if not walls.shape[:-2] == agent.shape[:-1] == lead:
        lead = np.broadcast_shapes(walls.shape[:-2], agent.shape[:-1], action.shape)
        agent = np.broadcast_to(agent, (*lead, agent.shape[-1]))
    x, y, heading = agent[..., 0], agent[..., 1], agent[..., 2]
    ahead_x, ahead_y = _in_front(agent)
    blocked = _look_up(walls, ahead_x, ahead_y)
    after = np.empty(agent.shape, dtype=np.int64)
    after[..., 3:] = agent[..., 3:]
    if walls.dtype != np.bool_:
        blocked = _use_things(blocked, agent, np.broadcast_to(action, lead), after)
    moves = (action == FORWARD) & ~blocked
    after[..., 0] = np.where(moves, ahead_x, x)
    after[..., 1] = np.where(moves, ahead_y, y)
    after[..., 2] = (heading + _TURN[action]) & 3
    return after


def _in_front(agent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    heading = agent[..., 2]
    return agent[..., 0] + _AHEAD_X[heading], agent[..., 1] + _AHEAD_Y[heading]


def _look_up(walls: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if walls.ndim == 2:
        return walls[x, y]
    if x.shape == walls.shape[:1] and walls.flags.c_contiguous:  # one plan each, the common case
        _, width, height = walls.shape
        return walls.reshape(-1).take((np.arange(len(x)) * width + x) * height + y)
    rows = np.ogrid[tuple(slice(n) for n in x.shape)]
    return np.broadcast_to(walls, (*x.shape, *walls.shape[-2:]))[(*rows, x, y)]


def _use_things(ahead: np.ndarray, agent: np.ndarray, action: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Toggle doors and pick up keys in ``after``.

    Returns which agents (...) are blocked, given what stands in front of them.
    """
    blocked = np.asarray(ahead == BARRIER)
    # Few agents face a door or a key, so these are handled for these few.
    for rows in _rows_where(ahead >= FIRST_DOOR):
        slot = np.asarray(ahead)[rows].astype(np.int64) - FIRST_DOOR + 3
        state = agent[(*rows, slot)]
        blocked[rows] = state != OPEN
        opens = (state == CLOSED) | ((state == LOCKED) & (agent[(*rows, -1)] == IN_HAND))
        toggled = np.where(opens, OPEN, np.where(state == OPEN, CLOSED, state))
        after[(*rows, slot)] = np.where(action[rows] == TOGGLE, toggled, state)
    for rows in _rows_where(ahead == KEY_SPOT):
        state = agent[(*rows, -1)]
        blocked[rows] = state == LYING
        after[(*rows, -1)] = np.where(action[rows] == PICKUP, IN_HAND, state)
    return blocked


def _rows_where(found: np.ndarray) -> list[tuple[Any, ...]]:
    """One index of all entries that are True, or none where there is nothing to index."""
    found = np.asarray(found)
    if not found.any():
        return []
    return [np.unravel_index(np.flatnonzero(found), found.shape) if found.ndim else ()]
