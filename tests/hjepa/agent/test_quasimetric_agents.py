"""Agents that plan by a quasimetric critic: what they can do, and what is refused before anything is planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from hjepa.gridworld.guardrails import Region
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from tasks import sample_episodes, task_spec

TASK, BUDGET = "hjepa/NestedRooms-d2-v0", 0.003
CHANGES = ["critic.kind=quasimetric", "critic.hidden=16", "plan.subgoals=distance"]


@pytest.fixture(scope="module")
def stack() -> Stack:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Stack(load_preset("nested-d2", CHANGES), world_of(task_spec(TASK), "symbols")).eval()


def test_every_number_of_levels_plans_by_it(stack: Stack) -> None:
    spec = replace(task_spec(TASK), step_budget=6)
    episodes = sample_episodes(TASK, "validation", episodes=2)
    for levels in (1, 3):
        agent = make_agent(stack, spec, AgentOptions(levels, budget_tflops=BUDGET))
        flops = play(agent, spec, episodes, 0, 0).results.flops
        assert (flops > 0).all() and (flops <= BUDGET * 1e12).all()


def test_guardrails_are_refused_in_a_line_and_the_agent_stays_as_it_was(stack: Stack) -> None:
    spec = task_spec(TASK)
    zone = Region(np.ones((1, *stack.world.size), dtype=bool))
    with pytest.raises(InputError, match="guardrails, and this critic cannot lead around closed places"):
        make_agent(stack, spec, AgentOptions(3, guardrails=(zone,)))
    agent = make_agent(stack, spec, AgentOptions(3))
    with pytest.raises(InputError, match="cannot lead around closed places"):
        agent.guard((zone,))
    assert agent.guardrails == ()
