"""Batches of episodes as arrays: what is planned, replayed and judged together."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tasks.floorplans import flood
from tasks.observations import (
    BARRIER,
    DOOR,
    KEY,
    WALL,
    compose_image,
    grid_to_barriers,
    grid_to_lava,
    grid_to_walls,
)
from tasks.on_demand import OnDemand, given
from tasks.randomness import fingerprint


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """E episodes of one grid size.

    Attributes:
        plan_seed: (E,) int64, floor-plan seeds.
        grid: (E, W, H, 3) uint8, the world without the agent.
        start: (E, 3 + M + K) int64 (x, y, heading, door states, key state), or (E, 2) float32 positions in a
            continuous world.
        goal: like start; success needs the cell (or the place) only, heading and states are for the goal
            image: doors and key are as a shortest path from the start leaves them.
        oracle_steps: (E,) int64, shortest path from the start to the goal cell at any heading, turns,
            opened doors and the key counted; in a continuous world the least number of steps, see
            :mod:`tasks.point_oracles`. May be given as a function of the batch, to be called when it is first
            read: whoever only steps through the episodes needs no shortest paths.
    """

    plan_seed: np.ndarray
    grid: np.ndarray
    start: np.ndarray
    goal: np.ndarray
    oracle_steps: OnDemand = OnDemand()  # noqa: RUF009 (a descriptor, not a default)

    def __post_init__(self) -> None:
        count = len(self.plan_seed)
        size = 2 if self.continuous else 3 + self.doors + self.keys
        shapes = {
            "plan_seed": (count,),
            "start": (count, size),
            "goal": (count, size),
        }
        if not callable(given(self, "oracle_steps")):
            shapes["oracle_steps"] = (count,)
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"EpisodeBatch.{name} has shape {getattr(self, name).shape}; {shape} is needed"
                )
        if self.grid.ndim != 4 or self.grid.shape[0] != count or self.grid.shape[-1] != 3:
            raise ValueError(f"EpisodeBatch.grid has shape {self.grid.shape}; ({count}, W, H, 3) is needed")

    def __len__(self) -> int:
        return len(self.plan_seed)

    @property
    def continuous(self) -> bool:
        """Whether agents are positions."""
        return self.start.dtype == np.float32

    @property
    def doors(self) -> int:
        """M, door slots of the agent vectors."""
        return 0 if self.continuous else max(self.start.shape[-1] - 3 - self.keys, 0)

    @functools.cached_property
    def keys(self) -> int:
        """K, 1 where the floor plans have a key, otherwise 0."""
        return int((self.grid[..., 0] == KEY).any())

    @property
    def walls(self) -> np.ndarray:
        """(E, W, H) bool, where no way leads: walls and lava."""
        return grid_to_walls(self.grid) | grid_to_lava(self.grid)

    @property
    def barriers(self) -> np.ndarray:
        """(E, W, H) bool, or int8 where there are doors: what oracles and dynamics take.

        With door slots, everything that cannot be reached counts as wall.
        """
        if self.doors or self.keys:
            return reachable_barriers(self.grid, self.start, self.doors, self.keys)
        return self.walls

    @property
    def layouts(self) -> list[str]:
        """(E,) a name of each floor plan, made of where its walls and doors are: the same for plans of other seeds that
        look the same, wherever starts, goals, keys and lava are."""
        solid = np.where(np.isin(self.grid[..., 0], (WALL, DOOR)), self.grid[..., 0], 0).astype(np.uint8)
        return [fingerprint("layout", *plan.shape, plan.tobytes().hex()) for plan in solid]

    @property
    def goal_image(self) -> np.ndarray:
        """(E, W, H, 3) uint8: the observation of the agent at the goal (in a continuous world the floor
        plan)."""
        return self.grid if self.continuous else compose_image(self.grid, self.goal)

    @property
    def start_image(self) -> np.ndarray:
        """(E, W, H, 3) uint8: the first observation (in a continuous world the floor plan)."""
        return self.grid if self.continuous else compose_image(self.grid, self.start)

    @property
    def start_observation(self) -> dict[str, np.ndarray]:
        """The first observation, as the world gives it."""
        return observation_of(self.start_image, self.start)

    @property
    def goal_observation(self) -> dict[str, np.ndarray]:
        """The observation of the agent at the goal, in the form of the world's observations."""
        return observation_of(self.goal_image, self.goal)

    def select(self, index: np.ndarray | slice | list[int]) -> EpisodeBatch:
        """The episodes at ``index`` (integers, a mask or a slice), in that order."""
        parts: dict[str, Any] = {item.name: given(self, item.name) for item in fields(self)}
        return EpisodeBatch(**{name: part if callable(part) else part[index] for name, part in parts.items()})


def observation_of(image: np.ndarray, agent: np.ndarray) -> dict[str, np.ndarray]:
    """The dictionary that a world's observation is, of an image and an agent vector (E, A)."""
    if agent.dtype == np.float32:
        return {"image": image, "position": agent}
    return {"image": image, "direction": agent[:, 2]}


def reachable_barriers(grid: np.ndarray, agent: np.ndarray, doors: int, keys: int = 0) -> np.ndarray:
    """The barrier maps of grids in which some floor cannot be reached and counts as wall.

    Args:
        grid: (E, W, H, 3) uint8.
        agent: (E, 2 or more), a cell that can be reached.
        doors: door slots.
        keys: 1 in a task with a key, otherwise 0.

    Returns:
        (E, W, H), see :func:`tasks.observations.grid_to_barriers`; doors and keys count as passable.
    """
    barriers = grid_to_barriers(grid, doors, keys)
    free = barriers != BARRIER
    reached = np.zeros_like(free)
    reached[np.arange(len(grid)), agent[:, 0], agent[:, 1]] = True
    return np.where(flood(free, reached), barriers, np.array(BARRIER, dtype=barriers.dtype))
