"""Stacks that see, on grids of another size: the same weights, the same predictions where the same is around."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent
from hjepa.gridworld.guardrails import Lava
from hjepa.model.perception import world_of
from hjepa.model.resizing import resized
from hjepa.model.stack import Stack
from levels.encoders.picture import PLACE
from tasks import compose_image, sample_episodes, task_spec
from tasks.observations import walls_to_grid

LARGE = "hjepa/Layouts-comb-s17-v0"
SIGHT = world_of(task_spec(LARGE), "symbols")


def untrained(*overrides: str) -> Stack:
    torch.manual_seed(0)
    config = load_preset("nested-d2", ["levels.1.memory.wide=8", "levels.2.memory.wide=8", *overrides])
    return Stack(config, world_of(task_spec(config.task), "symbols")).eval().requires_grad_(False)


def test_predictions_are_the_same_where_the_same_is_around() -> None:
    """A floor plan of 9 x 9 within walls of 17 x 17, seen from the same cell: level 1 goes the same way."""
    small = untrained()
    large = resized(small, SIGHT)
    batch = sample_episodes("hjepa/NestedRooms-d2-v0", episodes=1)
    walls = np.ones((17, 17), dtype=bool)
    corner = np.array([3, 6])
    walls[corner[0] : corner[0] + 9, corner[1] : corner[1] + 9] = batch.walls[0]
    agent = np.array([[4, 4, 1]])
    shifted = agent + np.array([[*corner, 0]])
    memories = [
        stack.write_level(0, torch.from_numpy(compose_image(grid, at)))
        for stack, grid, at in ((small, batch.grid, agent), (large, walls_to_grid(walls)[None], shifted))
    ]
    latent = torch.randn(1, 1, 16)
    latents = [latent.clone(), latent.clone()]
    maps = small.config.levels[0].maps
    for own, place in zip(latents, (agent[0, :2] - 4, shifted[0, :2] - 8)):
        own[..., :maps], own[..., maps : 2 * maps] = PLACE * place[0], PLACE * place[1]
    action = torch.eye(7)[None]
    ahead = []
    for stack, own, memory in zip((small, large), latents, memories):
        level = stack.level(0)
        every = own.expand(1, 7, 16)
        ahead.append(level.advance(every, level.condition(every, memory), action) - every)
    assert float(ahead[0].abs().max()) > 0.01
    torch.testing.assert_close(*ahead, atol=1e-5, rtol=1e-5)


def test_it_shares_weights_and_plans_on_the_larger_grid() -> None:
    stack = untrained()
    stack.stride_distance.mul_(3.0)
    large = resized(stack, SIGHT)
    assert large.level(1) is stack.level(1) and large.critic(0) is stack.critic(0)
    assert torch.equal(large.stride_distance, stack.stride_distance)
    assert stack.config.critic is not None and large.config.critic is not None
    assert (stack.config.critic.sweeps, large.config.critic.sweeps) == (24, 86)  # 24 times 289 / 81
    agent = make_agent(stack, task_spec(LARGE), AgentOptions(2, budget_tflops=0.02))
    assert agent.stack.depth == 2 and agent.stack.world == SIGHT
    record = evaluate(stack, LARGE, levels=1, episodes=1, budget_tflops=0.006, perception="symbolic")
    assert record["trained_size"] == [9, 9] and record["information"] == "seen"
    assert 0 < record["tflops_per_episode"] <= 0.006


def test_probes_of_another_size_know_nothing_and_say_so() -> None:
    large = resized(untrained(), SIGHT)
    for stack in (large, large.truncate(1)):
        with pytest.raises(InputError, match="no probe knows the cells of 17x17 grids"):
            stack.probe(0)
    with pytest.raises(InputError, match="no probe knows the cells"):
        make_agent(untrained(), task_spec(LARGE), AgentOptions(budget_tflops=0.02, guardrails=(Lava(),)))
    with pytest.raises(InputError, match="no probe knows the cells"):
        evaluate(untrained(), LARGE, episodes=1, budget_tflops=0.02, diagnostics=True)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("levels.0.absolute=true", "level 1 knows absolute places"),
        ("levels.1.absolute=true", "level 2 knows absolute places"),
        ("levels.2.encoder=mlp", "level 3 makes its latent of absolute places"),
    ],
)
def test_weights_that_know_one_size_are_refused(override: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        make_agent(untrained(override), task_spec(LARGE))
    assert "17x17 grids" in str(caught.value) and "\n" not in str(caught.value)


def test_another_world_is_refused() -> None:
    stack = untrained()
    assert SIGHT.sight is not None
    for world, reason in (
        (replace(SIGHT, actions=4), "it has 7 actions, not 4"),
        (replace(SIGHT, sight=replace(SIGHT.sight, codes=(3, 3, 3))), "it sees symbols with codes"),
        (world_of(task_spec(LARGE), "image"), "it sees symbols"),
        (world_of(task_spec(LARGE)), "what it is told"),
    ):
        with pytest.raises(InputError, match=reason):
            resized(stack, world)


def test_smaller_grids_have_as_many_sweeps_as_before() -> None:
    stack = untrained()
    assert resized(resized(stack, SIGHT), stack.world).config.critic == resized(stack, SIGHT).config.critic
