"""Pictures of a world for people: what the environment itself renders, or else what it shows as a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tasks.field.registry import is_field
from tasks.observations import AGENT
from tasks.rendering import SYMBOLS, render_frames
from tasks.world_choice import open_world
from tasks.worlds import Observation, Sense, TaskBatch, World, WorldSpec

EMPTY = (1, 0, 0)
"""Codes of a cell of MiniGrid with nothing in it, drawn under an agent: what it stands on is hidden by it."""


@runtime_checkable
class Renders(Protocol):
    """A world that can be rendered."""

    def render(self) -> np.ndarray | None:
        """(E, H, W, 3) uint8 of the tasks begun as they are now; None: it renders nothing."""
        ...


def open_rendered(spec: WorldSpec) -> World:
    """The world of a spec, made so that it renders where it can.

    Raises:
        ValueError: as `tasks.open_world`.
    """
    from tasks.twin_worlds import has_twin

    if is_field(spec.id) or has_twin(spec.id):
        return open_world(spec)
    arguments = {"render_mode": "rgb_array", **spec.arguments}
    try:
        return open_world(replace(spec, arguments=arguments))
    except ValueError:  # an environment that takes no such argument is shown as it is seen
        return open_world(spec)


def pictures(world: World, seen: Observation) -> np.ndarray | None:
    """What a world looks like now, (E, H, W, 3) uint8: rendered, or what is seen as an image or as MiniGrid's symbols;
    None where there is no picture.

    Args:
        world: with tasks begun.
        seen: its present observation.
    """
    rendered = world.render() if isinstance(world, Renders) else None
    return drawn(world.spec, seen) if rendered is None else rendered


def goal_pictures(world: World, tasks: TaskBatch) -> np.ndarray | None:
    """The same at the goals of tasks; begins the tasks, which have to be begun anew after it.

    Where goals are from trajectories and the world renders, the way to them is walked once more.
    """
    longest = 0 if tasks.way is None else tasks.way.shape[1]
    world.reset(tasks)
    goal: Any = world.goal()
    if isinstance(world, Renders) and world.render() is not None and 0 < longest <= world.spec.step_budget:
        assert tasks.way is not None
        # Nothing is reached on the way, for an episode that is over stays where it is.
        world.reset(replace(tasks, reached=lambda seen, _: np.zeros(len(tasks), dtype=bool)))
        for time in range(longest):
            world.step(tasks.way[:, time])
        return world.render()
    return None if goal is None else drawn(world.spec, goal)


def drawn(spec: WorldSpec, seen: Observation) -> np.ndarray | None:
    """What is seen as a picture (E, H, W, 3) uint8: the first image, or MiniGrid's symbols; None: it is no picture."""
    for name, sense in spec.senses.items():
        if name in seen and (found := _drawn(sense, np.asarray(seen[name]))) is not None:
            return found
    return None


def _drawn(sense: Sense, values: np.ndarray) -> np.ndarray | None:
    if sense.kind == "image":
        if sense.shape[2] < 3:
            return np.repeat(values[..., :1], 3, -1)
        return values[..., -3:]  # of stacked frames the last
    if sense.kind == "symbols" and sense.codes == SYMBOLS:
        here = values[..., 0] == AGENT
        if (here.sum((1, 2)) == 1).all():
            place = np.argwhere(here)
            heading = values[here][:, 2:3]
            grid = np.where(here[..., None], np.array(EMPTY, dtype=np.uint8), values).astype(np.uint8)
            return render_frames(grid, np.concatenate([place[:, 1:], heading], 1).astype(np.int64), tile=16)
    return None
