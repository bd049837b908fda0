"""Short-term memory: what an agent that sees a part of the world at a time keeps of what it has seen.

A memory is written with every view and read as one symbolic grid, in which what is not known is `UNSEEN`. From that
grid perception writes the tokens that predictors and encoders read and the field that costs are read from
(`levels.grid.memory`, `levels.grid.critic`), so both kinds of memory here make the same tokens of the same knowledge:

- `SpatialMap` has a place for every cell and forgets nothing;
- `RingBuffer` keeps the last views with the poses they were seen from.

A plan that is walked on with is a memory too, of the view it was made of. So who has none at all has the view of now
alone, and makes every plan anew at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from hjepa.errors import InputError
from tasks import TaskSpec
from tasks.observations import DOOR, EMPTY_CELL, KEY, close_doors
from tasks.views import UNSEEN, view_cells

RING_VIEWS = 8
"""Views that a ring buffer keeps, unless said otherwise."""


@runtime_checkable
class Memory(Protocol):
    """Anything that remembers what E episodes have shown."""

    def write(self, view: np.ndarray, pose: np.ndarray) -> None:
        """Views (E, V, V, 3) uint8 and the poses (E, 3) they were seen from, see `tasks.views`."""
        ...

    def read(self) -> np.ndarray:
        """(E, W, H, 3) uint8, what is known; `UNSEEN` elsewhere."""
        ...


@dataclass(frozen=True)
class Remembering:
    """How an agent remembers.

    Attributes:
        name: for records.
        make: number of episodes and size (W, H) of their grids -> an empty memory.
        keeps_plans: whether plans are walked on with; otherwise all are made anew at every step.
    """

    name: str
    make: Callable[[int, tuple[int, int]], Memory]
    keeps_plans: bool = True


class SpatialMap:
    """A place for every cell.

    Args:
        episodes: E.
        size: (W, H).
    """

    def __init__(self, episodes: int, size: tuple[int, int]) -> None:
        self._known = np.full((episodes, *size, 3), UNSEEN, dtype=np.uint8)

    def write(self, view: np.ndarray, pose: np.ndarray) -> None:
        _draw(self._known, view, pose)

    def read(self) -> np.ndarray:
        return self._known.copy()


class RingBuffer:
    """The last views and their poses.

    Args:
        episodes: E.
        size: (W, H).
        views: how many are kept.
    """

    def __init__(self, episodes: int, size: tuple[int, int], views: int = RING_VIEWS) -> None:
        self._shape, self._views = (episodes, *size, 3), views
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

    def write(self, view: np.ndarray, pose: np.ndarray) -> None:
        self._kept = [*self._kept, (view.copy(), pose.copy())][-self._views :]

    def read(self) -> np.ndarray:
        known = np.full(self._shape, UNSEEN, dtype=np.uint8)
        for view, pose in self._kept:  # the oldest first, so that of two views of a cell the later counts
            _draw(known, view, pose)
        return known


def remembering(name: str) -> Remembering:
    """The way to remember of a name: ``map``, ``ring``, ``ring:K`` of K views, or ``none``.

    Raises:
        InputError: there is none of that name.
    """
    kind, colon, views = name.partition(":")
    if name == "map":
        return Remembering(name, SpatialMap)
    if name == "none":
        return Remembering(name, partial(RingBuffer, views=1), keeps_plans=False)
    if kind == "ring" and (not colon or (views.isdecimal() and int(views) >= 1)):
        return Remembering(name, partial(RingBuffer, views=int(views or RING_VIEWS)))
    raise InputError(f"memory {name!r}", "plan", "choose from map, ring, none, or ring:K for K views")


def memory_for(spec: TaskSpec, memory: Remembering | None) -> Remembering | None:
    """How an agent of a task remembers: as asked, or with a map; None where the world is seen whole.

    Raises:
        InputError: a memory where the world is seen whole.
    """
    if memory is None:
        return remembering("map") if spec.view else None
    if not spec.view:
        raise InputError(
            f"memory {memory.name!r} on {spec.id}", "plan", "its floor plan is seen whole; leave it out"
        )
    return memory


def believed(known: np.ndarray) -> np.ndarray:
    """The floor plans (E, W, H, 3) that an agent plans on: where it has seen nothing it believes in plain floor.

    So ways lead through what is unknown as long as they could be shorter, and who walks there sees.
    """
    return np.where(known[..., :1] == UNSEEN, np.array(EMPTY_CELL, known.dtype), known)


def _draw(known: np.ndarray, view: np.ndarray, pose: np.ndarray) -> None:
    """Draw views into grids (E, W, H, 3), in place."""
    size = view.shape[1]
    view = close_doors(view)
    view[:, size // 2, size - 1] = EMPTY_CELL  # there it sees what it carries
    cells = view_cells(pose, size)
    x, y = cells[..., 0], cells[..., 1]
    width, height = known.shape[1:3]
    shown = (view[..., 0] != UNSEEN) & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    row, i, j = np.nonzero(shown)
    seen, cell = view[row, i, j], (row, x[row, i, j], y[row, i, j])
    # Doors and keys stay in the floor plan; what has become of them the agent's own vector says.
    lasting = np.isin(known[cell][:, 0], (DOOR, KEY))
    known[cell] = np.where(lasting[:, None], known[cell], seen)
