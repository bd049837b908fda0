"""Perception: an observation of any world becomes a floor plan and an agent vector, for the stack to encode.

What an agent sees with is one of its parts: `Symbolic` reads symbols, `hjepa.model.pixels.Pixels` pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hjepa.errors import InputError
from hjepa.tensors import as_tensor
from levels.settings import Sight, World
from tasks import TaskSpec, compose_image, perceive
from tasks.point_pictures import draw_points
from tasks.rendering import SYMBOLS, TILE, render_frames

Observation = Mapping[str, np.ndarray | Tensor] | np.ndarray | Tensor
"""What a world shows: a dictionary with ``image``, symbols (E, W, H, 3) or pictures (E, height, width, 3), or that
image alone."""


class Perception(Protocol):
    """What an agent sees with.

    Attributes:
        name: one of `hjepa.evaluation.plan_request.PERCEPTIONS`.
        sha256: of what it has learned; None if it has learned nothing.
        flops: operations of seeing one observation.
    """

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str | None: ...

    @property
    def flops(self) -> float: ...

    def show(self, observation: Observation, floor: np.ndarray, agent: np.ndarray) -> Observation:
        """What a world shows to it.

        Args:
            observation: symbolic, of E episodes.
            floor: (E, W, H, 3) true floor plans.
            agent: (E, A) true agents.
        """

    def see(self, observation: Observation, floor: np.ndarray | None = None) -> tuple[np.ndarray, Tensor]:
        """Floor plan (E, W, H, 3) uint8 and agent (E, A) in what was shown.

        Args:
            observation: from `show`.
            floor: the floor plan if it is known; an agent in a doorway hides the door.
        """


class Symbolic:
    """Perception of the symbolic observation, which says everything. See `Perception`.

    Args:
        world: whose observations they are.
    """

    name, sha256, flops = "symbolic", None, 0.0

    def __init__(self, world: World) -> None:
        self.world = world

    def show(self, observation: Observation, floor: np.ndarray, agent: np.ndarray) -> Observation:
        """The observation as it is."""
        return observation

    def see(self, observation: Observation, floor: np.ndarray | None = None) -> tuple[np.ndarray, Tensor]:
        """See `see`."""
        return see(observation, self.world, floor)


class Seen:
    """Perception of an agent that sees: the observation as the world shows it, and nothing else. See `Perception`.

    Args:
        sight: what is seen.
    """

    name, sha256, flops = "seen", None, 0.0

    def __init__(self, sight: Sight) -> None:
        self.sight = sight

    def show(self, observation: Observation, floor: np.ndarray, agent: np.ndarray) -> Observation:
        """The picture: as the world shows it, or drawn of true floor plans and agents."""
        if self.sight.kind == "symbols":
            return observation
        return {"image": draw(self.sight, floor, agent)}

    def see(self, observation: Observation, floor: np.ndarray | None = None) -> tuple[np.ndarray, Tensor]:
        """The picture (E, ...), to write memories from and to encode.

        Raises:
            ValueError: a picture of another shape.
        """
        picture = np.ascontiguousarray(plain_observation(observation)["image"])
        if picture.shape[1:] != self.sight.shape:
            raise ValueError(f"a picture has shape {picture.shape[1:]}; the level sees {self.sight.shape}")
        return picture, torch.from_numpy(picture)


def draw(sight: Sight, grid: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """What a world of cells shows of grids (E, W, H, 3) and agents (E, A): (E, *shape of the sight) uint8."""
    if sight.kind == "symbols":
        return compose_image(grid, agent)
    if agent.shape[1] == 2:
        return draw_points(grid, agent)
    return render_frames(grid, agent)


def sight_of(spec: TaskSpec, encoder: str) -> Sight | None:
    """What an encoder of level 1 sees of a task; None for one that is told.

    Raises:
        InputError: a task that does not show it.
    """
    if encoder == "agent":
        return None
    if encoder == "vector" or (spec.continuous and encoder == "symbols"):
        raise InputError(f"encoder {encoder}", spec.id, "it shows none; choose another encoder for level 1")
    if encoder == "symbols":
        return Sight("symbols", (spec.width, spec.height, 3), SYMBOLS)
    return Sight("image", (spec.height * TILE, spec.width * TILE, 3))


def world_of(spec: TaskSpec, encoder: str = "agent") -> World:
    """What an agent of a task sees, with this encoder at level 1, and does."""
    sight = sight_of(spec, encoder)
    return World((spec.width, spec.height), spec.actions, spec.doors, spec.continuous, spec.keys, sight)


def describe_world(world: World) -> str:
    """A world in a few words, for messages."""
    width, height = world.size
    sees = "" if world.sight is None else f", {world.sight.kind} {'x'.join(map(str, world.sight.shape))}"
    doors = f", {world.doors} doors" if world.doors else ""
    doors += f", {world.keys} keys" if world.keys else ""
    kind = "continuous actions" if world.continuous else "discrete actions"
    return f"{width}x{height} grids, {world.actions} {kind}{doors}{sees}"


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
    grid, agent = perceive(plain_observation(observation), world.doors, floor, world.keys)
    return grid, as_tensor(np.ascontiguousarray(agent))


def plain_observation(observation: Observation) -> dict[str, np.ndarray]:
    """The observation as a dictionary of numpy arrays."""
    shown = observation if isinstance(observation, Mapping) else {"image": observation}
    return {name: as_numpy(value) for name, value in shown.items()}


def as_numpy(values: np.ndarray | Tensor) -> np.ndarray:
    """Values of an observation, wherever they are."""
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
