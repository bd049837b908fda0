"""What episodes are worth when several share a floor plan.

Six hundred tasks on eight floor plans are not six hundred draws of the world: an agent that cannot cope with one of
the plans fails on all its tasks. So n episodes count as ``n / (1 + (m - 1) rho)``, with m the mean number of tasks
that a task shares its plan with (itself among them) and rho the correlation of outcomes within a plan (Kish, "Survey
Sampling", 1965). Intervals are then those of so many independent episodes.

Where nearly all outcomes are the same, rho cannot be seen: eight plans that were solved throughout may or may not
leave room for one that is not. So the estimate of rho is drawn to 1 as by one more outcome of the rarer kind; with no
such outcome at all a plan counts as a single trial.

Floor plans that never repeat leave everything as it is, and so does a single one: what is asked then is about that
plan, and its tasks are the sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hjepa.errors import InputError
from hjepa.evaluation.statistics import Estimate, paired_proportions, wilson


def clustered(layouts: ArrayLike) -> bool:
    """Whether episodes on these floor plans (E,) are fewer trials than they look: some share one, not all the same."""
    names = np.asarray(layouts)
    return 1 < len(np.unique(names)) < names.size


def whole_plans(layouts: NDArray[np.str_]) -> NDArray[np.str_] | None:
    """The floor plans (E,) themselves where they are to be drawn anew as a whole; None where episodes are."""
    return layouts if clustered(layouts) else None


def trials(
    table: NDArray[np.float64], layouts: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
    """What was played, one after another, and on which floor plans.

    Args:
        table: (trainings, E), NaN where not played.
        layouts: (E,). Where none is shared each trial stands for itself, also that of another training.

    Returns:
        (N,) numbers and (N,) names of floor plans.
    """
    known = ~np.isnan(table)
    names = np.broadcast_to(layouts, table.shape)[known] if clustered(layouts) else np.arange(known.sum())
    return table[known], names


def effective_episodes(values: ArrayLike, layouts: ArrayLike) -> float:
    """How many independent episodes the outcomes are worth, between 1 and their number.

    Args:
        values: (E,) outcomes that are averaged, as success or differences of success.
        layouts: (E,) name of each episode's floor plan.

    Raises:
        InputError: not one of each for every episode, or none.
    """
    values, names = np.asarray(values, float), np.asarray(layouts)
    if values.ndim != 1 or values.shape != names.shape or not values.size:
        raise InputError(
            f"{values.size} outcomes and {names.size} layouts",
            "effective_episodes",
            "give one of each per episode",
        )
    if not clustered(names):
        return float(values.size)
    _, place, sizes = np.unique(names, return_inverse=True, return_counts=True)
    rest = values - values.mean()
    spread = float(np.mean(rest**2))
    sums = np.bincount(place, rest)
    pairs = float((sizes * (sizes - 1)).sum())
    # Distances from the mean of few plans fall short of those from the mean of all.
    between = float((sums**2).sum()) * len(sizes) / (len(sizes) - 1)
    alike = (between - float((rest**2).sum())) / pairs / spread if spread > 0 else 1.0
    rare = values.size - np.unique(values, return_counts=True)[1].max()
    correlation = (rare * min(max(alike, 0.0), 1.0) + 1) / (rare + 1)
    shared = float((sizes**2).sum()) / values.size
    return values.size / (1 + (shared - 1) * correlation)


def clustered_wilson(success: ArrayLike, layouts: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """`wilson` of as many episodes as these are worth.

    Args:
        success: (E,) 0 or 1.
        layouts: (E,) name of each episode's floor plan.
        confidence: of the two-sided interval.

    Raises:
        InputError: not one of each for every episode, or confidence out of range.
    """
    solved = np.asarray(success, float)
    worth = effective_episodes(solved, layouts)
    return wilson(float(solved.mean()) * worth, worth, confidence)


def clustered_proportions(differences: ArrayLike, layouts: ArrayLike, confidence: float = 0.95) -> Estimate:
    """`paired_proportions` of as many episodes as these are worth.

    Args:
        differences: (E,) success of the first less success of the second: -1, 0 or 1.
        layouts: (E,) name of each episode's floor plan.
        confidence: of the two-sided interval.

    Raises:
        InputError: not one of each for every episode, or confidence out of range.
    """
    found = np.asarray(differences, float)
    worth = effective_episodes(found, layouts)
    better = float((found > 0).mean()) * worth
    worse = min(float((found < 0).mean()) * worth, worth - better)
    return paired_proportions(better, worse, worth, confidence)
