"""Imagined trajectories equal what a person computes step by step."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import torch

from planners.objectives import GoalCost, SubgoalCost
from planners.protocols import LiftingModel, Model
from planners.rollouts import ALIGNED, at_outset, finite_cost, rollout, rollout_flops, sample_rollout


def test_hand_written_models_satisfy_the_protocols(hand: SimpleNamespace) -> None:
    assert isinstance(hand.PointMass(), LiftingModel) and isinstance(hand.OpenGrid(), Model)
    assert not isinstance(hand.OpenGrid(), LiftingModel)


def test_rollout_equals_hand_computation(hand: SimpleNamespace) -> None:
    model = hand.PointMass(reach=2.0)
    start, wind = torch.tensor([[0.0, 0.0], [5.0, -1.0]]), torch.tensor([[0.0, 0.0], [0.5, 0.25]])
    actions = torch.tensor([[[[1.0, 0.0], [0.5, -0.5]]], [[[-1.0, 1.0], [0.0, 0.0]]]])
    posed = hand.problem(start, GoalCost(start, hand.squared), 2, memory=wind)
    found = rollout(model, posed, actions)
    expected = torch.tensor([[[[2.0, 0.0], [3.0, -1.0]]], [[[3.5, 1.25], [4.0, 1.5]]]])
    assert torch.equal(found.latents, expected)
    assert torch.equal(found.start, start) and torch.equal(found.actions, actions)
    # The prior's mean is the condition's zeros, its standard deviation one half.
    prior = torch.distributions.Normal(0.0, 0.5)
    assert torch.allclose(found.surprise, -(prior.log_prob(actions) + prior.entropy()).sum(-1))


def test_rollout_through_walls_equals_hand_computation(hand: SimpleNamespace) -> None:
    places, table = hand.serpent(rows=2, width=3)
    model = hand.TableModel(places, table)
    # From the mouth: north is a wall, two steps east, north through the opening, east is a wall, west.
    moves = torch.tensor([3, 1, 1, 3, 1, 2])
    actions = torch.eye(5)[moves].view(1, 1, 6, 5)
    start = places[:1].float()
    found = rollout(model, hand.problem(start, GoalCost(start, hand.squared), 6), actions)
    assert found.latents[0, 0].tolist() == [[0, 0], [1, 0], [2, 0], [2, 1], [2, 1], [1, 1]]


def test_rollout_is_differentiable_in_the_actions(hand: SimpleNamespace) -> None:
    start = torch.zeros(1, 2)
    actions = torch.zeros(1, 1, 3, 2, requires_grad=True)
    posed = hand.problem(start, GoalCost(start, hand.squared), 3)
    latents = rollout(hand.PointMass(), posed, actions).latents
    (gradient,) = torch.autograd.grad(latents[0, 0, 1].sum(), actions)
    assert gradient[0, 0].tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]], (
        "the future does not move the past"
    )


def test_sampled_rollout_draws_from_the_prior_along_the_way(hand: SimpleNamespace) -> None:
    class Drunkard(hand.OpenGrid):  # type: ignore[misc, name-defined]
        """East where x is even, north where it is odd: the prior must be asked where the plan has got to."""

        def prior(self, condition: torch.Tensor) -> torch.Tensor:
            even = (condition[..., :1].round() % 2 == 0).float()
            chances = even * torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]) + (1 - even) * torch.tensor(
                [0.0] * 3 + [1.0, 0]
            )
            return chances.log()

    start = torch.zeros(2, 2)
    posed = hand.problem(start, GoalCost(start, hand.squared), 3)
    found = sample_rollout(Drunkard(), posed, 4)
    assert found.actions.shape == (2, 4, 3, 5) and found.surprise.shape == (2, 4, 3)
    assert found.actions.argmax(-1).unique(dim=1).tolist() == [[[1, 3, 3]], [[1, 3, 3]]]
    assert found.latents[0, 0].tolist() == [[1, 0], [1, 1], [1, 2]]


def test_sampled_rollout_is_the_rollout_of_its_actions(hand: SimpleNamespace) -> None:
    start, model = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)), hand.PointMass()
    posed = hand.problem(start, GoalCost(start, hand.squared), 5)
    sampled = sample_rollout(model, posed, 7)
    again = rollout(model, posed, sampled.actions)
    assert torch.equal(again.latents, sampled.latents) and torch.equal(again.surprise, sampled.surprise)
    assert len(sampled.actions.flatten(0, 2).unique(dim=0)) == 3 * 7 * 5, "every draw has its own noise"


def test_operations_of_a_rollout(hand: SimpleNamespace) -> None:
    start, model = torch.zeros(1, 2), hand.PointMass()
    subgoal = SubgoalCost(start, torch.ones(1), lambda latent: latent, hand.squared, flops=3.0)
    assert rollout_flops(model, hand.problem(start, subgoal, 6)) == 6 * 10 + 3


def test_finite_cost_leaves_only_numbers_and_infinity() -> None:
    cost = torch.tensor([1.0, torch.nan, -torch.inf, torch.inf, -2.0])
    assert finite_cost(cost).tolist() == [1.0, torch.inf, torch.inf, torch.inf, -2.0]


def test_what_the_first_step_shares_changes_no_bit(hand: SimpleNamespace) -> None:
    model = hand.neural_levels(16)[0].model
    generator = torch.Generator().manual_seed(3)
    start, memory = torch.randn(4, 5, generator=generator), torch.randn(4, 3, generator=generator)
    posed = replace(hand.problem(start, GoalCost(start, hand.squared), 6), memory=memory)
    shared = at_outset(model, posed)
    assert shared.outset is not None and posed.outset is None
    for candidates in (5, 8, 24):
        plain, again = (sample_rollout(model, one, candidates) for one in (posed, shared))
        rolled = rollout(model, shared, plain.actions)
        for name in ("actions", "latents", "surprise"):
            assert torch.equal(getattr(plain, name), getattr(again, name))
            assert torch.equal(getattr(plain, name), getattr(rolled, name))


def test_the_first_step_is_looked_at_once(hand: SimpleNamespace) -> None:
    model = hand.neural_levels(16)[0].model
    start = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    posed = replace(hand.problem(start, GoalCost(start, hand.squared), 3), memory=torch.zeros(4, 3))
    looked, condition = [], model.condition
    model.condition = lambda latent, memory: (looked.append(latent.shape[1]), condition(latent, memory))[1]
    shared = at_outset(model, posed)
    for _ in range(2):
        sample_rollout(model, shared, 24)
    assert looked == [ALIGNED, 24, 24, 24, 24]
