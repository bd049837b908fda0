"""What is read off a floor plan has the same bits wherever it stands among others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import hjepa
from hjepa.agent.options import AgentOptions
from hjepa.evaluation.evaluate import make_agent
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
