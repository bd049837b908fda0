"""The metric of a floor plan that nobody has walked, from walks that level 1 imagines on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hjepa import figures
from hjepa.agent import Agent
from hjepa.imagination import STEPS, WALKS, imagined_flops, imagined_metrics
from hjepa.models import LevelModel
from hjepa.stack import Stack
from levels.metrics import commute_metric
from planners.grounding import Unconstrained
from planners.noise import combine
from planners.protocols import Problem
from planners.rollouts import sample_rollout
from tasks import compose_image, sample_episodes


def test_every_episode_gets_its_own_metric_whatever_its_company(stack: Stack) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=3, seed=0)
    memories = stack.write(torch.from_numpy(episodes.grid))
    ends = stack.level(0).encode(torch.from_numpy(episodes.start)[:, None].expand(-1, 2, -1), None)
    keys, model = torch.tensor([5, 6, 7]), LevelModel(stack, 0, 1.0)
    together = imagined_metrics(stack, model, ends, memories, keys)
    assert [metric.shape for metric in together] == [
        (3, level.latent_dim, level.latent_dim) for level in stack.config.levels
    ]
    own = [None if memory is None else memory[1:2] for memory in memories]
    alone = imagined_metrics(stack, model, ends[1:2], own, keys[1:2])
    for every, one in zip(together, alone):
        assert torch.equal(every[1], one[0])
        assert not torch.equal(every[0], every[1])
    # By hand: the closed form of the walks, at level 1.
    walks = [
        sample_rollout(
            model, Problem(ends[1:2, end], own[0], STEPS, Unconstrained(), combine(keys[1:2], 5, end)), WALKS
        ).latents
        for end in range(2)
    ]
    assert torch.equal(alone[0][0], commute_metric(torch.cat(walks, 1)[0]))


def test_imagining_the_metric_is_paid_for(stack: Stack) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=2, seed=0)
    spent = {}
    for metric in ("l2", "imagined"):
        settings = replace(stack.config.plan, metric=metric)
        agent = Agent(stack, 64, budget_tflops=0.05, settings=settings)
        image = compose_image(episodes.grid, episodes.start)
        begun = agent.begin(image, episodes.goal_image, torch.arange(2))
        spent[metric] = begun.flops
    extra = imagined_flops([LevelModel(stack, k, 1.0) for k in range(stack.depth)])
    assert torch.allclose(spent["imagined"] - spent["l2"], torch.full((2,), extra, dtype=torch.float64))
    assert extra >= 2 * WALKS * STEPS * LevelModel(stack, 0, 1.0).flops


def test_a_landscape_of_the_imagined_metric(stack: Stack) -> None:
    episodes = sample_episodes(stack.config.task, "validation", episodes=1, seed=0)
    for level in (1, 2):
        plain, own = (
            figures.landscape(stack, episodes.grid[0], episodes.goal[0], level, metric)
            for metric in ("l2", "imagined")
        )
        free = np.isfinite(plain.energy)
        assert np.isfinite(own.energy[free]).all() and not np.allclose(own.energy[free], plain.energy[free])
