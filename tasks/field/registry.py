"""Which tasks of the field there are, and how their simulators and Gymnasium environments are made."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from tasks.field.simulator import Simulator
from tasks.worlds import WorldSpec


@dataclass(frozen=True)
class FieldTask:
    """One registered task of the field.

    Attributes:
        id: Gymnasium id.
        made_by: module and class of its simulator, ``module:Class``.
        width, height: of the published drawing, in its own units.
        step_budget: steps before an episode is given up.
        default_budget_tflops: planning compute per episode, unless said otherwise.
        ahead: steps of the budget beyond the distance of start and goal in a trajectory; None: twice the distance.
        description: one line for people.
        actions: number of discrete actions, or of the numbers in a continuous one.
        finite: whether its layouts are few and all are in training: intervals are not clustered by them then, as they
            are where layouts are drawn from many.
        family, view: the same for all of them, see `tasks.specs.TaskSpec`.
        fixed: arguments of the simulator that the task gives by itself, by name.
    """

    id: str
    made_by: str
    width: int
    height: int
    step_budget: int
    default_budget_tflops: float
    ahead: int | None
    description: str
    actions: int = 2
    finite: bool = False
    family: str = "field"
    view: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)


FIELD_TASKS = {
    task.id: task
    for task in (
        FieldTask(
            "hjepa/TwoRoom-v0",
            "tasks.field.two_room:TwoRoom",
            224,
            224,
            125,
            0.0125,
            25,
            "a point in two rooms, the goal in the other one, as stable-worldmodel and Dual-WM have it; continuous",
        ),
        FieldTask(
            "hjepa/DiverseMaze-v0",
            "tasks.field.diverse_maze:DiverseMaze",
            10,
            10,
            500,
            0.05,
            None,
            "a point mass in mazes of 8x8 cells, those of the test split unseen, as HWM has them; continuous",
        ),
        *(
            FieldTask(
                f"hjepa/DiverseMaze-{least}to{most}-v0",
                "tasks.field.diverse_maze:DiverseMaze",
                10,
                10,
                500,
                0.05,
                None,
                f"DiverseMaze with goals {least} to {most} cells away on the shortest path, a group that HWM reports",
                fixed={"blocks": (least, most)},
            )
            for least, most in ((5, 8), (9, 12), (13, 16))
        ),
        FieldTask(
            "hjepa/SokobanLong-v0",
            "tasks.field.sokoban:SokobanLong",
            10,
            10,
            158,
            0.0158,
            25,
            "Sokoban with two boxes on one board of 10x10 cells, as Dual-WM has it",
            actions=5,
        ),
        FieldTask(
            "hjepa/FourRoomDistractors-v0",
            "tasks.field.four_room:FourRoomDistractors",
            224,
            224,
            42,
            0.02,
            27,
            "a point in four rooms with a moving distractor, one door perhaps closed, as H-JEPA has them; continuous",
            finite=True,
        ),
        FieldTask(
            "hjepa/Occluder-v0",
            "tasks.field.occluder:Occluder",
            16,
            5,
            48,
            0.005,
            None,
            "a ball that rolls behind a screen and comes out again, a world of our own",
        ),
    )
}

_NOT_TAKEN = ("self", "observe")


def is_field(env_id: str) -> bool:
    """Whether an id is a task of the field that is simulated here."""
    return env_id in FIELD_TASKS


def make_simulator(env_id: str, observe: str | None = None, **arguments: Any) -> Simulator:
    """The simulator of a task.

    Args:
        env_id: one of `FIELD_TASKS`.
        observe: ``image``, ``symbols`` or ``vector``; None: what the task shows by itself.
        **arguments: of the simulator, such as ``pixels``.

    Raises:
        ValueError: an unknown task, or what the simulator does not take.
    """
    if env_id not in FIELD_TASKS:
        raise ValueError(f"{env_id} is no task of the field; choose from {', '.join(FIELD_TASKS)}")
    arguments = {**FIELD_TASKS[env_id].fixed, **arguments}
    module, _, name = FIELD_TASKS[env_id].made_by.partition(":")
    kind = getattr(importlib.import_module(module), name)
    known = [each for each in inspect.signature(kind.__init__).parameters if each not in _NOT_TAKEN]
    if unknown := sorted(set(arguments) - set(known)):
        raise ValueError(f"{env_id} takes no argument {unknown[0]!r}; known: {', '.join(known)}")
    made: Simulator = kind(**arguments) if observe is None else kind(observe, **arguments)
    return made


def published_budget(env_id: str, offset: int) -> int | None:
    """Steps to reach a goal seen ``offset`` steps after the start, as published; None where nothing is."""
    task = FIELD_TASKS.get(env_id)
    return None if task is None or task.ahead is None else offset + task.ahead


def layout_groups(spec: WorldSpec, seeds: np.ndarray) -> np.ndarray:
    """(E,) int64, equal where seeds (E,) begin in the same layout of a task of the field."""
    return make_simulator(spec.id, spec.observe or None, **spec.arguments).layouts(seeds)


def register_field_tasks() -> None:
    """Register the tasks with Gymnasium; ids that are registered already are left alone."""
    for task in FIELD_TASKS.values():
        if task.id not in gymnasium.registry:
            gymnasium.register(
                task.id,
                entry_point="tasks.field.environment:FieldEnv",
                vector_entry_point="tasks.field.environment:field_vector",
                kwargs={"task_id": task.id},
            )
