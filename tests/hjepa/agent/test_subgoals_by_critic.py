"""Subgoals measured by the critic: the steps to go to them, over the picture's own places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import hjepa
from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from levels.costs.field import FieldCost
from planners.level_costs import LevelCosts
from planners.protocols import Trajectory
from tasks import sample_episodes, task_spec

TASK = "hjepa/NestedRooms-d2-v0"


@pytest.fixture(scope="module")
def stack() -> Stack:
    config = load_preset("nested-d2", [])
    torch.manual_seed(0)
    made = Stack(config, world_of(task_spec(TASK), "symbols")).eval().requires_grad_(False)
    head = made.critic(0)
    assert isinstance(head, FieldCost)
    head.share[0] = 1.0
    return made


def test_the_cost_of_a_plan_is_the_steps_from_where_it_ends_to_the_subgoal(stack: Stack) -> None:
    agent = make_agent(stack, task_spec(TASK), AgentOptions(budget_tflops=0.01))
    episodes = sample_episodes(TASK, "validation", episodes=3, seed=0)
    floor, show = episodes.grid, agent.perception.show
    goal = show(episodes.goal_observation, floor, episodes.goal)
    begun = agent.begin(goal, goal, torch.arange(3))
    state = begun.plan
    target = torch.randn(3, 16)
    state.levels[0].target = target
    index = torch.tensor([2, 0])
    costs = LevelCosts(agent.planner.levels, state, 0, index)
    objective, horizon = costs.of_subgoal(3)
    latents = torch.randn(2, 5, horizon, 16)
    actions = torch.zeros(2, 5, horizon, 7)
    found = objective(Trajectory(latents[:, 0, 0], actions, latents, torch.zeros(2, 5, horizon)))
    head = stack.critic(0)
    assert isinstance(head, FieldCost)
    pictures = torch.from_numpy(np.ascontiguousarray(begun.floor))[index]
    field = head.field(pictures, target[index], agent.searches.sweeps)
    unit = stack.stride_quantile("critic", 1, 0.5) / stack.config.spans[1]
    assert torch.allclose(found, unit * head(latents[:, :, -1], field), rtol=1e-5)
    assert costs.spent == agent.searches.spread_flops > 0


def test_it_plans_the_same_in_any_company(stack: Stack) -> None:
    spec = replace(task_spec(TASK), step_budget=12)
    episodes = sample_episodes(TASK, "test", episodes=3, seed=0)
    agent = make_agent(stack, spec, AgentOptions(budget_tflops=0.003))
    together = play(agent, spec, episodes, 0, 0)
    assert (together.results.planned[:, 0] > 1).all() and together.results.planned[:, 1].any()
    assert (together.results.flops <= 0.003e12).all()
    for number in range(3):
        apart = play(agent, spec, episodes.select(np.array([number])), number, 0)
        steps = apart.agent.shape[1]
        assert (apart.agent[0] == together.agent[number, :steps]).all()
        assert apart.results.flops[0] == together.results.flops[number]


def test_a_told_critic_is_refused_in_one_line() -> None:
    told = hjepa.load_stack("told-nested-d2")
    settings = replace(told.config.plan, subgoals="critic", metric="critic")
    with pytest.raises(InputError, match="a told critic measures goals alone"):
        make_agent(told, task_spec(TASK), AgentOptions(budget_tflops=0.01, settings=settings))
