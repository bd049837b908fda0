"""Worlds: what can be observed, what can be done, and what counts as success, for E episodes at once.

Everything a level learns from goes through this protocol: an observation is a dictionary of arrays by name, an action
an integer or a vector, success a flag that the world itself raises. What a simulator knows beyond that is ``state``,
for probes, oracles and success alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from tasks.episode_batches import EpisodeBatch

Observation = Mapping[str, np.ndarray]
"""By name, arrays whose first axis counts episodes."""

KINDS = ("image", "symbols", "vector")
"""Kinds of entries of an observation."""


@dataclass(frozen=True)
class Sense:
    """One entry of an observation.

    Attributes:
        kind: ``image``, colours (H, W, C) uint8; ``symbols``, integer codes (W, H, C) uint8 of which nobody says what
            they mean; ``vector``, numbers (n,) float32.
        shape: of one observation.
        codes: of symbols, how many codes each of the C channels can have; empty for the other kinds.
        frames: moments that an image shows, one behind the other in its channels, the latest last. What moves is in
            several of them, how fast in none alone.

    Raises:
        ValueError: an unknown kind, a shape that does not fit it, or codes or frames that do not fit the channels.
    """

    kind: str
    shape: tuple[int, ...]
    codes: tuple[int, ...] = ()
    frames: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind of a sense is {self.kind!r}; choose from {', '.join(KINDS)}")
        axes = 1 if self.kind == "vector" else 3
        if len(self.shape) != axes or min(self.shape) < 1:
            raise ValueError(f"a sense of kind {self.kind} has shape {self.shape}; {axes} axes are needed")
        wanted = self.shape[2] if self.kind == "symbols" else 0
        if len(self.codes) != wanted or any(count < 1 for count in self.codes):
            raise ValueError(
                f"a sense of kind {self.kind} has codes {self.codes}; {wanted} of 1 or more are needed"
            )
        if self.frames != 1 and (self.kind != "image" or self.frames < 1 or self.shape[2] % self.frames):
            raise ValueError(
                f"a sense of kind {self.kind} and shape {self.shape} has {self.frames} frames; an image has 1 or more"
                " that divide its channels, everything else 1"
            )

    def covers(self, other: Sense) -> bool:
        """Whether whatever ``other`` shows could be seen with this one, whose symbols may have more codes."""
        alike = (self.kind, self.shape, self.frames) == (other.kind, other.shape, other.frames)
        return alike and all(own >= least for own, least in zip(self.codes, other.codes))


@dataclass(frozen=True)
class Actions:
    """What can be done.

    Attributes:
        count: number of discrete actions, or of the numbers in a continuous one.
        low, high: bounds of each number of a continuous action; empty for discrete actions.

    Raises:
        ValueError: no actions, or bounds that do not fit.
    """

    count: int
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.count} actions; at least 1 is needed")
        if self.low or self.high:
            fits = (
                len(self.low) == len(self.high) == self.count and np.isfinite([*self.low, *self.high]).all()
            )
            if not fits or any(not low < high for low, high in zip(self.low, self.high)):
                raise ValueError(
                    f"bounds {self.low} to {self.high} of {self.count} numbers; give finite ones, low below high"
                )

    @property
    def continuous(self) -> bool:
        """Whether an action is a vector of numbers and not an integer."""
        return bool(self.low)


@dataclass(frozen=True)
class WorldSpec:
    """What a world is to an agent.

    Attributes:
        id: as the user names it, ``module:Id-v0`` included.
        senses: of an observation, by name.
        actions: what can be done.
        step_budget: environment steps of an episode, the only horizon the agent may know.
        observe: how the world is observed, one of `KINDS`, or empty where it has one way only.
        arguments: keyword arguments that the world is made with.
    """

    id: str
    senses: dict[str, Sense]
    actions: Actions
    step_budget: int
    observe: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """E tasks: where episodes start and what is to be reached.

    Attributes:
        seed: (E,) int64, the world is reset with.
        prefix: (E, T) or (E, T, A) actions that lead from the reset to the start; (E, 0) where episodes start there.
        prefix_length: (E,) int64, how many of them count.
        goal: what is to be seen, arrays (E, ...) by name; None: what the world itself shows as its goal, and success is
            the world's own.
        goal_state: (E, S) float64, what the simulator's state was at the goal, for probes; None: unknown.
        group: (E,) int64, episodes that share a layout, for intervals clustered by it.
        oracle_steps: (E,) float64, length of a shortest path, or of the trajectory the goal is from; NaN: unknown.
        reached: which of two observations (E, ...) by name, what is seen and the goal, count as the same, (E,) bool;
            see `tasks.goals.Reached`; None: success is the world's own.
        episodes: floor plans, starts and goals of our own families, given instead of what the seeds draw; None: the
            seeds' own.
        way: (E, K) or (E, K, A) actions that led from the start to the goal, where it is from a trajectory; None:
            nobody knows. Worlds that judge goals by their states repeat them.
        start: what was seen at the start when the tasks were made, arrays (E, ...) by name; a world refuses to begin
            where it shows something else. None: nobody knows.
    """

    seed: np.ndarray
    prefix: np.ndarray
    prefix_length: np.ndarray
    goal: Observation | None
    goal_state: np.ndarray | None
    group: np.ndarray
    oracle_steps: np.ndarray
    reached: Callable[[Observation, Observation], np.ndarray] | None = None
    episodes: EpisodeBatch | None = None
    start: Observation | None = None
    way: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.seed)

    def select(self, index: np.ndarray | slice | list[int]) -> TaskBatch:
        """The tasks at ``index`` (integers, a mask or a slice), in that order."""
        taken: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                taken[item.name] = value[index]
            elif isinstance(value, Mapping):
                taken[item.name] = {name: each[index] for name, each in value.items()}
        if self.episodes is not None:
            taken["episodes"] = self.episodes.select(index)
        return replace(self, **taken)


def check_start(world_id: str, seen: Observation, tasks: TaskBatch) -> None:
    """ValueError where tasks begin with something else than what was seen when they were made (vectors: 1e-3 apart)."""
    for name, value in (tasks.start or {}).items():
        if name not in seen or seen[name].shape != value.shape:
            shown = {each: array.shape[1:] for each, array in seen.items()}
            raise ValueError(
                f"{world_id} shows {shown}, and tasks were made of {name} {value.shape[1:]}; record the trajectories"
                " anew with the same arguments (pixels, frames)"
            )
        close = (
            np.isclose(seen[name], value, rtol=1e-3, atol=1e-3)
            if value.dtype.kind == "f"
            else seen[name] == value
        )
        wrong = ~close.reshape(len(value), -1).all(1)
        if wrong.any():
            slot = int(np.argmax(wrong))
            raise ValueError(
                f"task {slot} of {world_id} (seed {tasks.seed[slot]}) does not begin as it was recorded: {name} differs"
                " after the same seed and actions; record the trajectories anew with this environment"
            )


@dataclass(frozen=True, eq=False)
class Step:
    """What one step brought to E episodes.

    Attributes:
        observation: after the step; of episodes that are over, their last.
        success: (E,) bool, whether the task is done.
        terminated, truncated: (E,) bool, apart: the world has ended the episode, or its time is up.
    """

    observation: Observation
    success: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


@runtime_checkable
class World(Protocol):
    """E episodes of one world side by side.

    Attributes:
        spec: what it is to an agent.
    """

    spec: WorldSpec

    def reset(self, tasks: TaskBatch) -> Observation:
        """Begin the tasks; the number of episodes is theirs."""
        ...

    def step(self, action: np.ndarray) -> Step:
        """Act, (E,) integers or (E, A) numbers. Episodes that are over stay as they are."""
        ...

    def goal(self) -> Observation | None:
        """The goal of the tasks begun: theirs, or what the world itself shows, or None where it shows none."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """What the simulator knows beyond the observation, arrays (E, ...) by name; empty: nothing."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...
