"""The top-down planner: who plans when, at what, and that it reaches what a flat search does not."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from planners.blocks import LEAST
from planners.objectives import GoalCost, SubgoalCost
from planners.planner import Planner
from planners.proposals import PriorProposal
from planners.refiners import AdamRefiner, NoRefiner
from planners.top_down import LevelPlanner, TopDownPlanner

GOLDEN = Path(__file__).with_name("golden_plan.json")


# --- reaching goals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_hierarchy_reaches_what_flat_search_does_not(hand: SimpleNamespace, depth: int) -> None:
    """From the mouth of the serpent to the later half of each row; flat search has level 1's horizon."""
    places, _ = hand.serpent()
    shortest = torch.arange(len(places)).view(8, 8)[:, 4:].flatten()
    goal = places[shortest].float()
    start = places[:1].float().expand_as(goal)
    found = hand.walk(TopDownPlanner(hand.serpent_levels(depth), commit=2), start, goal, 72)
    reached = found.arrived >= 0
    if depth == 1:
        assert reached.tolist() == [True] * 4 + [False] * 28, "the first row, and nothing beyond a wall"
    else:
        assert reached.all()
        assert (found.arrived - shortest).max() <= 8 and (found.arrived - shortest).float().mean() < 4


def test_gradients_through_three_levels_reach_far_goals(hand: SimpleNamespace) -> None:
    search = Planner(PriorProposal(16), AdamRefiner(15, 0.3))
    models = [hand.PointMass(coarser=4.0), hand.PointMass(coarser=3.0), hand.PointMass()]
    levels = [
        LevelPlanner(model, stride, 4, search, search, hand.squared, reached=0.3, step_cost=0.01)
        for model, stride in zip(models, (1, 4, 3))
    ]
    goal = torch.tensor([[30.0, -20.0], [-3.0, 40.0], [2.0, 2.0]])
    found = hand.walk(TopDownPlanner(levels), torch.zeros(3, 2), goal, 60)
    near = hand.squared(found.latents, goal[:, None]) < 0.3
    assert near.any(1).all()
    assert (near.int().argmax(1) <= 1.5 * goal.abs().amax(1)).all(), "not far from straight at full speed"


# --- who plans when ---------------------------------------------------------------------------------------


def test_flat_planner_replans_when_its_commitment_is_walked(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    planner = TopDownPlanner(hand.serpent_levels(1), commit=3, record=True)
    found = hand.walk(planner, places[:1].float(), places[7:8].float(), 12)
    assert found.arrived.tolist() == [7]
    assert hand.of_level(found.state.decisions, 1) == [(0, True, False), (3, True, False), (6, True, False)]


def test_whoever_prepares_plans_is_told_of_them_first_and_heard(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    levels = hand.serpent_levels(2)
    planner = TopDownPlanner(levels)
    state = planner.start(hand.goals_of(levels, places[40:42].float()), [None, None], torch.arange(2))
    latent, told = places[:2].float(), []

    def prepare(asks: list[torch.Tensor]) -> None:
        told.append([ask.tolist() for ask in asks])
        assert (state.levels[0].planned == 0).all(), "before any does"
        for level, goal in zip(state.levels, hand.goals_of(levels, latent)):
            level.goal[1] = goal[1]  # where it stands already

    for _ in range(2):
        planner.act(state, latent, torch.tensor([True, True]), prepare)
    assert told == [[[True, True], [True, True]]], "and not when none does"
    assert state.levels[1].planned.tolist() == [1, 0], "at the new goal there is nothing to say"


def test_subgoals_are_due_one_stride_after_they_are_set(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    levels = hand.serpent_levels(3)
    levels[0], _, to_subgoal_1 = hand.spied(levels[0])
    levels[1], _, to_subgoal_2 = hand.spied(levels[1])
    found = hand.walk(TopDownPlanner(levels, record=True), places[:1].float(), places[-1:].float(), 24)
    decisions = found.state.decisions
    assert [time for time, *_ in hand.of_level(decisions, 1)] == [0, 4, 8, 12, 16, 20]
    assert [time for time, *_ in hand.of_level(decisions, 2)] == [0, 4, 8, 12, 16, 20]
    assert [time for time, *_ in hand.of_level(decisions, 3)] == [0, 12]
    # Level 1 has a whole stride for each of its subgoals; level 2 walks three of its steps to one of its own.
    assert [int(problem.objective.due[0]) for problem in to_subgoal_1.problems] == [4] * 6
    assert [int(problem.objective.due[0]) for problem in to_subgoal_2.problems] == [3, 2, 1, 3, 2, 1]
    for lower, upper in ((1, 2), (2, 3)):
        subgoals = {int(d.time): d.plan.latents[0, 0] for d in decisions if d.level == upper}
        latest = None
        for decision in decisions:
            if decision.level == upper:
                continue
            if decision.level == lower:
                latest = subgoals.get(int(decision.time), latest)
                assert latest is not None and torch.equal(decision.target[0], latest)
    # And they are met exactly then: block b of 4 places after b strides.
    number = levels[0].model.number(found.latents[0])  # type: ignore[attr-defined]
    assert (number[::4] // 4).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_levels_are_skipped_near_the_goal(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    start, goal = places[[0, 0, 0, 0]].float(), places[[2, 6, 10, 60]].float()
    planner = TopDownPlanner(hand.serpent_levels(3), record=True)
    state = hand.walk(planner, start, goal, 1).state
    # Blocks 0, 1, 2 and 15 of 4 places, regions 0, 0, 0 and 5 of 3 blocks: a level within one step of its own
    # passes the goal on.
    first = [[hand.of_level(state.decisions, level, row)[0][1:] for level in (3, 2, 1)] for row in range(4)]
    assert first == [
        [(True, True), (True, True), (True, False)],
        [(True, True), (True, True), (True, False)],
        [(True, True), (True, False), (False, False)],
        [(True, False), (False, False), (False, False)],
    ]
    assert torch.stack([level.asked for level in state.levels]).tolist() == [[1] * 4] * 3
    assert torch.stack([level.planned for level in state.levels]).tolist() == [
        [1] * 4,
        [0, 0, 1, 1],
        [0, 0, 0, 1],
    ]


def test_a_level_that_stands_on_the_goal_is_skipped_though_its_plan_leaves_it(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    low, high = hand.serpent_levels(2)
    blocks, table = hand.line(16)
    restless = replace(high, model=hand.TableModel(blocks, table[:, [0, 2]]))
    state = hand.walk(
        TopDownPlanner([low, restless], record=True), places[21:22].float(), places[23:24].float(), 1
    )
    decision = state.state.decisions[0]
    assert decision.plan.latents[0, 0].tolist() == [4.0] and decision.target.tolist() == [[5.0]]
    assert decision.skipped.tolist() == [True]


def test_every_search_has_noise_of_its_own(hand: SimpleNamespace) -> None:
    """Keys differ between episodes, levels and replans, and come back with the episode's own key."""
    places, _ = hand.serpent()
    levels, spies = [], []
    for level in hand.serpent_levels(3):
        watched, to_goal, to_subgoal = hand.spied(level)
        levels.append(watched)
        spies += [to_goal, to_subgoal]
    planner = TopDownPlanner(levels, block=2)
    for _ in range(2):
        hand.walk(planner, places[[0, 0]].float(), places[[60, 62]].float(), 9)
    keys = [problem.keys for spy in spies for problem in spy.problems]
    # Three replans of level 1 and 2 and one of level 3 for each of two episodes; all of it twice.
    assert sum(map(len, keys)) == 2 * 2 * 7
    assert len(torch.cat(keys).unique()) == 2 * 7


def test_a_skipped_level_plans_again_when_the_stride_is_walked(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    found = hand.walk(
        TopDownPlanner(hand.serpent_levels(2), record=True), places[:1].float(), places[14:15].float(), 24
    )
    above = hand.of_level(found.state.decisions, 2)
    assert [time for time, *_ in above] == list(range(0, 4 * len(above), 4))
    assert [skipped for *_, skipped in above] == sorted(skipped for *_, skipped in above), "first subgoals"
    aims = hand.of_level(found.state.decisions, 1)
    assert [at_goal for _, at_goal, _ in aims] == [skipped for *_, skipped in above]


# --- when the world leaves the plan -----------------------------------------------------------------------


def test_off_plan_repair_replans_level_1_for_the_rest_of_the_stride(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    # One move short of the next block; after two steps the first episode is blown back by one place.
    start, goal = places[[3, 3]].float(), places[[40, 40]].float()
    gusts = {2: torch.tensor([[-1.0, 0.0], [0.0, 0.0]])}
    levels = hand.serpent_levels(2)
    levels[0], _, to_subgoal = hand.spied(levels[0])
    found = hand.walk(TopDownPlanner(levels, off_plan=0.5, record=True, block=1), start, goal, 8, gusts)
    decisions = found.state.decisions
    assert [time for time, *_ in hand.of_level(decisions, 1, 0)] == [0, 2, 4]
    assert [time for time, *_ in hand.of_level(decisions, 1, 1)] == [0, 4]
    assert [time for time, *_ in hand.of_level(decisions, 2, 0)] == [0, 4], "the level above keeps its stride"
    assert found.state.repaired.tolist() == [1, 0]
    assert [int(problem.objective.due[0]) for problem in to_subgoal.problems] == [4, 4, 2, 4, 4]
    repair = next(decision for decision in decisions if decision.time.tolist() == [2])
    assert torch.equal(repair.target, decisions[0].plan.latents[:1, 0]), "the subgoal stays"
    number = levels[0].model.number(found.latents)  # type: ignore[attr-defined]
    assert (number[:, 4] // 4).tolist() == [1, 1], "and is met on time all the same"


def test_repairs_are_limited_and_nothing_is_repaired_within_tolerance(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    gusts = {time: torch.tensor([[-1.0, 0.0]]) for time in (1, 2, 3)}
    start, goal = places[3:4].float(), places[40:41].float()
    for off_plan, repairs, expected in ((0.5, 99, 3), (0.5, 2, 2), (0.5, 0, 0), (20.0, 99, 0)):
        planner = TopDownPlanner(hand.serpent_levels(2), off_plan=off_plan, repairs=repairs)
        assert hand.walk(planner, start, goal, 4, gusts).state.repaired.tolist() == [expected]


def test_a_flat_repair_starts_a_new_commitment(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    gusts = {1: torch.tensor([[-1.0, 0.0]])}
    planner = TopDownPlanner(hand.serpent_levels(1), commit=3, off_plan=0.5, record=True)
    found = hand.walk(planner, places[:1].float(), places[7:8].float(), 6, gusts)
    assert [time for time, *_ in hand.of_level(found.state.decisions, 1)] == [0, 1, 4]


# --- subgoals that are left ---------------------------------------------------------------------------------


def with_a_liar(hand: SimpleNamespace, veto: float) -> list[LevelPlanner]:
    """Level 1 knows the corridor; level 2, of 2 x 2 places a field, that one can go up and down everywhere."""
    places, table = hand.serpent()
    fields = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    moves = torch.tensor([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    there = (fields[:, None] + moves).clamp(0, 3)
    sideways = (moves[:, 0] != 0) & (fields[:, None, 1] < 3)
    there = torch.where(sideways[..., None], fields[:, None], there)
    low, high = hand.serpent_levels(2)
    first = hand.TableModel(places, table, places // 2)

    def steps(here: Tensor, goal: Tensor) -> Tensor:
        return (first.number(here) - first.number(goal)).abs().float()

    liar = hand.TableModel(fields, there[..., 0] * 4 + there[..., 1])
    return [replace(low, model=first, distance=steps, veto=veto), replace(high, model=liar)]


def test_a_subgoal_that_cannot_be_reached_is_left_for_the_goal(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    start, goal = places[[0, 0, 0]].float(), places[[40, 43, 36]].float()
    believes = hand.walk(TopDownPlanner(with_a_liar(hand, float("inf"))), start, goal, 80)
    assert (believes.arrived < 0).all()
    doubts = hand.walk(TopDownPlanner(with_a_liar(hand, 0.5), record=True), start, goal, 80)
    assert (doubts.arrived >= 0).all() and (doubts.state.repaired > 0).all()
    # What it never leaves it never pays for.
    patient = hand.walk(TopDownPlanner(with_a_liar(hand, 1e6)), start, goal, 80)
    assert torch.equal(patient.latents, believes.latents) and torch.equal(
        patient.state.flops, believes.state.flops
    )
    assert not patient.state.repaired.any()


def test_leaving_subgoals_has_a_price_and_a_limit(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    start, goal = places[[0, 3]].float(), places[[63, 40]].float()
    alone = hand.walk(TopDownPlanner(with_a_liar(hand, -1.0), record=True), start, goal, 8)
    below = [d for d in alone.state.decisions if d.level == 1]
    assert all(d.at_goal for d in below) and len(below) == 2
    assert alone.state.repaired.tolist() == [2, 2]
    planned = sum(d.plan.flops.sum() for d in alone.state.decisions) + 2 * 2 * 2.0
    subgoals = alone.state.flops.sum() - planned
    lifts = 4 * 2.0 * below[0].plan.rollouts
    assert subgoals == sum(d.plan.flops.sum() for d in below) + lifts, "the plans that were left are paid for"
    for repairs in (0, 1):
        planner = TopDownPlanner(with_a_liar(hand, -1.0), record=True, repairs=repairs)
        found = hand.walk(planner, start, goal, 8)
        assert found.state.repaired.tolist() == [repairs] * 2
        assert [d.at_goal for d in found.state.decisions if d.level == 1] == [True] * repairs + [False] * (
            2 - repairs
        )


# --- warm starts ------------------------------------------------------------------------------------------


def test_warm_starts_are_what_is_left_of_the_last_plan(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    levels = hand.serpent_levels(2)
    levels[0], _, below = hand.spied(levels[0])
    levels[1], above, _ = hand.spied(levels[1])
    gusts = {2: torch.tensor([[-1.0, 0.0]])}
    planner = TopDownPlanner(levels, off_plan=0.5, record=True, block=1, warm_start=True)
    found = hand.walk(planner, places[1:2].float(), places[60:61].float(), 6, gusts)
    # Level 1: nothing yet; two steps when it repairs, as many of the repaired plan when the stride is walked.
    assert [int(problem.warm_steps[0]) for problem in below.problems] == [0, 2, 2]
    plans = {(d.level, int(d.time)): d.plan.actions for d in found.state.decisions}
    assert torch.equal(below.problems[1].warm[:, :2], plans[1, 0][:, 2:])
    # Level 2 walks one step of its plan at a time.
    assert [int(problem.warm_steps[0]) for problem in above.problems] == [0, 2]
    assert torch.equal(above.problems[1].warm[:, :2], plans[2, 0][:, 1:])
    cold = TopDownPlanner(levels)
    hand.walk(cold, places[1:2].float(), places[60:61].float(), 6, gusts)
    assert above.problems[-1].warm is None


def test_a_warm_start_never_gives_up_a_plan_that_works_out(hand: SimpleNamespace) -> None:
    search = Planner(PriorProposal(8), NoRefiner())
    level = LevelPlanner(hand.PointMass(), 1, 6, search, search, hand.squared, reached=0.0)
    goal = torch.tensor([[3.0, -3.0], [-3.0, 3.0], [-4.0, -4.0], [4.0, 1.0]])
    for warm_start in (True, False):
        planner = TopDownPlanner([level], record=True, warm_start=warm_start)
        decisions = hand.walk(planner, torch.zeros(4, 2), goal, 6).state.decisions
        rises = []
        for before, after in itertools.pairwise(decisions):
            left = hand.squared(before.plan.latents[:, 1:], goal[:, None]).amin(1)
            rises.append((after.plan.cost > left + 1e-5).any())
        assert any(rises) != warm_start, "without it, better plans are given up for worse"


# --- what is recorded -------------------------------------------------------------------------------------


def written(walked: Any) -> dict[str, Any]:
    """A walk in plain values."""
    return {
        "walked": walked.latents.int().tolist(),
        "arrived": walked.arrived.tolist(),
        "decisions": [
            {
                "level": decision.level,
                "rows": decision.rows.tolist(),
                "time": decision.time.tolist(),
                "at_goal": decision.at_goal,
                "skipped": decision.skipped.tolist(),
                "target": decision.target.tolist(),
                "actions": decision.plan.actions.argmax(-1).tolist(),
                "latents": decision.plan.latents.tolist(),
                "cost": [round(cost, 6) for cost in decision.plan.cost.tolist()],
            }
            for decision in walked.state.decisions
        ],
    }


def test_decisions_equal_the_golden_plan(hand: SimpleNamespace) -> None:
    """Two episodes through three levels, one of them blown off its plan, as once checked by hand."""
    places, _ = hand.serpent()
    gusts = {6: torch.tensor([[0.0, 0.0], [1.0, 0.0]])}
    planner = TopDownPlanner(hand.serpent_levels(3), off_plan=0.5, record=True)
    found = hand.walk(planner, places[[20, 3]].float(), places[[55, 17]].float(), 48, gusts)
    assert written(found) == json.loads(GOLDEN.read_text())


def test_operations_are_those_of_all_decisions_and_lifts(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    planner = TopDownPlanner(hand.serpent_levels(3), record=True)
    found = hand.walk(planner, places[[0, 0]].float(), places[[60, 5]].float(), 20)
    expected = torch.zeros(2, dtype=torch.float64)
    for decision in found.state.decisions:
        expected[decision.rows] += decision.plan.flops
        # Whoever plans above level 1 had to be lifted to its level, from below.
        expected[decision.rows] += (decision.level > 1) * 2.0
    assert found.state.flops.tolist() == expected.tolist()


def test_objectives_follow_the_aim(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    levels = hand.serpent_levels(2)
    levels[0], to_goal, to_subgoal = hand.spied(levels[0])
    planner = TopDownPlanner(levels)
    hand.walk(planner, places[[0, 0]].float(), places[[2, 60]].float(), 1)
    assert isinstance(to_goal.problems[0].objective, GoalCost)
    assert isinstance(to_subgoal.problems[0].objective, SubgoalCost)
    # Calls are padded, but not to more than it takes.
    assert [len(spy.problems[0].start) for spy in (to_goal, to_subgoal)] == [LEAST, LEAST]


# --- what cannot work -------------------------------------------------------------------------------------


def test_arguments_that_cannot_work_are_refused(hand: SimpleNamespace) -> None:
    levels = hand.serpent_levels(2)
    for arguments, message in (
        (([],), "no levels"),
        ((levels, 5), "commit is 5; choose from 1 to level 1's horizon 4"),
        ((levels, 0), "commit is 0"),
        (([levels[0], replace(levels[1], stride=5)],), "level 2 has stride 5, level 1 horizon 4"),
        (([levels[0], replace(levels[1], stride=0)],), "choose a stride from 1 to 4"),
    ):
        with pytest.raises(ValueError, match=message):
            TopDownPlanner(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="block is 0"):
        TopDownPlanner(levels, block=0)
    planner, goals, keys = TopDownPlanner(levels), [torch.zeros(3, 2), torch.zeros(3, 1)], torch.arange(3)
    with pytest.raises(ValueError, match="1 goals and 2 memories for 2 levels"):
        planner.start(goals[:1], [None, None], keys)
    with pytest.raises(ValueError, match="goal of level 2 has 2 rows for 3 keys"):
        planner.start([goals[0], goals[1][:2]], [None, None], keys)
    with pytest.raises(ValueError, match="memory of level 2 has 1 rows for 3 keys"):
        planner.start(goals, [None, torch.zeros(1, 4)], keys)
    with pytest.raises(ValueError, match="metric of level 1 has 2 rows for 3 keys"):
        planner.start(goals, [None, None], keys, [torch.zeros(2, 2, 2), None])


def test_levels_above_the_top_in_use_are_as_good_as_absent(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    start, goal = places[:2].float(), places[6:8].float()
    levels = hand.serpent_levels(3)
    flat, whole = TopDownPlanner(levels[:1], commit=2), TopDownPlanner(levels, commit=2)
    keys = torch.arange(2)
    states = [
        planner.start(hand.goals_of(planner.levels, goal), [None] * len(planner.levels), keys)
        for planner in (flat, whole)
    ]
    whole.plan_from(states[1], torch.zeros(2, dtype=torch.int64))
    latent, active = start, torch.ones(2, dtype=torch.bool)
    for _ in range(6):
        first, second = (planner.act(state, latent, active) for planner, state in zip((flat, whole), states))
        assert torch.equal(first, second)
        latent = (
            levels[0].model.advance(latent.unsqueeze(1), latent.unsqueeze(1), first.unsqueeze(1)).squeeze(1)
        )
    assert [level.asked.tolist() for level in states[1].levels[1:]] == [[0, 0], [0, 0]]
    assert states[1].levels[0].asked.tolist() == [3, 3]
    # With all levels again, and at once.
    whole.plan_from(states[1], torch.full((2,), 2))
    whole.plan_anew(states[1], torch.tensor([1]))
    whole.act(states[1], latent, active)
    assert states[1].levels[2].asked.tolist() == [1, 1]


@pytest.mark.parametrize("record", [False, True])
def test_what_is_recorded_of_level_1_says_what_the_best_plan_would_have_cost(
    hand: SimpleNamespace, record: bool
) -> None:
    places, _ = hand.serpent()
    every, few = hand.serpent_levels(2)[0].to_goal, Planner(PriorProposal(1), NoRefiner())
    low, high = hand.serpent_levels(2)
    gaps = []
    for search in (every, few):
        planner = TopDownPlanner([replace(low, to_goal=search, to_subgoal=search), high], record=record)
        found = hand.walk(planner, places[[0, 0]].float(), places[[60, 5]].float(), 20)
        for decision in found.state.decisions:
            assert (decision.plan.optimum is None) == (decision.level > 1)
        below = [d.plan for d in found.state.decisions if d.level == 1]
        gaps.append(torch.cat([plan.cost - plan.optimum for plan in below]) if below else torch.zeros(0))
    if record:
        assert gaps[0].numel() and gaps[0].abs().max() == 0
        assert gaps[1].min() >= 0 and gaps[1].max() > 1
    else:
        assert not any(gap.numel() for gap in gaps)
