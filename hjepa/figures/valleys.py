"""Where a cost leads a perfect search: it walks to the least cost within reach of one plan, and plans again."""

from __future__ import annotations

import numpy as np

from hjepa.errors import InputError


def where_it_ends(costs: np.ndarray, steps: np.ndarray, reach: int) -> np.ndarray:
    """The state that a perfect search stops in, from every state.

    Neither a model nor a search is at fault for what it does not reach: the true states within reach are compared by
    their cost, the best is walked to, and so on until no state within reach is better. Of equal costs the nearest wins.

    Args:
        costs: (S,) of the states.
        steps: (S, S) from a state (row) to another, heading and all, as `tasks.cell_distances` with any_heading=False
            has it; negative where there is no way.
        reach: environment steps of one plan.

    Returns:
        (S,) numbers of states.

    Raises:
        InputError: a reach below 1 step.
    """
    if reach < 1:
        raise InputError(f"a reach of {reach} steps", "figures", "give 1 or more")
    within = (steps >= 0) & (steps <= reach)
    ahead = np.where(within, np.asarray(costs, float)[None], np.inf)
    least = ahead.min(1, keepdims=True)
    hop = np.where(ahead == least, np.asarray(steps, float), np.inf).argmin(1)
    place = np.arange(len(costs))
    # Costs fall with every hop that goes anywhere, so no state comes twice.
    for _ in range(len(costs)):
        place, before = hop[place], place
        if (place == before).all():
            break
    return place
