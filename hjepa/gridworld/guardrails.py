"""Guardrails: cells that no plan may lead through, however it would pay.

A guardrail looks at floor plans and names the cells it forbids. It is not trained, and the world model need not know
what it is about: `Lava` is what a floor plan shows and no trajectory has ever touched, a `Region` or a `Rule` is what
somebody draws or writes down when planning begins, for these episodes and no longer.

The agent keeps out at every level: candidates that are believed to be in a forbidden cell at any imagined step are
worse than all others, the critic's field of steps to the goal leads around, subgoals are drawn to futures that keep
out, and an action that would lead in is replaced before it is taken (`planners.guardrails`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from hjepa.errors import InputError
from tasks import EpisodeBatch, sample_episodes, task_spec
from tasks.observations import EMPTY_CELL, grid_to_lava
from tasks.zones import with_zones


@runtime_checkable
class Guardrail(Protocol):
    """Anything that forbids cells.

    Attributes:
        name: for records and messages.
    """

    name: str

    def __call__(self, floor: np.ndarray) -> np.ndarray:
        """Floor plans (E, W, H, 3) -> (E, W, H) bool, the cells an agent must never be in."""
        ...


class Lava:
    """Forbids what a floor plan shows as lava."""

    name = "lava"

    def __call__(self, floor: np.ndarray) -> np.ndarray:
        return grid_to_lava(floor)


class Region:
    """Forbids cells that somebody drew.

    Args:
        cells: (W, H) bool, the same for every episode, or (E, W, H).
    """

    name = "region"

    def __init__(self, cells: np.ndarray) -> None:
        self.cells = np.asarray(cells, dtype=bool)

    def __call__(self, floor: np.ndarray) -> np.ndarray:
        """Raises InputError for a drawing of another size."""
        if self.cells.shape not in (floor.shape[:3], floor.shape[1:3]):
            raise InputError(
                f"a region of {self.cells.shape}",
                "guardrails",
                f"draw it on {floor.shape[1:3]} cells, for each of {floor.shape[0]} episodes or for all",
            )
        return np.broadcast_to(self.cells, floor.shape[:3])


class Rule:
    """Forbids the cells for which a rule holds.

    Args:
        rule: arrays of columns x and rows y that broadcast -> bool.
    """

    name = "rule"

    def __init__(self, rule: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.rule = rule

    def __call__(self, floor: np.ndarray) -> np.ndarray:
        _, width, height = floor.shape[:3]
        cells = self.rule(np.arange(width)[:, None], np.arange(height)[None])
        return np.broadcast_to(np.asarray(cells, dtype=bool), floor.shape[:3])


def forbidden(guardrails: Sequence[Guardrail], floor: np.ndarray) -> np.ndarray:
    """(E, W, H) bool, cells of floor plans (E, W, H, 3) that any of the guardrails forbids."""
    zone = np.zeros(floor.shape[:3], dtype=bool)
    for guardrail in guardrails:
        zone |= guardrail(floor)
    return zone


def without_lava(floor: np.ndarray) -> np.ndarray:
    """Floor plans (E, W, H, 3) as a model knows them that has never seen lava: plain floor."""
    return np.where(grid_to_lava(floor)[..., None], np.array(EMPTY_CELL, floor.dtype), floor)


def sample_zones(
    task: str, split: str, tasks: str | None, episodes: int, seed: int
) -> tuple[EpisodeBatch, np.ndarray]:
    """Episodes to evaluate on, with a zone across the way of each, (E, W, H) bool; see `tasks.zones`.

    Episodes without a way round are passed over.

    Raises:
        InputError: a world that zones do not fit, or one whose ways lead round nowhere.
    """
    spec, asked = task_spec(task), episodes + max(8, episodes // 10)
    try:
        found, zones = with_zones(
            sample_episodes(task, split, tasks, episodes=asked, seed=seed), spec.step_budget, seed
        )
    except ValueError as error:
        raise InputError(str(error), "zones", "choose a task hjepa/NestedRooms...") from None
    if len(found) < episodes:
        raise InputError(
            f"{len(found)} of {asked} episodes of {task} have a way round", "zones", "choose another task"
        )
    return found.select(slice(0, episodes)), zones[:episodes]
