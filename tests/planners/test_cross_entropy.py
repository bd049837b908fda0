"""Variants of the cross-entropy method: known optima, noise of a known colour, rounds of a known size."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from planners.cross_entropy import CategoricalRefiner, ColouredRefiner, coloured
from planners.noise import uniform
from planners.objectives import GoalCost
from planners.planner import Planner
from planners.proposals import EnumerationProposal, PriorProposal, Proposed
from planners.protocols import Trajectory
from planners.refiners import NoRefiner, Refiner, RefitRefiner
from planners.rollouts import rollout


class Counting:
    """A cost that counts the candidates it is asked about."""

    flops = 0.0

    def __init__(self, goal: GoalCost) -> None:
        self.goal, self.asked = goal, list[int]()

    def __call__(self, trajectory: Trajectory) -> Tensor:
        self.asked.append(trajectory.actions.shape[1])
        return self.goal(trajectory)


@pytest.mark.parametrize("refiner", [ColouredRefiner(8), CategoricalRefiner(8)], ids=["icem", "categorical"])
def test_the_optimum_of_a_maze_is_that_of_enumeration(hand: SimpleNamespace, refiner: Refiner) -> None:
    """In the folded corridor the straight line misleads: the best of 5^5 plans, and what 128 candidates find."""
    places, table = hand.serpent()
    model = hand.TableModel(places, table)
    start, goals = places[[3, 12, 30, 33, 20, 40]].float(), places[[8, 7, 33, 38, 25, 44]].float()
    posed = hand.problem(start, GoalCost(goals, hand.squared), 5)
    best = Planner(EnumerationProposal(), NoRefiner())(model, posed)
    found = Planner(PriorProposal(128), refiner)(model, posed)
    assert found.cost.tolist() == best.cost.tolist()
    unrefined = Planner(PriorProposal(128), NoRefiner())(model, posed)
    assert (unrefined.cost > best.cost).any(), "too easy: the proposals alone do it"


def test_a_smoothed_distribution_is_the_mean_of_before_and_elites(hand: SimpleNamespace) -> None:
    refiner, space = CategoricalRefiner(1, smoothing=0.25), hand.OpenGrid().space
    actions = F.one_hot(torch.tensor([[[0], [0], [1], [2]]]), 5).float()
    weights = torch.tensor([[0.0, 0.0, 0.5, 0.5]])
    first = refiner._fit(space, actions, weights, None).exp()
    alike = torch.tensor([0.5, 0.25, 0.25, 0.0, 0.0]) * 0.99 + 0.002
    elites = torch.tensor([0.0, 0.5, 0.5, 0.0, 0.0]) * 0.99 + 0.002
    assert torch.allclose(first, 0.75 * alike + 0.25 * elites)
    second = refiner._fit(space, actions, weights, first.log()).exp()
    assert torch.allclose(second, 0.75 * first + 0.25 * elites)
    sharp = CategoricalRefiner(1, smoothing=1.0)
    assert torch.allclose(sharp._fit(space, actions, weights, first.log()).exp(), elites.expand(1, 1, 5))


def test_continuous_actions_have_no_categories(hand: SimpleNamespace) -> None:
    posed = hand.problem(torch.zeros(1, 2), GoalCost(torch.ones(1, 2), hand.squared), 2)
    with pytest.raises(ValueError, match="continuous actions .* choose planner cem"):
        Planner(PriorProposal(8), CategoricalRefiner(2))(hand.PointMass(), posed)


def test_rounds_shrink_and_are_counted(hand: SimpleNamespace) -> None:
    counted = Counting(GoalCost(torch.ones(2, 2), hand.squared))
    posed = hand.problem(torch.zeros(2, 2), counted, 4)
    refiner, planner = ColouredRefiner(6, elites=0.1), Planner(PriorProposal(128), ColouredRefiner(6, 0.1))
    found = planner(hand.PointMass(), posed)
    assert counted.asked == [128, 104, 88, 72, 56, 48, 8], (
        "128 / 1.25^i in whole tiles, then what is handed on"
    )
    assert found.rollouts == sum(counted.asked) == planner.rollouts(hand.PointMass(), 4)
    many = RefitRefiner(6)
    assert refiner.passes(128, True) < 0.75 * many.passes(128, True), "the same rounds at less"
    assert ColouredRefiner(30, elites=0.15)._sizes(128)[-1] == 40, "never fewer than twice the elites"
    for count in (1, 3, 20):
        assert all(size <= count for size in refiner._sizes(count))


def test_elites_stay_and_the_best_of_all_is_handed_on(hand: SimpleNamespace) -> None:
    """A perfect candidate among hopeless ones, from whose fit nothing as good is drawn."""
    model = hand.OpenGrid()
    candidates = torch.eye(5)[torch.tensor([[1, 1, 1, 1]] + [[4, 4, 4, 4]] * 15)].unsqueeze(0)
    posed = hand.problem(torch.zeros(1, 2), GoalCost(torch.tensor([[4.0, 0.0]]), hand.squared), 4)
    refined = ColouredRefiner(4, elites=1.0, decay=1.0)(model, posed, Proposed(candidates))
    assert refined.candidates.shape[1] == 8
    assert torch.equal(refined.candidates[:, 0], candidates[:, 0])
    costs = posed.objective(rollout(model, posed, refined.candidates))
    assert costs[0, 0] == 0 and (costs[:, :-1].diff() >= 0).all(), "the best first, the mean last"


@pytest.mark.parametrize("horizon", [2, 5, 16])
@pytest.mark.parametrize("colour", [0.0, 1.0, 2.5])
def test_noise_has_its_colour_and_stays_uniform(horizon: int, colour: float) -> None:
    white = uniform(torch.arange(4), 4000, horizon, 2)
    noise = coloured(white, colour)
    assert noise.min() > 0 and noise.max() < 1
    quarters = torch.histc(noise[:, :, 0], 4, 0, 1) / noise[:, :, 0].numel()
    assert torch.allclose(quarters, torch.full((4,), 0.25), atol=0.01)
    normal = (2**0.5 * torch.erfinv(2 * noise - 1)).double()
    power = torch.fft.rfft(normal, dim=2).abs().square().mean((0, 1, 3))
    frequency = torch.fft.rfftfreq(horizon).clamp_min(1 / horizon).double()
    expected = frequency**-colour
    every = torch.fft.fftfreq(horizon).abs().clamp_min(1 / horizon).double() ** -colour
    assert torch.allclose(power, expected / every.mean() * horizon, rtol=0.06)
    if colour == 0.0:
        assert torch.equal(noise, white)
    one = coloured(white[:, :, :1], colour)
    assert torch.equal(one, white[:, :, :1]), "a plan of one step has no colour"


def test_coloured_discrete_actions_are_held_for_longer(hand: SimpleNamespace) -> None:
    space, logits = hand.OpenGrid().space, torch.zeros(2, 500, 12, 5)
    white = uniform(torch.arange(2), 500, 12, 1)
    held = [
        (space.sample(logits, coloured(white, colour)).argmax(-1).diff(dim=2) == 0).float().mean().item()
        for colour in (0.0, 1.0, 2.0, 3.0)
    ]
    assert held[0] == pytest.approx(0.2, abs=0.02)
    assert all(before + 0.05 < after for before, after in itertools.pairwise(held))


def test_the_same_seed_gives_the_same_plan(hand: SimpleNamespace) -> None:
    goals = torch.tensor([[2.0, 1.0], [6.0, -1.0]])
    for refiner in (ColouredRefiner(3), CategoricalRefiner(3)):
        model = hand.OpenGrid() if isinstance(refiner, CategoricalRefiner) else hand.PointMass()
        plans = []
        for seed in (0, 0, 50):
            posed = hand.problem(torch.zeros(2, 2), GoalCost(goals, hand.squared), 6, seed)
            plans.append(Planner(PriorProposal(16), refiner)(model, posed).actions)
        assert torch.equal(plans[0], plans[1]) and not torch.equal(plans[0], plans[2])


def test_what_cannot_work_is_refused() -> None:
    for wrong in ({"iterations": 0}, {"elites": 0.0}, {"kept": 1.5}, {"colour": -1.0}, {"decay": 0.9}):
        with pytest.raises(ValueError, match="ColouredRefiner"):
            ColouredRefiner(**{"iterations": 3, **wrong})
    with pytest.raises(ValueError, match="smoothing"):
        CategoricalRefiner(3, smoothing=0.0)
