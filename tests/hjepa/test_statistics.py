"""The statistics against scipy and against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hjepa.errors import InputError
from hjepa.statistics import (
    iqm,
    iqm_interval,
    paired_difference,
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
