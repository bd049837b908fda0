"""The world: nested rooms, stock MiniGrid environments, a continuous point; batched twins, oracles, explorers and
trajectory stores, the same for all of them.

Knows numpy, gymnasium and minigrid. Importing this package registers the tasks with Gymnasium; MiniGrid
itself (and pygame behind it) is imported when a single environment is made.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tasks.batched import BatchedMiniGrid, BatchedNestedRooms
from tasks.batched_world import BatchedWorld
from tasks.collection import collect
from tasks.dynamics import step_agents
from tasks.episode_batches import EpisodeBatch
from tasks.floorplans import SPLITS, FloorPlan, floor_plan
from tasks.minigrid_suite import minigrid_spec
from tasks.nested_point import BatchedNestedPoint, NestedPoint
from tasks.observations import compose_image, door_cells, grid_to_barriers, perceive, split_image
from tasks.oracles import cell_distances, distances, shortest_actions
from tasks.point_dynamics import step_points
from tasks.random_policy import random_success
from tasks.specs import TaskSpec
from tasks.suite import floor_plans, list_tasks, make_batched, register_tasks, sample_episodes, task_spec
from tasks.trajectories import StoreError, TrajectoryStore, Windows, save_trajectories

if TYPE_CHECKING:
    from tasks.nested_rooms import NestedRooms

__all__ = [
    "SPLITS",
    "BatchedMiniGrid",
    "BatchedNestedPoint",
    "BatchedNestedRooms",
    "BatchedWorld",
    "EpisodeBatch",
    "FloorPlan",
    "NestedPoint",
    "NestedRooms",
    "StoreError",
    "TaskSpec",
    "TrajectoryStore",
    "Windows",
    "cell_distances",
    "collect",
    "compose_image",
    "distances",
    "door_cells",
    "floor_plan",
    "floor_plans",
    "grid_to_barriers",
    "list_tasks",
    "make_batched",
    "minigrid_spec",
    "perceive",
    "random_success",
    "register_tasks",
    "sample_episodes",
    "save_trajectories",
    "shortest_actions",
    "split_image",
    "step_agents",
    "step_points",
    "task_spec",
]

_LAZY = {"NestedRooms": "tasks.nested_rooms"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tasks' has no attribute {name!r}")


register_tasks()
