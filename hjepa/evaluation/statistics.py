"""Intervals and comparisons for success rates and scores, in numpy, with generators that you pass.

Episodes are the unit of evidence. Two agents that ran on the same episodes are compared episode by episode
(`paired_difference`); scores of several training seeds on several tasks are summed up by the interquartile
mean (`iqm`) and compared by the probability of improvement, both with a bootstrap stratified by task, as
proposed in Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (2021).

Where several training seeds ran on the same episodes, both are a sample: the `crossed_...` functions take
tables of shape (training seeds, episodes) and draw rows and columns anew (the pigeonhole bootstrap of Owen,
"The pigeonhole bootstrap", 2007, which errs on the wide side). With one row only episodes are drawn, and the
interval says nothing about another training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a success rate (Wilson 1927), good at 0 and 1 and for small ``n``.

    Args:
        successes: how many of the trials succeeded, 0..n.
        n: trials, or what they are worth (`hjepa.evaluation.layouts`); with 0 trials nothing is known and the interval
            is (0, 1).
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
    a: ArrayLike,
    b: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 10_000,
    confidence: float = 0.95,
    layouts: ArrayLike | None = None,
) -> Estimate:
    """Mean of ``a - b`` over shared episodes, with a percentile bootstrap over episodes.

    Args:
        a, b: (E,), one value per episode (success 0/1 or any score), the same episodes in the same order.
        rng: source of the resampling.
        resamples: bootstrap samples.
        confidence: of the two-sided interval.
        layouts: (E,) name of each episode's floor plan; whole floor plans are then drawn anew.

    Raises:
        InputError: shapes differ, no episodes, or confidence out of range.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise InputError(f"shapes {a.shape} and {b.shape}", "paired_difference", "give one value per episode")
    difference = a - b
    if layouts is not None:
        return crossed_mean(difference[None], rng, resamples, confidence, layouts)
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


def paired_proportions(better: float, worse: float, n: float, confidence: float = 0.95) -> Estimate:
    """Difference of two success rates on the same trials, with an interval that no sample makes empty.

    The bootstrap of a sample in which the two never differ has no width; this one has. Source: Bonett and
    Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data" (2012).

    Args:
        better: trials that only the first solved.
        worse: trials that only the second solved.
        n: all trials, at least 1, or what they are worth (`hjepa.evaluation.layouts`).
        confidence: of the two-sided interval.

    Raises:
        InputError: counts or confidence out of range.
    """
    if n < 1 or min(better, worse) < 0 or better + worse > n:
        raise InputError(f"{better} and {worse} of {n} trials", "paired_proportions", "give counts of trials")
    z = NormalDist().inv_cdf(0.5 + _checked_confidence(confidence) / 2)
    up, down = (better + 1) / (n + 2), (worse + 1) / (n + 2)
    half = z * sqrt((up + down - (up - down) ** 2) / (n + 2))
    return Estimate((better - worse) / n, max(up - down - half, -1.0), min(up - down + half, 1.0))


def crossed_mean(
    table: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 2_000,
    confidence: float = 0.95,
    layouts: ArrayLike | None = None,
) -> Estimate:
    """Mean of a table of shape (training seeds, episodes), both drawn anew; NaN: not played, left out.

    The difference of two agents on the same seeds and episodes is the mean of the difference of their tables. With
    ``layouts``, the name (episodes,) of each episode's floor plan, whole floor plans are drawn anew.

    Raises:
        InputError: not a table, nothing played, or confidence out of range.
    """
    table = _score_table(table, "crossed_mean")
    played = ~np.isnan(table)
    if not played.any():
        raise InputError("no episode was played", "crossed_mean", "give at least one number")
    filled, counted = np.where(played, table, 0.0), played.astype(float)
    if layouts is not None:
        filled, counted = _by_layout(filled, layouts), _by_layout(counted, layouts)
    replicates = []
    for rows, columns in _crossed_draws(rng, resamples, (len(table),), filled.shape[1]):
        total = ((rows[0] @ filled) * columns).sum(axis=1)
        count = ((rows[0] @ counted) * columns).sum(axis=1)
        replicates.append(total[count > 0] / count[count > 0])
    return _estimate(float(table[played].mean()), np.concatenate(replicates), confidence)


def crossed_improvement(
    x: ArrayLike,
    y: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 2_000,
    confidence: float = 0.95,
    layouts: ArrayLike | None = None,
) -> Estimate:
    """`probability_of_improvement` with episodes as tasks, and with episodes drawn anew as well as runs.

    How likely a training of X does better than a training of Y on the same episode; a tie counts half.

    Args:
        x: scores, shape (seeds of X, episodes); NaN: not played.
        y: scores, shape (seeds of Y, episodes), the same episodes in the same order.
        rng: source of the resampling.
        resamples: bootstrap samples.
        confidence: of the two-sided interval.
        layouts: (episodes,) name of each episode's floor plan; whole floor plans are then drawn anew.

    Raises:
        InputError: not tables of the same episodes, no episode that both played, or confidence out of range.
    """
    where = "crossed_improvement"
    x, y = _score_table(x, where), _score_table(y, where)
    if x.shape[1] != y.shape[1]:
        raise InputError(f"{x.shape[1]} and {y.shape[1]} episodes", where, "give scores of the same episodes")
    first, second = x[:, None], y[None]
    both = ~np.isnan(first) & ~np.isnan(second)
    if not both.any():
        raise InputError("no episode was played by both", where, "give scores of the same episodes")
    wins = np.where(both, (first > second) + 0.5 * (first == second), 0.0)
    value = float(wins[both].mean())
    won, met = wins.reshape(-1, x.shape[1]), both.reshape(-1, x.shape[1]).astype(float)
    if layouts is not None:
        won, met = _by_layout(won, layouts), _by_layout(met, layouts)
    replicates = []
    for rows, columns in _crossed_draws(rng, resamples, (len(x), len(y)), won.shape[1]):
        pairs = (rows[0][:, :, None] * rows[1][:, None]).reshape(len(columns), -1)
        total = (pairs * (columns @ won.T)).sum(axis=1)
        count = (pairs * (columns @ met.T)).sum(axis=1)
        replicates.append(total[count > 0] / count[count > 0])
    return _estimate(value, np.concatenate(replicates), confidence)


def crossed_iqm(
    table: ArrayLike,
    strata: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 2_000,
    confidence: float = 0.95,
) -> Estimate:
    """`iqm` over training seeds and strata of the mean score of each seed in each stratum.

    Seeds are drawn anew as a whole, because one training meets all strata; episodes are drawn anew within
    their stratum.

    Args:
        table: scores of shape (seeds, episodes), all played.
        strata: (episodes,) number of each episode's stratum, for example its distance bucket.
        rng: source of the resampling.
        resamples: bootstrap samples.
        confidence: of the two-sided interval.

    Raises:
        InputError: not a full table with a stratum for every episode, or confidence out of range.
    """
    table, strata = _score_table(table, "crossed_iqm"), np.asarray(strata)
    if strata.shape != table.shape[1:] or np.isnan(table).any():
        raise InputError(
            f"scores of shape {table.shape}, strata of shape {strata.shape}",
            "crossed_iqm",
            "give a number for every seed and episode and a stratum for every episode",
        )
    parts = [table[:, strata == stratum] for stratum in np.unique(strata)]
    value = iqm(np.stack([part.mean(axis=1) for part in parts], axis=1))
    means = []
    for part in parts:
        drawn = [c @ part.T for _, c in _crossed_draws(rng, resamples, (), part.shape[1])]
        means.append(np.concatenate(drawn) / part.shape[1])
    rows = rng.integers(len(table), size=(resamples, len(table), 1))
    replicates = _iqm_last_axes(np.take_along_axis(np.stack(means, axis=2), rows, axis=1))
    return _estimate(value, replicates, confidence)


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
        raise InputError(
            f"confidence {confidence}", "hjepa.evaluation.statistics", "give a number such as 0.95"
        )
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


def _crossed_draws(
    rng: np.random.Generator, resamples: int, rows: tuple[int, ...], columns: int
) -> Iterator[tuple[list[Array], Array]]:
    """How often each row of each table and each column is drawn: [(B, rows)...], (B, columns), in chunks."""
    chunk = max(1, 4_000_000 // columns)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        sizes = (*rows, columns)
        drawn = []
        for size in sizes:
            # Counting uniform draws is far quicker than drawing the counts from a multinomial.
            places = rng.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
            counted = np.bincount(places.ravel(), minlength=count * size)
            drawn.append(counted.reshape(count, size).astype(float))
        yield drawn[:-1], drawn[-1]


def _by_layout(table: Array, layouts: ArrayLike) -> Array:
    """(rows, episodes) -> (rows, floor plans), what the episodes of each floor plan add up to."""
    names, place = np.unique(np.asarray(layouts), return_inverse=True)
    if place.shape != table.shape[1:]:
        raise InputError(
            f"{place.size} layouts for {table.shape[1]} episodes", "layouts", "give one for each episode"
        )
    return table @ np.eye(len(names))[place]


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


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of (N,) and (N,), ties sharing their mean rank; NaN when one is constant."""
    ranks = []
    for values in (first, second):
        _, place, count = np.unique(values, return_inverse=True, return_counts=True)
        ends = np.cumsum(count)
        ranks.append((ends - (count - 1) / 2)[place])
    a, b = (rank - rank.mean() for rank in ranks)
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")
