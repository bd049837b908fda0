"""The observation store: what was seen and done, by name, in memory-mapped arrays, with a ``meta.json``.

===========================  ==================  ================================================================
``observation/NAME.npy``     (N, ...)            one array per sense: uint8 images and symbols, float32 vectors
``action.npy``               (N,) or (N, A)      row t is what was done after observation t: uint8 or int64
                                                 integers, or float32 numbers; zeros, never used, at the last
                                                 row of an episode
``offsets.npy``              (episodes + 1,)     int64; episode e is rows offsets[e] .. offsets[e + 1] - 1, its
                                                 first row what the reset showed
``group.npy``                (episodes,)         int64; episodes with one number share a layout and stand together
``seed.npy``                 (episodes,)         int64; what the world was reset with, -1 unknown
``terminated.npy``           (episodes,)         bool; the world ended the episode at its last row
``truncated.npy``            (episodes,)         bool; the world's time was up there. Neither: collecting stopped
``state/NAME.npy``           (N, ...)            what the simulator knew beyond that; may be deleted at any time
===========================  ==================  ================================================================

State is for probes, oracles and success alone: it is no part of a store's identity, and no window holds it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.randomness import keyed_generator
from tasks.store_files import open_array, read_description
from tasks.store_layout import (
    EPISODE_ARRAYS,
    FORMAT,
    KIND,
    VERSION,
    actions_of,
    check_arrays,
    check_description,
    senses_of,
)
from tasks.worlds import WorldSpec

if TYPE_CHECKING:
    from tasks.goals import Recorded


@dataclass(frozen=True, eq=False)
class ObservationWindows:
    """B pieces of episodes, each L rows long and inside one episode, of which F rows are seen.

    Attributes:
        observation: by name, (B, F, ...); F = (L - 1) // stride + 1, every ``stride``-th row from the first.
        action: (B, L - 1, ...) of every row but the last: what led from one row to the next.
        group: (B,) int64.
        episode: (B,) int64, episodes of the store they were drawn from.
        first: (B,) int64, the windows' first rows, counted within their episodes.
    """

    observation: dict[str, np.ndarray]
    action: np.ndarray
    group: np.ndarray
    episode: np.ndarray
    first: np.ndarray


class ObservationStore:
    """A complete store opened for reading, or some of its episodes; make one with :meth:`open`.

    Attributes:
        path: the folder.
        meta: contents of ``meta.json``.
        senses: of an observation, by name.
        actions: what could be done.
        observation: by name, (N, ...) memory mapped; the rows of all episodes of the folder.
        action: (N,) or (N, A) memory mapped.
        state: by name, (N, ...) memory mapped, for probes and oracles alone; without what was deleted.
        number: (episodes,) int64, episodes within the folder.
        start: (episodes,) int64, first row of each episode.
        lengths: (episodes,) int64, rows of each episode.
        group, seed: (episodes,) int64; terminated, truncated: (episodes,) bool; see the module's table.
    """

    def __init__(
        self,
        path: Path,
        meta: dict[str, Any],
        arrays: dict[str, np.ndarray],
        number: np.ndarray | None = None,
    ) -> None:
        self.path = path
        self.meta = meta
        self.senses, self.actions = senses_of(meta), actions_of(meta)
        self._arrays = arrays
        self.observation = {name: arrays[f"observation/{name}"] for name in self.senses}
        self.action = arrays["action"]
        self.state = {name[6:]: array for name, array in arrays.items() if name.startswith("state/")}
        offsets = arrays["offsets"]
        self._part = number is not None
        self.number = np.arange(len(offsets) - 1) if number is None else number
        self.start = offsets[self.number]
        self.lengths = offsets[self.number + 1] - self.start
        self.group, self.seed = arrays["group"][self.number], arrays["seed"][self.number]
        self.terminated, self.truncated = (
            arrays["terminated"][self.number],
            arrays["truncated"][self.number],
        )
        first = np.flatnonzero(np.r_[True, self.group[1:] != self.group[:-1]])
        self._group_first = np.r_[first, len(self.group)]
        self._places: dict[int, np.ndarray] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # A data-loading process opens the files itself: sending the arrays would copy the whole store to it.
        return _reopen, (self.path.resolve(), self.number if self._part else None)

    @staticmethod
    def open(path: str | os.PathLike[str], verify: Literal["sizes", "hash"] = "sizes") -> ObservationStore:
        """Open a store.

        Args:
            path: the folder.
            verify: ``sizes`` compares the shape, dtype and length of every file with the description, ``hash`` the
                contents as well (reads everything once).

        Raises:
            StoreError: no store, another format or version, or missing, truncated or changed files. State that was
                deleted is no error.
        """
        folder = Path(path)
        meta = read_description(folder, KIND, FORMAT, VERSION)
        check_description(folder, meta)
        arrays = {name: open_array(folder, name, meta["arrays"][name], verify) for name in meta["arrays"]}
        for name, described in meta.get("state", {}).items():
            if (folder / f"state/{name}.npy").exists():
                arrays[f"state/{name}"] = open_array(folder, f"state/{name}", described, verify)
        for name in EPISODE_ARRAYS:
            arrays[name] = np.array(arrays[name])
        check_arrays(folder, arrays, senses_of(meta), actions_of(meta))
        return ObservationStore(folder, meta, arrays)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.number)

    @property
    def groups(self) -> int:
        """Number of groups, episodes that share a layout."""
        return len(self._group_first) - 1

    @property
    def observations(self) -> int:
        """Number of observations of the episodes."""
        return int(self.lengths.sum())

    @property
    def transitions(self) -> int:
        """Number of transitions: observations less one per episode."""
        return self.observations - self.episodes

    @property
    def world(self) -> WorldSpec:
        """What was collected from; worlds are made of it by `tasks.world_choice.open_world`."""
        meta = self.meta
        return WorldSpec(
            meta["world"], self.senses, self.actions, meta["step_budget"], meta["observe"], dict(meta["make"])
        )

    @property
    def sha256(self) -> str:
        """One hash of all contents, made of the arrays' hashes; state is no part of it, and the choice of episodes
        is."""
        parts = [f"{name}={self.meta['arrays'][name]['sha256']}" for name in sorted(self.meta["arrays"])]
        if self._part:
            parts.append(hashlib.sha256(self.number.astype("<i8").tobytes()).hexdigest())
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def subset(self, episodes: np.ndarray) -> ObservationStore:
        """The same store with some of its episodes only; files and arrays are shared.

        Args:
            episodes: (n,) of this store, at least one; they are kept in the store's order.

        Raises:
            ValueError: no episodes, or one that there is not.
        """
        chosen = np.unique(np.asarray(episodes, dtype=np.int64))
        if not len(chosen) or chosen[0] < 0 or chosen[-1] >= self.episodes:
            raise ValueError(
                f"episodes of a subset must lie in 0 to {self.episodes - 1}, at least one of them"
            )
        return ObservationStore(self.path, self.meta, self._arrays, self.number[chosen])

    def split_episodes(self, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Divide the episodes into some to learn from and some held out, whole groups at a time.

        Which groups are held out follows from a hash of the seed and the group, so a held-out layout was never seen.
        Where there is one group, single episodes are held out.

        Args:
            share: of the groups that is held out, above 0 and below 1; at least one is, and at least one is not.
            seed: of the hash.

        Returns:
            Numbers of the episodes kept and of those held out, both in order.

        Raises:
            ValueError: a share that is none, or a single episode.
        """
        if not 0 < share < 1:
            raise ValueError(f"share is {share}; choose from above 0 to below 1")
        if self.episodes < 2:
            raise ValueError(f"{self.path} has one episode, which cannot be divided; collect more")
        unit = self.group if self.groups > 1 else self.number
        names = np.unique(unit)
        order = [keyed_generator("held out", int(seed), int(name)).random() for name in names]
        count = min(max(round(share * len(names)), 1), len(names) - 1)
        held = np.isin(unit, names[np.argsort(order)[:count]])
        return np.flatnonzero(~held), np.flatnonzero(held)

    def windows(
        self, rng: np.random.Generator, count: int, length: int, groups: int | None = None, stride: int = 1
    ) -> ObservationWindows:
        """Random windows, uniform over all places a window fits.

        Args:
            rng: source of all draws.
            count: B, number of windows.
            length: L, rows per window; L - 1 transitions.
            groups: draw from this many random groups only, count / groups windows each and side by side, so that
                what is computed once per layout is computed few times. Where the store has one group, all windows
                are from it.
            stride: rows from one observation that is read to the next; actions are read at every row.

        Raises:
            ValueError: a length no episode has, more groups than there are, a count that groups does not divide, or
                numbers below 1.
        """
        if count < 1 or stride < 1:
            raise ValueError(f"count is {count} and stride {stride}; give 1 or more")
        total = self._window_places(length)
        if groups is None:
            place = rng.integers(0, total[-1], count)
        else:
            low, high = total[self._group_first[:-1]], total[self._group_first[1:]]
            usable = np.flatnonzero(high > low)
            again = self.groups == 1 < groups
            if not again and not 1 <= groups <= len(usable):
                raise ValueError(
                    f"groups is {groups}, but {len(usable)} groups of {self.path} have windows of {length}"
                    " observations; ask for fewer groups or shorter windows"
                )
            if count % groups:
                raise ValueError(f"count {count} is not a multiple of groups {groups}; change one of them")
            drawn = usable.repeat(groups) if again else rng.choice(usable, groups, replace=False)
            chosen = np.repeat(drawn, count // groups)
            place = rng.integers(low[chosen], high[chosen])
        episode = np.searchsorted(total, place, side="right") - 1
        first = place - total[episode]
        row = self.start[episode] + first
        seen = row[:, None] + np.arange(0, length, stride)
        return ObservationWindows(
            observation={name: np.take(array, seen, axis=0) for name, array in self.observation.items()},
            action=np.take(self.action, row[:, None] + np.arange(length - 1), axis=0),
            group=self.group[episode],
            episode=episode,
            first=first,
        )

    def rows(self, episode: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Rows of the folder's arrays at steps of episodes, both of one shape (B, ...).

        Raises:
            ValueError: an episode or a step that there is not.
        """
        episode, step = np.broadcast_arrays(np.asarray(episode), np.asarray(step))
        if episode.size and (episode.min() < 0 or episode.max() >= self.episodes):
            raise ValueError(f"episode {episode.max()} of {self.episodes} (from 0); choose others")
        if episode.size and (step.min() < 0 or (step >= self.lengths[episode]).any()):
            raise ValueError(f"step {step.max()} lies outside its episode; choose others")
        return self.start[episode] + step

    def episode_frames(self, episode: np.ndarray, step: np.ndarray) -> dict[str, np.ndarray]:
        """Single observations by name, (B, ...), at steps (B,) of episodes (B,).

        Raises:
            ValueError: an episode or a step that there is not.
        """
        row = self.rows(episode, step)
        return {name: np.take(array, row, axis=0) for name, array in self.observation.items()}

    def recorded(self) -> Recorded:
        """The episodes as trajectories that goals are drawn from, see `tasks.goals.trajectory_tasks`.

        Rows of a part of the episodes are copied.
        """
        from tasks.goals import Recorded

        observations: dict[str, np.ndarray] = self.observation
        actions = self.action
        if self._part:
            row = np.concatenate([np.arange(n) + first for first, n in zip(self.start, self.lengths)])
            observations = {name: np.take(array, row, axis=0) for name, array in observations.items()}
            actions = np.take(actions, row, axis=0)
        return Recorded(self.seed, self.lengths, observations, actions, self.group)

    def _window_places(self, length: int) -> np.ndarray:
        """Places of windows before each episode, (episodes + 1,)."""
        if length not in self._places:
            if length < 1:
                raise ValueError(f"window length is {length}; at least 1 observation is needed")
            longest = int(self.lengths.max(initial=0))
            if length > longest:
                raise ValueError(
                    f"windows of {length} observations do not fit the episodes of {self.path},"
                    f" at most {longest} long; shorten the windows or collect longer episodes"
                )
            self._places[length] = np.r_[0, np.cumsum(np.maximum(self.lengths - length + 1, 0))]
        return self._places[length]


def _reopen(path: Path, number: np.ndarray | None) -> ObservationStore:
    store = ObservationStore.open(path)
    return store if number is None else store.subset(number)
