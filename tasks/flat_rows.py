"""Datasets of others as blocks of episodes: what their columns are, and where their episodes begin and end.

However a file is laid out, a row of a store is one observation with the action taken after it: nothing of an episode's
beginning is dropped, and the action beside its last observation is never used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tasks.store_contents import EpisodeRows
from tasks.store_files import StoreError
from tasks.store_layout import action_dtype
from tasks.worlds import Actions, Sense

BLOCK_BYTES = 64 << 20
"""Observations that are held in memory at a time, except where one episode is larger."""


class Column(Protocol):
    """Rows of a file, read in order."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, first: int, last: int) -> np.ndarray:
        """Rows first .. last - 1; first is never before the end of what was read last."""
        ...


@dataclass(frozen=True, eq=False)
class FlatEpisodes:
    """Episodes of a file, row behind row.

    Attributes:
        first, length: (E,) int64, rows of the observations; first rows ascend.
        terminated, truncated: (E,) bool.
        seed: (E,) int64, -1 unknown.
    """

    first: np.ndarray
    length: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    seed: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def sense_of(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], source: str) -> tuple[Sense, bool]:
    """The sense that a column (N, ...) is, and whether its channels stand before the places of a picture.

    Bytes with two or three axes a row are pictures; numbers with at most one are vectors.

    Raises:
        StoreError: anything else.
    """
    row = shape[1:]
    if dtype == np.uint8 and len(row) in (2, 3):
        ahead = len(row) == 3 and row[0] in (1, 3, 4) and row[2] not in (1, 3, 4)
        size = (*row, 1) if len(row) == 2 else (row[1], row[2], row[0]) if ahead else row
        return Sense("image", size), ahead
    if dtype.kind in "fiub" and len(row) <= 1:
        return Sense("vector", row or (1,)), False
    raise StoreError(
        f"{source}: {name} has rows {dtype} {row}, neither a picture (H, W, C) of bytes nor a row of numbers;"
        " convert it, or choose other senses"
    )


def seen_rows(rows: np.ndarray, sense: Sense, ahead: bool) -> np.ndarray:
    """Rows of a column as a store keeps them."""
    if sense.kind == "image":
        return np.moveaxis(rows, 1, 3) if ahead else rows.reshape(len(rows), *sense.shape)
    return rows.reshape(len(rows), *sense.shape).astype(np.float32)


def actions_in(action: np.ndarray, last: np.ndarray, source: str) -> Actions:
    """The actions that a column (N,) or (N, A) is of.

    Single integers are discrete, 0 up to the largest; of numbers the bounds are -1 and 1 where they hold all, else the
    least and the largest that occur.

    Args:
        action: all of it.
        last: rows whose actions are not used.
        source: for messages.

    Raises:
        StoreError: nothing that could be an action, or numbers that are not finite.
    """
    used = np.delete(action, last, axis=0)
    if action.ndim > 2 or action.dtype.kind not in "fiu":
        raise StoreError(
            f"{source}: actions are {action.dtype} {action.shape}; (N,) or (N, A) numbers are needed"
        )
    if action.dtype.kind in "iu" and (action.ndim == 1 or action.shape[1] == 1):
        if used.size and used.min() < 0:
            raise StoreError(f"{source}: actions go down to {used.min()}; integers from 0 on are needed")
        return Actions(int(used.max(initial=0)) + 1)
    if action.dtype.kind in "iu":
        raise StoreError(
            f"{source}: actions are {action.shape[1]} integers each, which is neither discrete nor continuous; number"
            " their combinations, or save them as decimal numbers"
        )
    used = used.reshape(len(used), -1).astype(np.float32)
    if not np.isfinite(used).all():
        row = int(
            np.flatnonzero(~np.isfinite(np.where(_mask(len(action), last), 0, _rows(action))).all(1))[0]
        )
        raise StoreError(
            f"{source}: the action of row {row} is not finite, and it is not an episode's last; row t must hold what"
            " was done after observation t: shift the actions, or correct them"
        )
    count = _rows(action).shape[1]
    if not used.size or np.abs(used).max() <= 1:
        return Actions(count, (-1.0,) * count, (1.0,) * count)
    low, high = used.min(0).astype(np.float64), used.max(0).astype(np.float64)
    high = np.where(high > low, high, low + 1)
    return Actions(count, tuple(low.tolist()), tuple(high.tolist()))


def action_rows(action: np.ndarray, actions: Actions) -> np.ndarray:
    """Rows of actions as a store keeps them; what is not finite stays so, to be found where it is used."""
    shape = (len(action), actions.count) if actions.continuous else (len(action),)
    return action.reshape(shape).astype(action_dtype(actions))


def episode_blocks(
    episodes: FlatEpisodes,
    senses: Mapping[str, tuple[Column, Sense, bool]],
    action: np.ndarray,
    actions: Actions,
    state: Mapping[str, Column],
    closing: Mapping[str, Column] | None = None,
) -> Iterator[EpisodeRows]:
    """The episodes in blocks.

    Args:
        episodes: where they lie in the columns.
        senses: by name, the column, what it is, and whether its channels stand first.
        action: (N,) or (N, A) of all rows.
        actions: what they are.
        state: by name, columns of what is no sense.
        closing: where the rows of a file are transitions: by sense, the column of what was seen after each. The last
            one of an episode closes it, so its action is used.
    """
    row = sum(
        int(np.prod(sense.shape)) * (4 if sense.kind == "vector" else 1) for _, sense, _ in senses.values()
    )
    for begin, end in _blocks(episodes.length, max(1, BLOCK_BYTES // row)):
        part = range(begin, end)
        spans = [(int(episodes.first[i]), int(episodes.first[i] + episodes.length[i])) for i in part]
        observation = {}
        for name, (column, sense, ahead) in senses.items():
            pieces = []
            for first, last in spans:
                rows = column.read(first, last)
                if closing is not None:
                    after = closing[name].read(first, last)
                    _check_chain(name, rows, after, first)
                    rows = np.concatenate([rows, after[-1:]])
                pieces.append(seen_rows(rows, sense, ahead))
            observation[name] = np.concatenate(pieces)
        acts = [action_rows(action[first:last], actions) for first, last in spans]
        if closing is not None:
            acts = [np.concatenate([piece, np.zeros_like(piece[:1])]) for piece in acts]
        chosen = slice(begin, end)
        yield EpisodeRows(
            observation=observation,
            action=np.concatenate(acts),
            lengths=episodes.length[chosen] + (closing is not None),
            group=np.zeros(end - begin, dtype=np.int64),
            seed=episodes.seed[chosen],
            terminated=episodes.terminated[chosen],
            truncated=episodes.truncated[chosen],
            state={
                name: np.concatenate([column.read(first, last) for first, last in spans])
                for name, column in state.items()
            },
        )


def reported(
    blocks: Iterable[EpisodeRows], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[EpisodeRows]:
    """The blocks, and (finished, all) episodes told to ``progress`` at the start and after every one."""
    report, done = progress or (lambda finished, everything: None), 0
    report(0, total)
    for block in blocks:
        yield block
        done += len(block.lengths)
        report(done, total)


def _check_chain(name: str, rows: np.ndarray, after: np.ndarray, first: int) -> None:
    same = (rows[1:] == after[:-1]) | ((rows[1:] != rows[1:]) & (after[:-1] != after[:-1]))
    wrong = ~same.reshape(len(same), -1).all(1) if len(same) else np.zeros(0, dtype=bool)
    if wrong.any():
        row = first + int(np.argmax(wrong))
        raise StoreError(
            f"row {row + 1} of {name} is not what row {row} led to, within one episode; mark the ends of all episodes"
        )


def _blocks(length: np.ndarray, rows: int) -> Iterator[tuple[int, int]]:
    begin, held = 0, 0
    for episode, count in enumerate(length.tolist()):
        if held and held + count > rows:
            yield begin, episode
            begin, held = episode, 0
        held += count
    yield begin, len(length)


def _rows(action: np.ndarray) -> np.ndarray:
    return action.reshape(len(action), -1)


def _mask(count: int, last: np.ndarray) -> np.ndarray:
    mask = np.zeros((count, 1), dtype=bool)
    mask[last] = True
    return mask
