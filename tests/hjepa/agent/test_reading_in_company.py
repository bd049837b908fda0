"""What is read off a floor plan has the same bits wherever it stands among others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import hjepa
from hjepa.agent.options import AgentOptions
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from tasks import sample_episodes, task_spec

TASK = "hjepa/NestedRooms-d2-v0"


@pytest.mark.parametrize("block", [1, 3, 4, 16])
def test_memories_do_not_depend_on_the_place_in_a_block(block: int) -> None:
    stack = hjepa.load_stack("told-nested-d2")
    settings = replace(stack.config.plan, block=block, metric="critic")
    agent = make_agent(stack, task_spec(TASK), AgentOptions(settings=settings))
    floors = sample_episodes(TASK, "validation", episodes=6, seed=0).grid
    whole = agent.reader.write(floors)
    for row in range(6):
        alone = agent.reader.write(floors[row : row + 1])
        for together, own in zip(whole, alone):
            assert together is not None and own is not None
            assert torch.equal(together[row], own[0])


@pytest.mark.parametrize(("block", "calls"), [(1, [1] * 5), (3, [1] * 5), (8, [64]), (16, [64])])
def test_few_episodes_are_read_one_by_one_and_many_together(
    block: int, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = hjepa.load_stack("nested-d2")
    agent = make_agent(stack, task_spec(TASK), AgentOptions(settings=replace(stack.config.plan, block=block)))
    batch = sample_episodes(TASK, "validation", episodes=5, seed=0)
    pictures = agent.perception.see(batch.start_observation)[1]
    level, asked = stack.level(0), []
    read = type(level).encode

    def encode(self: object, observation: torch.Tensor, memory: torch.Tensor | None) -> torch.Tensor:
        asked.append(len(observation))
        return read(level, observation, memory)

    monkeypatch.setattr(type(level), "encode", encode)
    together = agent.reader.encode(pictures)
    assert asked == calls and together.shape == (5, level.settings.latent_dim)
    for row in range(5):
        assert torch.equal(agent.reader.encode(pictures[row : row + 1])[0], together[row])


@pytest.mark.parametrize("block", [1, 4, 16])
def test_plans_of_an_agent_that_sees_have_the_same_bits_in_blocks_of_all_sizes(block: int) -> None:
    stack = hjepa.load_stack("nested-d2")
    settings = replace(stack.config.plan, block=block, metric="critic")
    agent = make_agent(stack, task_spec(TASK), AgentOptions(settings=settings, budget_tflops=0.01))
    batch = sample_episodes(TASK, "validation", episodes=11, seed=0)

    def planned(rows: list[int]) -> list[torch.Tensor]:
        """What one step leaves behind in some of the episodes."""
        some = batch.select(np.array(rows))
        goal, seen = some.goal_observation, some.start_observation
        episodes = agent.begin(seen, goal, torch.tensor(rows) + 100)
        agent.act(episodes, seen)
        state = episodes.plan
        left = [state.expected, state.flops, *(level.actions for level in state.levels)]
        return [*left, *(memory for memory in episodes.memories if memory is not None)]

    together = planned(list(range(11)))
    for company in ([3], [9, 2], [10, 0, 5, 6, 1], [8, 7, 6, 5, 4, 3, 2, 1]):
        for whole, part in zip(together, planned(company)):
            assert torch.equal(whole[company], part)


def test_latents_of_who_is_told_have_the_same_bits_in_calls_of_all_sizes() -> None:
    stack = hjepa.load_stack("told-nested-d2")
    agent = make_agent(stack, task_spec(TASK))
    told = torch.cartesian_prod(torch.arange(9), torch.arange(9), torch.arange(4))[:150]
    together = agent.reader.encode(told)
    for count in (1, 2, 7, 8, 9, 33, 64, 65):
        alone = torch.cat([agent.reader.encode(part) for part in told.split(count)])
        assert torch.equal(together, alone)


def test_an_actor_alone_is_not_padded_and_walks_as_in_company() -> None:
    stack, task = hjepa.load_stack("told-nested-d3"), "hjepa/NestedRooms-d3-v0"
    batch, walked = sample_episodes(task, episodes=2), []
    for block, most in ((1, 1), (16, 128)):
        settings = replace(stack.config.plan, planner="actor", block=block)
        agent = make_agent(stack, task_spec(task), AgentOptions(levels=2, settings=settings))
        assert agent.planner.block == most
        walked.append(play(agent, task_spec(task), batch, 0, 0).agent)
    assert np.array_equal(*walked)
