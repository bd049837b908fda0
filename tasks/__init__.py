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
from tasks.store import ObservationStore, ObservationWindows
from tasks.suite import floor_plans, list_tasks, make_batched, register_tasks, sample_episodes, task_spec
from tasks.trajectories import StoreError, TrajectoryStore, Windows, save_trajectories
from tasks.world_choice import make_world, open_world, world_spec
from tasks.worlds import Actions, Observation, Sense, Step, TaskBatch, World, WorldSpec

if TYPE_CHECKING:
    from tasks.goals import (
        Reached,
        Recorded,
        plain_tasks,
        read_goals,
        spread_of,
        success_rule,
        trajectory_tasks,
        world_tasks,
    )
    from tasks.gymnasium_world import GymnasiumWorld, gymnasium_spec
    from tasks.nested_rooms import NestedRooms
    from tasks.twin_worlds import TwinWorld, split_tasks, tasks_of, twin_spec
    from tasks.world_collection import collect_world

__all__ = [
    "SPLITS",
    "Actions",
    "BatchedMiniGrid",
    "BatchedNestedPoint",
    "BatchedNestedRooms",
    "BatchedWorld",
    "EpisodeBatch",
    "FloorPlan",
    "GymnasiumWorld",
    "NestedPoint",
    "NestedRooms",
    "Observation",
    "ObservationStore",
    "ObservationWindows",
    "Reached",
    "Recorded",
    "Sense",
    "Step",
    "StoreError",
    "TaskBatch",
    "TaskSpec",
    "TrajectoryStore",
    "TwinWorld",
    "Windows",
    "World",
    "WorldSpec",
    "cell_distances",
    "collect",
    "collect_world",
    "compose_image",
    "distances",
    "door_cells",
    "floor_plan",
    "floor_plans",
    "grid_to_barriers",
    "gymnasium_spec",
    "list_tasks",
    "make_batched",
    "make_world",
    "minigrid_spec",
    "open_world",
    "perceive",
    "plain_tasks",
    "random_success",
    "read_goals",
    "register_tasks",
    "sample_episodes",
    "save_trajectories",
    "shortest_actions",
    "split_image",
    "split_tasks",
    "spread_of",
    "step_agents",
    "step_points",
    "success_rule",
    "task_spec",
    "tasks_of",
    "trajectory_tasks",
    "twin_spec",
    "world_spec",
    "world_tasks",
]

_LAZY = {
    "NestedRooms": "tasks.nested_rooms",
    "collect_world": "tasks.world_collection",
    "GymnasiumWorld": "tasks.gymnasium_world",
    "gymnasium_spec": "tasks.gymnasium_world",
    "TwinWorld": "tasks.twin_worlds",
    "split_tasks": "tasks.twin_worlds",
    "tasks_of": "tasks.twin_worlds",
    "Reached": "tasks.goals",
    "Recorded": "tasks.goals",
    "plain_tasks": "tasks.goals",
    "read_goals": "tasks.goals",
    "spread_of": "tasks.goals",
    "success_rule": "tasks.goals",
    "trajectory_tasks": "tasks.goals",
    "world_tasks": "tasks.goals",
    "twin_spec": "tasks.twin_worlds",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tasks' has no attribute {name!r}")


register_tasks()
