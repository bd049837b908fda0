"""Who learns at which step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hjepa.config import load_preset
from hjepa.training.batches import active_levels, critic_progress, total_steps


def test_levels_learn_one_after_another_and_the_critics_at_the_end() -> None:
    config = load_preset("nested-d2", ["train.steps=[2,0,4]", "critic.steps=2"])
    active = [active_levels(config, step) for step in range(9)]
    assert active[:6] == [[(0, 0.0)], [(0, 0.5)], [(2, 0.0)], [(2, 0.25)], [(2, 0.5)], [(2, 0.75)]]
    assert active[6:] == [[], [], []], "a level without steps is left out, and nobody learns with the critics"
    assert [critic_progress(config, step) for step in range(5, 9)] == [None, 0.0, 0.5, None]
    assert total_steps(config) == 8


def test_levels_learn_together_where_they_are_told_to() -> None:
    config = load_preset("nested-d2", ["train.steps=[2,4,4]", "critic.steps=2"])
    config = replace(config, train=replace(config.train, schedule="joint"))
    assert active_levels(config, 1) == [(k, pytest.approx(0.25)) for k in range(3)]
    assert active_levels(config, total_steps(config) - 1) == []
