"""Importing datasets of others from files: OGBench's ``.npz`` and stable-worldmodel's HDF5."""

from __future__ import annotations

import contextlib
import importlib
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from tasks.flat_rows import Column, FlatEpisodes, actions_in, episode_blocks, reported, sense_of
from tasks.store import ObservationStore
from tasks.store_contents import NAME, StoreContents
from tasks.store_files import StoreError, sha256_of
from tasks.store_writer import single_blocks, write_store
from tasks.worlds import Actions, Sense

Progress = Callable[[int, int], None] | None

_NPZ_MARKS = {"terminals", "timeouts", "valids", "masks", "rewards"}
_H5_MARKS = {"ep_len", "ep_offset", "ep_idx", "episode_idx", "step_idx", "terminated", "truncated", "reward"}


class NpzColumn:
    """One array of an ``.npz`` file, read row by row and never as a whole; see `tasks.flat_rows.Column`."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive, self._name = archive, name
        self._stream: BinaryIO | None = None
        self._next = 0
        with archive.open(f"{name}.npy") as stream:
            self.shape, self.dtype = _npy_header(cast(BinaryIO, stream), f"{archive.filename}: {name}")
        self._row = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

    def read(self, first: int, last: int) -> np.ndarray:
        """Rows first .. last - 1."""
        if self._stream is None or first < self._next:
            self._stream = cast(BinaryIO, self._archive.open(f"{self._name}.npy"))
            _npy_header(self._stream, self._name)
            self._next = 0
        while self._next < first:
            step = min(first - self._next, max(1, (16 << 20) // max(self._row, 1)))
            self._stream.read(step * self._row)
            self._next += step
        data = self._stream.read((last - first) * self._row)
        if len(data) != (last - first) * self._row:
            raise StoreError(f"{self._archive.filename}: {self._name} is truncated; get the file again")
        self._next = last
        return np.frombuffer(data, self.dtype).reshape(last - first, *self.shape[1:])

    def whole(self) -> np.ndarray:
        """All rows."""
        return self.read(0, self.shape[0]).copy()


def import_npz(
    file: str | os.PathLike[str], out: str | os.PathLike[str], progress: Progress = None
) -> ObservationStore:
    """Import a dataset in OGBench's layout.

    ``observations`` and ``actions`` hold a row for every moment, the last one of an episode marked in ``terminals`` (or
    ``timeouts``, or ``valids`` 0); its action is not used. Where there are ``next_observations`` a row is a transition,
    and what the last one led to closes the episode. Any other numbers with as many rows (``qpos``, ``qvel``) become
    state. All episodes are of one group.

    Args:
        file: the ``.npz``.
        out: folder of the store.
        progress: called with (finished, all) episodes.

    Raises:
        StoreError: a file of another layout, or rows that do not fit; see also `tasks.store_writer.write_store`.
    """
    path = Path(file)
    with _archive(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        for needed in ("observations", "actions"):
            if needed not in names:
                raise StoreError(
                    f"{path} has no {needed}, only {', '.join(sorted(names))}; import another file"
                )
        columns = {name: NpzColumn(archive, name) for name in sorted(names)}
        rows = columns["observations"].shape[0]
        episodes = _npz_episodes(path, columns, rows)
        moments = "next_observations" not in names
        last = episodes.first + episodes.length - 1 if moments else np.zeros(0, dtype=np.int64)
        action = columns["actions"].whole()
        if len(action) != rows:
            raise StoreError(f"{path} has {rows} observations and {len(action)} actions; as many are needed")
        actions = actions_in(action, last, str(path))
        seen = columns["observations"]
        sense, ahead = sense_of("observations", seen.shape, seen.dtype, str(path))
        name = "image" if sense.kind == "image" else "vector"
        taken = {"observations", "next_observations", "actions", *_NPZ_MARKS}
        state: dict[str, Column] = {
            own: column
            for own, column in columns.items()
            if own not in taken and moments and _is_state(own, column, rows)
        }
        closing = None if moments else {name: columns["next_observations"]}
        blocks = episode_blocks(episodes, {name: (seen, sense, ahead)}, action, actions, state, closing)
        steps = int(episodes.length.max()) - moments
        contents = _contents(path, {name: sense}, actions, steps)
        return write_store(
            out, contents, single_blocks(reported(blocks, len(episodes), progress)), rows + len(episodes)
        )


def import_hdf5(
    file: str | os.PathLike[str],
    out: str | os.PathLike[str],
    senses: Sequence[str] | None = None,
    progress: Progress = None,
) -> ObservationStore:
    """Import a dataset in stable-worldmodel's layout.

    Columns lie row behind row; ``ep_offset`` and ``ep_len`` say where episodes begin and how long they are. ``action``
    of a row was taken after it; that of an episode's last is not used. Numbers that are no sense become state. All
    episodes are of one group.

    Args:
        file: the HDF5 file.
        out: folder of the store.
        senses: columns that are seen; None: ``pixels`` alone, where there are none every column of decimal numbers.
        progress: called with (finished, all) episodes.

    Raises:
        StoreError: h5py is not installed, a file of another layout, or rows that do not fit; see also
            `tasks.store_writer.write_store`.
    """
    h5py = _h5py()
    path = Path(file)
    if not path.is_file():
        raise StoreError(f"{path} is no file; name an HDF5 file")
    try:
        opened = h5py.File(path, "r")
    except OSError as error:
        raise StoreError(f"{path} is not an HDF5 file or is damaged ({error}); import another one") from None
    with opened as data:
        columns = {name: H5Column(data[name], str(path)) for name in data if hasattr(data[name], "shape")}
        for needed in ("action", "ep_len", "ep_offset"):
            if needed not in columns:
                raise StoreError(
                    f"{path} has no {needed}, only {', '.join(sorted(columns))}; import another file"
                )
        action = columns["action"].read(0, columns["action"].shape[0])
        episodes = _h5_episodes(path, columns, len(action))
        actions = actions_in(action, _unused(episodes, len(action)), str(path))
        usable = {
            name: column
            for name, column in columns.items()
            if name not in {"action", *_H5_MARKS} and column.shape[:1] == (len(action),)
        }
        chosen = _chosen(path, usable, senses)
        state: dict[str, Column] = {
            name: column
            for name, column in usable.items()
            if name not in chosen and _is_state(name, column, len(action)) and len(column.shape) <= 2
        }
        blocks = episode_blocks(episodes, chosen, action, actions, state)
        seen = {name: sense for name, (_, sense, _) in chosen.items()}
        contents = _contents(path, seen, actions, int(episodes.length.max()) - 1)
        rows = int(episodes.length.sum())
        return write_store(out, contents, single_blocks(reported(blocks, len(episodes), progress)), rows)


class H5Column:
    """One array of an HDF5 file; see `tasks.flat_rows.Column`."""

    def __init__(self, data: Any, source: str) -> None:
        self._data, self._source = data, source
        self.shape, self.dtype = tuple(data.shape), data.dtype

    def read(self, first: int, last: int) -> np.ndarray:
        """Rows first .. last - 1."""
        try:
            return np.asarray(self._data[first:last])
        except OSError as error:
            raise StoreError(
                f"{self._source}: {self._data.name} cannot be read ({error}); where it was compressed by a filter of"
                " hdf5plugin, pip install hdf5plugin"
            ) from None


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise StoreError("HDF5 files need h5py; pip install 'hjepa[hdf5]'") from None
    with contextlib.suppress(ImportError):  # filters that some files were compressed with
        importlib.import_module("hdf5plugin")
    return h5py


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"{path} is not an .npz file or cannot be read ({error}); import another one"
        ) from None


def _npy_header(stream: BinaryIO, source: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
    except (ValueError, EOFError) as error:
        raise StoreError(f"{source} is not an array ({error}); import another file") from None
    if dtype.hasobject or (fortran and len(shape) > 1) or not shape:
        raise StoreError(f"{source} is {dtype} {shape} in a layout that is not read here; save it row by row")
    return shape, dtype


def _npz_episodes(path: Path, columns: dict[str, NpzColumn], rows: int) -> FlatEpisodes:
    marks = {name: columns[name].whole() for name in ("terminals", "timeouts", "valids") if name in columns}
    wrong = [name for name, mark in marks.items() if mark.shape != (rows,)]
    if wrong or not marks or not rows:
        raise StoreError(
            f"{path} has {', '.join(wrong) or 'no terminals'} for {rows} observations; a mark of each row is needed"
        )
    none = np.zeros(rows, dtype=bool)
    terminals, timeouts = (marks.get(name, none).astype(bool) for name in ("terminals", "timeouts"))
    ends = terminals | timeouts
    if "valids" in marks:  # both the last transition and the last observation are marked as terminals there
        ends = marks["valids"] == 0
    last = np.flatnonzero(ends)
    if not len(last) or last[-1] != rows - 1:
        last = np.r_[last, rows - 1]
    first = np.r_[0, last[:-1] + 1]
    # Terminals alone mark where recording stopped; beside timeouts they say that the world ended.
    apart = "timeouts" in marks
    over = ends[last]
    return FlatEpisodes(
        first=first,
        length=last + 1 - first,
        terminated=terminals[last] if apart else np.zeros(len(last), dtype=bool),
        truncated=timeouts[last] if apart else over,
        seed=np.full(len(last), -1, dtype=np.int64),
    )


def _h5_episodes(path: Path, columns: dict[str, H5Column], rows: int) -> FlatEpisodes:
    length, first = (
        columns[name].read(0, columns[name].shape[0]).astype(np.int64).ravel()
        for name in ("ep_len", "ep_offset")
    )
    order = np.argsort(first, kind="stable")
    used = order[length[order] > 0]
    length, first = length[used], first[used]
    fits = len(first) and first[0] >= 0 and (first[1:] >= first[:-1] + length[:-1]).all()
    if not fits or first[-1] + length[-1] > rows:
        raise StoreError(
            f"{path} has ep_offset and ep_len that do not lie within its {rows} rows; correct them"
        )
    last = first + length - 1
    flags = {}
    for name in ("terminated", "truncated"):
        flag = np.zeros(rows, dtype=bool)
        if name in columns and columns[name].shape[:1] == (rows,):
            flag = np.nan_to_num(columns[name].read(0, rows)).astype(bool).reshape(rows)
        flags[name] = flag[last]
    return FlatEpisodes(
        first, length, flags["terminated"], flags["truncated"], np.full(len(first), -1, dtype=np.int64)
    )


def _unused(episodes: FlatEpisodes, rows: int) -> np.ndarray:
    """Rows whose actions are not used: the last of every episode, and what is of none."""
    used = np.zeros(rows, dtype=bool)
    for first, length in zip(episodes.first.tolist(), episodes.length.tolist()):
        used[first : first + length - 1] = True
    return np.flatnonzero(~used)


def _chosen(
    path: Path, usable: dict[str, H5Column], senses: Sequence[str] | None
) -> dict[str, tuple[Column, Sense, bool]]:
    if senses is None:
        floats = [
            name for name, column in usable.items() if column.dtype.kind == "f" and len(column.shape) <= 2
        ]
        senses = ["pixels"] if "pixels" in usable else floats
    for name in senses:
        if name not in usable:
            raise StoreError(
                f"{path} has no column {name!r} to be seen; choose from {', '.join(sorted(usable))}"
            )
    if not senses:
        raise StoreError(f"{path} has no pixels and no column of decimal numbers; choose senses")
    chosen: dict[str, tuple[Column, Sense, bool]] = {}
    for name in senses:
        chosen[name] = (usable[name], *sense_of(name, usable[name].shape, usable[name].dtype, str(path)))
    return chosen


def _is_state(name: str, column: Column, rows: int) -> bool:
    return bool(NAME.fullmatch(name)) and column.shape[:1] == (rows,) and column.dtype.kind in "biuf"


def _contents(path: Path, senses: dict[str, Sense], actions: Actions, steps: int) -> StoreContents:
    return StoreContents(
        world=path.stem,
        senses=senses,
        actions=actions,
        step_budget=steps,
        arguments={"from": path.name, "sha256": sha256_of(path), "senses": list(senses)},
        policy="imported",
    )
