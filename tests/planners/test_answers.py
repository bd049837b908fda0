"""Many answers: both wells of an energy, both ways round a ring, and nothing that is not there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners.answers import different, find_answers
from planners.objectives import GoalCost
from planners.proposals import PriorProposal
from planners.protocols import Trajectory
from planners.refiners import AdamRefiner, NoRefiner

CASES = 200


class TwoWells:
    """Energy of the last latent: 0 at (1, 0), and ``higher`` at (-1, 0)."""

    flops = 1.0

    def __init__(self, higher: float = 0.0) -> None:
        self.higher = higher

    def __call__(self, trajectory: Trajectory) -> Tensor:
        x, y = trajectory.latents[:, :, -1].unbind(-1)
        return (x.square() - 1).square() + y.square() + self.higher * (1 - x) / 2


def ring(hand: SimpleNamespace, places: int) -> tuple[object, Tensor]:
    """A ring of places on a circle, with back, stay and forth, and where they are."""
    number = torch.arange(places)
    table = torch.stack([(number - 1) % places, number, (number + 1) % places], 1)
    angle = 2 * torch.pi * number / places
    where = (1000 * torch.stack([angle.cos(), angle.sin()], 1)).round().long()
    return hand.TableModel(where, table), where.float()


def test_both_wells_are_found_from_different_starts(hand: SimpleNamespace) -> None:
    problem = hand.problem(torch.zeros(CASES, 2), TwoWells(0.1), 2)
    answers = find_answers(hand.PointMass(), problem, PriorProposal(16), AdamRefiner(40, 0.1), 0.5, 4,
                           describe=lambda trajectory: trajectory.latents[:, :, -1])  # fmt: skip
    assert answers.actions.shape == (CASES, 4, 2, 2) and answers.latents.shape == (CASES, 4, 2, 2)
    near = answers.cost < 0.3
    both = near[:, :2].all(1) & (near.sum(1) == 2)
    assert both.float().mean() >= 0.9
    ends = answers.latents[both, :2, -1]
    assert torch.allclose(ends[:, 0], torch.tensor([1.0, 0.0]), atol=0.2), "the deeper one comes first"
    assert torch.allclose(ends[:, 1], torch.tensor([-1.0, 0.0]), atol=0.2)
    energies = answers.cost[both][:, :2].mean(0)
    assert energies.tolist() == pytest.approx([0.0, 0.1], abs=0.03)


def test_both_ways_round_a_ring_are_found(hand: SimpleNamespace) -> None:
    """To the place opposite, four steps either way; both cost the same."""
    model, where = ring(hand, 8)
    start = torch.arange(CASES) % 8
    goal = GoalCost(where[(start + 4) % 8], hand.squared, step_cost=1.0)
    problem = hand.problem(where[start], goal, 4)
    answers = find_answers(model, problem, PriorProposal(1024), NoRefiner(), 1.0, 4, slack=0.5)
    assert (answers.count == 2).float().mean() >= 0.9
    two = answers.count == 2
    assert torch.equal(answers.cost[two, 0], answers.cost[two, 1]) and (answers.cost[two, 0] == 4).all()
    ways = answers.actions.argmax(-1)[two, :2]
    assert (ways.sum(-1).sort(1).values == torch.tensor([0, 8])).all(), "all back, and all forth"


def test_one_minimum_is_one_answer(hand: SimpleNamespace) -> None:
    goal = GoalCost(torch.tensor([[0.5, 0.5]]).expand(20, 2), hand.squared)
    problem = hand.problem(torch.zeros(20, 2), goal, 1)
    answers = find_answers(
        hand.PointMass(), problem, PriorProposal(16), AdamRefiner(60, 0.1), 0.3, 3, slack=0.01
    )
    assert (answers.count == 1).all() and torch.isinf(answers.cost[:, 1:]).all()


def test_the_best_of_those_that_are_alike_stands_for_them() -> None:
    cost = torch.tensor([[3.0, 1.0, 2.0, 9.0, torch.inf]])
    described = torch.tensor([[[0.0], [0.2], [5.0], [9.0], [20.0]]])
    index, kept = different(cost, described, 1.0, 4, 4.0)
    assert index[0, :2].tolist() == [1, 2] and kept[0, :2].tolist() == [1.0, 2.0]
    assert torch.isinf(kept[0, 2:]).all(), "9 is too dear, and the last one has no cost"
    index, _ = different(cost, described, 0.1, 4, 100.0)
    assert index[0].tolist() == [1, 2, 0, 3]


def test_what_cannot_be_asked_for(hand: SimpleNamespace) -> None:
    problem = hand.problem(torch.zeros(1, 2), TwoWells(), 1)
    with pytest.raises(ValueError, match="0 answers"):
        find_answers(hand.PointMass(), problem, PriorProposal(8), NoRefiner(), 1.0, 0)
