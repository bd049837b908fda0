"""The trajectory store: a folder of ``.npy`` arrays and a ``meta.json``, read through memory maps.

Observations are kept as an agent vector and an index into a table of grids, because a grid is shared by every
observation on its plan. Where doors open and close, the table holds the floor plan with its doors closed and the
agent vector carries their states (see :mod:`tasks.observations`), so there is one grid per plan there as well; a
world that changes in other ways adds grids to the table and changes the index within an episode.
``tasks.observations.compose_image`` makes images of the two.

==================  ==========================  ==============================================================
``grids.npy``       (G, W, H, 3) uint8          table of unique grids, the world without the agent
``grid_index.npy``  (N,) int32                  grid of each observation
``agent.npy``       (N, 3 + M) int16            x, y, heading, M door states; (N, 2) float32 positions in a
                                                continuous world
``action.npy``      (N,) uint8                  action taken after each observation, padding at an episode's
                                                last; (N, 2) float32 in a continuous world
``offsets.npy``     (episodes + 1,) int64       episode e is observations offsets[e] .. offsets[e+1] - 1
``plan.npy``        (episodes,) int32           floor-plan seed; episodes on one plan stand together
==================  ==========================  ==============================================================
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tasks.store_files import (
    META,
    REMEDY,
    StoreError,
    describe_array,
    open_array,
    read_description,
    versions,
    write_json,
)

FORMAT = "hjepa-trajectories"
VERSION = 1

ARRAYS: dict[str, tuple[tuple[str, ...], int]] = {
    "grids": (("uint8",), 4),
    "grid_index": (("int32",), 1),
    "agent": (("int16", "float32"), 2),
    "action": (("uint8", "float32"), 1),
    "offsets": (("int64",), 1),
    "plan": (("int32",), 1),
}
"""Name of each array, the dtypes it may have, and its number of dimensions."""


@dataclass(frozen=True, eq=False)
class Windows:
    """B pieces of trajectory, each L observations long and inside one episode.

    Attributes:
        agent: (B, L, 3 + M) x, y, heading, door states, or (B, L, 2) float32 positions.
        action: (B, L - 1) actions between the observations, or (B, L - 1, 2) float32.
        grid_index: (B, L) int32, rows of the store's ``grids``.
        plan: (B,) int32, floor-plan seeds.
        row: (B, L) int64, which observations of the store they are.
    """

    agent: np.ndarray
    action: np.ndarray
    grid_index: np.ndarray
    plan: np.ndarray
    row: np.ndarray


class TrajectoryStore:
    """A complete store opened for reading; make one with :meth:`open`.

    Attributes:
        path: the folder.
        meta: contents of ``meta.json``.
        grids, grid_index, agent, action, offsets, plan: the arrays of the module's table, memory mapped.
    """

    def __init__(self, path: Path, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.path = path
        self.meta = meta
        self.grids = arrays["grids"]
        self.grid_index = arrays["grid_index"]
        self.agent = arrays["agent"]
        self.action = arrays["action"]
        self.offsets = np.array(arrays["offsets"])
        self.plan = np.array(arrays["plan"])
        first = np.flatnonzero(np.r_[True, self.plan[1:] != self.plan[:-1]])
        self._plan_first = np.r_[first, len(self.plan)]
        self._starts: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # A data-loading process opens the files itself: sending the arrays would copy the whole store to it.
        return TrajectoryStore.open, (self.path.resolve(),)

    @staticmethod
    def open(path: str | os.PathLike[str], verify: Literal["sizes", "hash"] = "sizes") -> TrajectoryStore:
        """Open a store.

        Args:
            path: the folder.
            verify: ``sizes`` compares the shape, dtype and length of every file with the description,
                ``hash`` the contents as well (reads everything once).

        Raises:
            StoreError: no store, another format or version, or missing, truncated or changed files.
        """
        if verify not in ("sizes", "hash"):
            raise ValueError(f"verify is {verify!r}; choose 'sizes' or 'hash'")
        folder = Path(path)
        meta = read_meta(folder)
        arrays = {name: _open_array(folder, name, meta["arrays"][name], verify) for name in ARRAYS}
        _check_consistency(folder, arrays)
        return TrajectoryStore(folder, meta, arrays)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.plan)

    @property
    def plans(self) -> int:
        """Number of floor plans (runs of episodes with one seed)."""
        return len(self._plan_first) - 1

    @property
    def observations(self) -> int:
        """Number of observations N."""
        return len(self.agent)

    @property
    def transitions(self) -> int:
        """Number of transitions: observations less one per episode."""
        return self.observations - self.episodes

    @property
    def lengths(self) -> np.ndarray:
        """(episodes,) int64, observations in each episode."""
        return np.diff(self.offsets)

    @property
    def sha256(self) -> str:
        """One hash of all contents, made of the arrays' hashes."""
        joined = " ".join(self.meta["arrays"][name]["sha256"] for name in ARRAYS)
        return hashlib.sha256(joined.encode()).hexdigest()

    def windows(self, rng: np.random.Generator, count: int, length: int, plans: int | None = None) -> Windows:
        """Random windows, uniform over all places a window fits.

        Args:
            rng: source of all draws.
            count: B, number of windows.
            length: L, observations per window; L - 1 transitions.
            plans: draw from this many random plans only, count / plans windows each and side by side, so that
                what is computed once per plan is computed few times.

        Raises:
            ValueError: a length no episode has, more plans than there are, or a count that plans does not
                divide.
        """
        total, starts = self._window_starts(length)
        if count < 1:
            raise ValueError(f"count is {count}; draw at least 1 window")
        if plans is None:
            place = rng.integers(0, total[-1], count)
        else:
            low, high = total[self._plan_first[:-1]], total[self._plan_first[1:]]
            usable = np.flatnonzero(high > low)
            if not 1 <= plans <= len(usable):
                raise ValueError(
                    f"plans is {plans}, but {len(usable)} plans of {self.path} have windows of {length}"
                    " observations; ask for fewer plans or shorter windows"
                )
            if count % plans:
                raise ValueError(f"count {count} is not a multiple of plans {plans}; change one of them")
            chosen = np.repeat(rng.choice(usable, plans, replace=False), count // plans)
            place = rng.integers(low[chosen], high[chosen])
        episode = np.searchsorted(total, place, side="right") - 1
        first = starts[episode] + place - total[episode]
        index = first[:, None] + np.arange(length)
        return Windows(
            agent=np.take(self.agent, index, axis=0),
            action=np.take(self.action, index[:, :-1], axis=0),
            grid_index=np.take(self.grid_index, index, axis=0),
            plan=self.plan[episode],
            row=index,
        )

    def _window_starts(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Windows before each episode, (episodes + 1,), and first observations (episodes,)."""
        if length not in self._starts:
            if length < 1:
                raise ValueError(f"window length is {length}; at least 1 observation is needed")
            lengths = self.lengths
            longest = int(lengths.max(initial=0))
            if length > longest:
                raise ValueError(
                    f"windows of {length} observations do not fit the episodes of {self.path},"
                    f" at most {longest} long; shorten the windows or collect longer episodes"
                )
            total = np.r_[0, np.cumsum(np.maximum(lengths - length + 1, 0))]
            self._starts = {length: (total, self.offsets[:-1])}
        return self._starts[length]


def read_meta(folder: Path) -> dict[str, Any]:
    """``meta.json`` of a store; StoreError when the folder is not one, or one of another version."""
    meta = read_description(folder, "trajectory store", FORMAT, VERSION)
    if not set(ARRAYS) <= set(meta["arrays"]):
        raise StoreError(f"{folder / META} does not describe every array; collect the store again")
    if not isinstance(meta.get("task"), str) or not isinstance(meta.get("arguments"), dict):
        raise StoreError(f"{folder / META} does not say how it was collected; collect the store again")
    return meta


def write_meta(folder: Path, task_id: str, split: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Describe the arrays that lie in ``folder`` and write ``meta.json``; returns it.

    Nothing in it depends on the time or the machine's paths, so equal data has equal bytes.
    """
    described = {name: describe_array(folder, name) for name in ARRAYS}
    shapes = {name: described[name]["shape"] for name in ARRAYS}
    plan = np.load(folder / "plan.npy", allow_pickle=False)
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "task": task_id,
        "split": split,
        "arguments": arguments,
        "seed": arguments.get("seed"),
        "counts": {
            "observations": shapes["agent"][0],
            "transitions": shapes["agent"][0] - len(plan),
            "episodes": len(plan),
            "plans": int((plan[1:] != plan[:-1]).sum()) + 1,
            "grids": shapes["grids"][0],
        },
        "arrays": described,
        "versions": versions(),
    }
    write_json(folder / META, meta)
    return meta


def save_trajectories(
    path: str | os.PathLike[str],
    arrays: dict[str, np.ndarray],
    *,
    task_id: str,
    split: str,
    arguments: dict[str, Any],
) -> TrajectoryStore:
    """Write complete arrays (see the module's table) as a new store, for data made elsewhere.

    Raises:
        StoreError: the folder exists already, or the arrays do not fit together.
    """
    folder = Path(path)
    if folder.exists():
        raise StoreError(f"{folder} exists already; choose another folder or remove it")
    if set(arrays) != set(ARRAYS):
        raise StoreError(f"arrays {sorted(arrays)} given for {folder}; needed are {sorted(ARRAYS)}")
    for name, (dtypes, dimensions) in ARRAYS.items():
        array = arrays[name]
        if str(array.dtype) not in dtypes or array.ndim < dimensions:
            raise StoreError(f"{name} is {array.dtype} {array.shape}; {' or '.join(dtypes)} is needed")
    _check_consistency(folder, arrays)
    index, grids = arrays["grid_index"], len(arrays["grids"])
    if index.min() < 0 or index.max() >= grids:
        raise StoreError(f"grid_index names grid {index.max()} of {grids} grids (from 0); correct grid_index")
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    try:
        for name in ARRAYS:
            np.save(partial / f"{name}.npy", arrays[name], allow_pickle=False)
        write_meta(partial, task_id, split, arguments)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return TrajectoryStore.open(folder)


def _open_array(folder: Path, name: str, described: dict[str, Any], verify: str) -> np.ndarray:
    array = open_array(folder, name, described, verify)
    dtypes, dimensions = ARRAYS[name]
    if str(array.dtype) not in dtypes or array.ndim < dimensions:
        file = folder / f"{name}.npy"
        raise StoreError(f"{file} holds {array.dtype} with shape {array.shape}, not {name}; {REMEDY}")
    return array


def _check_consistency(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    offsets, plan, count = arrays["offsets"], arrays["plan"], len(arrays["agent"])
    problem = None
    if not len(plan) or len(offsets) != len(plan) + 1:
        problem = f"{len(offsets)} offsets for {len(plan)} episodes"
    elif offsets[0] != 0 or offsets[-1] != count or (np.diff(offsets) < 1).any():
        problem = f"offsets that do not divide {count} observations into episodes"
    elif len(arrays["action"]) != count or len(arrays["grid_index"]) != count:
        problem = "agent, action and grid_index of different lengths"
    elif len(np.unique(plan)) != int((plan[1:] != plan[:-1]).sum()) + 1:
        problem = "episodes of one plan that do not stand together"
    if problem:
        raise StoreError(f"{folder} has {problem}; collect the store again")
