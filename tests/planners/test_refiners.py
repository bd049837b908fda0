"""Refiners find the optimum where it is known, and never make the best proposal worse."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners.cross_entropy import CategoricalRefiner, ColouredRefiner
from planners.objectives import GoalCost, SumCost, SupportCost
from planners.planner import Planner
from planners.proposals import PriorProposal, Proposed
from planners.protocols import Trajectory
from planners.refiners import AdamRefiner, NoRefiner, Refiner, RefitRefiner
from planners.rollouts import rollout
from planners.spaces import Box

GOALS = torch.tensor([[2.0, 1.0], [-1.5, 3.0], [0.0, 0.0], [6.0, -1.0], [-7.0, -5.0]])
"""For 4 steps of the point mass: three within reach, two beyond it."""
BEST = torch.tensor([0.0, 0.0, 0.0, 4.0, 10.0])


def plan(
    hand: SimpleNamespace, model: object, refiner: Refiner, goals: Tensor, candidates: int, horizon: int = 4
):
    objective = GoalCost(goals, hand.squared)
    return Planner(PriorProposal(candidates), refiner)(
        model, hand.problem(torch.zeros_like(goals), objective, horizon)
    )


@pytest.mark.parametrize(
    ("refiner", "tolerance"),
    [
        (AdamRefiner(60, 0.1), 0.01),
        (RefitRefiner(15), 0.03),
        (RefitRefiner(15, elites=None, temperature=0.1), 0.03),
        (ColouredRefiner(30), 0.03),
    ],
    ids=["adam", "cem", "mppi", "icem"],
)
def test_point_mass_optimum_is_found(hand: SimpleNamespace, refiner: Refiner, tolerance: float) -> None:
    found = plan(hand, hand.PointMass(), refiner, GOALS, 128)
    assert torch.allclose(found.cost, BEST, atol=tolerance)
    assert (found.actions.abs() <= 1).all()
    unrefined = plan(hand, hand.PointMass(), NoRefiner(), GOALS, 128)
    assert not torch.allclose(unrefined.cost, BEST, atol=1.0), "too easy: the proposals alone do it"


@pytest.mark.parametrize(
    "refiner",
    [
        AdamRefiner(20, 1.0),
        RefitRefiner(8),
        RefitRefiner(8, elites=None),
        ColouredRefiner(8),
        CategoricalRefiner(8),
    ],
    ids=["adam", "cem", "mppi", "icem", "categorical-cem"],
)
def test_open_grid_optimum_is_found(hand: SimpleNamespace, refiner: Refiner) -> None:
    # 8 steps of 5 actions are 390,625 sequences; goals 8 moves away leave few that arrive.
    goals = torch.tensor([[8.0, 0.0], [3.0, -5.0], [-4.0, 4.0], [0.0, -2.0], [10.0, 0.0]])
    found = plan(hand, hand.OpenGrid(), refiner, goals, 64, horizon=8)
    assert found.cost.tolist() == [0.0, 0.0, 0.0, 0.0, 4.0]
    unrefined = plan(hand, hand.OpenGrid(), NoRefiner(), goals, 64, horizon=8)
    assert (unrefined.cost > found.cost).sum() >= 3


def test_adam_stays_within_the_bounds_from_its_first_step(hand: SimpleNamespace) -> None:
    # Proposals far outside would reach the goal; what can be taken does not.
    goals, model = torch.tensor([[9.0, 0.0]]), hand.PointMass()
    posed = hand.problem(torch.zeros(1, 2), GoalCost(goals, hand.squared), 1)
    refined = AdamRefiner(1, 0.01)(model, posed, Proposed(torch.tensor([[[[9.0, 0.0]]]])))
    assert refined.proposed_cost is not None and refined.proposed_cost.tolist() == [64.0]
    assert refined.candidates.abs().max() <= 1


@pytest.mark.parametrize("candidates", [1, 3, 16])
@pytest.mark.parametrize(
    "refiner",
    [
        NoRefiner(),
        AdamRefiner(1, 5.0),
        AdamRefiner(6, 1.0),
        RefitRefiner(3),
        RefitRefiner(3, None),
        ColouredRefiner(3),
        CategoricalRefiner(3),
    ],
    ids=["none", "adam once", "adam", "cem", "mppi", "icem", "categorical-cem"],
)
def test_refinement_never_worsens_the_best_proposal(
    hand: SimpleNamespace, refiner: Refiner, candidates: int
) -> None:
    for level in hand.neural_levels():
        model, dim = level.model, level.model.up[0].in_features
        if isinstance(refiner, CategoricalRefiner) and isinstance(model.space, Box):
            continue
        generator = torch.Generator().manual_seed(candidates)
        start, goal = torch.randn(2, 6, dim, generator=generator)
        memory = torch.randn(6, 3, generator=generator)
        objective = SumCost([GoalCost(goal, hand.squared, 0.01), SupportCost(0.1)])
        posed = hand.problem(start, objective, 4, memory=memory)
        before = Planner(PriorProposal(candidates), NoRefiner())(model, posed)
        found = Planner(PriorProposal(candidates), refiner)(model, posed)
        assert torch.allclose(found.proposed_cost, before.cost, rtol=1e-5)
        assert (found.cost <= before.cost * (1 + 1e-5)).all()


def test_more_iterations_never_worsen(hand: SimpleNamespace) -> None:
    goals = torch.tensor([[2.0, 5.0], [-3.0, 3.0]])
    costs = [
        plan(hand, hand.OpenGrid(), AdamRefiner(iterations, 2.0), goals, 4, 8).cost
        for iterations in (1, 2, 4, 8, 16)
    ]
    assert all((after <= before).all() for before, after in itertools.pairwise(costs))
    assert (costs[-1] < costs[0]).any()


def test_only_elites_descend(hand: SimpleNamespace) -> None:
    model, seen = hand.PointMass(), []

    class Counting(GoalCost):
        def __call__(self, trajectory: Trajectory) -> Tensor:
            seen.append(trajectory.actions.shape[1])
            return super().__call__(trajectory)

    problem = hand.problem(torch.zeros_like(GOALS), Counting(GOALS, hand.squared), 4)
    proposed = PriorProposal(64)(model, problem)
    refiner = AdamRefiner(5, 0.1, elites=0.2)
    refined = refiner(model, problem, proposed)
    assert seen == [64] + [16] * 5, "0.2 of 64 are 12.8, rounded up to a multiple of 8"
    assert refined.candidates.shape[1] == 32 and refined.rollouts == 5 * 16 and refined.looked == 64
    best = hand.problem(torch.zeros_like(GOALS), GoalCost(GOALS, hand.squared), 4)
    cost = best.objective(rollout(model, best, proposed.actions))
    assert torch.equal(refined.proposed_cost, cost.amin(1)), "the best proposal is among them"
    kept = refiner._best(model, best, proposed)
    assert torch.equal(best.objective(rollout(model, best, kept)), cost.sort(dim=1).values[:, :16])


def test_refit_keeps_the_best_of_all_rounds(hand: SimpleNamespace) -> None:
    # The first candidate is perfect and alone: the fit to half of all moves away from it.
    model = hand.OpenGrid()
    candidates = torch.eye(5)[torch.tensor([[[1, 1]], [[2, 2]], [[3, 3]], [[4, 4]]])].view(1, 4, 2, 5)
    posed = hand.problem(torch.zeros(1, 2), GoalCost(torch.tensor([[2.0, 0.0]]), hand.squared), 2)
    refined = RefitRefiner(1, elites=1.0)(model, posed, Proposed(candidates))
    assert refined.candidates.shape == candidates.shape
    assert (refined.candidates == candidates[:, :1]).all((-1, -2)).any()


class Spoiled:
    """A cost that is not a number for candidates whose first action points east."""

    flops = 0.0

    def __init__(self, goal: GoalCost, value: float) -> None:
        self.goal, self.value = goal, value

    def __call__(self, trajectory: Trajectory) -> Tensor:
        cost = self.goal(trajectory)
        return torch.where(trajectory.actions[:, :, 0, 0] > 0, cost * self.value, cost)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize(
    "refiner",
    [NoRefiner(), AdamRefiner(10, 0.2), RefitRefiner(6), RefitRefiner(6, None), ColouredRefiner(8)],
    ids=["none", "adam", "cem", "mppi", "icem"],
)
def test_costs_that_are_no_numbers_never_win(hand: SimpleNamespace, refiner: Refiner, value: float) -> None:
    goals = torch.tensor([[-2.0, 1.0], [2.0, 1.0]])
    spoiled = Spoiled(GoalCost(goals, hand.squared), value)
    posed = hand.problem(torch.zeros(2, 2), spoiled, 4)
    found = Planner(PriorProposal(32), refiner)(hand.PointMass(), posed)
    assert found.cost.isfinite().all() and found.proposed_cost.isfinite().all()
    assert (found.actions[:, 0, 0] <= 0).all()
    assert (found.cost <= found.proposed_cost + 1e-6).all()
    # The search goes on among the others. Where only the way around helps, descent stops at the edge.
    searches = {NoRefiner: 0, AdamRefiner: 1, RefitRefiner: 2, ColouredRefiner: 2}[type(refiner)]
    assert (found.cost[:searches] < 0.5).all()


@pytest.mark.parametrize(
    "refiner",
    [NoRefiner(), AdamRefiner(2, 0.2), RefitRefiner(2), RefitRefiner(2, None), ColouredRefiner(2)],
    ids=["none", "adam", "cem", "mppi", "icem"],
)
def test_nothing_but_nan_gives_an_infinite_cost(hand: SimpleNamespace, refiner: Refiner) -> None:
    goal = GoalCost(torch.full((1, 2), torch.nan), hand.squared)
    posed = hand.problem(torch.zeros(1, 2), goal, 2)
    found = Planner(PriorProposal(4), refiner)(hand.PointMass(), posed)
    assert found.cost.tolist() == [torch.inf] and found.actions.isfinite().all()


def test_a_broken_candidate_does_not_break_the_fit(hand: SimpleNamespace) -> None:
    candidates = torch.full((1, 8, 2, 2), 0.5)
    candidates[0, 3] = torch.nan
    posed = hand.problem(torch.zeros(1, 2), GoalCost(torch.ones(1, 2), hand.squared), 2)
    for refiner in (RefitRefiner(2, 1.0), RefitRefiner(2, None), ColouredRefiner(2, 1.0)):
        refined = refiner(hand.PointMass(), posed, Proposed(candidates))
        assert refined.candidates.isfinite().all()


def test_a_gradient_that_is_no_number_spoils_only_itself(hand: SimpleNamespace) -> None:
    """A square root at 0 has none: where the first step is perfect, the second is still improved."""

    class Roots:
        flops = 0.0

        def __call__(self, trajectory: Trajectory) -> Tensor:
            targets = torch.tensor([[0.5, 0.0], [1.0, 0.5]])
            return hand.squared(trajectory.latents, targets).sqrt().sum(-1)

    candidate = torch.tensor([[[[0.5, 0.0], [0.0, 0.0]]]])
    posed = hand.problem(torch.zeros(1, 2), Roots(), 2)
    refined = AdamRefiner(40, 0.05)(hand.PointMass(), posed, Proposed(candidate))
    assert refined.proposed_cost is not None and refined.proposed_cost.item() == pytest.approx(0.5**0.5)
    assert refined.candidates.isfinite().all()
    first, second = refined.candidates[0, 0]
    assert torch.equal(first, candidate[0, 0, 0]) and torch.allclose(
        second, torch.tensor([0.5, 0.5]), atol=0.06
    )


def test_elites_and_softmax_weights() -> None:
    cost = torch.tensor([[4.0, 1.0, torch.inf, 2.0], [torch.inf] * 4])
    elite = RefitRefiner(1, elites=0.5)._weights(cost)
    assert elite[0].tolist() == [0.0, 0.5, 0.0, 0.5] and elite[1].sum() == 1
    # One finite cost among the elites: it has all the weight.
    alone = RefitRefiner(1, elites=0.5)._weights(torch.tensor([[torch.inf, 7.0, torch.inf, torch.inf]]))
    assert alone.tolist() == [[0.0, 1.0, 0.0, 0.0]]
    known = torch.tensor([4.0, 1.0, 2.0])
    scale = 0.3 * known.std(correction=0)
    soft = RefitRefiner(1, elites=None, temperature=0.3)._weights(cost)
    assert torch.allclose(soft[0, [0, 1, 3]], (-known / scale).softmax(0)) and soft[0, 2] == 0
    assert torch.allclose(soft[1], torch.full((4,), 0.25))
    assert RefitRefiner(1, None)._weights(torch.tensor([[3.0]])).tolist() == [[1.0]]


def test_refiners_refuse() -> None:
    for wrong in ((0, 0.1), (3, 0.0), (3, -1.0), (3, torch.nan)):
        with pytest.raises(ValueError, match="both must be positive"):
            AdamRefiner(*wrong)
    with pytest.raises(ValueError, match="at least 1"):
        RefitRefiner(0)
    for share in (0.0, 1.5, torch.nan):
        with pytest.raises(ValueError, match="elites"):
            RefitRefiner(1, share)
    with pytest.raises(ValueError, match="temperature"):
        RefitRefiner(1, None, 0.0)


class Valley:
    """A cost that is a thousand times as steep along one coordinate as along the other, and has its lowest point at 0.3
    of both, well within the bounds."""

    steepness = torch.tensor([1000.0, 1.0])

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return ((trajectory.latents[..., -1, :] - 0.3).square() * self.steepness).sum(-1)


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_adam_is_adam(hand: SimpleNamespace, iterations: int) -> None:
    """Both moments, as torch's own optimiser has them: without the second the steep coordinate would decide alone."""
    begin = torch.linspace(-0.6, 0.6, 24).view(2, 3, 2, 2)
    posed = hand.problem(torch.zeros(2, 2), Valley(), 2)
    model = hand.PointMass()
    found = AdamRefiner(iterations, 0.01)(model, posed, Proposed(begin))
    action = begin.clone().requires_grad_()
    optimizer = torch.optim.Adam([action], lr=0.01, betas=(0.9, 0.99), eps=1e-8)
    for _ in range(iterations):
        optimizer.zero_grad()
        Valley()(rollout(model, posed, action)).sum().backward()
        optimizer.step()
    last = found.candidates[:, 3:]
    assert torch.allclose(last, action.detach(), atol=1e-6)
    moved = (last - begin).abs().mean((0, 1, 2))
    assert torch.allclose(moved[0], moved[1], rtol=0.3), (
        "as far along the gentle coordinate as along the steep one"
    )
