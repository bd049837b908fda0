"""Intrinsic cost: what steps cost by hand, what it changes in plans, and that nothing changes it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from planners.intrinsic import IntrinsicCost
from planners.level_costs import LevelCosts
from planners.objectives import GoalCost, SumCost
from planners.planner import Planner
from planners.proposals import EnumerationProposal
from planners.protocols import Objective, Trajectory
from planners.refiners import NoRefiner

STAY, EAST, WEST = 0, 1, 2
PRICES = (0.0, 1.0, 2.0, 1.0, 1.0)
"""Of the moves of `OpenGrid`; staying is free, west is dear."""


def walked(hand: SimpleNamespace, start: list[float], *moves: int, stops: float = 9.0) -> Trajectory:
    """One candidate on a line that ends in a wall at x = ``stops``."""
    places, at = [], torch.tensor(start)
    for move in moves:
        at = (at + hand.MOVES[move]).clamp_max(stops)
        places.append(at)
    actions = torch.eye(5)[list(moves)][None, None]
    return Trajectory(
        torch.tensor([start]), actions, torch.stack(places)[None, None], torch.zeros(1, 1, len(moves))
    )


def test_energy_and_discomfort_by_hand(hand: SimpleNamespace) -> None:
    cost = IntrinsicCost(energy=0.5, prices=PRICES, discomfort=3.0, moved=1.0)
    assert isinstance(cost, Objective)
    steps = walked(hand, [0.0, 0.0], EAST, EAST, STAY, WEST, stops=1.0)
    # A move, a bump, a rest that was meant to be one, and a dear move.
    assert torch.allclose(cost.per_step(steps), torch.tensor([[[0.5, 3.5, 0.0, 1.0]]]), atol=2e-3)
    assert torch.allclose(cost(steps), torch.tensor([[5.0]]), atol=4e-3)


def test_continuous_actions_cost_their_squared_size(hand: SimpleNamespace) -> None:
    action = torch.tensor([[[[0.5, 0.0], [0.0, 0.0]]]])
    steps = Trajectory(torch.zeros(1, 2), action, action.cumsum(2), torch.zeros(1, 1, 2))
    assert IntrinsicCost(energy=4.0).per_step(steps).tolist() == [[[1.0, 0.0]]]
    assert IntrinsicCost(discomfort=1.0).per_step(steps)[0, 0, 1] == 0, "who wants nothing does not bump"


def plan_of(hand: SimpleNamespace, *terms: Objective) -> list[int]:
    problem = hand.problem(torch.zeros(1, 2), SumCost(terms), 4)
    return (
        Planner(EnumerationProposal(), NoRefiner())(hand.OpenGrid(), problem).actions.argmax(-1)[0].tolist()
    )


def test_what_is_dear_is_not_done_for_a_goal_that_is_worth_less(hand: SimpleNamespace) -> None:
    goal = GoalCost(torch.tensor([[2.0, 0.0]]), hand.squared, step_cost=0.01)
    assert sorted(plan_of(hand, goal))[-2:] != [0, 0]
    modest = plan_of(hand, goal, IntrinsicCost(0.2, PRICES))
    assert sorted(modest) == [STAY, STAY, EAST, EAST], "there, and then it rests"
    # The second cell to the east brings the squared distance from 1 to 0, and costs 1.5.
    assert sorted(plan_of(hand, goal, IntrinsicCost(1.5, PRICES))) == [STAY, STAY, STAY, EAST]
    assert plan_of(hand, goal, IntrinsicCost(9.0, PRICES)) == [STAY] * 4


def test_its_gradient_reaches_actions_and_nothing_else(hand: SimpleNamespace) -> None:
    steps = walked(hand, [0.0, 0.0], EAST, WEST)
    leaf = steps.actions.clone().requires_grad_()
    cost = IntrinsicCost(0.5, PRICES)(replace(steps, actions=leaf))
    (gradient,) = torch.autograd.grad(cost.sum(), leaf)
    assert torch.allclose(gradient[0, 0, 0], 0.5 * torch.tensor(PRICES))


def test_it_does_not_change_and_cannot_be_trained() -> None:
    cost = IntrinsicCost(1.0, PRICES)
    for name in ("energy", "prices", "discomfort"):
        with pytest.raises(FrozenInstanceError):
            setattr(cost, name, 0.0)
    with pytest.raises(TypeError, match="has no parameters, it does not change; train the critic"):
        torch.optim.SGD(cost.parameters(), 0.1)  # type: ignore[arg-type, func-returns-value]
    trained: list[Tensor] = [nn.Parameter(torch.ones(())), torch.ones((), requires_grad=True)]
    for value in trained:
        with pytest.raises(ValueError, match="give a plain number from 0 up, nothing trains it"):
            IntrinsicCost(value)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="intrinsic price 1 is -1"):
        IntrinsicCost(1.0, (0.0, -1.0))
    with pytest.raises(ValueError, match="intrinsic moved is 0"):
        IntrinsicCost(moved=0.0)


def test_level_1_pays_it_beside_its_target(hand: SimpleNamespace) -> None:
    levels = hand.serpent_levels(2)
    cost = IntrinsicCost(1.0, (1.0,) * 5)
    levels[0] = replace(levels[0], intrinsic=cost)
    state = SimpleNamespace(levels=[SimpleNamespace(metric=None, field=None)] * 2, zone=None, exact=None)
    index = torch.arange(1)
    steps = walked(hand, [0.0, 0.0], EAST, EAST)
    for k, more in ((0, 2.0), (1, 0.0)):
        costs = LevelCosts(levels, state, k, index)  # type: ignore[arg-type]
        target = GoalCost(torch.tensor([[2.0, 0.0]]), hand.squared)
        objective, _ = costs.all_of(target, 2, [torch.zeros(1, 2)], torch.zeros(1, dtype=torch.int64))
        assert objective(steps).item() == pytest.approx(target(steps).item() + more)
