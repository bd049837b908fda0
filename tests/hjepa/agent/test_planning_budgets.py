"""What planning may spend, and where it starts: settings reach the planners, what cannot work is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.checks import least_rollouts
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.records import overrides_of
from hjepa.evaluation.tables import table
from hjepa.model.checkpoints import save_stack
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.sweeps.plan_cells import plan_command
from planners.planner import Planner
from planners.proposals import PriorProposal
from tasks import compose_image, sample_episodes, task_spec

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"


def agent_of(stack: Stack, **settings: object) -> Agent:
    """An agent that records its decisions, with some settings of planning replaced."""
    plan = replace(stack.config.plan, **settings)
    return Agent(stack, 64, AgentOptions(budget_tflops=0.2, settings=plan, record=True))


def test_warm_starts_are_a_setting(stack: Stack) -> None:
    assert not agent_of(stack).planner.warm_start
    assert agent_of(stack, warm_start=True).planner.warm_start
    assert load_preset(str(TINY), ["plan.warm_start=true"]).plan.warm_start


def test_a_warm_agent_offers_its_last_plan(stack: Stack) -> None:
    """Level 1's horizon is 3 and nothing is above: after one step of a plan two are left to try."""
    episodes = sample_episodes(stack.config.task, "validation", episodes=2, seed=0)
    image = compose_image(episodes.grid, episodes.start)
    for warm_start in (False, True):
        part = Agent(
            stack,
            64,
            AgentOptions(
                1,
                budget_tflops=0.2,
                settings=replace(stack.config.plan, warm_start=warm_start, commit=1),
                record=True,
            ),
        )
        level, seen = part.planner.levels[0], []
        propose = level.to_goal.propose

        class Spy:
            def __call__(self, model, problem, propose=propose, seen=seen):
                seen.append(problem)
                return propose(model, problem)

            count = propose.count

        level.to_goal.propose = Spy()
        begun = part.begin(image, episodes.goal_image, torch.arange(2))
        part.act(begun, image)
        rest = begun.plan.actions[:, 1:].clone()
        part.act(begun, image)
        assert len(seen) == 2
        if warm_start:
            assert seen[0].warm_steps.eq(0).all() and seen[1].warm_steps[:2].tolist() == [2, 2]
            assert torch.equal(seen[1].warm[:2, :2], rest)
        else:
            assert seen[1].warm is None


@pytest.mark.parametrize("planner", ["adam", "cem", "mppi", "icem", "categorical-cem", "sampling"])
def test_rollouts_are_limited(stack: Stack, planner: str) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=2, seed=0)
    image = compose_image(episodes.grid, episodes.start)
    most = {}
    for limit in (None, 20, 100_000):
        agent = agent_of(stack, planner=planner, max_rollouts=limit, iterations=2)
        begun = agent.begin(image, episodes.goal_image, torch.arange(2))
        agent.act(begun, image)
        plans = [decision.plan for decision in begun.plan.decisions]
        assert {decision.level for decision in begun.plan.decisions} == {1, 2, 3}
        most[limit] = [plan.rollouts for plan in plans]
    assert max(most[20]) <= 20 < min(most[None]) and most[100_000] == most[None]
    # No larger number of candidates would have done: aligned ones from 8 on, see `planners.rollouts.ALIGNED`.
    for level in agent_of(stack, planner=planner, max_rollouts=20, iterations=2).planner.levels:
        more = level.to_goal.propose.candidates + 1
        more = more if more < 8 else -(-more // 8) * 8
        bigger = Planner(PriorProposal(more), level.to_goal.refine)
        assert bigger.rollouts(level.model, level.horizon) > 20


def test_the_clock_reaches_every_search(stack: Stack) -> None:
    for level in agent_of(stack, max_milliseconds=7.5).planner.levels:
        assert level.to_goal.max_milliseconds == level.to_subgoal.max_milliseconds == 7.5
    assert load_preset(str(TINY), ["plan.max_milliseconds=5"]).plan.max_milliseconds == 5
    assert agent_of(stack).planner.levels[0].to_goal.max_milliseconds is None


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["max_milliseconds=0"], "give a number above 0"),
        (["max_milliseconds=-2.5"], "give a number above 0"),
        (["max_milliseconds=10", "planner=sampling"], "no iterations to stop"),
        (["max_rollouts=0"], "give a whole number from 1 to"),
        (["max_rollouts=3"], "takes 4 for one candidate"),
        (["max_rollouts=4", "warm_start=true"], "takes 5 for one candidate"),
        (["max_rollouts=3", "elites=1"], "give 4 or more"),
        (["max_rollouts=6", "planner=cem", "iterations=6"], "give 7 or more"),
        (["max_rollouts=1", "planner=sampling"], "give 2 or more"),
        (["patience=0", "iterations=8"], "give a whole number from 1 to"),
        (["patience=7", "iterations=8"], "set plan.iterations=9 or more"),
        (["patience=2", "iterations=8", "planner=mppi"], "no gradient steps"),
        (["patience=2", "iterations=8", "planner=icem"], "no gradient steps"),
        (["max_rollouts=6", "planner=icem", "iterations=6"], "give 7 or more"),
    ],
)
def test_limits_that_cannot_work_are_refused(overrides: list[str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_preset(str(TINY), [f"plan.{text}" for text in overrides])


@pytest.mark.parametrize(
    "planner", ["adam", "cem", "mppi", "icem", "categorical-cem", "sampling", "exhaustive"]
)
@pytest.mark.parametrize("elites", [0.125, 1.0])
def test_the_least_limit_is_what_one_candidate_takes(stack: Stack, planner: str, elites: float) -> None:
    plan = replace(stack.config.plan, planner=planner, elites=elites, iterations=2)
    least = least_rollouts(plan, 3)
    agent = agent_of(stack)
    agent.searches.settings = plan
    one = Planner(PriorProposal(1), agent.searches._refiner(1))
    assert one.rollouts(agent.models[1], 2) == least


@pytest.mark.parametrize("planner", ["adam", "exhaustive"])
@pytest.mark.parametrize("front", [1.0, 4.0])
def test_the_budget_that_a_refusal_names_is_enough(stack: Stack, planner: str, front: float) -> None:
    settings = replace(stack.config.plan, planner=planner, front=front)
    with pytest.raises(InputError, match="TFLOP") as refused:
        Agent(stack, 32, AgentOptions(1, budget_tflops=1e-9, settings=settings))
    enough = float(str(refused.value).split("give ")[1].split()[0])
    assert Agent(stack, 32, AgentOptions(1, budget_tflops=enough, settings=settings)).searches.phases
    with pytest.raises(InputError, match="TFLOP"):
        Agent(stack, 32, AgentOptions(1, budget_tflops=0.9 * enough, settings=settings))


def test_an_exhaustive_search_beyond_the_limit_is_refused(stack: Stack) -> None:
    settings = replace(stack.config.plan, planner="exhaustive", max_rollouts=20)
    with pytest.raises(InputError, match=r"plan\.max_rollouts: exhaustive search of"):
        Agent(stack, 64, AgentOptions(1, budget_tflops=10.0, settings=settings))
    with pytest.raises(InputError, match=r"2 rollouts do not pay for one candidate per plan at level 1"):
        Agent(
            stack,
            64,
            AgentOptions(1, budget_tflops=10.0, settings=replace(stack.config.plan, max_rollouts=2)),
        )


def test_patience_saves_operations_and_is_per_episode(stack: Stack) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=5, seed=0)
    image = compose_image(episodes.grid, episodes.start)

    def spent(rows: list[int], patience: int | None) -> torch.Tensor:
        agent = agent_of(stack, patience=patience, iterations=8)
        part = compose_image(episodes.grid[rows], episodes.start[rows])
        begun = agent.begin(part, episodes.goal_image[rows], torch.tensor(rows))
        agent.act(begun, part)
        return torch.cat([begun.flops, begun.plan.actions.flatten().double()])

    everyone = list(range(len(image)))
    patient, tireless = spent(everyone, 1)[:5], spent(everyone, None)[:5]
    assert (patient <= tireless).all() and (patient < tireless).any()
    for row in (0, 3):
        assert spent([row], 1)[0] == patient[row]


def test_several_budgets_are_a_curve_of_success_against_compute(stack: Stack, tmp_path: Path) -> None:
    save_stack(stack, tmp_path, {"task": stack.config.task})
    asked = PlanRequest(str(tmp_path), stack.config.task, (1,), episodes=2, budget_tflops=(0.0001, 0.05))
    records = plan_command(asked)
    assert [record["budget_tflops"] for record in records] == [0.0001, 0.05]
    assert records[0]["tflops_per_episode"] < records[1]["tflops_per_episode"], (
        "more is spent where more is given"
    )
    assert all(record["tflops_per_episode"] <= record["budget_tflops"] for record in records)
    shown = table(records)
    assert "TFLOP allowed" in shown and "0.0001 " in shown and "TFLOP allowed" not in table(records[:1])
    assert "overrides" not in records[0]
    alone = plan_command(replace(asked, budget_tflops=(0.05,)))
    assert alone[0]["steps"] == records[1]["steps"], "budgets do not know of each other"
    for wrong in ((0.01, 0.01), (0.0,)):
        with pytest.raises(InputError, match="name each once|positive budget"):
            replace(asked, budget_tflops=wrong)


def test_records_say_what_was_replaced_in_planning(stack: Stack, tmp_path: Path) -> None:
    save_stack(stack, tmp_path, {"task": stack.config.task})
    changes = ("plan.haste=0.5", "plan.iterations=1")
    (record,) = plan_command(
        PlanRequest(
            str(tmp_path), stack.config.task, (1,), episodes=1, budget_tflops=(0.05,), overrides=changes
        )
    )
    assert record["overrides"] == list(changes) and overrides_of(record) == changes


def spent(agent: Agent, steps: int) -> float:
    """Most operations of an episode without repairs: perceiving, and the plans of all levels when each is due."""
    searches = agent.searches
    whole = searches.write_flops + searches.metric_flops + searches.encode_flops * (steps + 1)
    for k, once in enumerate(searches._plan_flops):
        whole += once * steps / searches._interval(k)
    return whole


@pytest.mark.parametrize("levels", [1, 3])
def test_a_fifth_of_the_compute_is_kept_for_repairs(stack: Stack, levels: int) -> None:
    settings = replace(stack.config.plan, max_candidates=4096, flat={}, ground=0)
    budget = 0.003 if levels == 1 else 0.001
    agent = Agent(stack, 64, AgentOptions(levels, budget, settings))
    assert max(level.to_goal.propose.candidates for level in agent.planner.levels) > 64, "room to fill"
    used = spent(agent, 64) / (budget * 1e12)
    assert 0.7 < used <= 0.8, "plans fill what is theirs and leave the reserve"


@pytest.mark.parametrize("levels", [1, 3])
def test_the_reserve_pays_for_so_many_repairs_and_no_more(stack: Stack, levels: int) -> None:
    settings = replace(stack.config.plan, max_candidates=64, flat={})
    agent = Agent(stack, 64, AgentOptions(levels, 0.2, settings))
    first = agent.planner.levels[0]
    search, steps = (first.to_goal, first.horizon) if levels == 1 else (first.to_subgoal, 2)
    once = search.passes(first.model, steps) * steps * first.model.flops
    once += search.passes(first.model, steps) * (first.model.lift_flops if levels > 1 else 0)
    count = agent.planner.repairs
    assert count >= 1
    assert count * once <= 0.2 * 0.2e12 < (count + 1) * once
    double = Agent(stack, 64, AgentOptions(levels, 0.4, settings))
    assert double.planner.repairs in (2 * count, 2 * count + 1)


def test_what_the_critic_takes_counts_in_repairs(stack: Stack) -> None:
    counts = {}
    for metric in ("l2", "critic"):
        settings = replace(stack.config.plan, max_candidates=64, flat={}, metric=metric)
        agent = Agent(stack, 64, AgentOptions(1, 0.2, settings))
        first, read = agent.planner.levels[0], agent.searches.critic_flops[0]
        once = first.to_goal.passes(first.model, first.horizon) * first.horizon * (first.model.flops + read)
        assert (read > 0) == (metric == "critic")
        counts[metric] = agent.planner.repairs
        assert counts[metric] * once <= 0.2 * 0.2e12 < (counts[metric] + 1) * once
    assert counts["critic"] < counts["l2"]


def test_numbers_have_no_categories() -> None:
    """Macro-actions that are numbers are refused with the settings, continuous worlds when the agent is made."""
    with pytest.raises(
        InputError, match="macro-actions of level 2 are numbers; choose cem|level 2 are numbers"
    ):
        load_preset("vector", ["plan.planner=categorical-cem"])
    config = load_preset(str(TINY), ["task=hjepa/NestedPoint-d2-v0", "plan.metric=l2"])
    made = Stack(config, world_of(task_spec(config.task)))
    with pytest.raises(InputError, match="continuous actions of level 1"):
        agent_of(made, planner="categorical-cem")
