"""Limits of one planner call: what is cut short is what fewer iterations give, and no more is counted."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners import budgets
from planners.cross_entropy import ColouredRefiner
from planners.objectives import GoalCost
from planners.planner import Planner
from planners.proposals import EnumerationProposal, PriorProposal, QueueProposal
from planners.protocols import Plan, Problem, Trajectory
from planners.refiners import AdamRefiner, NoRefiner, RefitRefiner

GOALS = torch.tensor([[2.0, 1.0], [-1.5, 3.0], [6.0, -1.0]])
"""For 4 steps of the point mass: two within reach, one beyond it."""
BEST = torch.tensor([0.0, 0.0, 4.0])


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The hands of the clock, in seconds; nobody moves them but the test."""
    hands = SimpleNamespace(now=100.0)
    monkeypatch.setattr(budgets, "clock", lambda: hands.now)
    return hands


class Slow(GoalCost):
    """A cost that takes a millisecond of the fake clock to evaluate."""

    hands: SimpleNamespace

    def __call__(self, trajectory: Trajectory) -> Tensor:
        self.hands.now += 1e-3
        return super().__call__(trajectory)


def posed(hand: SimpleNamespace, hands: SimpleNamespace, goals: Tensor = GOALS):
    """The point mass is to reach the goals, at a millisecond per evaluation."""
    objective = Slow(goals, hand.squared)
    objective.hands = hands
    return hand.problem(torch.zeros_like(goals), objective, 4)


def assert_same(first: Plan, second: Plan, *, but: tuple[str, ...] = ()) -> None:
    """Every part of two plans has the same bits."""
    for name, value in vars(first).items():
        if name not in but and value is not None:
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(getattr(second, name))), name


REFINERS = {
    "adam": lambda iterations: AdamRefiner(iterations, 0.1),
    "cem": lambda iterations: RefitRefiner(iterations),
    "mppi": lambda iterations: RefitRefiner(iterations, None),
    "icem": lambda iterations: ColouredRefiner(iterations),
}


@pytest.mark.parametrize("name", REFINERS)
def test_a_deadline_gives_what_that_many_iterations_give(
    hand: SimpleNamespace, hands: SimpleNamespace, name: str
) -> None:
    refiner, model = REFINERS[name], hand.PointMass()
    for milliseconds, iterations in ((0.5, 1), (2.5, 3), (6.5, 7)):
        cut = Planner(PriorProposal(16), refiner(50), milliseconds)(model, posed(hand, hands))
        assert_same(cut, Planner(PriorProposal(16), refiner(iterations))(model, posed(hand, hands)))


def test_with_time_enough_the_optimum_is_found_all_the_same(
    hand: SimpleNamespace, hands: SimpleNamespace
) -> None:
    model, refiner = hand.PointMass(), AdamRefiner(60, 0.1)
    unlimited = Planner(PriorProposal(32), refiner)(model, posed(hand, hands))
    assert torch.allclose(unlimited.cost, BEST, atol=0.01)
    assert_same(unlimited, Planner(PriorProposal(32), refiner, 1e3)(model, posed(hand, hands)))
    hasty = Planner(PriorProposal(32), refiner, 2.5)(model, posed(hand, hands))
    assert not torch.allclose(hasty.cost, BEST, atol=0.01)
    assert (hasty.cost <= hasty.proposed_cost).all()


@pytest.mark.parametrize("name", REFINERS)
def test_no_time_at_all_leaves_the_best_proposal(
    hand: SimpleNamespace, hands: SimpleNamespace, name: str
) -> None:
    problem, model = replace(posed(hand, hands), deadline=hands.now), hand.PointMass()
    late = Planner(PriorProposal(16), REFINERS[name](50))(model, problem)
    assert_same(late, Planner(PriorProposal(16), NoRefiner())(model, problem))


def test_looking_for_elites_takes_time_too(hand: SimpleNamespace, hands: SimpleNamespace) -> None:
    model, refiner = hand.PointMass(), AdamRefiner(50, 0.1, elites=0.5)
    cut = Planner(PriorProposal(16), refiner, 2.5)(model, posed(hand, hands))
    assert_same(cut, Planner(PriorProposal(16), AdamRefiner(2, 0.1, elites=0.5))(model, posed(hand, hands)))
    # Time for the look alone: the elites are selected from, no gradient has been taken.
    looked = Planner(PriorProposal(16), refiner, 0.5)(model, posed(hand, hands))
    best = Planner(PriorProposal(16), NoRefiner())(model, posed(hand, hands))
    assert torch.equal(looked.actions, best.actions) and looked.rollouts == 16 + 8
    assert looked.flops.tolist() == [(16 + 8) * 4 * model.flops] * 3


def test_the_earlier_of_two_deadlines_counts(hand: SimpleNamespace, hands: SimpleNamespace) -> None:
    model, refiner = hand.PointMass(), AdamRefiner(50, 0.1)
    for own, given, iterations in ((2.5, 9.5, 3), (9.5, 2.5, 3)):
        problem = replace(posed(hand, hands), deadline=hands.now + 1e-3 * given)
        cut = Planner(PriorProposal(8), refiner, own)(model, problem)
        assert cut.rollouts == 8 + iterations * 8 + 16


def test_blocks_that_do_not_end_alike_are_joined(hand: SimpleNamespace, hands: SimpleNamespace) -> None:
    model = hand.PointMass()
    short, long = (
        Planner(PriorProposal(8), AdamRefiner(50, 0.1), milliseconds)(model, posed(hand, hands))
        for milliseconds in (1.5, 4.5)
    )
    joined = Plan.join([short, long])
    assert joined.rollouts == long.rollouts > short.rollouts
    assert joined.flops.tolist() == short.flops.tolist() + long.flops.tolist()


@pytest.mark.parametrize("count", [1, 6, 16, 24])
@pytest.mark.parametrize(
    "refine",
    [
        NoRefiner(),
        AdamRefiner(3, 0.1),
        AdamRefiner(2, 0.1, 0.3),
        RefitRefiner(4),
        RefitRefiner(2, None),
        ColouredRefiner(4),
    ],
    ids=["none", "adam", "elites", "cem", "mppi", "icem"],
)
def test_rollouts_are_known_before(hand: SimpleNamespace, refine, count: int) -> None:
    model = hand.OpenGrid()
    problem = hand.problem(torch.ones(1, 2), GoalCost(torch.zeros(1, 2), hand.squared), 2)
    for propose in (PriorProposal(count), QueueProposal(torch.eye(5), count), EnumerationProposal()):
        planner = Planner(propose, refine)
        assert planner(model, problem).rollouts == planner.rollouts(model, 2)


def test_an_episode_stops_where_fewer_iterations_would(hand: SimpleNamespace) -> None:
    """Each episode has the bits of as many iterations as it took, and pays for those."""
    model, objective = hand.PointMass(), GoalCost(GOALS, hand.squared)
    problem = hand.problem(torch.zeros_like(GOALS), objective, 4)
    patient = Planner(PriorProposal(16), AdamRefiner(60, 0.1, patience=3))(model, problem)
    taken = ((patient.flops / (4 * model.flops)) - 16 - 2 * 16) / (3 * 16)
    assert taken.unique().numel() > 1, "they do not all stop at once"
    assert (taken >= 4).all() and (taken < 60).all() and torch.equal(taken, taken.round())
    assert patient.rollouts == 16 + int(taken.max()) * 16 + 2 * 16
    for row, iterations in enumerate(taken.int().tolist()):
        fewer = Planner(PriorProposal(16), AdamRefiner(iterations, 0.1))(model, problem)
        only = torch.tensor([row])
        assert_same(patient.rows(only), fewer.rows(only), but=("rollouts",))
    assert torch.allclose(patient.cost, BEST, atol=0.05), "and stops where there is little left to gain"


def test_patience_that_never_ends_changes_nothing(hand: SimpleNamespace) -> None:
    problem = hand.problem(torch.zeros_like(GOALS), GoalCost(GOALS, hand.squared), 4)
    for elites in (1.0, 0.5, 0.3):
        plans = [
            Planner(PriorProposal(16), AdamRefiner(12, 0.1, elites, patience))(hand.PointMass(), problem)
            for patience in (None, 12)
        ]
        assert_same(*plans)


def test_stopping_early_does_not_depend_on_the_company(hand: SimpleNamespace) -> None:
    level = hand.neural_levels()[1]
    generator = torch.Generator().manual_seed(2)
    start, goals = torch.randn(2, 8, 7, generator=generator)
    memory = torch.randn(8, 3, generator=generator)
    planner = Planner(PriorProposal(8), AdamRefiner(12, 0.1, patience=2))

    def solve(rows: list[int]) -> Plan:
        """A block of 8, as the top-down planner pads it."""
        padded, keys = rows + rows[:1] * (8 - len(rows)), torch.tensor(rows + rows[:1] * (8 - len(rows)))
        objective = GoalCost(goals[padded], hand.squared)
        problem = Problem(start[padded], memory[padded], 4, objective, keys)
        return planner(level.model, problem).rows(torch.arange(len(rows)))

    together = solve(list(range(8)))
    assert together.flops.unique().numel() > 1, "they do not all stop at once"
    for company in ([3], [4, 1], [7, 6, 5, 4, 3, 2, 1, 0], [2, 2, 0]):
        assert_same(solve(company), together.rows(torch.tensor(company)), but=("rollouts",))


def test_who_has_stalled() -> None:
    inf = torch.inf
    first = torch.tensor([100.0, 100.0, 0.0, inf, inf, -10.0, -10.0, 100.0])
    then = torch.tensor([99.5, 98.9, 0.0, inf, 3.0, -10.05, -10.2, 99.5])
    last = torch.tensor([99.1, 98.9, 0.0, inf, 3.0, -10.05, -10.2, 98.0])
    assert budgets.stalled([first, then], 2) is None
    expected = [True, False, True, True, False, True, False, False]
    found = budgets.stalled([first, then, last], 2)
    assert found is not None and found.tolist() == expected
    found = budgets.stalled([first, then, last], 1)
    assert found is not None and found.tolist() == [True] * 7 + [False]


def test_limits_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="patience"):
        AdamRefiner(5, 0.1, patience=0)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="max_milliseconds"):
            Planner(PriorProposal(1), NoRefiner(), wrong)
