"""Costs: the goal counts at the best step, a subgoal when it is due and in the space of the level above."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners.objectives import GoalCost, SubgoalCost, SumCost, SupportCost
from planners.protocols import Objective, Trajectory


def trajectory(latents: Tensor, surprise: Tensor | None = None) -> Trajectory:
    """Latents (E, N, H, D) with zeros for all the rest."""
    episodes, candidates, horizon, dim = latents.shape
    if surprise is None:
        surprise = torch.zeros(episodes, candidates, horizon)
    return Trajectory(torch.zeros(episodes, dim), torch.zeros(*latents.shape[:3], 2), latents, surprise)


def one_dimensional(*paths: list[float]) -> Trajectory:
    """One episode whose candidates walk on a line."""
    return trajectory(torch.tensor(paths).unsqueeze(0).unsqueeze(-1))


def test_all_are_objectives(hand: SimpleNamespace) -> None:
    goal = GoalCost(torch.zeros(1, 1), hand.squared)
    subgoal = SubgoalCost(torch.zeros(1, 1), torch.ones(1), lambda x: x, hand.squared)
    for term in (goal, subgoal, SupportCost(1.0), SumCost([goal])):
        assert isinstance(term, Objective)


def test_goal_cost_takes_the_best_step(hand: SimpleNamespace) -> None:
    walked = one_dimensional([1.0, 3.0, 7.0], [4.0, 4.0, 4.0], [0.0, 0.0, 2.0])
    cost = GoalCost(torch.tensor([[3.0]]), hand.squared)
    assert cost.per_step(walked).tolist() == [[[4.0, 0.0, 16.0], [1.0, 1.0, 1.0], [9.0, 9.0, 1.0]]]
    assert cost(walked).tolist() == [[0.0, 1.0, 1.0]]


def test_haste_prefers_the_shorter_way_to_the_same_end(hand: SimpleNamespace) -> None:
    dawdles, hurries = [0.0, 0.0, 3.0], [2.0, 3.0, 3.0]
    walked, goal = one_dimensional(dawdles, hurries), torch.tensor([[3.0]])
    assert GoalCost(goal, hand.squared)(walked).tolist() == [[0.0, 0.0]]
    # Mean squared distance on the way: (9 + 9 + 0) / 3, and (1 + 0) / 2 up to the best step.
    hasty = GoalCost(goal, hand.squared, haste=0.5)(walked)
    assert torch.allclose(hasty, torch.tensor([[3.0, 0.5 * 1 / 3]]))


def test_goal_cost_counts_steps_from_one(hand: SimpleNamespace) -> None:
    walked = one_dimensional([3.0, 0.0], [0.0, 3.0])
    cost = GoalCost(torch.tensor([[3.0]]), hand.squared, step_cost=0.5)
    assert cost(walked).tolist() == [[0.5, 1.0]], "the same goal costs more when it is reached later"


def test_a_step_that_shrinks_the_distance_too_fast_is_charged_for_it() -> None:
    """From 10 away, three a step at most: 7, 4, 1 is true; a leap to 2 counts as far off as it is too near."""

    def steps(latents: Tensor, goal: Tensor) -> Tensor:
        return (latents - goal)[..., 0].abs()

    walked = one_dimensional([7.0, 4.0, 1.0], [2.0, 1.0, 0.0], [9.0, 9.0, 3.0])
    walked = Trajectory(torch.full((1, 1), 10.0), walked.actions, walked.latents, walked.surprise)
    believed, doubted = (GoalCost(torch.zeros(1, 1), steps, pace=pace) for pace in (None, 3.0))
    assert believed.per_step(walked).tolist() == [[[7.0, 4.0, 1.0], [2.0, 1.0, 0.0], [9.0, 9.0, 3.0]]]
    assert doubted.per_step(walked).tolist() == [[[7.0, 4.0, 1.0], [12.0, 17.0, 28.0], [9.0, 9.0, 9.0]]]
    assert doubted(walked).argmin() == 0


def test_goal_cost_has_one_goal_per_episode(hand: SimpleNamespace) -> None:
    latents = torch.zeros(2, 3, 2, 1)
    cost = GoalCost(torch.tensor([[1.0], [2.0]]), hand.squared)(trajectory(latents))
    assert cost.tolist() == [[1.0] * 3, [4.0] * 3]


def test_subgoal_cost_counts_exactly_when_it_is_due(hand: SimpleNamespace) -> None:
    # The first candidate touches the subgoal early and leaves it, the second comes close on time: compared at
    # the best step the first would always win.
    walked = one_dimensional([5.0, 0.0, 0.0], [1.0, 3.0, 4.5])
    for due, expected in ((1, [0.0, 16.0]), (2, [25.0, 4.0]), (3, [25.0, 0.25])):
        cost = SubgoalCost(torch.tensor([[5.0]]), torch.tensor([due]), lambda latent: latent, hand.squared)
        assert cost(walked).tolist() == [expected]


def test_subgoal_cost_is_due_at_each_episode_s_own_step(hand: SimpleNamespace) -> None:
    latents = torch.arange(1.0, 5.0).view(1, 1, 4, 1).repeat(3, 2, 1, 1)
    cost = SubgoalCost(torch.zeros(3, 1), torch.tensor([1, 4, 2]), lambda latent: latent, hand.squared)
    assert cost(trajectory(latents)).tolist() == [[1.0] * 2, [16.0] * 2, [4.0] * 2]


def test_subgoal_cost_is_measured_above(hand: SimpleNamespace) -> None:
    latents = torch.tensor([[[[3.0, 4.0]], [[6.0, 8.0]]]])
    lifted: list[tuple[int, ...]] = []

    def lift(latent: Tensor) -> Tensor:
        lifted.append(tuple(latent.shape))
        return latent.norm(dim=-1, keepdim=True)

    cost = SubgoalCost(torch.tensor([[5.0]]), torch.tensor([1]), lift, hand.squared, flops=12.0)
    assert cost(trajectory(latents)).tolist() == [[0.0, 25.0]]
    assert lifted == [(1, 2, 2)], "only the latent that is due is lifted"
    assert cost.flops == 12.0


def test_subgoal_gradient_reaches_only_the_step_that_is_due(hand: SimpleNamespace) -> None:
    latents = torch.ones(1, 1, 3, 1, requires_grad=True)
    cost = SubgoalCost(torch.zeros(1, 1), torch.tensor([2]), lambda latent: latent, hand.squared)
    (gradient,) = torch.autograd.grad(cost(trajectory(latents)).sum(), latents)
    assert gradient.flatten().tolist() == [0.0, 2.0, 0.0]


def test_support_cost_is_the_mean_of_what_is_not_free() -> None:
    surprise = torch.tensor([[[1.0, 4.0], [-0.5, 2.0], [2.0, 2.0]]])
    cost = SupportCost(weight=2.0, free=2.0)
    assert cost(trajectory(torch.zeros(1, 3, 2, 1), surprise)).tolist() == [[2.0, 0.0, 0.0]]
    assert SupportCost(1.0)(trajectory(torch.zeros(1, 3, 2, 1), surprise)).tolist() == [[2.5, 1.0, 2.0]]


def test_sum_cost_adds_costs_and_operations(hand: SimpleNamespace) -> None:
    walked = one_dimensional([1.0], [3.0])
    subgoal = SubgoalCost(
        torch.tensor([[1.0]]), torch.tensor([1]), lambda latent: latent, hand.squared, flops=5.0
    )
    total = SumCost([GoalCost(torch.tensor([[3.0]]), hand.squared), subgoal, SupportCost(1.0)])
    assert total(walked).tolist() == [[4.0, 4.0]]
    assert total.flops == 5.0
    with pytest.raises(ValueError, match="no costs"):
        SumCost([])
