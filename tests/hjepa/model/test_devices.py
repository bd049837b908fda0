"""What computes on a GPU, run on torch's meta device: shapes and devices are checked, nothing is computed.

A tensor that is made on the CPU and meets one of the stack's raises here as it would on a GPU. Control flow that looks
into tensors cannot be run so: the loops of `Agent.act` and of training are covered up to it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hjepa.agent.imagination import imagined_metrics
from hjepa.config import load_preset
from hjepa.model.level_model import LevelModel
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.settings import WalkSettings
from levels.metrics import squared_distance
from planners.grounding import GroundingCost, imagined_ends
from planners.objectives import GoalCost, SubgoalCost, SumCost, SupportCost
from planners.planner import Planner
from planners.proposals import PriorProposal
from planners.protocols import Problem
from planners.refiners import AdamRefiner, RefitRefiner
from tasks import task_spec

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")
DEVICE = torch.device("meta")


def stack_on_device() -> Stack:
    config = load_preset(TINY)
    return Stack(config, world_of(task_spec(config.task))).to(DEVICE)


def memories_of(stack: Stack) -> list[torch.Tensor | None]:
    width, height = stack.world.size
    return stack.write(torch.zeros(2, width, height, 3, dtype=torch.int64, device=DEVICE))


def test_a_tensor_that_stays_behind_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(2, device=DEVICE) + torch.zeros(2)


@pytest.mark.parametrize("refiner", [AdamRefiner(2, 0.5, elites=0.5), RefitRefiner(2)], ids=["adam", "cem"])
def test_every_level_plans_on_the_device(refiner: AdamRefiner | RefitRefiner) -> None:
    stack = stack_on_device()
    memories, keys = memories_of(stack), torch.arange(2, device=DEVICE)
    agents = torch.ones(2, 1, 3, dtype=torch.int64, device=DEVICE)
    latents = [latent[:, 0] for latent in stack.encode(agents, memories)]
    models = [LevelModel(stack, k, 2.0) for k in range(3)]
    for k, model in enumerate(models):
        terms = [GoalCost(latents[k], squared_distance, 0.1, 0.5), SupportCost(1.0, 2.0)]
        if k:
            ends = imagined_ends(models[k - 1 : k], memories[k - 1 : k + 1], latents[k - 1], 2, 8, keys)
            terms.append(GroundingCost(ends, squared_distance, 1.0))
        if k + 1 < 3:
            above, memory = latents[k + 1], memories[k + 1]
            due = torch.ones(2, dtype=torch.int64, device=DEVICE)
            lift = lambda latent, model=model, memory=memory: model.lift(latent, memory)  # noqa: E731
            terms.append(SubgoalCost(above, due, lift, squared_distance, model.lift_flops))
        problem = Problem(latents[k], memories[k], 2, SumCost(terms), keys)
        plan = Planner(PriorProposal(16), refiner)(model, problem)
        assert plan.latents.device == plan.actions.device == DEVICE
        assert plan.latents.shape == (2, 2, stack.config.levels[k].latent_dim)


def test_the_metric_is_imagined_on_the_device() -> None:
    stack = stack_on_device()
    ends = torch.zeros(2, 2, 6, device=DEVICE)
    models = [LevelModel(stack, k, 2.0) for k in range(stack.depth)]
    keys = torch.arange(2, device=DEVICE)
    found = imagined_metrics(stack, models, ends, memories_of(stack), keys, WalkSettings())
    assert [metric.device for metric in found] == [DEVICE] * 3


@pytest.mark.parametrize("level", [1, 2])
def test_upper_levels_learn_on_the_device(level: int) -> None:
    stack = stack_on_device()
    length = stack.window_length(level)
    agent = torch.ones(2, 4, length, 3, dtype=torch.int64, device=DEVICE)
    action = torch.zeros(2, 4, length - 1, dtype=torch.int64, device=DEVICE)
    loss, _ = stack.loss(level, agent, action, memories_of(stack), 0.5)
    loss.backward()
    assert loss.device == DEVICE


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_solves_what_the_cpu_solves() -> None:
    import hjepa

    rates = []
    for device in ("cpu", "cuda"):
        stack = hjepa.load_stack("told-nested-d3").to(device)
        record = hjepa.evaluate(stack, stack.config.task, levels=2, episodes=16, split="validation")
        rates.append(record["success_rate"])
    assert abs(rates[0] - rates[1]) <= 0.25
