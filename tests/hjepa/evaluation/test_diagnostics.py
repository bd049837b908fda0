"""What diagnosis says of subgoals and plans, on worlds small enough to count along."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from hjepa.evaluation.diagnostics import _latent, _planned, _subgoals
from hjepa.evaluation.true_states import Truth
from planners.plan_state import Decision

GOAL = 6


def ring(rows: int) -> Truth:
    """Places 0 to 9 on a ring, a step from each to the next; the latent of a place is its number; strides of 3."""
    number = torch.arange(10)
    around = (number[:, None] - number).abs()
    steps = torch.minimum(around, 10 - around).expand(rows, -1, -1)

    def locate(k: int, latent: Tensor, rows: Tensor) -> Tensor:
        return latent.squeeze(-1).round().long()

    parts = {"spans": (1, 3), "steps": steps, "goal": torch.full((rows,), GOAL), "locate": locate}
    return cast(Truth, SimpleNamespace(**parts, within=lambda span: steps <= span))


def set_at_once(subgoals: list[int], skipped: list[bool] | None = None) -> Decision:
    """A decision of level 2 at the start of as many episodes."""
    count = len(subgoals)
    plan: Any = SimpleNamespace(latents=torch.tensor(subgoals).float().view(count, 1, 1))
    rows, passed = torch.arange(count), torch.tensor(skipped or [False] * count)
    return Decision(2, rows, torch.zeros_like(rows), True, plan, plan.latents[:, 0], passed)


@pytest.mark.parametrize(
    ("subgoal", "stands", "feasible", "gain", "reached", "stale"),
    [
        (5, 5, 1.0, 1.0, 1.0, 0.0),
        (5, 4, 1.0, 1.0, 0.0, 0.0),  # missed, but still closer to the goal
        (5, 6, 1.0, 1.0, 0.0, 1.0),  # missed, and the agent is past it
        (5, 7, 1.0, 1.0, 0.0, 1.0),  # missed, and as far from the goal on its other side
        (8, 4, 0.0, 2 / 3, 0.0, 1.0),  # too far from where it was set, and as far from the goal as the agent
        (1, 1, 1.0, -1 / 3, 1.0, 0.0),
    ],
)
def test_what_becomes_of_a_subgoal(
    subgoal: int, stands: int, feasible: float, gain: float, reached: float, stale: float
) -> None:
    path = torch.tensor([[2, 9, 9, stands, 9, 9]])
    found = _subgoals(ring(1), 1, path, [set_at_once([subgoal])])
    assert found == pytest.approx(
        {
            "subgoals_feasible": feasible,
            "subgoals_gain": gain,
            "subgoals_reached": reached,
            "subgoals_stale": stale,
        }
    )


def test_what_was_skipped_does_not_count_and_nothing_has_no_mean() -> None:
    path = torch.tensor([[2, 3, 4, 5], [2, 2, 2, 2]])
    both = _subgoals(ring(2), 1, path, [set_at_once([5, 5])])
    one = _subgoals(ring(2), 1, path, [set_at_once([5, 5], [False, True])])
    assert both["subgoals_reached"] == 0.5 and one["subgoals_reached"] == 1.0
    none = _subgoals(ring(2), 1, path, [set_at_once([5, 5], [True, True])])
    assert set(none.values()) == {None}


def test_a_subgoal_that_is_due_after_the_end_is_compared_with_the_last_state() -> None:
    path = torch.tensor([[2, 5]])
    assert _subgoals(ring(1), 1, path, [set_at_once([5])])["subgoals_reached"] == 1.0


@pytest.mark.parametrize(("left", "covered"), [(1.0, 1.0), (3.0, 0.0)])
def test_where_a_critic_counts_the_way_it_says_what_plans_cover(left: float, covered: float) -> None:
    """A plan ends far from the goal as latents go, and the critic knows whether it is there."""
    plan: Any = SimpleNamespace(latents=torch.zeros(2, 3, 1), surprise=torch.tensor([0.5, 9.0]))
    skipped = torch.tensor([False, True])
    decision = Decision(
        2, torch.tensor([1, 0]), torch.zeros(2), True, plan, torch.full((2, 1), 100.0), skipped
    )

    def critic(latents: Tensor, field: Tensor) -> Tensor:
        return field[:, None].expand(latents.shape[:2])

    levels = [SimpleNamespace(reached=0.0, critic=None), SimpleNamespace(reached=2.0, critic=critic)]
    agent: Any = SimpleNamespace(planner=SimpleNamespace(levels=levels))
    found = _planned(agent, 1, None, torch.tensor([9.0, left]), [decision])
    assert found == {"support_distance": 0.5, "candidate_coverage": covered}
    by_distance = _planned(agent, 1, None, None, [decision])
    assert by_distance["candidate_coverage"] == 0.0, "without a field it is the latents' distance"


@pytest.mark.parametrize("whole", [True, False])
def test_distances_of_latents_are_measured_as_planning_measures_them(whole: bool) -> None:
    """Of a line of places whose latents hold, beside the place, what planning's metric does not look at."""
    place = torch.arange(30)
    noise = 1000 * torch.rand(2, 30, generator=torch.Generator().manual_seed(0))
    states = torch.stack([place, place, place], -1).expand(2, -1, -1)
    parts = {
        "count": torch.tensor([30, 30]),
        "latents": [torch.stack([place.expand(2, -1), noise], -1)],
        "steps": (place[:, None] - place).abs().expand(2, -1, -1),
        "states": states,
        "goal": torch.tensor([29, 0]),
    }
    truth = cast(Truth, SimpleNamespace(**parts))
    agent: Any = SimpleNamespace(stack=SimpleNamespace(probe=lambda k: lambda latent: states[0]))
    metric = torch.tensor([[1.0], [0.0]])
    found = _latent(agent, truth, 0, metric if whole else metric.expand(2, -1, -1), None, 5)
    assert found["rank_correlation_map"] == found["rank_correlation_span"] == pytest.approx(1.0)
    plain = cast(float, _latent(agent, truth, 0, None, None, 5)["rank_correlation_map"])
    assert abs(plain) < 0.3
    # A critic that knows the way to the goal, and knows it the wrong way round.
    for sign in (1, -1):
        way = sign * (place - torch.tensor([[29], [0]])).abs().float()
        assert _latent(agent, truth, 0, None, way, 5)["rank_correlation_map"] == pytest.approx(sign)


def test_a_plan_is_optimal_if_no_other_costs_a_hundredth_of_a_stride_less() -> None:
    plan: Any = SimpleNamespace(
        latents=torch.zeros(4, 1, 1),
        surprise=torch.zeros(4),
        cost=torch.tensor([2.0, 2.01, 2.03, 6.0]),
        optimum=torch.full((4,), 2.0),
    )
    none = torch.zeros(4, dtype=torch.bool)
    decision = Decision(1, torch.arange(4), torch.zeros(4), True, plan, torch.zeros(4, 1), none)
    agent: Any = SimpleNamespace(
        planner=SimpleNamespace(levels=[SimpleNamespace(reached=1.0, critic=None)]),
        stack=SimpleNamespace(stride_quantile=lambda metric, k, share: 2.0),
        settings=SimpleNamespace(metric="l2"),
    )
    found = _planned(agent, 0, None, None, [decision])
    assert found["optimality_gap"] == pytest.approx((0.005 + 0.015 + 2.0) / 4)
    assert found["optimal_plans"] == 0.5
