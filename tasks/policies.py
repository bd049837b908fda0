"""Policies that collect: random, persistent, headlong, curious, a world's own explorer, or a user's function.

A policy is begun for a batch of episodes and then asked once per step for their actions. It takes every random number
from the generator it was begun with, so equal generators give equal episodes.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tasks.curiosity import Curious, check_countable
from tasks.grid_explorers import grid_explorer
from tasks.gymnasium_world import GymnasiumWorld, draw_actions
from tasks.observations import grid_to_barriers
from tasks.store_contents import check_actions
from tasks.worlds import Actions, Observation, World

Act = Callable[[Observation], np.ndarray]
"""What is seen, arrays (E, ...) by name, to actions, (E,) integers or (E, A) numbers."""

POLICIES = ("random", "persistent", "headlong", "curious", "explorer")

REPEAT = 0.8
"""Probability with which a persistent policy does the same integer again."""

CORRELATION = 0.9
"""Of the normal numbers behind two persistent actions one step apart: half is forgotten after seven steps."""

HEADING = 0.98
"""The same of the direction of a headlong policy: half is forgotten after 34 steps."""

_erf = np.vectorize(math.erf, otypes=[np.float64])


class Policy:
    """How episodes of a world are acted in.

    Args:
        name: one of `POLICIES`, or ``module:function`` for a function called with the observation, arrays (E, ...) by
            name, and a generator that every random number is to come from.
        world: that it acts in; its own explorer is a method ``explorer(rng)`` that gives an `Act` for the episodes
            that were just begun. Worlds with a batched twin have one.

    Attributes:
        name: as it was given.

    Raises:
        ValueError: an unknown name, a function that cannot be imported, a world without an explorer, or one whose
            actions cannot be counted.
    """

    def __init__(self, name: str, world: World) -> None:
        self.name, self.world = name, world
        if name == "explorer" and _explorer(world) is None:
            raise ValueError(
                f"{world.spec.id} has no explorer of its own; choose policy random, persistent or module:function"
            )
        if name == "headlong":
            _check_numbers(world.spec.actions)
        if name == "curious":
            check_countable(world.spec.actions)
        if name in POLICIES:
            self._function = None
        elif ":" in name:
            self._function = _imported(name)
        else:
            raise ValueError(f"unknown policy {name!r}; choose {', '.join(POLICIES)} or module:function")

    def begin(self, episodes: int, rng: np.random.Generator) -> Act:
        """The actions of episodes that the world has just begun."""
        actions = self.world.spec.actions
        if self._function is not None:
            return self._checked(lambda seen: self._called(seen, rng), episodes)
        if self.name == "random":
            return lambda _: draw_actions(actions, rng, episodes)
        if self.name == "persistent":
            return persistent(actions, episodes, rng)
        if self.name == "headlong":
            return headlong(actions, episodes, rng)
        if self.name == "curious":
            return Curious(actions, episodes, rng)
        explorer = _explorer(self.world)
        assert explorer is not None
        return self._checked(explorer(rng), episodes)

    def _called(self, seen: Observation, rng: np.random.Generator) -> np.ndarray:
        assert self._function is not None
        try:
            return np.asarray(self._function(seen, rng))
        except Exception as error:
            raise ValueError(f"policy {self.name} failed with {type(error).__name__}: {error}") from error

    def _checked(self, act: Act, episodes: int) -> Act:
        def checked(seen: Observation) -> np.ndarray:
            action = act(seen)
            if not action.ndim or len(action) != episodes:
                raise ValueError(f"policy {self.name} gave actions {action.shape} for {episodes} episodes")
            check_actions(self.world.spec.actions, action, f"policy {self.name}")
            return action

        return checked


def persistent(actions: Actions, episodes: int, rng: np.random.Generator) -> Act:
    """Actions that go on for a while: integers that are mostly done again, numbers that drift.

    Single actions are as likely as random ones: uniform over the integers, or between the bounds.
    """
    if actions.continuous:
        low, high = np.array(actions.low), np.array(actions.high)
        hidden = rng.standard_normal((episodes, actions.count))

        def drift(_: Observation) -> np.ndarray:
            nonlocal hidden
            share = 0.5 * (1 + _erf(hidden / math.sqrt(2)))  # of a normal number: uniform in 0 to 1
            action = (low + (high - low) * share).astype(np.float32)
            noise = rng.standard_normal(hidden.shape)
            hidden = CORRELATION * hidden + math.sqrt(1 - CORRELATION**2) * noise
            return action

        return drift
    held = rng.integers(0, actions.count, episodes)

    def repeat(_: Observation) -> np.ndarray:
        nonlocal held
        action = held
        again = rng.random(episodes) < REPEAT
        held = np.where(again, held, rng.integers(0, actions.count, episodes))
        return action

    return repeat


def headlong(actions: Actions, episodes: int, rng: np.random.Generator) -> Act:
    """Numbers that go as far as they can in directions that drift: half of the time the largest of them is at a bound,
    and else anywhere between that and the middle.

    Where actions are pushes it gets further than `persistent`, whose numbers are mostly small, and what a level learns
    of many steps is no faster than what it has seen.

    Raises:
        ValueError: actions that are integers.
    """
    _check_numbers(actions)
    low, high = np.array(actions.low), np.array(actions.high)
    hidden = rng.standard_normal((episodes, actions.count + 1))
    memory = np.array([HEADING] * actions.count + [CORRELATION])

    def push(_: Observation) -> np.ndarray:
        nonlocal hidden
        direction, strength = hidden[:, :-1], 1 + _erf(hidden[:, -1:] / math.sqrt(2))
        towards = direction / np.maximum(np.abs(direction).max(1, keepdims=True), 1e-9)
        action = 0.5 * (low + high) + 0.5 * (high - low) * towards * np.minimum(strength, 1)
        hidden = memory * hidden + np.sqrt(1 - memory**2) * rng.standard_normal(hidden.shape)
        return np.clip(action, low, high).astype(np.float32)

    return push


def _check_numbers(actions: Actions) -> None:
    """ValueError for actions that are integers."""
    if not actions.continuous:
        raise ValueError("policy headlong goes as far as numbers can, and these are integers; choose persistent")


def _explorer(world: World) -> Callable[[np.random.Generator], Act] | None:
    """The world's own explorer, or the one that knows the state of MiniGrid's worlds."""
    from tasks.twin_worlds import TwinWorld

    own: Any = getattr(world, "explorer", None)
    if own is not None:
        return own
    if isinstance(world, TwinWorld):
        return lambda rng: _twin_explorer(world, rng)
    return partial(grid_explorer, world) if isinstance(world, GymnasiumWorld) and world.is_minigrid else None


def _twin_explorer(world: World, rng: np.random.Generator) -> Act:
    from tasks.explorers import make_explorer
    from tasks.point_explorers import make_point_explorer
    from tasks.suite import task_spec

    task, floor = task_spec(world.spec.id), world.state()["floor"]
    walls = grid_to_barriers(floor, task.doors, task.keys)
    make = make_point_explorer if task.continuous else make_explorer
    explorer = make("mixture", walls, rng, 0)

    def act(_: Observation) -> np.ndarray:
        action = explorer.act(world.state()["agent"])
        return np.clip(action, -1, 1) if task.continuous else action

    return act


def _imported(name: str) -> Callable[[Observation, np.random.Generator], Any]:
    module, _, function = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise ValueError(
            f"policy {name}: module {module!r} cannot be imported ({type(error).__name__}: {error});"
            " name one on the path of Python"
        ) from error
    for part in function.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ValueError(f"policy {name}: {module} has no function {function!r}; name one that it has")
    return found
