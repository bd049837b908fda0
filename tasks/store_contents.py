"""What is written to an observation store, and the checks of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.store_files import StoreError
from tasks.store_layout import row_arrays
from tasks.worlds import Actions, Sense

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, eq=False)
class EpisodeRows:
    """Some complete episodes, one behind the other.

    Attributes:
        observation: by name, (N, ...) of the senses' shapes and dtypes.
        action: (N,) or (N, A), what was done after each observation; the last of an episode is not used.
        lengths: (E,) rows of each episode, N in all.
        group, seed: (E,) int64; terminated, truncated: (E,) bool; see :mod:`tasks.store`.
        state: by name, (N, ...) numbers.
    """

    observation: dict[str, np.ndarray]
    action: np.ndarray
    lengths: np.ndarray
    group: np.ndarray
    seed: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    state: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class StoreContents:
    """What a store is of; all but ``arguments`` is written to ``meta.json`` as it stands.

    Attributes:
        world: id, or where the data is from.
        senses, actions: of every row.
        step_budget: environment steps of an episode of the world; 0 unknown.
        arguments: everything the contents are a function of: what an earlier store or its beginnings are compared
            with.
        observe: how the world was observed.
        make: keyword arguments that the world was made with.
        split, seed, policy: how it was collected.
    """

    world: str
    senses: dict[str, Sense]
    actions: Actions
    step_budget: int
    arguments: dict[str, Any]
    observe: str = ""
    make: dict[str, Any] | None = None
    split: str = ""
    seed: int | None = None
    policy: str = ""

    def row_bytes(self) -> int:
        """Bytes of one row, without state."""
        rows = row_arrays(self.senses, self.actions).values()
        return sum(dtype.itemsize * int(np.prod(shape, dtype=np.int64)) for dtype, shape in rows)


def check_name(what: str, name: str) -> None:
    """Raise StoreError where a sense or a state has a name that cannot name a file."""
    if not NAME.fullmatch(name):
        raise StoreError(f"{what} {name!r} cannot name a file; use letters, digits, points, - and _")


def check_rows(contents: StoreContents, block: EpisodeRows) -> None:
    """Raise StoreError for rows that do not fit the senses and actions."""
    rows = int(block.lengths.sum())
    if set(block.observation) != set(contents.senses):
        raise StoreError(
            f"observations of {contents.world} are {sorted(block.observation)}, not {sorted(contents.senses)}"
        )
    for name in ("group", "seed", "terminated", "truncated"):
        if len(getattr(block, name)) != len(block.lengths):
            raise StoreError(
                f"{name} of {contents.world} has not one entry for each of {len(block.lengths)} episodes"
            )
    if not len(block.lengths) or block.lengths.min() < 1:
        raise StoreError(f"{contents.world} gave an episode without rows; leave it out")
    for name, (dtype, shape) in row_arrays(contents.senses, contents.actions).items():
        array = block.action if name == "action" else block.observation[name.partition("/")[2]]
        if (array.dtype != dtype and name != "action") or array.shape != (rows, *shape):
            raise StoreError(
                f"{name} of {contents.world} came as {array.dtype} {array.shape}, not {dtype} {(rows, *shape)}"
            )
        if array.dtype.kind == "f" and name != "action" and not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).reshape(rows, -1).all(1))[0])
            raise StoreError(f"{name} of {contents.world} is not finite in row {row} of {rows}")
    for name, sense in contents.senses.items():
        if sense.kind == "symbols" and rows:
            most = block.observation[name].max(axis=(0, 1, 2))
            if (most >= np.array(sense.codes)).any():
                raise StoreError(
                    f"{name} of {contents.world} has codes up to {most.tolist()}, not below {list(sense.codes)};"
                    " let its observation space say how many there are"
                )
    for name, array in block.state.items():
        if len(array) != rows or array.dtype.kind not in "biuf":
            raise StoreError(
                f"state {name} of {contents.world} is {array.dtype} {array.shape}, not {rows} numbers"
            )
    check_actions(
        contents.actions, np.delete(block.action, np.cumsum(block.lengths) - 1, axis=0), contents.world
    )


def check_actions(actions: Actions, action: np.ndarray, where: str) -> None:
    """Raise StoreError for actions (n,) or (n, A) that are not among ``actions``; ``where`` says whose they are."""
    shape = (len(action), actions.count) if actions.continuous else (len(action),)
    kinds = "fiu" if actions.continuous else "iu"
    if action.shape != shape or action.dtype.kind not in kinds:
        raise StoreError(f"actions of {where} are {action.dtype} {action.shape}; {shape} is needed")
    if not len(action):
        return
    if not actions.continuous:
        if action.min() < 0 or action.max() >= actions.count:
            raise StoreError(
                f"actions of {where} reach from {action.min()} to {action.max()}; choose 0 to {actions.count - 1}"
            )
        return
    if not np.isfinite(action).all():
        row = int(np.flatnonzero(~np.isfinite(action).all(1))[0])
        raise StoreError(f"actions of {where} are not finite, first in row {row} of {len(action)}")
    low, high = np.array(actions.low, np.float32), np.array(actions.high, np.float32)
    outside = (action.astype(np.float32) < low) | (action.astype(np.float32) > high)
    if outside.any():
        row, number = (int(index) for index in np.argwhere(outside)[0])
        raise StoreError(
            f"actions of {where} have {action[row, number]} as number {number}; choose from {low[number]} to"
            f" {high[number]}"
        )
