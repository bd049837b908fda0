"""Oracles put the truth in the place of one part, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import hjepa
from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent, play
from hjepa.evaluation.oracles import OracleAgent, OracleModel, OraclePlanner, TrueDistance, _number
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.true_states import Truth
from hjepa.model.stack import Stack
from hjepa.sweeps.plan_cells import rungs
from planners.grounding import Unconstrained
from planners.protocols import Problem
from tasks import EpisodeBatch, sample_episodes, step_agents, task_spec

TASK = "hjepa/NestedRooms-d2-v0"
D3 = "hjepa/NestedRooms-d3-v0"


@pytest.fixture(scope="module")
def episodes() -> EpisodeBatch:
    return sample_episodes(TASK, "validation", episodes=3)


@pytest.fixture(scope="module")
def truth(stack: Stack, episodes: EpisodeBatch) -> Truth:
    return Truth(stack, episodes, stack.write(torch.from_numpy(episodes.grid)))


def test_what_can_be_reached_is_what_search_reaches(truth: Truth, episodes: EpisodeBatch) -> None:
    row, begin = 1, int(truth.start[1])
    reached = {begin}
    for steps in range(6):
        found = set(truth.within(steps)[row, begin].nonzero().squeeze(1).tolist())
        assert found == reached
        reached |= {int(s) for one in reached for s in truth.following[row, one]}
    assert truth.steps[0, truth.start[0], truth.goal[0]] == episodes.oracle_steps[0]


def test_states_are_found_again_by_their_latents(truth: Truth) -> None:
    rows = torch.arange(3)
    state = torch.tensor([[0, 5], [7, 2], [int(truth.count[2]) - 1, 3]])
    for level in range(3):
        latent = truth.encode(level, state, rows)
        found = truth.locate(level, latent + 1e-6, rows)
        # A shared cell of an untrained upper latent may lie nearer; the latents themselves have to agree.
        assert torch.allclose(truth.encode(level, found, rows), latent, atol=1e-4)
    agents = truth.states[rows, state[:, 0]].numpy()
    assert truth.numbers(agents).tolist() == state[:, 0].tolist()


def test_the_way_ahead_is_a_shortest_one_and_stays_at_the_goal(truth: Truth) -> None:
    rows = torch.arange(3)
    before = truth.steps[rows, truth.start, truth.goal].long()
    after = truth.steps[rows, truth.ahead(truth.start, rows, 5), truth.goal].long()
    assert torch.equal(after, (before - 5).clamp_min(0))
    assert torch.equal(truth.ahead(truth.start, rows, 500), truth.goal)


def test_true_dynamics_are_the_worlds_with_the_gradient_of_the_model(
    stack: Stack, truth: Truth, episodes: EpisodeBatch
) -> None:
    agent = Agent(stack, 64, AgentOptions(budget_tflops=1.0))
    model = OracleModel(agent.models[0], truth, 0, corrects=True)
    rows = torch.arange(3)
    memory = _number(agent.reader.write(episodes.grid)[0], rows)
    latent = truth.encode(0, truth.start[:, None], rows)
    for chosen in range(7):
        action = torch.eye(7)[chosen].expand(3, 1, 7).clone().requires_grad_()
        following = model.advance(latent, model.condition(latent, memory), action)
        world = step_agents(episodes.walls, episodes.start, np.full(3, chosen))
        assert torch.allclose(following[:, 0], truth.encode(0, truth.numbers(world), rows), atol=1e-5)
        (gradient,) = torch.autograd.grad(following.sum(), action)
        assert bool(gradient.any())


def test_true_dynamics_of_an_upper_level_stay_within_its_span(
    stack: Stack, truth: Truth, episodes: EpisodeBatch
) -> None:
    agent = Agent(stack, 64, AgentOptions(budget_tflops=1.0))
    model, rows = OracleModel(agent.models[1], truth, 1, corrects=True), torch.arange(3)
    memory = _number(agent.reader.write(episodes.grid)[1], rows)
    latent = truth.encode(1, truth.start[:, None], rows).expand(-1, 6, -1)
    following = model.advance(latent, model.condition(latent, memory), torch.eye(6).expand(3, 6, 6))
    # Untrained latents of different states may coincide, so it is the latent that has to be a reachable one.
    for row in range(3):
        allowed = truth.latents[1][row][truth.within(truth.spans[1])[row, truth.start[row]]]
        assert (torch.cdist(following[row], allowed).amin(1) < 1e-3).all()


def test_true_cost_counts_steps_with_the_gradient_of_the_metric(stack: Stack, truth: Truth) -> None:
    rows = torch.arange(3)
    metric = torch.cat([torch.eye(6).expand(3, -1, -1), rows[:, None, None].expand(-1, 1, 6).float()], 1)
    latent = truth.encode(0, truth.start, rows)[:, None, None].requires_grad_()
    goal = truth.encode(0, truth.goal, rows)[:, None, None]
    distance = TrueDistance(truth, 0, unit=0.5)(latent, goal, metric)
    steps = truth.steps[rows, truth.start, truth.goal]
    assert torch.allclose(distance.flatten(), 0.5 * steps.float())
    (gradient,) = torch.autograd.grad(distance.sum(), latent)
    assert torch.allclose(gradient, 2 * (latent - goal), atol=1e-5)


def test_true_cost_of_a_stride_is_what_the_metric_says_in_the_middle(
    stack: Stack, episodes: EpisodeBatch
) -> None:
    agent = make_agent(stack, task_spec(TASK), AgentOptions(3, budget_tflops=0.01), oracle="cost")
    assert isinstance(agent, OracleAgent)
    agent.reveal(episodes)
    goal = agent.perception.show(episodes.goal_observation, episodes.grid, episodes.goal)
    agent.begin(goal, goal, torch.arange(3))
    for k, level in enumerate(agent.phases[0]):
        assert isinstance(level.distance, TrueDistance) and level.critic is None
        stride = level.distance.unit * stack.config.spans[k]
        assert stride == pytest.approx(stack.stride_quantile(agent.settings.metric, k, 0.5))


def test_random_subgoals_can_be_reached_and_differ(
    stack: Stack, truth: Truth, episodes: EpisodeBatch
) -> None:
    # At level 1, whose untrained latents tell states apart.
    agent = Agent(stack, 64, AgentOptions(budget_tflops=1.0))
    rows = torch.arange(3)
    memory = _number(agent.reader.write(episodes.grid)[0], rows)
    search, seen = OraclePlanner(truth, 0, random=True), []
    for key in range(12):
        start = truth.encode(0, truth.start, rows)
        problem = Problem(start, memory, 2, Unconstrained(), torch.full((3,), key))
        plan = search(agent.models[0], problem)
        assert torch.equal(plan.latents[:, 0], plan.latents[:, 1])
        there = truth.locate(0, plan.latents[:, 0], rows)
        assert truth.within(1)[rows, truth.start, there].all()
        seen.append(there)
    assert len(torch.stack(seen)[:, 0].unique()) > 1


@pytest.mark.parametrize("oracle", ["dynamics", "cost", "subgoals:3", "random-subgoals"])
def test_ways_do_not_depend_on_the_episode_batch(stack: Stack, oracle: str) -> None:
    spec = replace(task_spec(TASK), step_budget=24)
    agent = make_agent(stack, spec, AgentOptions(3, budget_tflops=0.01), oracle=oracle)
    batch = sample_episodes(TASK, "test", episodes=3)
    together = play(agent, spec, batch, 0, 0)
    for number in range(3):
        apart = play(agent, spec, batch.select(np.array([number])), number, 0)
        steps = int(apart.results.steps[0])
        assert steps == together.results.steps[number] > 0
        assert (apart.agent[0, : steps + 1] == together.agent[number, : steps + 1]).all()
        assert apart.results.flops[0] == together.results.flops[number]


def test_level_1_meets_true_subgoals_of_level_2() -> None:
    shipped = hjepa.load_stack("told-nested-d3")
    record = evaluate(
        shipped, D3, levels=2, episodes=8, split="validation", oracle="subgoals:2", diagnostics=True,
        budget_tflops=0.004,
    )  # fmt: skip
    assert record["oracle"] == "subgoals:2"
    assert record["success_rate"] == 1.0 and record["path_ratio"] < 1.2
    level = record["diagnostics"][1]
    assert level["subgoals_feasible"] == 1.0 and level["subgoals_gain"] > 0.99
    assert level["subgoals_reached"] > 0.9


def test_an_oracle_that_has_no_part_to_replace_is_refused(stack: Stack) -> None:
    with pytest.raises(InputError, match="one level sets no subgoals"):
        make_agent(stack, task_spec(TASK), AgentOptions(1), oracle="random-subgoals")
    with pytest.raises(InputError, match="plan with as many levels"):
        make_agent(stack, task_spec(TASK), AgentOptions(3), oracle="subgoals:2")
    asked = PlanRequest("x", TASK, levels=(1, 2), oracle=("none", "subgoals:2", "random-subgoals"))
    assert rungs(asked, 3) == [(None, 1), (None, 2), ("subgoals:2", 2), ("random-subgoals", 2)]
    with pytest.raises(InputError, match="give levels 3"):
        rungs(replace(asked, oracle=("subgoals:3",)), 3)
    for wrong in ("subgoals:1", "subgoals", "magic"):
        with pytest.raises(InputError, match="choose from none"):
            PlanRequest("x", TASK, oracle=(wrong,))


def test_oracles_refuse_worlds_whose_truth_they_do_not_know() -> None:
    from hjepa.model.perception import world_of

    task = "MiniGrid-MultiRoom-N6-v0"
    config = replace(hjepa.load_stack("told-nested-d3").config, task=task)
    part = Stack(config, world_of(task_spec(task))).eval().requires_grad_(False)
    agent = make_agent(part, task_spec(task), AgentOptions(2, budget_tflops=1.0), oracle="dynamics")
    assert isinstance(agent, OracleAgent)
    with pytest.raises(InputError, match="oracles know plans of walls alone"):
        play(agent, task_spec(task), sample_episodes(task, episodes=1), 0, 0)
