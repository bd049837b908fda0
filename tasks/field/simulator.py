"""What a task of the field is made of: functions of states of E episodes, and nothing that is kept between them.

The batched world (`tasks.field.world`) and the single Gymnasium environment (`tasks.field.environment`) both stand on
one simulator. All that is random is a function of a seed: a state that needs more than it shows carries its seed and
its time along, so the same state and action always give the same next state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from tasks.worlds import Actions, Observation, Sense

State = dict[str, np.ndarray]
"""By name, arrays (E, ...)."""

Act = Callable[[State, State], np.ndarray]
"""From states and goal states of E episodes to their actions."""


class Simulator(Protocol):
    """One task of the field.

    Attributes:
        observe: how it is observed, one of `tasks.worlds.KINDS`.
        senses: of an observation, by name.
        actions: what can be done.
        step_budget: steps of an episode.
        ends_at_goal: whether an episode is over where its goal is reached, as published.
    """

    observe: str
    senses: dict[str, Sense]
    actions: Actions
    step_budget: int
    ends_at_goal: bool

    def draw(self, seeds: np.ndarray) -> tuple[State, State]:
        """Start and goal states of seeds (E,), each a function of its seed alone."""
        ...

    def layouts(self, seeds: np.ndarray) -> np.ndarray:
        """(E,) int64, equal where seeds (E,) begin in the same layout."""
        ...

    def advance(self, state: State, action: np.ndarray) -> State:
        """One step of every episode, new arrays; actions (E,) integers or (E, A) numbers within bounds."""
        ...

    def show(self, state: State) -> Observation:
        """What is seen of states (...)."""
        ...

    def reached(self, state: State, goal: State) -> np.ndarray:
        """(E,) bool: the published rule of success."""
        ...

    def explorer(self, episodes: int, rng: np.random.Generator) -> Act:
        """A policy that collects as the published data were collected, for episodes that begin now."""
        ...


def choose(condition: np.ndarray, one: State, other: State) -> State:
    """States (E, ...) from ``one`` where ``condition`` (E,) holds, else from ``other``."""
    return {
        name: np.where(condition.reshape(-1, *[1] * (value.ndim - 1)), value, other[name])
        for name, value in one.items()
    }


def mixed(*keys: np.ndarray | int) -> np.ndarray:
    """Numbers (E,) in 0 to 1 that look random and are functions of integers (E,) alone.

    Each key is folded in by the finaliser of SplitMix64 (Steele, Lea and Flood 2014), so a number for every seed, time
    and purpose needs no generator of its own.
    """
    value = np.zeros(np.broadcast_shapes(*(np.shape(key) for key in keys)), dtype=np.uint64)
    for key in keys:
        folded = np.asarray(key).astype(np.int64).astype(np.uint64)
        value = value + np.uint64(0x9E3779B97F4A7C15) + folded
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        value = value ^ (value >> np.uint64(31))
    return (value >> np.uint64(11)).astype(np.float64) * 2.0**-53
