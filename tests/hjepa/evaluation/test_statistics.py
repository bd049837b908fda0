"""The statistics against scipy and against cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hjepa.errors import InputError
from hjepa.evaluation.statistics import (
    crossed_improvement,
    crossed_iqm,
    crossed_mean,
    iqm,
    iqm_interval,
    paired_difference,
    paired_proportions,
    probability_of_improvement,
    spl,
    wilson,
)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(counts: tuple[int, int]) -> None:
    successes, n = counts
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-9)
    lo, hi = wilson(successes, n)
    assert 0 <= lo <= successes / n <= hi <= 1


def test_wilson_confidence_and_no_trials() -> None:
    expected = stats.binomtest(7, 50).proportion_ci(0.8, method="wilson")
    assert wilson(7, 50, confidence=0.8) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(5, 4, 0.95), (-1, 4, 0.95), (1, 4, 1.0)])
def test_wilson_refuses_impossible_arguments(successes: int, n: int, confidence: float) -> None:
    with pytest.raises(InputError):
        wilson(successes, n, confidence)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_iqm_equals_scipy_trimmed_mean(scores: list[float]) -> None:
    assert iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25), abs=1e-9)


def test_paired_difference_equals_scipy_bootstrap() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.random(200) < 0.8).astype(float), (rng.random(200) < 0.6).astype(float)
    ours = paired_difference(a, b, np.random.default_rng(1), resamples=20_000)
    reference = stats.bootstrap(
        (a - b,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.value == pytest.approx(np.mean(a - b))
    assert (ours.lo, ours.hi) == pytest.approx((reference.low, reference.high), abs=0.01)


def test_paired_difference_uses_the_pairing() -> None:
    """Equal vectors differ by nothing, whatever their own spread."""
    a = np.random.default_rng(0).random(50)
    estimate = paired_difference(a, a, np.random.default_rng(1))
    assert (estimate.value, estimate.lo, estimate.hi) == (0.0, 0.0, 0.0)


def test_intervals_depend_on_the_generator_alone() -> None:
    scores = np.random.default_rng(0).random((5, 4))
    first, again = (iqm_interval(scores, np.random.default_rng(3)) for _ in range(2))
    assert first == again
    assert first != iqm_interval(scores, np.random.default_rng(4))


def test_iqm_interval_is_stratified_by_task() -> None:
    """Tasks that differ much but whose runs agree leave nothing to resample."""
    scores = np.tile([0.0, 10.0, 20.0, 30.0], (6, 1))
    estimate = iqm_interval(scores, np.random.default_rng(0))
    assert estimate.value == estimate.lo == estimate.hi == 15.0


def test_runs_are_resampled_in_each_task_by_itself() -> None:
    """Where a run is good at one task it is as bad at the other: drawn as a whole, runs would cancel out."""
    good = np.linspace(-1.0, 1.0, 12)
    estimate = iqm_interval(np.stack([good, -good], axis=1), np.random.default_rng(0))
    assert estimate.hi - estimate.lo > 0.1


def test_iqm_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        estimate = iqm_interval(rng.normal(size=(10, 5)), rng, resamples=300)
        hits += estimate.lo <= 0.0 <= estimate.hi
    assert 170 <= hits <= 198


def test_probability_of_improvement_is_the_scaled_u_statistic() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, (7, 3)), rng.integers(0, 4, (5, 3))
    expected = np.mean([stats.mannwhitneyu(x[:, k], y[:, k]).statistic / 35 for k in range(3)])
    estimate = probability_of_improvement(x, y, rng)
    assert estimate.value == pytest.approx(expected)
    assert estimate.lo <= estimate.value <= estimate.hi
    assert probability_of_improvement(y, x, rng).value == pytest.approx(1 - expected)


def test_probability_of_improvement_resamples_large_tables_in_chunks() -> None:
    rng = np.random.default_rng(0)
    estimate = probability_of_improvement(rng.random((300, 2)) + 1, rng.random((300, 2)), rng, resamples=60)
    assert (estimate.value, estimate.lo, estimate.hi) == (1.0, 1.0, 1.0)


def test_spl_by_hand() -> None:
    # a success on the shortest path, one at twice its length, a failure
    assert spl([1, 1, 0], [10, 20, 64], [10, 10, 10]) == pytest.approx(0.5)
    # an oracle that counts more steps than were needed does not lift the score above 1
    assert spl([1], [8], [10]) == 1.0


@pytest.mark.parametrize(
    "arguments", [([1], [2, 3], [1]), ([], [], []), ([1], [1], [0])], ids=["lengths", "empty", "no path"]
)
def test_spl_refuses(arguments: tuple[list[int], list[int], list[int]]) -> None:
    with pytest.raises(InputError):
        spl(*arguments)


@pytest.mark.parametrize("scores", [[], [1.0, 2.0], [[]]])
def test_score_tables_must_be_tables(scores: list[float]) -> None:
    with pytest.raises(InputError, match="runs, tasks"):
        iqm_interval(scores, np.random.default_rng(0))
    with pytest.raises(InputError, match="one value per episode"):
        paired_difference([1.0], [1.0, 2.0], np.random.default_rng(0))


def scipy_interval(samples: tuple[np.ndarray, ...], statistic: Any, **options: Any) -> tuple[float, float]:
    found = stats.bootstrap(
        samples, statistic, n_resamples=8_000, method="percentile", rng=np.random.default_rng(9), **options
    ).confidence_interval
    return found.low, found.high


def test_crossed_mean_of_one_training_is_the_bootstrap_over_episodes() -> None:
    values = (np.random.default_rng(0).random(150) < 0.7).astype(float)
    ours = crossed_mean(values[None], np.random.default_rng(1), resamples=8_000)
    assert ours.value == values.mean()
    assert (ours.lo, ours.hi) == pytest.approx(scipy_interval((values,), np.mean), abs=0.01)


def test_crossed_mean_of_trainings_that_differ_is_the_bootstrap_over_trainings() -> None:
    """Every episode alike: all the spread is between the rows."""
    rows = np.array([0.1, 0.4, 0.5, 0.55, 0.9, 0.95])
    ours = crossed_mean(np.tile(rows[:, None], 40), np.random.default_rng(1), resamples=8_000)
    assert (ours.lo, ours.hi) == pytest.approx(scipy_interval((rows,), np.mean), abs=0.01)


def test_crossed_mean_covers_the_truth_when_both_trainings_and_episodes_vary() -> None:
    """A bootstrap over pooled episodes alone would miss it far too often."""
    rng, hits, naive = np.random.default_rng(0), 0, 0
    for _ in range(150):
        table = rng.normal(size=(8, 1)) + rng.normal(size=(1, 60)) + rng.normal(size=(8, 60))
        estimate = crossed_mean(table, rng, resamples=400)
        hits += estimate.lo <= 0 <= estimate.hi
        flat = paired_difference(table.ravel(), np.zeros(table.size), rng, resamples=400)
        naive += flat.lo <= 0 <= flat.hi
    assert hits >= 130 and naive < 90


def test_crossed_mean_leaves_out_what_was_not_played() -> None:
    rng = np.random.default_rng(0)
    holes = crossed_mean([[1.0, np.nan, 0.0], [1.0, 1.0, np.nan]], rng)
    assert holes.value == 0.75 and 0 <= holes.lo <= holes.hi <= 1
    with pytest.raises(InputError, match="no episode was played"):
        crossed_mean([[np.nan]], rng)


def test_crossed_improvement_is_agarwals_with_episodes_as_tasks() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, (4, 30)), rng.integers(0, 3, (3, 30))
    expected = np.mean([stats.mannwhitneyu(x[:, k], y[:, k]).statistic / 12 for k in range(30)])
    estimate = crossed_improvement(x, y, np.random.default_rng(1))
    assert estimate.value == pytest.approx(expected)
    assert estimate.value == pytest.approx(probability_of_improvement(x, y, rng).value)
    assert crossed_improvement(y, x, rng).value == pytest.approx(1 - expected)


def test_crossed_improvement_of_one_training_each_resamples_episodes() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, 120).astype(float), rng.integers(0, 3, 120).astype(float)
    wins = (x > y) + 0.5 * (x == y)
    ours = crossed_improvement(x[None], y[None], np.random.default_rng(1), resamples=8_000)
    assert (ours.lo, ours.hi) == pytest.approx(scipy_interval((wins,), np.mean), abs=0.01)


def test_crossed_iqm_equals_scipy_over_strata() -> None:
    rng = np.random.default_rng(0)
    parts = [(rng.random(n) < p).astype(float) for n, p in ((40, 0.9), (60, 0.7), (50, 0.4), (30, 0.1))]
    table, strata = np.concatenate(parts)[None], np.repeat(np.arange(4), [40, 60, 50, 30])
    ours = crossed_iqm(table, strata, np.random.default_rng(1), resamples=8_000)
    assert ours.value == pytest.approx(stats.trim_mean([part.mean() for part in parts], 0.25))
    reference = scipy_interval(
        tuple(parts),
        lambda *drawn: float(stats.trim_mean([part.mean() for part in drawn], 0.25)),
        vectorized=False,
    )
    assert (ours.lo, ours.hi) == pytest.approx(reference, abs=0.015)


def test_crossed_iqm_draws_a_training_with_all_its_strata() -> None:
    """A good and a bad training: the mean over both strata is far apart, so the interval reaches both."""
    table = np.repeat([[1.0] * 20, [0.0] * 20], 1, axis=0)
    estimate = crossed_iqm(table, np.arange(20) % 2, np.random.default_rng(0))
    assert (estimate.value, estimate.lo, estimate.hi) == (0.5, 0.0, 1.0)


def test_paired_proportions_by_hand_and_never_without_width() -> None:
    # Bonett and Price: (20 + 1) and (10 + 1) of 202
    up, down, z = 21 / 202, 11 / 202, stats.norm.ppf(0.975)
    half = z * np.sqrt((up + down - (up - down) ** 2) / 202)
    estimate = paired_proportions(20, 10, 200)
    assert (estimate.lo, estimate.hi) == pytest.approx((up - down - half, up - down + half))
    assert estimate.value == 0.05
    same = paired_proportions(0, 0, 200)
    assert same.value == 0 and same.lo == -same.hi < -0.005
    mirrored = paired_proportions(10, 20, 200)
    assert (mirrored.lo, mirrored.hi) == pytest.approx((-estimate.hi, -estimate.lo))


@pytest.mark.parametrize("counts", [(3, 2, 4), (-1, 0, 4), (0, 0, 0)])
def test_paired_proportions_refuses_impossible_counts(counts: tuple[int, int, int]) -> None:
    with pytest.raises(InputError):
        paired_proportions(*counts)


def test_crossed_tables_must_fit() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="2 and 3 episodes"):
        crossed_improvement([[1, 0]], [[1, 0, 1]], rng)
    with pytest.raises(InputError, match="played by both"):
        crossed_improvement([[1, np.nan]], [[np.nan, 1]], rng)
    with pytest.raises(InputError, match="a stratum for every episode"):
        crossed_iqm([[1, 0]], [0], rng)
