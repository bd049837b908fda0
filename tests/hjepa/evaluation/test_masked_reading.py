"""What probes of masked encoders are asked: facts of the moment that a clip ends with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from hjepa.evaluation.masked_reading import facts_of_clips
from hjepa.training.clips import Clips
from tasks import sample_episodes

TASK = "hjepa/NestedRooms-d2-v0"


def test_facts_are_of_the_last_frame_of_a_clip() -> None:
    grid = sample_episodes(TASK, "validation", episodes=1, seed=0).grid
    agent = np.stack([np.arange(1, 7), np.ones(6, np.int64), np.arange(6) % 4], -1)
    store: Any = SimpleNamespace(
        grids=grid, grid_index=np.zeros(6, np.int64), agent=agent, meta={"task": TASK}
    )
    rows, dimming, flicker = np.array([[0, 1, 2], [3, 5, 4]]), np.array([[0, 1, 2], [2, 1, 0]]), np.eye(3)[:2]
    clips = Clips(np.zeros((2, 3, 1, 1, 3), np.uint8), dimming, flicker.astype(np.int64), rows)
    found = {fact.name: fact.labels for fact in facts_of_clips(store, clips)}
    assert found["heading"].tolist() == [[2], [0]], "of moments 2 and 4"
    assert found["dimming"].tolist() == [[2], [0]] and found["flicker"].tolist() == [[0], [0]]
