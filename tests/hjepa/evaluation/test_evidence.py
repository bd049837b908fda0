"""Records pooled over training seeds and paired by episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hjepa.errors import InputError
from hjepa.evaluation.comparison import Block, Entry, blocks
from hjepa.evaluation.statistics import wilson
from hjepa.report.answer import answer, pick

Make = Callable[..., dict[str, Any]]


def block(*records: dict[str, Any], variants: tuple[str, ...] = ()) -> Block:
    names = variants or ("",) * len(records)
    (found,) = blocks([Entry(r, f"R{i + 1}", v) for i, (r, v) in enumerate(zip(records, names))])
    return found


def test_one_training_has_wilsons_interval_which_is_the_records_own(made_up: Make) -> None:
    record = made_up(2, 0.6)
    one = block(record)
    rate = one.rate(one.agents[0])
    assert rate is not None
    assert [rate.lo, rate.hi] == record["success_ci95"] and rate.value == record["success_rate"]
    assert (rate.episodes, rate.trainings, rate.sources) == (120, 1, ("R1",))


def test_trainings_that_differ_widen_the_interval(made_up: Make) -> None:
    alike = block(*(made_up(2, 0.6, train_seed=s) for s in (0, 1, 2)))
    apart = block(*(made_up(2, 0.3 + 0.3 * s, train_seed=s) for s in (0, 1, 2)))
    near, far = alike.rate(alike.agents[0]), apart.rate(apart.agents[0])
    assert near is not None and far is not None and near.lo and near.hi and far.lo and far.hi
    assert far.hi - far.lo > 1.5 * (near.hi - near.lo)
    pooled = wilson(round(near.value * 360), 360)
    assert near.lo <= pooled[0] and near.hi >= pooled[1]
    assert near.trainings == 3 and near.episodes == 120


def test_agents_are_paired_by_evaluation_seed_and_episode_not_by_place(made_up: Make) -> None:
    """Two evaluation seeds, given in another order, and one agent that played fewer episodes."""
    first = [made_up(1, 0.3, seed=s) for s in (0, 1)]
    second = [made_up(2, 0.7, seed=1), made_up(2, 0.7, seed=0, episodes=50)]
    both = block(*first, *second)
    lower, upper = both.agents
    found = both.compare(upper, lower)
    assert found is not None
    by_hand = [np.array(second[0]["success"]) - np.array(first[1]["success"]),
               np.array(second[1]["success"]) - np.array(first[0]["success"])[:50]]  # fmt: skip
    assert found.difference.value == pytest.approx(np.concatenate(by_hand).mean())
    assert found.difference.episodes == 170 and found.paired_trainings
    assert set(found.difference.sources) == {"R1", "R2", "R3", "R4"}


def test_other_episodes_are_never_paired(made_up: Make) -> None:
    apart = block(made_up(1, 0.3, seed=0), made_up(2, 0.7, seed=1))
    lower, upper = apart.agents
    assert apart.compare(upper, lower) is None
    # The same seed and number, another shortest path: another floor plan.
    moved = made_up(2, 0.7)
    moved["oracle_steps"] = [steps + 1 for steps in moved["oracle_steps"]]
    other = block(made_up(1, 0.3), moved)
    assert other.compare(*reversed(other.agents)) is None


def test_a_difference_of_nothing_still_has_a_width(made_up: Make) -> None:
    same = block(made_up(1, 0.5), {**made_up(1, 0.5), "levels": 2, "active_share": [1.0, 1.0]})
    found = same.compare(*reversed(same.agents))
    assert found is not None and found.difference.lo is not None and found.difference.hi is not None
    assert found.difference.value == 0 and found.difference.lo < 0 < found.difference.hi
    assert found.improvement.value == 0.5


def test_the_whole_stack_ends_the_series_of_its_cuts_and_no_other(made_up: Make) -> None:
    cut = [made_up(k, 0.5, depth="truncated", checkpoint_sha256="aa" * 32) for k in (1, 2)]
    whole = made_up(3, 0.6, checkpoint_sha256="aa" * 32)
    one = block(*cut, whole)
    assert {d: list(a) for d, a in one.depths(one.settings()[0]).items()} == {"truncated": [1, 2, 3]}
    stranger = block(*cut, made_up(3, 0.6, checkpoint_sha256="bb" * 32))
    depths = stranger.depths(stranger.settings()[0])
    assert {d: list(a) for d, a in depths.items()} == {"trained": [3], "truncated": [1, 2]}


def test_what_was_seen_with_makes_another_agent(made_up: Make) -> None:
    found = block(made_up(1, 0.3), made_up(1, 0.4) | {"perception": "pixels"})
    assert [setting.variant for setting in found.settings()] == ["", "pixels"]


def test_the_same_cell_twice_is_refused(made_up: Make) -> None:
    with pytest.raises(InputError, match="two results of one agent"):
        block(made_up(1, 0.3), made_up(1, 0.4))


def test_distance_buckets_lose_no_episode(made_up: Make) -> None:
    one = block(made_up(1, 0.5))
    masks = [mask for _, mask in one.buckets()]
    np.testing.assert_array_equal(np.sum(masks, axis=0), 1)
    for (name, mask), held in zip(
        one.buckets(), [b for b in one.entries[0].record["by_distance"] if b["episodes"]]
    ):
        rate = one.rate(one.agents[0], mask)
        assert rate is not None and rate.value == pytest.approx(held["success_rate"])
        assert name.startswith(str(held["lo"])) and mask.sum() == held["episodes"]


# The rule of the answer.


def graded(made_up: Make, shares: dict[int, float], **changes: Any) -> Block:
    return block(*(made_up(k, share, **changes) for k, share in shares.items()))


@pytest.mark.parametrize(
    ("shares", "chosen", "clear"),
    [
        ({1: 0.2, 2: 0.6, 3: 0.95}, 3, True),
        ({1: 0.2, 2: 1.2, 3: 0.7}, 2, True),
        ({1: 2.0, 2: 2.0, 3: 2.0}, 1, True),
        ({1: 0.1, 2: 0.72, 3: 0.70}, 2, None),
    ],
)
def test_the_fewest_levels_that_are_not_worse(
    made_up: Make, shares: dict[int, float], chosen: int, clear: bool | None
) -> None:
    found = answer(graded(made_up, shares, episodes=400))
    assert found is not None and found.chosen == chosen
    assert clear is None or found.clear == clear


def test_few_episodes_are_not_clear(made_up: Make) -> None:
    found = answer(graded(made_up, {1: 0.1, 2: 0.6, 3: 0.62}, episodes=20))
    assert found is not None and not found.clear


def test_no_answer_where_nothing_beats_chance_and_none_from_oracles(made_up: Make) -> None:
    found = answer(graded(made_up, {1: 0.2, 2: 0.25}, random_success_rate=0.9))
    assert found is not None and found.chosen is None
    assert answer(graded(made_up, {1: 0.2, 2: 0.9}, oracle="dynamics")) is None


def test_a_tie_goes_to_fewer_levels(made_up: Make) -> None:
    even = graded(made_up, {1: 2.0, 2: 2.0})
    assert pick(even, {a.levels: a for a in even.agents}) == (1, 1)


def test_a_flat_agent_with_a_planner_of_its_own_is_compared_with_the_hierarchies(made_up: Make) -> None:
    flat, two, three = made_up(1, 0.3, planner="sampling"), made_up(2, 0.6), made_up(3, 0.7)
    found = block(flat, two, three)
    (setting,) = found.settings()
    assert [agent.levels for agent in found.agents] == [1, 2, 3]
    assert setting.planner == "adam" and found.flat_planners == {setting: "sampling"}
    # Where a flat agent plans as they do, or they do not agree, nothing moves.
    for others in ((made_up(1, 0.2), two), (two, made_up(3, 0.7, planner="cem")), ()):
        apart = block(flat, *others)
        assert apart.flat_planners == {}
        assert {agent.setting.planner for agent in apart.agents if agent.levels == 1} >= {"sampling"}
