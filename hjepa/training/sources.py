"""Where training windows come from: stores of what was seen, and stores of states that are drawn, or told.

Everything that training and calibration ask of data goes through `Source`, by the rows of a store.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hjepa.errors import InputError
from hjepa.model.perception import draw, world_of
from hjepa.model.worlds import played_in, seen_world, within_bounds
from hjepa.settings import ANY, RunConfig
from levels.settings import Sight, World
from tasks import ObservationStore, TrajectoryStore, task_spec
from tasks.named import check_unwrapped
from tasks.store_files import META
from tasks.store_layout import FORMAT


@dataclass(frozen=True, eq=False)
class Pieces:
    """B pieces of trajectory, each L rows long.

    Attributes:
        rows: (B, L) int64, rows of the store.
        action: (B, L - 1, ...) what was done between them; continuous actions in [-1, 1].
    """

    rows: np.ndarray
    action: np.ndarray


class Source(Protocol):
    """A store, as training sees it.

    Attributes:
        path: the folder.
        sha256: of its contents.
        layouts: how many there are to draw from.
        clip: observations of the longest piece that at least half of the episodes hold.
        observations: number of rows.
        facts: about the data, for the description of what is trained on them.
    """

    path: Path
    sha256: str
    layouts: int
    clip: int
    observations: int
    facts: dict[str, Any]

    def pieces(self, rng: np.random.Generator, count: int, length: int, layouts: int) -> Pieces:
        """Random pieces from ``layouts`` random layouts, count / layouts each and side by side."""
        ...

    def show(self, rows: np.ndarray) -> np.ndarray:
        """What level 1 sees at rows (...): (..., *shape); told agents (..., A) where it is told."""
        ...

    def layout(self, rows: np.ndarray) -> np.ndarray:
        """What memories are written from at rows (P,): pictures, or told floor plans (P, W, H, 3)."""
        ...

    def state(self, rows: np.ndarray) -> np.ndarray | None:
        """What a simulator knew at rows (...), (..., A), for probes alone; None: nothing that they read."""
        ...


class StateSource:
    """A store of floor plans and agents: told as they are, or drawn as their world shows them. See `Source`.

    Args:
        store: trajectories.
        sight: what is seen; None: the level is told.
    """

    def __init__(self, store: TrajectoryStore, sight: Sight | None) -> None:
        self.store, self.sight = store, sight
        self.path, self.sha256, self.layouts = store.path, store.sha256, store.plans
        self.clip, self.observations = int(store.lengths.max()), store.observations
        self.facts = {"task": store.meta["task"], "data": store.meta["arguments"]}

    def pieces(self, rng: np.random.Generator, count: int, length: int, layouts: int) -> Pieces:
        """See `Source`."""
        windows = self.store.windows(rng, count, length, plans=layouts)
        return Pieces(windows.row, windows.action)

    def show(self, rows: np.ndarray) -> np.ndarray:
        """See `Source`."""
        if self.sight is None:
            return np.take(self.store.agent, rows, axis=0)
        flat = rows.reshape(-1)
        frames = draw(self.sight, self.store.grids[self.store.grid_index[flat]], self.store.agent[flat])
        return frames.reshape(*rows.shape, *self.sight.shape)

    def layout(self, rows: np.ndarray) -> np.ndarray:
        """See `Source`."""
        if self.sight is None:
            return np.ascontiguousarray(self.store.grids[self.store.grid_index[rows]])
        return self.show(rows)

    def state(self, rows: np.ndarray) -> np.ndarray | None:
        """See `Source`."""
        return np.take(self.store.agent, rows, axis=0)


class SeenSource:
    """A store of what any world showed. See `Source`.

    Args:
        store: observations, of episodes to learn from.
        name: of the sense that level 1 sees.
    """

    def __init__(self, store: ObservationStore, name: str) -> None:
        self.store, self.seen = store, store.observation[name]
        self.path, self.sha256 = store.path, store.sha256
        # Where there is no picture there is no layout to write a memory of, and windows may come from anywhere.
        self.together = store.senses[name].kind != "vector"
        # Windows of a store of one group are all from it, however many layouts are asked for: its episodes stand in.
        self.layouts = store.groups if self.together and store.groups > 1 else store.episodes
        self.clip = int(np.quantile(store.lengths, 0.5, method="lower"))
        self.observations = len(self.seen)
        self.facts = {
            "task": store.meta["world"],
            "data": {"sha256": store.sha256},
            "played": played_in(store.world, name, spreads(store)),
        }

    def pieces(self, rng: np.random.Generator, count: int, length: int, layouts: int) -> Pieces:
        """See `Source`."""
        groups = layouts if self.together else None
        windows = self.store.windows(rng, count, length, groups=groups, stride=length)
        rows = (self.store.start[windows.episode] + windows.first)[:, None] + np.arange(length)
        return Pieces(rows, within_bounds(windows.action, self.store.actions.low, self.store.actions.high))

    def show(self, rows: np.ndarray) -> np.ndarray:
        """See `Source`."""
        return np.take(self.seen, rows, axis=0)

    def layout(self, rows: np.ndarray) -> np.ndarray:
        """See `Source`."""
        return self.show(rows)

    def state(self, rows: np.ndarray) -> np.ndarray | None:
        """See `Source`; probes read grids of cells alone."""
        return None


def spreads(store: ObservationStore, rows: int = 20_000) -> dict[str, list[float]]:
    """Spread of each number of the vectors in a store, over at most so many rows: what distances are measured in."""
    used = np.random.Generator(np.random.Philox(key=[0, 1 << 42])).integers(0, store.observations, rows)
    found = {}
    for name, sense in store.senses.items():
        if sense.kind == "vector":
            found[name] = np.std(
                np.take(store.observation[name], used, axis=0), axis=0, dtype=np.float64
            ).tolist()
    return found


def open_source(data: str | os.PathLike[str], config: RunConfig) -> tuple[Source, World]:
    """The store in a folder, of either format, as training sees it; and what an agent sees and does in its world.

    Raises:
        InputError: data of another task, states of an environment in somebody else's wrappers, or data that do not
            hold what level 1's encoder sees.
        StoreError: the store cannot be read.
    """
    encoder = config.levels[0].sees
    if _format(Path(data)) != FORMAT:
        states = TrajectoryStore.open(data)
        _same_task(config, states.meta["task"], states.path)
        _known_ways(states)
        world = world_of(task_spec(states.meta["task"]), encoder)
        return StateSource(states, world.sight), world
    store = ObservationStore.open(data)
    _same_task(config, store.meta["world"], store.path)
    names = [name for name, sense in store.senses.items() if sense.kind == encoder]
    if len(names) != 1:
        held = ", ".join(f"{name} ({sense.kind})" for name, sense in store.senses.items())
        raise InputError(
            f"encoder {encoder} of data that hold {held}",
            str(store.path),
            "choose the encoder of level 1 by what is there, of which there has to be one",
        )
    return SeenSource(store, names[0]), seen_world(store.world, names[0], config.levels[0].patch)


def told_source(store: TrajectoryStore, config: RunConfig) -> StateSource:
    """A store of states as a stack that is told sees it; InputError where it is of another task."""
    _same_task(config, store.meta["task"], store.path)
    _known_ways(store)
    return StateSource(store, None)


def _known_ways(store: TrajectoryStore) -> None:
    """InputError for states of an environment that somebody else's wrappers change: a batched twin made them."""
    try:
        check_unwrapped(store.meta["task"])
    except ValueError as error:
        raise InputError(str(error), str(store.path)) from None


def _same_task(config: RunConfig, made_for: str, path: Path) -> None:
    if config.task not in (ANY, made_for):
        raise InputError(f"holds {made_for}, not {config.task}", str(path), "collect for the preset's task")


def _format(folder: Path) -> str | None:
    """The format that a store's description names, if it can be read."""
    try:
        content = json.loads((folder / META).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return content.get("format") if isinstance(content, dict) else None
