"""Episodes that share a floor plan: what they are worth, against known answers, and whether intervals cover."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hjepa.errors import InputError
from hjepa.evaluation.comparison import Entry, blocks
from hjepa.evaluation.layouts import (
    clustered,
    clustered_proportions,
    clustered_wilson,
    effective_episodes,
)
from hjepa.evaluation.records import Record, build_record, check_record, pooled, success_interval
from hjepa.evaluation.statistics import (
    crossed_improvement,
    crossed_mean,
    paired_difference,
    paired_proportions,
    wilson,
)
from hjepa.evaluation.tables import table
from tasks import sample_episodes

OUTCOMES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=80)


@given(OUTCOMES)
def test_episodes_are_worth_between_one_and_all_of_them(outcomes: list[tuple[int, int]]) -> None:
    success, plans = np.array(outcomes).T
    worth = effective_episodes(success, plans)
    assert 1 - 1e-9 <= worth <= success.size + 1e-9
    lo, hi = clustered_wilson(success, plans)
    plain = wilson(int(success.sum()), success.size)
    assert lo <= plain[0] + 1e-9 and hi >= plain[1] - 1e-9
    assert 0 <= lo <= success.mean() + 1e-9 and success.mean() - 1e-9 <= hi <= 1


@given(OUTCOMES)
def test_names_and_order_of_plans_do_not_matter(outcomes: list[tuple[int, int]]) -> None:
    success, plans = np.array(outcomes).T
    order = np.random.default_rng(0).permutation(success.size)
    renamed = np.array([f"plan {7 - plan}" for plan in plans])
    expected = effective_episodes(success, plans)
    assert effective_episodes(success[order], renamed[order]) == pytest.approx(expected)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_plans_that_never_repeat_and_a_single_one_leave_wilsons_interval(success: list[int]) -> None:
    for plans in (np.arange(len(success)), np.zeros(len(success))):
        assert not clustered(plans)
        expected = stats.binomtest(sum(success), len(success)).proportion_ci(0.95, method="wilson")
        assert clustered_wilson(success, plans) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_where_all_succeed_a_plan_is_one_trial() -> None:
    plans = np.repeat(np.arange(8), 75)
    expected = stats.binomtest(8, 8).proportion_ci(0.95, method="wilson")
    assert clustered_wilson(np.ones(600), plans) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_where_each_plan_is_all_or_nothing_a_plan_is_one_trial() -> None:
    plans, solved = np.repeat(np.arange(40), 15), np.repeat(np.arange(40) % 4 > 0, 15)
    expected = stats.binomtest(30, 40).proportion_ci(0.95, method="wilson")
    assert clustered_wilson(solved, plans) == pytest.approx((expected.low, expected.high), abs=0.002)


def test_where_plans_do_not_matter_nearly_all_episodes_count() -> None:
    success = np.random.default_rng(0).random(6_000) < 0.7
    assert effective_episodes(success, np.repeat(np.arange(300), 20)) > 5_000


def test_one_more_failure_never_narrows_the_interval() -> None:
    plans, widths = np.repeat(np.arange(8), 75), []
    for failures in range(0, 9):
        success = np.ones(600)
        success[np.arange(failures) * 75] = 0  # spread over the plans, so that plans do not matter
        lo, hi = clustered_wilson(success, plans)
        widths.append(hi - lo)
        assert lo > 0.6
    assert widths[-1] < widths[0]  # what is seen of the spread between plans counts for something


@pytest.mark.parametrize(("plans", "tasks"), [(8, 75), (43, 14)])
@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.4])
def test_intervals_cover_the_truth_where_wilsons_does_not(plans: int, tasks: int, correlation: float) -> None:
    rng, names = np.random.default_rng(1), np.repeat(np.arange(plans), tasks)
    covered = np.zeros((300, 2))
    for trial in range(300):
        rate = np.full(plans, 0.8)
        if correlation:
            rate = rng.beta(0.8 * (1 / correlation - 1), 0.2 * (1 / correlation - 1), plans)
        success = rng.random(plans * tasks) < np.repeat(rate, tasks)
        ours, plain = clustered_wilson(success, names), wilson(int(success.sum()), success.size)
        covered[trial] = [lo <= 0.8 <= hi for lo, hi in (ours, plain)]
    ours_covered, plain_covered = covered.mean(0)
    assert ours_covered >= 0.89
    assert correlation == 0 or plain_covered < 0.85


def test_paired_difference_of_whole_plans_is_scipys_bootstrap_over_plans() -> None:
    rng = np.random.default_rng(0)
    shift = rng.normal(0.1, 0.3, 30)
    a = (np.repeat(shift, 5) + rng.normal(0, 0.05, 150)).round(2)
    names = np.repeat([f"plan {n}" for n in range(30)], 5)
    ours = paired_difference(a, np.zeros(150), np.random.default_rng(1), layouts=names)
    reference = stats.bootstrap(
        (a.reshape(30, 5).mean(1),),
        np.mean,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours.value == pytest.approx(a.mean())
    assert (ours.lo, ours.hi) == pytest.approx((reference.low, reference.high), abs=0.01)
    plain = paired_difference(a, np.zeros(150), np.random.default_rng(1))
    assert ours.hi - ours.lo > 1.8 * (plain.hi - plain.lo)


def test_drawing_plans_of_one_episode_is_drawing_episodes() -> None:
    values = np.random.default_rng(0).random((3, 40))
    names = np.arange(40)
    for draw in (
        crossed_mean,
        lambda t, rng, layouts=None: crossed_improvement(t, t[:2], rng, layouts=layouts),
    ):
        plain, named = (draw(values, np.random.default_rng(1), layouts=plans) for plans in (None, names))
        assert (named.value, named.lo, named.hi) == pytest.approx((plain.value, plain.lo, plain.hi))


def test_improvement_of_whole_plans_is_wider() -> None:
    rng, names = np.random.default_rng(0), np.repeat(np.arange(20), 10)
    ours = np.repeat(rng.random(20), 10)[None]
    theirs = np.full((1, 200), 0.5)
    plain, named = (
        crossed_improvement(ours, theirs, np.random.default_rng(1), layouts=p) for p in (None, names)
    )
    assert named.value == plain.value and named.hi - named.lo > 2 * (plain.hi - plain.lo)


def test_paired_proportions_of_plans_that_never_repeat_are_the_plain_ones() -> None:
    differences = np.repeat([1, -1, 0], [20, 10, 170])
    ours, plain = clustered_proportions(differences, np.arange(200)), paired_proportions(20, 10, 200)
    assert (ours.value, ours.lo, ours.hi) == pytest.approx((plain.value, plain.lo, plain.hi))
    one_sided = clustered_proportions(np.ones(30), np.repeat(np.arange(3), 10))
    assert one_sided.lo < clustered_proportions(np.ones(30), np.arange(30)).lo


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="3 outcomes and 2 layouts"):
        effective_episodes([1, 0, 1], ["a", "b"])
    with pytest.raises(InputError, match="2 layouts for 3 episodes"):
        crossed_mean([[1.0, 0.0, 1.0]], np.random.default_rng(0), layouts=["a", "b"])


def record(success: list[int], layout: list[str] | None, **changes: object) -> Record:
    arguments = {
        "task": "made-up", "split": "test", "tasks": "far", "seed": 0, "levels": 1, "depth": "trained",
        "metric": "l2", "planner": "adam", "step_budget": 9, "success": success, "steps": [9] * len(success),
        "oracle_steps": [9] * len(success), "active_share": [1.0], "tflops_per_episode": 0.1, "train_seed": 0,
    }  # fmt: skip
    return build_record(**(arguments | {"layout": layout} | changes))  # type: ignore[arg-type]


def test_a_record_counts_its_layouts_and_has_both_intervals() -> None:
    found = record([1, 1, 0, 0], ["a", "a", "b", "b"])
    assert found["layouts"] == 2 and found["layout"] == ["a", "a", "b", "b"]
    assert found["success_ci95"] == pytest.approx(wilson(2, 4))
    assert success_interval(found) == found["success_ci95_clustered"] != found["success_ci95"]
    alone = record([1, 0], ["a", "b"])
    assert "success_ci95_clustered" not in alone and success_interval(alone) == alone["success_ci95"]
    assert "layout" not in record([1, 0], None)


@pytest.mark.parametrize("wrong", [{"layout": ["a"]}, {"layout": ["a", 1]}, {"layouts": 1}])
def test_a_record_whose_layouts_do_not_fit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="layout"):
        check_record(record([1, 0], ["a", "b"]) | wrong)


def test_pooled_records_count_layouts_once() -> None:
    parts = [record([1, 1, 0], ["a", "b", "c"], seed=seed) for seed in (0, 1)]
    whole = pooled(parts)
    assert whole["layouts"] == 3 and len(whole["layout"]) == 6 and "success_ci95_clustered" in whole
    lost = pooled([parts[0], record([1, 1, 0], None, seed=1)])
    assert not lost.keys() & {"layout", "layouts", "success_ci95_clustered"}


def test_tables_and_blocks_use_the_clustered_interval_and_tell_how_many_plans() -> None:
    plans = [f"plan {number // 25}" for number in range(200)]
    better = record([1] * 200, plans, levels=2, active_share=[1.0, 1.0])
    worse = record([int(number % 25 > 2) for number in range(200)], plans)
    text = table([better, worse])
    assert "200 far episodes on 8 floor plans of the test split" in text
    lo = 100 * wilson(8, 8)[0]
    assert f"[{lo:.1f}, 100.0]" in text
    block = blocks([Entry(better), Entry(worse)])[0]
    rates = {agent.levels: block.rate(agent) for agent in block.agents}
    assert [rates[2].lo, rates[2].hi] == pytest.approx(better["success_ci95_clustered"])  # type: ignore[union-attr]
    agents = {agent.levels: agent for agent in block.agents}
    together = block.compare(agents[2], agents[1])
    bare = [{k: v for k, v in each.items() if not k.startswith("layout")} for each in (better, worse)]
    apart = blocks([Entry(each) for each in bare])[0]
    others = {agent.levels: agent for agent in apart.agents}
    plain = apart.compare(others[2], others[1])
    assert together is not None and plain is not None
    assert together.difference.lo < plain.difference.lo  # type: ignore[operator]


def test_layouts_are_known_by_what_they_show() -> None:
    d2 = sample_episodes("hjepa/NestedRooms-d2-v0", "test", "far", episodes=200, seed=0)
    assert len(set(d2.layouts)) == 8 < len(set(d2.plan_seed))
    same = {name: d2.walls[d2.layouts.index(name)] for name in set(d2.layouts)}
    assert all((same[name] == walls).all() for name, walls in zip(d2.layouts, d2.walls))
    for one, other in product(same, same):
        assert one == other or (same[one] != same[other]).any()
    stock = sample_episodes("MiniGrid-FourRooms-v0", "test", "own", episodes=40, seed=0)
    moved = stock.grid.copy()
    moved[moved[..., 0] == 8] = (1, 0, 0)  # the goal is no part of a floor plan
    assert (
        type(stock)(stock.plan_seed, moved, stock.start, stock.goal, stock.oracle_steps).layouts
        == stock.layouts
    )
