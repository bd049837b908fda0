"""A stand-in for OGBench where it is not installed: `install` makes ``import ogbench`` find it.

Its medium maze has what `hjepa.integrations.ogbench` uses of the real one, under the same names: noise from NumPy's
global generator in starts, goals and random actions before an episode, five tasks, success within 1 of the goal. It has
no MuJoCo, and a push into a wall cell does nothing.
"""

from __future__ import annotations

import sys
import tempfile
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np

UNIT, OFFSET = 4.0, 4.0


class Maze(gymnasium.Env[Any, Any]):
    """A point in a maze of cells 4 units wide."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self) -> None:
        with tempfile.NamedTemporaryFile(suffix=".xml", delete=False):
            pass  # as OGBench leaves one
        self.maze_map = np.ones((8, 8), dtype=int)
        self.maze_map[1:7, 1] = self.maze_map[6, 1:7] = self.maze_map[1, 1:7] = self.maze_map[1:7, 6] = 0
        ends = [((1, 1), (6, 6)), ((6, 1), (1, 6)), ((1, 6), (6, 1)), ((6, 6), (1, 1)), ((3, 1), (3, 6))]
        self.task_infos = [
            {
                "task_name": f"task{number}",
                "init_ij": start,
                "goal_ij": goal,
                "init_xy": self.ij_to_xy(start),
                "goal_xy": self.ij_to_xy(goal),
            }
            for number, (start, goal) in enumerate(ends, 1)
        ]
        self.num_tasks = len(self.task_infos)

    def ij_to_xy(self, ij: tuple[int, int]) -> tuple[float, float]:
        return ij[1] * UNIT - OFFSET, ij[0] * UNIT - OFFSET

    def xy_to_ij(self, xy: Any) -> tuple[int, int]:
        return int((xy[1] + OFFSET + UNIT / 2) / UNIT), int((xy[0] + OFFSET + UNIT / 2) / UNIT)

    def set_xy(self, xy: Any) -> None:
        self._at = np.array(xy, dtype=np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        options = options or {"task_id": np.random.randint(1, 6)}  # noqa: NPY002 - OGBench draws from it
        task = self.task_infos[options["task_id"] - 1] if "task_id" in options else options["task_info"]
        noise = np.random.uniform(-1, 1, (2, 2))  # noqa: NPY002
        self.set_xy(self.ij_to_xy(task["init_ij"]) + noise[0])
        self._goal = self.ij_to_xy(task["goal_ij"]) + noise[1]
        return self._at.copy(), {"goal": self._goal + 0.02 * self.action_space.sample()}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        there = self._at + 0.2 * np.clip(action, -1, 1)
        if self.maze_map[self.xy_to_ij(there)] == 0:
            self.set_xy(there)
        success = bool(np.linalg.norm(self._at - self._goal) <= 1)
        return self._at.copy(), float(success), success, False, {"success": float(success)}


def install() -> None:
    """Let ``import ogbench`` find the stand-in, and register its medium maze."""
    sys.modules["ogbench"] = ModuleType("ogbench")
    gymnasium.register("pointmaze-medium-v0", entry_point=Maze)


def remove() -> None:
    """Undo `install`."""
    sys.modules.pop("ogbench", None)
    gymnasium.registry.pop("pointmaze-medium-v0", None)
