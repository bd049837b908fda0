"""What a registered task is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.observations import ACTIONS

FAMILIES = ("nested-rooms", "minigrid", "nested-point", "layouts")
"""Kinds of worlds: nested rooms with MiniGrid's agent, stock MiniGrid environments, nested rooms with a continuous
point, and other floor plans of ours with MiniGrid's agent."""

OURS = ("hjepa/Nested", "hjepa/Layouts")
"""How the ids of worlds with floor plans of ours begin."""


@dataclass(frozen=True)
class TaskSpec:
    """One registered task.

    Attributes:
        id: Gymnasium id.
        depth, room: the floor plans, see :mod:`tasks.floorplans`; 0 for stock MiniGrid environments, depth 1 and the
            inner cells of a side for layouts.
        width, height: grid size in cells.
        step_budget: steps before an episode is given up; the only horizon an agent may know.
        default_budget_tflops: planning compute per episode that results are compared at, unless said
            otherwise.
        fixed_plan: seed of the one floor plan, or None when every episode has its own.
        description: one line for people.
        actions: number of discrete actions, or of the numbers in a continuous one.
        family: one of :data:`FAMILIES`.
        kinds: how episodes may be drawn, the default first (see :mod:`tasks.episodes`).
        doors: door slots M of the agent vector (see :mod:`tasks.observations`).
        lava: whether lava lies across the way (see :mod:`tasks.hazards`).
        keys: K, 1 where a door is locked and its key lies about (see :mod:`tasks.locks`), otherwise 0.
        view: cells a side of the partial view that is all there is to see (see :mod:`tasks.views`); 0: the whole floor
            plan is seen.
        layout: the family or mixture that floor plans are from, see :mod:`tasks.layouts`; empty for nested rooms.
    """

    id: str
    depth: int
    room: int
    width: int
    height: int
    step_budget: int
    default_budget_tflops: float
    fixed_plan: int | None
    description: str
    actions: int = len(ACTIONS)
    family: str = "nested-rooms"
    kinds: tuple[str, ...] = ("far", "uniform")
    doors: int = 0
    lava: bool = False
    keys: int = 0
    view: int = 0
    layout: str = ""

    @property
    def continuous(self) -> bool:
        """Whether the agent is a position (x, y) and an action two numbers in -1..1."""
        return self.family == "nested-point"

    @property
    def agent_size(self) -> int:
        """Numbers in an agent vector: 3 + M + K (x, y, heading, door states, key state), or 2 (x, y)."""
        return 2 if self.continuous else 3 + self.doors + self.keys

    def make_kwargs(self) -> dict[str, Any]:
        """Arguments of the environment constructors that make this task."""
        if self.family == "minigrid":
            return {"task_id": self.id, "doors": self.doors, "step_budget": self.step_budget}
        world = {
            "depth": self.depth,
            "room": self.room,
            "step_budget": self.step_budget,
            "fixed_plan": self.fixed_plan,
        }
        world |= {"lava": True} if self.lava else {}
        world |= {"keys": self.keys} if self.keys else {}
        world |= {"view": self.view} if self.view else {}
        return world | ({"layout": self.layout} if self.layout else {})

    @property
    def drawn_as(self) -> str:
        """Id of the task whose episodes these are: a world seen in parts has those of the one that is seen whole."""
        return self.id.replace("NestedPartialKeys", "NestedKeys").replace("NestedPartial", "NestedRooms")
