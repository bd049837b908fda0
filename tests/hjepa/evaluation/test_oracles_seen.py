"""Oracles beside a stack that sees: the truth is what its level 1 makes of the pictures of all states."""

from __future__ import annotations

import numpy as np
import torch

from hjepa.evaluation.evaluate import evaluate
from hjepa.evaluation.true_states import Truth
from hjepa.model.checkpoints import load_stack
from hjepa.model.perception import draw
from tasks import sample_episodes

TASK = "hjepa/NestedRooms-d2-v0"


def test_a_picture_is_found_among_all_states() -> None:
    stack = load_stack("shipped:nested-d2")
    episodes = sample_episodes(TASK, "validation", episodes=3, seed=0)
    truth = Truth(stack, episodes, [None] * stack.depth)
    sight = stack.world.sight
    assert sight is not None
    shown = draw(sight, episodes.grid, episodes.start)
    latent = stack.level(0).encode(torch.from_numpy(np.ascontiguousarray(shown))[:, None], None)
    for k in range(stack.depth):
        assert torch.equal(truth.locate(k, latent[:, 0], torch.arange(3)), truth.start)
    here = truth.states[torch.arange(3), truth.start].numpy()
    assert np.array_equal(here, episodes.start[:, :3])


def test_true_dynamics_are_planned_with() -> None:
    record = evaluate(
        load_stack("shipped:nested-d2"), TASK, levels=2, episodes=4, split="validation", oracle="dynamics"
    )
    assert record["oracle"] == "dynamics" and record["success_rate"] == 1.0
