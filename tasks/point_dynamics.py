"""A point that moves continuously in a floor plan: the exact motion of its body along walls, batched.

Positions are in cells: cell (i, j) is the square from (i, j) to (i + 1, j + 1). The body is the square of all
places within RADIUS of the position in the maximum norm. An action is a displacement in units of SPEED; the body
moves along it in a straight line, and where a wall stops one coordinate it slides on with the other at unchanged
speed, for the rest of the step.

The motion is computed from event to event (the front of the body meets a grid line, or its back leaves one), so
no speed can tunnel, and a wall is touched exactly: touching positions (k + RADIUS, k + 1 - RADIUS) are float32
numbers, and positions are rounded to float32 after each step, which never crosses them. The next position is
therefore exactly the same function of a stored position and a stored action.
"""

from __future__ import annotations

import numpy as np

RADIUS = 0.25
"""Half the side of the body, in cells; below 0.5, so that it covers at most two cells in each direction."""
SPEED = 0.5
"""Displacement of a full action in each direction, in cells a step."""

_EVENTS = 8  # front and back of two coordinates meet at most one line each, and corners add pieces


def check_point_actions(action: np.ndarray) -> np.ndarray:
    """``action`` (..., 2) as float32 within -1..1: what lies outside is clipped.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    action = np.asarray(action, dtype=np.float32)
    if action.shape[-1:] != (2,):
        raise ValueError(f"actions have shape {action.shape}; pass (..., 2) with x and y in -1..1")
    if not np.isfinite(action).all():
        place = np.argwhere(~np.isfinite(action))[0]
        raise ValueError(f"action {action[tuple(place)]} at {place.tolist()} is not finite; pass -1..1")
    return np.clip(action, -1.0, 1.0)


def inside_walls(walls: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """Which bodies (E,) overlap a wall; touching one is allowed. walls (E, W, H) bool, agent (E, 2)."""
    rows = np.arange(len(agent))
    low, high = _covered(agent.astype(np.float64))
    return (
        walls[rows, low[:, 0], low[:, 1]]
        | walls[rows, high[:, 0], low[:, 1]]
        | walls[rows, low[:, 0], high[:, 1]]
        | walls[rows, high[:, 0], high[:, 1]]
    )


def step_points(walls: np.ndarray, agent: np.ndarray, action: np.ndarray) -> np.ndarray:
    """One step of every point.

    Args:
        walls: (E, W, H) bool with closed outer borders, or (W, H) for one plan shared by all.
        agent: (E, 2) float32 positions outside walls.
        action: (E, 2) in -1..1, not checked here (see :func:`check_point_actions`).

    Returns:
        (E, 2) float32, a new array.
    """
    place = np.asarray(agent).astype(np.float64)
    move = np.asarray(action, dtype=np.float32).astype(np.float64) * SPEED
    if walls.ndim == 2:
        walls = np.broadcast_to(walls, (len(place), *walls.shape))
    left = np.ones(len(place))
    rows = np.flatnonzero((move != 0).any(-1))
    for _ in range(_EVENTS):
        if not len(rows):
            break
        velocity = _free_velocity(walls, rows, place[rows], move[rows])
        place[rows], spent = _advance(place[rows], velocity, left[rows])
        left[rows] -= spent
        rows = rows[(left[rows] > 0) & (velocity != 0).any(-1)]
    return place.astype(np.float32)


def _covered(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last cell (..., 2) that the open body covers in each direction."""
    return np.floor(place - RADIUS).astype(np.int64), np.ceil(place + RADIUS).astype(np.int64) - 1


def _free_velocity(walls: np.ndarray, rows: np.ndarray, place: np.ndarray, move: np.ndarray) -> np.ndarray:
    """The move (N, 2) without the coordinates that a wall stops right here."""
    sign = np.sign(move)
    front = place + sign * RADIUS
    at_line = (front == np.floor(front)) & (sign != 0)
    low, high = _covered(place)
    ahead = np.where(sign > 0, front, front - 1).astype(np.int64)  # the cells beyond the line
    ahead = np.where(at_line, ahead, low)
    stopped = np.empty(move.shape, dtype=bool)
    stopped[:, 0] = walls[rows, ahead[:, 0], low[:, 1]] | walls[rows, ahead[:, 0], high[:, 1]]
    stopped[:, 1] = walls[rows, low[:, 0], ahead[:, 1]] | walls[rows, high[:, 0], ahead[:, 1]]
    stopped &= at_line
    # Head-on into a corner: free both ways, but not diagonally. The longer part of the move goes on.
    corner = at_line.all(-1) & ~stopped.any(-1) & walls[rows, ahead[:, 0], ahead[:, 1]]
    along_x = np.abs(move[:, 0]) >= np.abs(move[:, 1])
    stopped[:, 0] |= corner & ~along_x
    stopped[:, 1] |= corner & along_x
    return np.where(stopped, 0.0, move)


def _advance(place: np.ndarray, velocity: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move (N, 2) until the next event or the end of the step; returns places and the time (N,) spent."""
    sign, speed = np.sign(velocity), np.abs(velocity)
    target = np.empty((2, *place.shape))
    for i, side in enumerate((RADIUS, -RADIUS)):  # front and back of the body
        edge = place + sign * side
        line = np.where(sign > 0, np.floor(edge) + 1, np.ceil(edge) - 1)
        target[i] = line - sign * side
    target = np.where(sign > 0, target.min(0), target.max(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        time = np.where(sign == 0, np.inf, np.abs(target - place) / speed)
    first = time.min(-1)
    ends = first >= left
    spent = np.where(ends, left, first)
    moved = place + velocity * spent[:, None]
    # Lines are reached exactly, and rounding never passes one.
    moved = np.where(
        sign > 0, np.minimum(moved, target), np.where(sign < 0, np.maximum(moved, target), moved)
    )
    reached = (time <= spent[:, None]) & (sign != 0)
    return np.where(reached, target, moved), spent
