"""Policies: followed as they are, or as candidates among others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from planners.objectives import GoalCost
from planners.planner import Planner
from planners.policies import Policy, PolicyPlanner, PolicyProposal, follow
from planners.proposals import PriorProposal
from planners.protocols import Aim
from planners.refiners import AdamRefiner, NoRefiner
from planners.spaces import Box, Simplex
from planners.top_down import TopDownPlanner


class Homing:
    """Knows the way on an open plane; towards a subgoal it notes how much of the stride is left."""

    flops = 4.0

    def __init__(self, moves: Tensor) -> None:
        self.moves, self.told = moves, list[Tensor]()

    def __call__(self, condition: Tensor, latent: Tensor, aim: Aim, left: Tensor) -> Tensor:
        self.told.append(left)
        end = aim.goal if aim.target is None else aim.target
        after = latent.unsqueeze(2) + self.moves
        return -4.0 * (after - end[:, None, None]).square().sum(-1)


def aimed(problem: object, goal: Tensor, target: Tensor | None = None, stride: int = 4) -> object:
    count = len(goal)
    left = torch.ones(count)
    return replace(problem, aim=Aim(goal, target, left, 1 / stride, None))  # type: ignore[type-var]


def test_a_policy_is_followed_step_by_step(hand: SimpleNamespace) -> None:
    goal = torch.tensor([[2.0, 1.0], [-1.0, 0.0]])
    policy = Homing(hand.MOVES)
    assert isinstance(policy, Policy)
    nothing = GoalCost(goal, hand.squared)
    problem = aimed(hand.problem(torch.zeros(2, 2), nothing, 4), goal)
    walked = follow(hand.OpenGrid(), problem, policy, 8)
    assert walked.latents.shape == (2, 8, 4, 2) and walked.actions.shape == (2, 8, 4, 5)
    assert (walked.latents[:, 0, 3] == goal).all(), "the first candidate takes the likeliest actions"
    assert torch.equal(
        walked.latents[:, :, 1:] - walked.latents[:, :, :-1], walked.actions[:, :, 1:] @ hand.MOVES
    )
    assert [told[0].item() for told in policy.told] == [1.0, 0.75, 0.5, 0.25]
    with pytest.raises(ValueError, match="give the problem an aim"):
        follow(hand.OpenGrid(), hand.problem(torch.zeros(2, 2), nothing, 4), policy, 8)


def test_surprise_is_that_of_every_step(hand: SimpleNamespace) -> None:
    """It is computed of all steps at once, with the bits of one after another."""

    class Leaning(hand.OpenGrid):  # type: ignore[misc, name-defined]
        """A prior that depends on where one is."""

        def prior(self, condition: Tensor) -> Tensor:
            return torch.sin(condition @ torch.arange(1.0, 11.0).view(2, 5))

    goal, model = torch.tensor([[2.0, 1.0], [-1.0, 0.0]]), Leaning()
    problem = aimed(hand.problem(torch.zeros(2, 2), GoalCost(goal, hand.squared), 4), goal)
    walked = follow(model, problem, Homing(hand.MOVES), 8)
    latent = torch.zeros(2, 8, 2)
    for step in range(4):
        prior = model.prior(model.condition(latent, None))
        assert walked.surprise[:, :, step].equal(model.space.surprise(prior, walked.actions[:, :, step]))
        latent = walked.latents[:, :, step]
    assert walked.surprise.unique().numel() > 8


def test_a_plan_at_a_glance_is_the_best_of_a_few_draws(hand: SimpleNamespace) -> None:
    goal = torch.tensor([[3.0, 0.0]])
    model, policy, objective = hand.OpenGrid(), Homing(hand.MOVES), GoalCost(goal, hand.squared, flops=5.0)
    problem = aimed(hand.problem(torch.zeros(1, 2), objective, 4), goal)
    plan = PolicyPlanner(policy)(model, problem)
    assert plan.latents[0, 2].tolist() == [3, 0] and plan.actions.shape == (1, 4, 5)
    assert plan.cost.item() == 0 and plan.proposed_cost.item() == 0
    assert plan.flops.item() == 8 * (4 * (model.flops + policy.flops) + 5)
    assert PolicyPlanner(policy, 1)(model, problem).actions.shape == (1, 1, 5)

    class Wrong(Homing):
        """Mostly walks away, and sometimes does not."""

        def __call__(self, condition: Tensor, latent: Tensor, aim: Aim, left: Tensor) -> Tensor:
            return torch.tensor([0.0, 1.5, 2.0, 0.0, 0.0]).expand(*latent.shape[:2], 5)

    plan = PolicyPlanner(Wrong(hand.MOVES), 1)(model, problem)
    assert plan.latents[0, 0].tolist() == [1, 0] and plan.cost < plan.proposed_cost
    blind = PolicyPlanner(Wrong(hand.MOVES), 1, compare=False)(model, problem)
    assert blind.latents[0, 0].tolist() == [-1, 0] and blind.cost == plan.proposed_cost, "the likeliest"


def test_candidates_of_a_policy_stand_among_those_of_the_prior(hand: SimpleNamespace) -> None:
    """Ten steps of five actions: the prior alone does not find the way, one candidate that knows it does."""
    goal = torch.tensor([[6.0, -4.0]])
    model, policy = hand.OpenGrid(), Homing(hand.MOVES)
    problem = aimed(hand.problem(torch.zeros(1, 2), GoalCost(goal, hand.squared), 10), goal, stride=10)
    for refine in (NoRefiner(), AdamRefiner(2, 1.0, 0.5)):
        alone = Planner(PriorProposal(16), refine)(model, problem)
        helped = Planner(PolicyProposal(PriorProposal(16), policy, 8), refine)(model, problem)
        assert helped.cost.item() == 0 < alone.cost.item()
    search = Planner(PolicyProposal(PriorProposal(16), policy, 8), NoRefiner())
    assert search.propose.count(model, 10) == 24
    assert search(model, problem).flops.item() <= search.passes(model, 10) * 10 * model.flops
    warm = PolicyProposal(PriorProposal(16, warm=True), policy, 8)
    assert not warm.imagines and warm(model, problem).trajectory is None
    with pytest.raises(ValueError, match="0 candidates of a policy"):
        PolicyProposal(PriorProposal(16), policy, 0)


def test_subgoals_and_the_rest_of_the_stride_are_handed_to_policies(hand: SimpleNamespace) -> None:
    """In the serpent with two levels, level 1 follows a policy that is told where its subgoals are."""
    low, high = hand.serpent_levels(2)
    told: list[Aim] = []

    class Asked:
        flops = 1.0

        def __call__(self, condition: Tensor, latent: Tensor, aim: Aim, left: Tensor) -> Tensor:
            told.append(aim)
            return torch.zeros(*latent.shape[:2], 5)

    low = replace(low, to_subgoal=PolicyPlanner(Asked()), to_goal=PolicyPlanner(Asked()))
    places, _ = hand.serpent()
    goal = places[[40]].float()
    hand.walk(TopDownPlanner([low, high]), places[[0]].float(), goal, 8)
    assert told[0].target is not None and told[0].target[0].tolist() == [1.0]
    assert told[0].share == 0.25 and told[0].left[0] == 1 and told[0].goal[0].tolist() == goal[0].tolist()


def test_the_likeliest_action_of_either_space() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    assert Simplex(3).likeliest(logits).equal(F.one_hot(torch.tensor([1]), 3).float())
    gaussian = torch.tensor([[0.4, 7.0, -1.0, -1.0]])
    assert Box(-torch.ones(2), torch.ones(2)).likeliest(gaussian).tolist() == [[pytest.approx(0.4), 1.0]]
