"""The metric of a floor plan that nobody has walked, from walks that level 1 imagines on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hjepa import figures
from hjepa.agent.agent import Agent
from hjepa.agent.imagination import imagined_flops, imagined_metrics
from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.level_model import LevelModel
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.settings import WalkSettings
from levels.metrics import commute_metric
from planners.grounding import Unconstrained
from planners.noise import combine
from planners.protocols import Problem
from planners.rollouts import sample_rollout
from tasks import compose_image, sample_episodes, task_spec


def test_every_episode_gets_its_own_metric_whatever_its_company(stack: Stack) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=3, seed=0)
    memories = stack.write(torch.from_numpy(episodes.grid))
    ends = stack.level(0).encode(torch.from_numpy(episodes.start)[:, None].expand(-1, 2, -1), None)
    keys, models = torch.tensor([5, 6, 7]), [LevelModel(stack, k, 1.0) for k in range(stack.depth)]
    settings = WalkSettings(count=24, steps=20, lag=3)
    together = imagined_metrics(stack, models, ends, memories, keys, settings)
    assert [metric.shape for metric in together] == [
        (3, level.latent_dim, level.latent_dim) for level in stack.config.levels
    ]
    own = [None if memory is None else memory[1:2] for memory in memories]
    alone = imagined_metrics(stack, models, ends[1:2], own, keys[1:2], settings)
    for every, one in zip(together, alone):
        assert torch.equal(every[1], one[0])
        assert not torch.equal(every[0], every[1])
    # By hand: the closed form of the walks, at level 1.
    walks = [
        sample_rollout(
            models[0], Problem(ends[1:2, end], own[0], 20, Unconstrained(), combine(keys[1:2], 5, end)), 24
        ).latents
        for end in range(2)
    ]
    assert torch.equal(alone[0][0], commute_metric(torch.cat(walks, 1)[0], 3))


def test_an_upper_level_walks_for_all_that_share_its_latent() -> None:
    config = load_preset("told-nested-d2")
    torch.manual_seed(0)
    stack = Stack(config, world_of(task_spec(config.task))).eval().requires_grad_(False)
    episodes = sample_episodes(config.task, "validation", episodes=1, seed=0)
    memories = stack.write(torch.from_numpy(episodes.grid))
    ends = stack.level(0).encode(torch.from_numpy(episodes.start)[:, None].expand(-1, 2, -1), None)
    models = [LevelModel(stack, k, 1.0) for k in range(stack.depth)]
    settings, keys = WalkSettings(level=2, count=8, steps=6, lag=2), torch.tensor([5])
    found = imagined_metrics(stack, models, ends, memories, keys, settings)
    walks = [
        sample_rollout(
            models[1], Problem(ends[:, end], memories[1], 6, Unconstrained(), combine(keys, 5, end)), 8
        ).latents
        for end in range(2)
    ]
    for metric in found:
        by_hand = commute_metric(torch.cat(walks, 1)[0], 2)
        assert torch.allclose(metric[0] @ metric[0].T, config.spans[1] * by_hand @ by_hand.T)
    alone = imagined_metrics(stack.truncate(1), models[:1], ends, memories[:1], keys, settings)
    assert not torch.equal(alone[0], found[0]), "a flat agent has no level 2 to walk with"
    assert (
        imagined_flops(models, settings) == 2 * 8 * 6 * models[1].flops
    )  # sharing a latent lifts for nothing


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["plan.walks.level=2"], "level 2 has a latent of its own"),
        (["plan.walks.lag=64"], "more steps than lag"),
        (["plan.walks.count=0"], "give a whole number from 1 to"),
    ],
)
def test_walks_that_cannot_be_are_refused(values: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_preset("tiny", values)


def test_imagining_the_metric_is_paid_for(stack: Stack) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=2, seed=0)
    spent = {}
    for metric in ("l2", "imagined"):
        settings = replace(stack.config.plan, metric=metric)
        agent = Agent(stack, 64, AgentOptions(budget_tflops=0.05, settings=settings))
        image = compose_image(episodes.grid, episodes.start)
        begun = agent.begin(image, episodes.goal_image, torch.arange(2))
        spent[metric] = begun.flops
    walks = stack.config.plan.walks
    extra = imagined_flops([LevelModel(stack, k, 1.0) for k in range(stack.depth)], walks)
    assert torch.allclose(spent["imagined"] - spent["l2"], torch.full((2,), extra, dtype=torch.float64))
    assert extra >= 2 * walks.count * walks.steps * LevelModel(stack, 0, 1.0).flops


def test_a_landscape_of_the_imagined_metric(stack: Stack) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=1, seed=0)
    for level in (1, 2):
        plain, own = (
            figures.landscape(stack, episodes.grid[0], episodes.goal[0], level, metric)
            for metric in ("l2", "imagined")
        )
        free = np.isfinite(plain.energy)
        assert np.isfinite(own.energy[free]).all() and not np.allclose(own.energy[free], plain.energy[free])
