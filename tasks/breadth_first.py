"""Breadth-first search over one flat array of states, for many worlds at once.

Each world has its own part of the array, so the cost grows with the number of reachable states and not with
worlds x path length in Python.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

UNREACHABLE = -1
"""Steps of a state that no path reaches, and that may be visited; other negative values are never visited."""


def breadth_first(
    steps: np.ndarray,
    frontier: np.ndarray,
    before: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> None:
    """Fill ``steps`` with the distance of every state from the frontier.

    Args:
        steps: (S,) integers, changed in place; -1 where a state may be visited.
        frontier: (F,) int64, the states with distance 0.
        before: for states (F,), those that are one step away from them and those that are two steps away, as
            two flat arrays of states; repetitions and states visited already are allowed.
    """
    marks = np.zeros(len(steps), dtype=np.int64)
    steps[frontier] = 0
    step, late = 0, frontier[:0]
    while frontier.size or late.size:
        step += 1
        near, far = before(frontier)
        found, late = (np.concatenate([near, late]) if late.size else near), far
        found = found[steps[found] == UNREACHABLE]
        # Two states can share a predecessor: of each value keep the entry whose mark was written last.
        order = np.arange(len(found))
        marks[found] = order
        frontier = found[marks[found] == order]
        steps[frontier] = step
