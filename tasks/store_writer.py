"""Writing an observation store, some episodes at a time.

Rows are appended to the ``.npy`` files themselves; their headers say how many there are once the store is complete.
A progress file counts what was written for good: a writer that was killed goes on behind it. Nothing is written
through a memory map, so a full disk is an ordinary error and never a crash.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tasks.store import ObservationStore
from tasks.store_contents import EpisodeRows, StoreContents, check_name, check_rows
from tasks.store_files import (
    FULL,
    META,
    PROGRESS,
    StoreError,
    describe_array,
    locked,
    output_folder,
    partial_folder,
    read_description,
    require_space,
    same_arguments,
    versions,
    write_json,
)
from tasks.store_layout import EPISODE_ARRAYS, FORMAT, KIND, VERSION, describe_space, row_arrays


def write_store(
    out: str | os.PathLike[str],
    contents: StoreContents,
    blocks: Callable[[int], Iterable[EpisodeRows]],
    rows: int = 0,
    state_bytes: int = 0,
) -> ObservationStore:
    """Write a store, or go on where a killed writer stopped, or open what was complete before.

    Args:
        out: folder of the store; may be a link, or an empty folder.
        contents: what it is of.
        blocks: called with the number of blocks that are written already; gives the others in order. The same
            arguments must give the same blocks.
        rows: as many as there can be, to see beforehand whether the disk holds them.
        state_bytes: of one row's state, for the same.

    Raises:
        StoreError: ``out`` holds something else, cannot be written to, has not the space, is being written by another
            process, or holds a store or the beginnings of one with other arguments; also rows that do not fit.
            Nothing is overwritten.
    """
    for name in contents.senses:
        check_name("sense", name)
    folder = output_folder(out)
    arguments = json.loads(json.dumps(contents.arguments))
    if finished := _finished(folder, arguments):
        return finished
    partial = partial_folder(folder)
    kept = sum(file.stat().st_size for file in partial.rglob("*.npy")) if partial.exists() else 0
    require_space(partial, rows * (contents.row_bytes() + state_bytes), kept)
    with _full_disk(folder):
        partial.mkdir(parents=True, exist_ok=True)
        with locked(partial):
            if finished := _finished(folder, arguments):  # another process may just have completed it
                return finished
            if not _described(partial, arguments):
                _write(partial, contents, arguments, blocks)
            ObservationStore.open(partial)
            (partial / PROGRESS).unlink(missing_ok=True)
            partial.rename(folder)
    return ObservationStore.open(folder)


def _write(
    partial: Path,
    contents: StoreContents,
    arguments: dict[str, Any],
    blocks: Callable[[int], Iterable[EpisodeRows]],
) -> None:
    writer = _Writer(partial, contents, arguments)
    try:
        for block in blocks(writer.blocks):
            writer.append(block)
        writer.finish()
    except BaseException:
        if not writer.blocks:
            shutil.rmtree(partial, ignore_errors=True)
        raise


class _Writer:
    """Appends blocks to the arrays in a folder."""

    def __init__(self, folder: Path, contents: StoreContents, arguments: dict[str, Any]) -> None:
        self.folder, self.contents, self.arguments = folder, contents, arguments
        self.blocks, self.counts, self.kinds = 0, dict[str, int](), dict[str, tuple[str, tuple[int, ...]]]()
        for name, (dtype, shape) in row_arrays(contents.senses, contents.actions).items():
            self.kinds[name] = (dtype.str, shape)
        for name, dtype_name in EPISODE_ARRAYS.items():
            self.kinds[name] = (np.dtype(dtype_name).str, ())
        if not self._resume():
            self.blocks, self.counts = 0, {}
            for name in [*self.kinds]:
                if name.startswith("state/"):  # known again from the first block
                    del self.kinds[name]
            self._append(
                {name: np.zeros(1 if name == "offsets" else 0, kind[0]) for name, kind in self.kinds.items()}
            )
            self._note()

    def append(self, block: EpisodeRows) -> None:
        """Write one block for good."""
        check_rows(self.contents, block)
        if self.blocks == 0:
            for name, array in block.state.items():
                check_name("state", name)
                self.kinds[f"state/{name}"] = (array.dtype.str, array.shape[1:])
        arrays = {f"observation/{name}": block.observation[name] for name in self.contents.senses}
        arrays |= {f"state/{name}": array for name, array in block.state.items()}
        action = np.array(block.action, dtype=self.kinds["action"][0])
        ends = np.cumsum(block.lengths)
        action[ends - 1] = 0
        arrays |= {"action": action, "offsets": self.counts["action"] + ends}
        arrays |= {name: getattr(block, name) for name in EPISODE_ARRAYS if name != "offsets"}
        if set(arrays) != set(self.kinds):
            raise StoreError(f"{self.folder}: state changed from block to block, {sorted(block.state)}")
        self._append(arrays)
        self.blocks += 1
        self._note()

    def finish(self) -> None:
        """Complete the headers and describe everything."""
        for name, (descr, shape) in self.kinds.items():
            with self._file(name).open("r+b") as stream:
                stream.write(_header(descr, (self.counts[name], *shape)))
                stream.flush()
                os.fsync(stream.fileno())
        described = {name: describe_array(self.folder, name) for name in sorted(self.kinds)}
        group = np.load(self._file("group"), allow_pickle=False)
        observations, contents = self.counts["action"], self.contents
        if not len(group):
            raise StoreError(f"{self.folder} would hold no episode; give at least one")
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "world": contents.world,
            **describe_space(contents.senses, contents.actions),
            "step_budget": contents.step_budget,
            "observe": contents.observe,
            "make": contents.make or {},
            "split": contents.split,
            "seed": contents.seed,
            "policy": contents.policy,
            "arguments": self.arguments,
            "counts": {
                "observations": observations,
                "transitions": observations - len(group),
                "episodes": len(group),
                "groups": len(np.unique(group)),
            },
            "arrays": {name: found for name, found in described.items() if not name.startswith("state/")},
            "state": {name[6:]: found for name, found in described.items() if name.startswith("state/")},
            "versions": versions(),
        }
        write_json(self.folder / META, meta)

    def _resume(self) -> bool:
        """Take up what the progress file counts; False where there is nothing to take up."""
        file = self.folder / PROGRESS
        if not file.exists():
            return False
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            blocks, counts = int(found["blocks"]), {name: int(n) for name, n in found["counts"].items()}
            kinds = {name: (str(descr), tuple(shape)) for name, (descr, shape) in found["kinds"].items()}
            known = found["arguments"]
            ends = {
                name: len(_header(descr, (0, *shape))) + counts[name] * _row_bytes(descr, shape)
                for name, (descr, shape) in kinds.items()
            }
            if min((blocks, *counts.values(), *ends.values())) < 0 or counts.keys() != kinds.keys():
                raise ValueError(blocks)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise StoreError(f"{file} cannot be read; remove {self.folder} and collect again") from None
        same_arguments(self.folder, known, self.arguments)
        for name, end in ends.items():
            if not self._file(name).exists() or self._file(name).stat().st_size < end:
                return False
            os.truncate(self._file(name), end)
        self.blocks, self.counts, self.kinds = blocks, counts, kinds
        return True

    def _append(self, arrays: dict[str, np.ndarray]) -> None:
        for name, array in arrays.items():
            descr, shape = self.kinds[name]
            begun = name in self.counts
            file = self._file(name)
            file.parent.mkdir(exist_ok=True)
            with file.open("ab" if begun else "wb") as stream:
                if not begun:
                    stream.write(_header(descr, (0, *shape)))
                stream.write(np.ascontiguousarray(array, dtype=descr).data.cast("B") if array.size else b"")
                stream.flush()
                os.fsync(stream.fileno())
            self.counts[name] = self.counts.get(name, 0) + len(array)

    def _note(self) -> None:
        progress = {
            "arguments": self.arguments,
            "blocks": self.blocks,
            "counts": self.counts,
            "kinds": self.kinds,
        }
        write_json(self.folder / PROGRESS, progress)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def _header(descr: str, shape: tuple[int, ...]) -> bytes:
    """The first bytes of an ``.npy`` file; as many for every number of rows, since numpy leaves room for it to grow."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _row_bytes(descr: str, shape: tuple[int, ...]) -> int:
    return np.dtype(descr).itemsize * int(np.prod(shape, dtype=np.int64))


def _finished(folder: Path, arguments: dict[str, Any]) -> ObservationStore | None:
    """The complete store at ``folder`` if it has these arguments, None if nothing is there."""
    return ObservationStore.open(folder) if _described(folder, arguments) else None


def _described(folder: Path, arguments: dict[str, Any]) -> bool:
    """Whether a complete description lies there; StoreError if it is of something else."""
    if not (folder / META).exists():
        return False
    same_arguments(folder, read_description(folder, KIND, FORMAT, VERSION).get("arguments"), arguments)
    return True


class _full_disk:
    """Turns a full disk into one line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None: ...

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, OSError) and error.errno in FULL:
            raise StoreError(
                f"the disk is full; {partial_folder(self.folder)} keeps what is done: free some space and give the"
                " same command again"
            ) from None


def single_blocks(blocks: Iterable[EpisodeRows]) -> Callable[[int], Iterator[EpisodeRows]]:
    """``blocks`` as `write_store` asks for them, where the first ones can only be passed by."""

    def remaining(done: int) -> Iterator[EpisodeRows]:
        for number, block in enumerate(blocks):
            if number >= done:
                yield block

    return remaining
