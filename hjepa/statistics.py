"""Intervals and comparisons for success rates and scores, in numpy, with generators that you pass.

Episodes are the unit of evidence. Two agents that ran on the same episodes are compared episode by episode
(`paired_difference`); scores of several training seeds on several tasks are summed up by the interquartile
mean (`iqm`) and compared by the probability of improvement, both with a bootstrap stratified by task, as
proposed in Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hjepa.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval: ``lo <= hi``; ``value`` is computed from the sample itself."""

    value: float
    lo: float
    hi: float


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a success rate (Wilson 1927), good at 0 and 1 and for small ``n``.

    Args:
        successes: how many of the trials succeeded, 0..n.
        n: trials; with 0 trials nothing is known and the interval is (0, 1).
        confidence: of the two-sided interval, between 0 and 1.

    Returns:
        (lo, hi) in [0, 1].

    Raises:
        InputError: counts or confidence out of range.
    """
    if not 0 <= successes <= n:
        raise InputError(f"{successes} successes in {n} trials", "wilson", "give 0 <= successes <= n")
    z = NormalDist().inv_cdf(0.5 + _checked_confidence(confidence) / 2)
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    scale = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    # At the ends the interval touches 0 or 1 exactly; rounding must not leave it beside.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def paired_difference(
    a: ArrayLike, b: ArrayLike, rng: np.random.Generator, resamples: int = 10_000, confidence: float = 0.95
) -> Estimate:
    """Mean of ``a - b`` over shared episodes, with a percentile bootstrap over episodes.

    Args:
        a, b: (E,), one value per episode (success 0/1 or any score), the same episodes in the same order.
        rng: source of the resampling.
        resamples: bootstrap samples.
        confidence: of the two-sided interval.

    Raises:
        InputError: shapes differ, no episodes, or confidence out of range.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise InputError(f"shapes {a.shape} and {b.shape}", "paired_difference", "give one value per episode")
    difference = a - b
    # How often each distinct value is drawn is multinomial: the cost does not grow with the episodes.
    values, counts = np.unique(difference, return_counts=True)
    draws = rng.multinomial(difference.size, counts / difference.size, size=resamples)
    return _estimate(difference.mean(), draws @ values / difference.size, confidence)


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: the mean of the middle half of all scores, whatever their shape.

    A quarter of the scores, rounded down, is dropped at each end.
    """
    return float(_iqm_last_axes(np.asarray(scores, float)[None])[0])


def iqm_interval(
    scores: ArrayLike, rng: np.random.Generator, resamples: int = 2_000, confidence: float = 0.95
) -> Estimate:
    """`iqm` of scores of shape (runs, tasks), with a bootstrap that draws runs anew within each task.

    Raises:
        InputError: scores are not a non-empty table, or confidence out of range.
    """
    table = _score_table(scores, "iqm_interval")
    return _estimate(iqm(table), _resampled(_iqm_last_axes, rng, resamples, table), confidence)


def probability_of_improvement(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, resamples: int = 2_000, confidence: float = 0.95
) -> Estimate:
    """How likely a run of X beats a run of Y on a task, averaged over tasks; a tie counts half.

    Args:
        x: scores, shape (runs of X, tasks).
        y: scores, shape (runs of Y, tasks), the same tasks in the same order.
        rng: source of the resampling, which is stratified by task.
        resamples: bootstrap samples.
        confidence: of the two-sided interval.

    Raises:
        InputError: not two non-empty tables of the same tasks, or confidence out of range.
    """
    where = "probability_of_improvement"
    table_x, table_y = _score_table(x, where), _score_table(y, where)
    if table_x.shape[1] != table_y.shape[1]:
        raise InputError(
            f"{table_x.shape[1]} and {table_y.shape[1]} tasks",
            where,
            "give scores of the same tasks as columns",
        )
    value = float(_improvement(table_x[None], table_y[None])[0])
    return _estimate(value, _resampled(_improvement, rng, resamples, table_x, table_y), confidence)


def spl(success: ArrayLike, steps: ArrayLike, oracle_steps: ArrayLike) -> float:
    """Success weighted by path length: mean of ``success * oracle / max(steps, oracle)``.

    Source: Anderson et al., "On evaluation of embodied navigation agents" (2018).

    Args:
        success: (E,) 0 or 1.
        steps: (E,) environment steps taken.
        oracle_steps: (E,) steps of a shortest path, positive.

    Raises:
        InputError: lengths differ, no episodes, or a shortest path that is not positive.
    """
    success, steps, oracle = (np.asarray(values, float) for values in (success, steps, oracle_steps))
    if not (success.shape == steps.shape == oracle.shape) or success.ndim != 1 or success.size == 0:
        raise InputError(
            f"shapes {success.shape}, {steps.shape}, {oracle.shape}", "spl", "give one value per episode"
        )
    if oracle.min() <= 0:
        raise InputError(f"a shortest path of {oracle.min():g} steps", "spl", "start away from the goal")
    return float(np.mean(success * oracle / np.maximum(steps, oracle)))


def _checked_confidence(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}", "hjepa.statistics", "give a number such as 0.95")
    return confidence


def _estimate(value: float, replicates: Array, confidence: float) -> Estimate:
    tail = (1 - _checked_confidence(confidence)) / 2
    lo, hi = np.quantile(replicates, [tail, 1 - tail])
    return Estimate(float(value), float(lo), float(hi))


def _score_table(scores: ArrayLike, where: str) -> Array:
    table = np.asarray(scores, float)
    if table.ndim != 2 or table.size == 0:
        raise InputError(f"scores of shape {table.shape}", where, "give a table of shape (runs, tasks)")
    return table


def _iqm_last_axes(tables: Array) -> Array:
    """Interquartile mean over all axes but the first: (B, ...) -> (B,)."""
    flat = np.sort(tables.reshape(len(tables), -1), axis=1)
    cut = flat.shape[1] // 4
    return flat[:, cut : flat.shape[1] - cut].mean(axis=1)


def _improvement(x: Array, y: Array) -> Array:
    """(B, runs of X, tasks), (B, runs of Y, tasks) -> (B,)."""
    first, second = x[:, :, None], y[:, None]
    return ((first > second) + 0.5 * (first == second)).mean(axis=(1, 2, 3))


def _resampled(
    statistic: Callable[..., Array], rng: np.random.Generator, resamples: int, *tables: Array
) -> Array:
    """``statistic`` of bootstrap samples: in each table, runs are drawn anew within each task."""
    pairs = int(np.prod([len(table) for table in tables])) * tables[0].shape[1]
    chunk = max(1, 4_000_000 // pairs)  # keeps the largest temporary array near 32 MB
    replicates = []
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = []
        for table in tables:
            rows = rng.integers(len(table), size=(count, *table.shape))
            drawn.append(table[rows, np.arange(table.shape[1])])
        replicates.append(statistic(*drawn))
    return np.concatenate(replicates)
