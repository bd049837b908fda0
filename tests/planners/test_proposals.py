"""Proposals: where candidates come from, and the warm start among them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from planners.objectives import GoalCost
from planners.proposals import EnumerationProposal, PriorProposal, Proposal, QueueProposal
from planners.rollouts import rollout


def posed(hand: SimpleNamespace, episodes: int, horizon: int, **more: torch.Tensor):
    start = torch.zeros(episodes, 2)
    return hand.problem(start, GoalCost(start + 1, hand.squared), horizon, **more)


def test_prior_proposal_follows_the_prior(hand: SimpleNamespace) -> None:
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4, 1e-9]).log()
    proposed = PriorProposal(4000)(hand.OpenGrid(logits), posed(hand, 2, 3))
    actions, rollouts = proposed.actions, proposed.rollouts
    assert actions.shape == (2, 4000, 3, 5) and rollouts == 4000
    assert torch.allclose(actions.mean((0, 1, 2)), logits.exp(), atol=0.01)


def test_more_candidates_begin_with_the_same(hand: SimpleNamespace) -> None:
    for proposal in (PriorProposal, lambda count: QueueProposal(torch.randn(9, 2), count)):
        torch.manual_seed(0)
        few = proposal(4)(hand.PointMass(), posed(hand, 2, 3)).actions
        torch.manual_seed(0)
        many = proposal(9)(hand.PointMass(), posed(hand, 2, 3)).actions
        assert torch.equal(many[:, :4], few)


def test_draws_are_kept_for_powers_of_two_steps_by_the_candidates_in_turn(hand: SimpleNamespace) -> None:
    model = hand.PointMass()
    loose = PriorProposal(9)(model, posed(hand, 2, 6)).actions
    kept = PriorProposal(9, hold=4)(model, posed(hand, 2, 6)).actions
    assert torch.equal(kept[:, 0::3], loose[:, 0::3]), "every third candidate draws at every step"
    assert torch.equal(kept[:, 1::3], loose[:, 1::3][:, :, [0, 0, 2, 2, 4, 4]])
    assert torch.equal(kept[:, 2::3], loose[:, 2::3][:, :, [0, 0, 0, 0, 4, 4]])


def test_held_directions_lead_further_than_loose_ones(hand: SimpleNamespace) -> None:
    model = hand.PointMass()
    ends = [PriorProposal(400, hold=hold)(model, posed(hand, 1, 16)).trajectory.latents[:, :, -1] for hold in (1, 16)]
    loose, kept = (end.norm(dim=-1).quantile(0.9) for end in ends)
    assert kept > 1.5 * loose


def test_proposals_are_a_function_of_the_key(hand: SimpleNamespace) -> None:
    model = hand.PointMass()
    first = PriorProposal(5)(model, posed(hand, 3, 2)).actions
    shifted = PriorProposal(5)(model, posed(hand, 3, 2, seed=1)).actions
    assert torch.equal(first[1:], shifted[:2]), (
        "episodes with the same key get the same candidates in any row"
    )
    assert not torch.equal(first[0], first[1])


def test_queue_proposal_draws_real_actions_evenly(hand: SimpleNamespace) -> None:
    queue = torch.tensor([[0.1, 0.2], [-0.5, 0.5], [0.9, -0.9]])
    proposed = QueueProposal(queue, 3000)(hand.PointMass(), posed(hand, 1, 2))
    actions, rollouts = proposed.actions, proposed.rollouts
    assert actions.shape == (1, 3000, 2, 2) and rollouts == 0
    which = (actions.unsqueeze(-2) == queue).all(-1)
    assert torch.equal(which.sum(-1), torch.ones(1, 3000, 2).long())
    assert torch.allclose(which.float().mean((0, 1, 2)), torch.full((3,), 1 / 3), atol=0.02)


def test_queue_actions_beyond_the_bounds_are_clamped(hand: SimpleNamespace) -> None:
    actions = QueueProposal(torch.tensor([[3.0, -7.0]]), 2)(hand.PointMass(), posed(hand, 1, 1)).actions
    assert actions.unique(dim=1).tolist() == [[[[1.0, -1.0]]]]


def test_enumeration_has_every_sequence_once(hand: SimpleNamespace) -> None:
    proposed = EnumerationProposal()(hand.OpenGrid(), posed(hand, 2, 3))
    actions, rollouts = proposed.actions, proposed.rollouts
    # 125 sequences, and the last one three times more.
    assert actions.shape == (2, 128, 3, 5) and rollouts == 0
    assert torch.equal(actions.sum(-1), torch.ones(2, 128, 3))
    assert len(actions[0, :125].unique(dim=0)) == 125 and torch.equal(actions[0], actions[1])
    assert torch.equal(actions[:, 125:], actions[:, 124:125].expand(-1, 3, -1, -1))
    assert EnumerationProposal().count(hand.OpenGrid(), 3) == 128


def test_enumeration_refuses_too_many_and_continuous(hand: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="5 actions over 4 steps are 625 sequences, more than 624; shorten"):
        EnumerationProposal(limit=624)(hand.OpenGrid(), posed(hand, 1, 4))
    assert EnumerationProposal(limit=625).count(hand.OpenGrid(), 4) == 632
    with pytest.raises(ValueError, match="cannot be enumerated"):
        EnumerationProposal().count(hand.PointMass(), 2)


def test_proposals_refuse_no_candidates() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PriorProposal(0)
    with pytest.raises(ValueError, match="at least 1"):
        QueueProposal(torch.zeros(4, 2), 0)
    with pytest.raises(ValueError, match="at least one row"):
        QueueProposal(torch.zeros(0, 2), 3)


@pytest.mark.parametrize("proposal", [PriorProposal(4), QueueProposal(torch.full((3, 2), 0.25), 4)])
def test_warm_start_takes_the_place_of_the_last_candidate(hand: SimpleNamespace, proposal: Proposal) -> None:
    model, cold = hand.PointMass(), posed(hand, 2, 3)
    warm = torch.tensor([0.5, -0.5]).expand(2, 3, 2)
    without = proposal(model, cold).actions
    with_warm = proposal(model, posed(hand, 2, 3, warm=warm)).actions
    assert torch.equal(with_warm[:, :3], without[:, :3]) and torch.equal(with_warm[:, 3], warm)
    # How far it reaches differs between episodes; the rest of the candidate is proposed.
    steps = torch.tensor([0, 2])
    partly = proposal(model, posed(hand, 2, 3, warm=warm, warm_steps=steps)).actions
    assert torch.equal(partly[0], without[0])
    assert torch.equal(partly[1, 3, :2], warm[1, :2]) and torch.equal(partly[1, 3, 2], without[1, 3, 2])


def test_a_warm_start_beyond_the_bounds_is_clamped(hand: SimpleNamespace) -> None:
    warm = torch.full((1, 2, 2), 9.0)
    actions = PriorProposal(1)(hand.PointMass(), posed(hand, 1, 2, warm=warm)).actions
    assert torch.equal(actions, torch.ones(1, 1, 2, 2)), "one candidate: nothing but the warm start"


def test_what_is_proposed_comes_with_its_trajectory(hand: SimpleNamespace) -> None:
    model, problem = hand.PointMass(), posed(hand, 2, 3)
    proposed = PriorProposal(4)(model, problem)
    afresh = rollout(model, problem, proposed.actions)
    assert proposed.trajectory is not None
    assert torch.allclose(proposed.trajectory.latents, afresh.latents)
    assert torch.allclose(proposed.trajectory.surprise, afresh.surprise)
    warm = posed(hand, 2, 3, warm=torch.zeros(2, 3, 2))
    assert PriorProposal(4)(model, warm).trajectory is None, "it would not be that of the warm start"
    assert not PriorProposal(4, warm=True).imagines
