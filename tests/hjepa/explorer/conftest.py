"""Data of a page, made by hand, for tests that need no agent."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hjepa.explorer.packing import Blobs
from hjepa.explorer.recording import empty

sys.path.insert(0, str(Path(__file__).parent))

WIDTH, HEIGHT = 7, 5


def plans(goal: int, skipped: int) -> list[dict[str, Any]]:
    """A plan at the start, and one after two steps, which may be skipped."""
    return [
        {"at": 0, "skipped": 0, "goal": goal, "xy": [20, 10, 30, 10], "uv": [235, 0, 470, 0]},
        {"at": 2, "skipped": skipped, "goal": 1, "xy": [40, 10, 50, 10], "uv": [705, 0, 1000, 0]},
    ]


def made(title: str) -> dict[str, Any]:
    """One corridor along y = 1 with its goal at x = 5, walked by one and by three levels; two episodes."""
    content, blobs = empty(title), Blobs()
    grid = np.full((WIDTH, HEIGHT), 2, np.uint8)
    grid[1:6, 1] = 1
    steps = np.full((WIDTH, HEIGHT), 65535, np.uint16)
    steps[1:6, 1] = np.arange(4, -1, -1)
    cost = np.full((WIDTH, HEIGHT), 255, np.uint8)
    cost[1:6, 1] = [254, 190, 127, 60, 0]
    states = np.stack([np.repeat([0, 60, 120, 180, 255], 4), np.tile([0, 80, 160, 255], 5)], -1).astype(
        np.uint8
    )
    task = {"grid": blobs.add(grid.T), "steps": blobs.add(steps.T), "goal": [5.0, 1.0], "shortest": 4}
    content["worlds"].append(
        {"kind": "cells", "task": f"{title}-v0", "split": "test", "starts": "far", "seed": 0, "continuous": False,
         "width": WIDTH, "height": HEIGHT, "step_budget": 9, "episodes": [{**task, "number": 0}, {**task, "number": 1}]}
    )  # fmt: skip
    seen = {"states": blobs.add(states), "headings": 4, "cost": blobs.add(cost.T), "low": 0.0, "high": 8.0,
            "unit": "steps", "rank": 1.0, "goal": [1000, 0], "shown": 0.5,
            "path": [x for t in range(5) for x in (235 * t, 0)]}  # fmt: skip
    for levels in (1, 3):
        walk = {
            "success": int(levels > 1),
            "steps": 4,
            "path": [x for t in range(5) for x in (10 * (1 + t), 10, 0)],
            "left": [4, 3, 2, 1, 0],
            "levels": [
                {"plans": plans(int(k == levels), int(k == 3)), "map": copy.deepcopy(seen)}
                for k in range(1, levels + 1)
            ],
        }  # fmt: skip
        content["agents"].append(
            {"run": title, "world": 0, "levels": levels, "of": 3, "depth": "trained" if levels == 3 else "truncated",
             "metric": "l2", "information": "told", "spans": [1, 2, 4][:levels],
             "episodes": [walk, copy.deepcopy(walk)]}
        )  # fmt: skip
    content["blobs"] = blobs.texts
    return content


@pytest.fixture
def content() -> dict[str, Any]:
    """`made`, of a name that is hard to write into a page."""
    return made("a</script><script>document.title='out'</script>&amp;\"'@data@")
