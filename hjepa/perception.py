"""Perception: an observation of any world becomes a floor plan and an agent vector, for the stack to encode."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from hjepa.data import as_tensor
from levels.settings import World
from tasks import TaskSpec, perceive

Observation = Mapping[str, np.ndarray | Tensor] | np.ndarray | Tensor
"""What a world shows: a dictionary with ``image`` (E, W, H, 3), or that image alone."""


def world_of(spec: TaskSpec) -> World:
    """What an agent of a task sees and does."""
    return World((spec.width, spec.height), spec.actions, spec.doors, spec.continuous, spec.keys)


def describe_world(world: World) -> str:
    """A world in a few words, for messages."""
    width, height = world.size
    doors = f", {world.doors} doors" if world.doors else ""
    doors += f", {world.keys} keys" if world.keys else ""
    kind = "continuous actions" if world.continuous else "discrete actions"
    return f"{width}x{height} grids, {world.actions} {kind}{doors}"


def see(observation: Observation, world: World, floor: np.ndarray | None = None) -> tuple[np.ndarray, Tensor]:
    """Floor plan and agent of E observations.

    Args:
        observation: of E episodes; a view with the ``pose`` it is seen from shows no floor plan, which has to be given.
        world: whose observations they are.
        floor: the floor plan (E, W, H, 3) if it is known; an agent in a doorway hides the door.

    Returns:
        (E, W, H, 3) uint8 and (E, A).

    Raises:
        ValueError: images of another shape, or without exactly one agent.
    """
    shown = observation if isinstance(observation, Mapping) else {"image": observation}
    plain = {name: as_numpy(value) for name, value in shown.items()}
    grid, agent = perceive(plain, world.doors, floor, world.keys)
    return grid, as_tensor(np.ascontiguousarray(agent))


def as_numpy(values: np.ndarray | Tensor) -> np.ndarray:
    """Values of an observation, wherever they are."""
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
