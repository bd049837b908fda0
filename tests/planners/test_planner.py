"""The planner as a whole: exact search, honest selection, honest counts, independence of the batch."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners.cross_entropy import ColouredRefiner
from planners.objectives import GoalCost, SubgoalCost
from planners.planner import Planner
from planners.proposals import EnumerationProposal, PriorProposal, Proposed, QueueProposal
from planners.protocols import Model, Plan, Problem
from planners.refiners import AdamRefiner, NoRefiner, Refined, RefitRefiner
from planners.rollouts import rollout_flops


def test_exhaustive_search_equals_brute_force(hand: SimpleNamespace) -> None:
    generator = torch.Generator().manual_seed(3)
    places = torch.randint(-9, 10, (12, 2), generator=generator).unique(dim=0)
    table = torch.randint(0, len(places), (len(places), 3), generator=generator)
    starts = torch.arange(6) % len(places)
    goals = torch.randint(-9, 10, (6, 2), generator=generator).float()
    objective = GoalCost(goals, hand.squared, step_cost=0.25)
    posed = hand.problem(places[starts].float(), objective, 5)
    found = Planner(EnumerationProposal(), NoRefiner())(hand.TableModel(places, table), posed)
    for row in range(6):
        best = (float("inf"), ())
        for sequence in itertools.product(range(3), repeat=5):
            here, costs = int(starts[row]), []
            for step, action in enumerate(sequence, 1):
                here = int(table[here, action])
                difference = places[here] - goals[row]
                costs.append(float(difference @ difference) + 0.25 * step)
            if min(costs) < best[0]:
                best = (min(costs), sequence)
        assert found.cost[row] == best[0]
        assert tuple(found.actions[row].argmax(-1).tolist()) == best[1]


def test_the_plan_describes_its_actions(hand: SimpleNamespace) -> None:
    goals = torch.tensor([[2.0, 1.0], [-3.0, 0.0]])
    posed = hand.problem(torch.zeros(2, 2), GoalCost(goals, hand.squared), 3)
    found = Planner(PriorProposal(16), AdamRefiner(5, 0.2))(hand.PointMass(), posed)
    assert found.actions.shape == (2, 3, 2) and found.latents.shape == (2, 3, 2)
    assert torch.allclose(found.latents, found.actions.cumsum(1))
    assert torch.allclose(found.cost, hand.squared(found.latents, goals[:, None]).amin(1))
    prior = torch.distributions.Normal(0.0, 0.5)
    surprise = -(prior.log_prob(found.actions) + prior.entropy()).sum(-1).mean(-1)
    assert torch.allclose(found.surprise, surprise)


class Liar:
    """A refiner that hands on candidates, the best one not in front, whatever it was given."""

    def __init__(self, candidates: Tensor) -> None:
        self.candidates = candidates

    def __call__(self, model: Model, problem: Problem, proposed: Proposed) -> Refined:
        return Refined(self.candidates, torch.tensor([-100.0]), 0, torch.zeros(1, dtype=torch.float64))

    def passes(self, count: int, imagined: bool = False) -> float:
        return float(count)

    def rollouts(self, count: int, imagined: bool = False) -> int:
        return count


def test_selection_evaluates_afresh(hand: SimpleNamespace) -> None:
    handed = torch.tensor([[[[0.0, 0.0]], [[0.9, 0.0]], [[0.5, 0.0]], [[torch.nan, 0.0]]]])
    posed = hand.problem(torch.zeros(1, 2), GoalCost(torch.tensor([[1.0, 0.0]]), hand.squared), 1)
    found = Planner(PriorProposal(2), Liar(handed))(hand.PointMass(), posed)
    assert torch.equal(found.actions[0], handed[0, 1])
    assert torch.allclose(found.cost, torch.tensor([0.01])) and found.proposed_cost.item() == -100


def test_selection_looks_at_hard_actions_only(hand: SimpleNamespace) -> None:
    """A mixture of east and west would stay on the goal; no action that can be taken does."""
    model = hand.OpenGrid(torch.tensor([-20.0, 0.0, 0.0, -20.0, -20.0]))
    posed = hand.problem(torch.zeros(1, 2), GoalCost(torch.zeros(1, 2), hand.squared), 1)
    found = Planner(PriorProposal(8), AdamRefiner(3, 0.01))(model, posed)
    assert found.cost.item() == 1.0 and sorted(found.actions.flatten().tolist()) == [0, 0, 0, 0, 1]


class Counting:
    """A model that counts the candidate steps it imagines, and those that gradients go through."""

    def __init__(self, model: Model) -> None:
        self.model, self.space, self.flops = model, model.space, model.flops
        self.steps, self.backward = 0, 0

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return self.model.condition(latent, memory)

    def prior(self, condition: Tensor) -> Tensor:
        return self.model.prior(condition)

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        self.steps += latent.shape[0] * latent.shape[1]
        self.backward += latent.shape[0] * latent.shape[1] * action.requires_grad
        return self.model.advance(latent, condition, action)


@pytest.mark.parametrize(
    ("propose", "refine", "rollouts"),
    [
        (PriorProposal(6), NoRefiner(), 6 + 6),
        (PriorProposal(6), AdamRefiner(5, 0.1), 6 + 5 * 6 + 2 * 6),
        (PriorProposal(20), AdamRefiner(5, 0.1, elites=0.25), 20 + 5 * 8 + 2 * 8),
        (PriorProposal(20, warm=True), AdamRefiner(5, 0.1, elites=0.25), 20 + 20 + 5 * 8 + 2 * 8),
        (PriorProposal(16), AdamRefiner(2, 0.1, elites=0.125), 16 + 2 * 8 + 2 * 8),
        (PriorProposal(6), RefitRefiner(5), 5 * 6 + 6),
        (PriorProposal(6, warm=True), RefitRefiner(5), 6 + 5 * 6 + 6),
        (PriorProposal(1), RefitRefiner(2, None), 2 + 1),
        (PriorProposal(40), ColouredRefiner(3), 40 + 32 + 32 + 8),
        (PriorProposal(40, warm=True), ColouredRefiner(3), 40 + 40 + 32 + 32 + 8),
        (QueueProposal(torch.eye(5), 6), AdamRefiner(2, 0.1), 2 * 6 + 2 * 6),
        (EnumerationProposal(), NoRefiner(), 128),
    ],
    ids=[
        "sampling",
        "adam",
        "elites",
        "warm elites",
        "few elites",
        "cem",
        "warm cem",
        "one candidate",
        "icem",
        "warm icem",
        "queue",
        "exhaustive",
    ],
)
def test_rollouts_and_operations_are_counted(hand: SimpleNamespace, propose, refine, rollouts: int) -> None:
    model = Counting(hand.OpenGrid())
    target, due = torch.zeros(2, 2), torch.full((2,), 3)
    objective = SubgoalCost(target, due, lambda latent: latent, hand.squared, flops=4.0)
    posed = hand.problem(torch.ones(2, 2), objective, 3)
    planner = Planner(propose, refine)
    found = planner(model, posed)
    assert found.rollouts == rollouts
    assert model.steps == 2 * 3 * rollouts, "2 episodes, 3 steps"
    # A backward pass counts twice a forward pass; proposing takes no objective, a look at proposals does.
    passes = rollouts + 2 * model.backward / (2 * 3)
    sampled = propose.candidates if isinstance(propose, PriorProposal) else 0
    looks = isinstance(refine, (RefitRefiner, ColouredRefiner)) or (
        isinstance(refine, AdamRefiner) and refine.elites < 1
    )
    looked = sampled if looks and propose.imagines else 0
    expected = passes * 3 * 10.0 + (passes - sampled + looked) * 4.0
    assert found.flops.dtype == torch.float64 and found.flops.tolist() == [expected] * 2
    assert expected <= planner.passes(model, 3) * rollout_flops(model, posed)


def test_passes_are_linear_in_the_candidates(hand: SimpleNamespace) -> None:
    model = hand.OpenGrid()
    for refine in (NoRefiner(), AdamRefiner(4, 0.1), RefitRefiner(3)):  # elites come in multiples of 8
        few, many = (Planner(PriorProposal(count), refine).passes(model, 3) for count in (5, 50))
        assert many == 10 * few


def test_a_warm_start_that_is_best_is_kept(hand: SimpleNamespace) -> None:
    goals = torch.tensor([[4.0, -4.0], [-4.0, 4.0]])
    warm = goals[:, None].expand(2, 4, 2) / 4
    objective = GoalCost(goals, hand.squared)
    start = torch.zeros(2, 2)
    cold = Planner(PriorProposal(4), NoRefiner())(hand.PointMass(), hand.problem(start, objective, 4))
    assert (cold.cost > 1).all()
    found = Planner(PriorProposal(4), NoRefiner())(
        hand.PointMass(), hand.problem(start, objective, 4, warm=warm)
    )
    assert torch.equal(found.actions, warm) and found.cost.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "refine",
    [NoRefiner(), AdamRefiner(3, 0.5), RefitRefiner(3), RefitRefiner(3, None), ColouredRefiner(3)],
)
def test_plans_do_not_depend_on_who_is_planned_with_them(hand: SimpleNamespace, refine) -> None:
    generator = torch.Generator().manual_seed(0)
    start, goals = torch.randn(5, 2, generator=generator), 4 * torch.randn(5, 2, generator=generator)
    planner, model = Planner(PriorProposal(8), refine), hand.PointMass()

    def solve(rows: list[int]) -> Plan:
        keys = torch.tensor(rows) + 100
        return planner(model, Problem(start[rows], None, 4, GoalCost(goals[rows], hand.squared), keys))

    together = solve([0, 1, 2, 3, 4])
    for rows in ([3], [4, 1], [2, 2, 0]):
        apart = solve(rows)
        for name in ("actions", "latents", "cost", "proposed_cost", "surprise", "flops"):
            assert torch.equal(getattr(apart, name), getattr(together, name)[rows]), name


def test_plans_of_some_rows_and_joined(hand: SimpleNamespace) -> None:
    goals = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    posed = hand.problem(torch.zeros(4, 2), GoalCost(goals, hand.squared), 2)
    found = Planner(PriorProposal(8), NoRefiner())(hand.PointMass(), posed)
    found = replace(found, optimum=found.cost - 1)
    joined = Plan.join([found.rows(torch.tensor([0, 1])), found.rows(torch.tensor([2, 3]))])
    for name, value in vars(found).items():
        assert torch.equal(torch.as_tensor(getattr(joined, name)), torch.as_tensor(value)), name


def test_planning_leaves_no_graph_and_no_global_state(hand: SimpleNamespace) -> None:
    before = torch.random.get_rng_state()
    start = torch.zeros(1, 2, requires_grad=True)
    posed = hand.problem(start, GoalCost(torch.ones(1, 2), hand.squared), 2)
    found = Planner(PriorProposal(4), AdamRefiner(2, 0.1))(hand.PointMass(), posed)
    assert not found.actions.requires_grad and not found.cost.requires_grad
    assert torch.equal(torch.random.get_rng_state(), before)
