"""`plan.folded`: other bits, the same plans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import hjepa
from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.evaluation.evaluate import evaluate, make_agent
from hjepa.evaluation.held_out import Evaluation
from hjepa.evaluation.playing import play
from hjepa.model.stack import Stack
from tasks import sample_episodes, task_spec

TASK = "hjepa/NestedRooms-d2-v0"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return hjepa.load_stack("nested-d2")


def agent_of(stack: Stack, **changes: object) -> Agent:
    settings = replace(stack.config.plan, **changes)
    return make_agent(stack, task_spec(TASK), AgentOptions(settings=settings, budget_tflops=0.01))


def test_memories_are_what_the_first_layers_make_of_tokens(stack: Stack) -> None:
    picture = sample_episodes(TASK, "validation", episodes=2).start_observation["image"]
    plain, folded = (agent_of(stack, folded=on).reader.write(picture) for on in (False, True))
    for k, (tokens, memory) in enumerate(zip(plain, folded)):
        level = stack.level(k)
        assert tokens is not None and memory is not None and memory.ndim == 5
        latent = torch.randn(2, 16, level.settings.latent_dim)
        close = level.condition(latent, memory), level.condition(latent, tokens)
        torch.testing.assert_close(*close, atol=1e-4, rtol=1e-4)


def test_tasks_are_solved_as_without(stack: Stack) -> None:
    batch = sample_episodes(TASK, "validation", episodes=16)
    plain, folded = (
        play(agent_of(stack, folded=on), task_spec(TASK), batch, 0, 0).results for on in (False, True)
    )
    assert np.mean(plain.success) > 0.9 and np.mean(folded.success) > 0.9
    assert np.mean(plain.steps == folded.steps) > 0.5, "rounding alone may change a plan, and seldom does"


def test_bits_do_not_depend_on_the_company(stack: Stack) -> None:
    agent, batch = agent_of(stack, folded=True), sample_episodes(TASK, "validation", episodes=19)
    together = play(agent, task_spec(TASK), batch, 0, 0).results
    some = play(agent, task_spec(TASK), batch.select(np.arange(3)), 0, 0).results
    assert (together.steps[:3] == some.steps).all()
    assert (together.flops[:3] == some.flops).all()


def test_only_those_who_act_are_read(stack: Stack) -> None:
    agent, batch = agent_of(stack), sample_episodes(TASK, "validation", episodes=5)
    picture = torch.from_numpy(batch.start_observation["image"])
    active = torch.tensor([True, False, True, False, False])
    whole, some = agent.reader.encode(picture), agent.reader.encode(picture, active)
    assert torch.equal(some[active], whole[active])
    assert not some[~active].any()
    assert not agent.reader.encode(picture, active & False).any()


@pytest.mark.parametrize("oracle", ["dynamics", "cost", "subgoals:2"])
def test_oracles_and_diagnostics_look_at_tokens(stack: Stack, oracle: str) -> None:
    """Settings of new presets fold; truth is looked up by what stands behind tokens."""
    settings = replace(stack.config.plan, folded=True)
    asked = Evaluation(
        task=task_spec(TASK), split="validation", episodes=2, agent=AgentOptions(levels=2, settings=settings),
        oracle=oracle, diagnostics=oracle == "cost",
    )  # fmt: skip
    assert len(evaluate(stack, asked)["success"]) == 2
