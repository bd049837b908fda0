"""The descent test: a distance without search, and without a world model.

From the start, hop to whichever state the distance puts nearest to the goal among those that can truly be reached
within so many steps, and again, until the goal itself is within a hop. What arrives needs no plans longer than that.
A distance that is blind to a wall gets stuck before it unless a hop leads around.
"""

from __future__ import annotations

import numpy as np

DETOUR = 2.0
"""Hops that are allowed, in those of the shortest way; two more are for the ends."""


def descend(
    steps: np.ndarray, distance: np.ndarray, start: np.ndarray, goal: np.ndarray, hop: int
) -> np.ndarray:
    """Which goals are arrived at.

    Args:
        steps: (S, S) of the shortest way from each state to each other.
        distance: (G, S) of every state to each goal; infinite where a state does not count.
        start: (G,) states.
        goal: (G,) states, with a way from the start.
        hop: most steps of one.

    Returns:
        (G,) bool.

    Raises:
        ValueError: a hop of less than one step.
    """
    if hop < 1:
        raise ValueError(f"hop is {hop}; give 1 or more steps")
    allowed = np.ceil(DETOUR * steps[start, goal] / hop) + 2
    here, arrived = start.copy(), np.zeros(len(start), dtype=bool)
    for done in range(int(allowed.max(initial=0))):
        arrived |= (steps[here, goal] <= hop) & (done < allowed)
        if arrived.all():
            break
        here = np.where(steps[here] <= hop, distance, np.inf).argmin(1)
    return arrived


def far_pairs(steps: np.ndarray, count: int, rng: np.random.Generator, far: int) -> np.ndarray:
    """Starts and goals, at random among pairs that are far apart: the upper half of the known ways.

    Args:
        steps: (S, S).
        count: G, how many.
        rng: source of the draws.
        far: steps from which on no way is known.

    Returns:
        (G, 2) states; (0, 2) where no way is known.
    """
    known = (steps > 0) & (steps < far)
    if not known.any():
        return np.empty((0, 2), dtype=np.int64)
    least = np.median(steps[known])
    pairs = np.argwhere(known & (steps >= least))
    return np.asarray(pairs[rng.integers(0, len(pairs), count)])
