"""Facts of a moment that probes read: where the agent is, at several scales, and what stands around it.

They are made of what a simulator knows. No level and no agent is told any of them.

position    x and y of the agent's cell, both right
heading     one of four
room        which; nested rooms alone, nobody's in a doorway
quadrant    which quarter of the map; nobody's on the line between two
passages    where the gaps in the outermost walls of nested rooms are, each for itself: it never changes in an episode
doors       state of each door; keys: of each key
carried     the kind of object in hand
NAME        any other numbers of a simulator, each in one of `BINS` equally full ranges
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from levels.frozen_probes import UNKNOWN
from levels.settings import DOOR_STATES, KEY_STATES
from tasks import TaskSpec
from tasks.floorplans import doors_of
from tasks.observations import WALL

BINS = 8
"""Ranges that a continuous number is read in."""

KINDS = 11
"""Kinds of objects that MiniGrid has."""

HEADINGS = 4


@dataclass(frozen=True)
class Fact:
    """What is to be read at N moments.

    Attributes:
        name: see the module.
        labels: (N, m) int64, `levels.frozen_probes.UNKNOWN` where a moment has none.
        classes: of each of the m labels.
        joint: whether all m have to be right at once; otherwise each counts for itself.
    """

    name: str
    labels: np.ndarray
    classes: tuple[int, ...]
    joint: bool = False


def facts_of_states(grid: np.ndarray, agent: np.ndarray, spec: TaskSpec | None = None) -> list[Fact]:
    """Facts of grids (N, W, H, 3) and agents (N, A) of a world of cells; with ``spec`` rooms, doors and keys too."""
    width, height = grid.shape[1:3]
    cell = np.floor(agent[:, :2]).astype(np.int64)
    found = [Fact("position", cell, (width, height), joint=True)]
    continuous = spec is not None and spec.continuous
    if not continuous:
        found.append(Fact("heading", agent[:, 2:3].astype(np.int64), (HEADINGS,)))
    found.append(Fact("quadrant", _quadrant(cell, (width, height)), (4,)))
    if spec is None:
        return found
    if spec.family in ("nested-rooms", "nested-point") and not spec.layout and spec.depth > 1:
        side = 2 ** (spec.depth - 1)
        if side > 2:  # two by two rooms are quadrants
            found.append(Fact("room", _room(cell, spec.room + 1, side), (side * side,)))
        gaps = _passages(grid, spec)
        if gaps is not None:
            found.append(Fact("passages", gaps, (width,) * gaps.shape[1]))
    doors = agent[:, 3 : 3 + spec.doors].astype(np.int64)
    keys = agent[:, 3 + spec.doors : 3 + spec.doors + spec.keys].astype(np.int64)
    if spec.doors and not continuous:
        found.append(Fact("doors", doors, (DOOR_STATES,) * spec.doors))
    if spec.keys:
        found.append(Fact("keys", keys, (KEY_STATES,) * spec.keys))
    return found


def facts_of_arrays(
    state: Mapping[str, np.ndarray], edges: Mapping[str, np.ndarray] | None = None
) -> list[Fact]:
    """Facts of what a store keeps under ``state/``.

    Args:
        state: by name, (N, ...); MiniGrid's ``agent``, ``grid`` and ``carried``, or numbers (N, n).
        edges: by name, from `edges_of` the moments that probes learn from; None: from these.
    """
    found = []
    if "agent" in state and "grid" in state:
        found += facts_of_states(np.asarray(state["grid"]), np.asarray(state["agent"]))
        if "carried" in state:
            found.append(Fact("carried", state["carried"][:, :1].astype(np.int64), (KINDS,)))
        return found
    edges = edges_of(state) if edges is None else edges
    for name, values in state.items():
        if values.ndim == 2:
            columns = [np.searchsorted(edge, values[:, i]) for i, edge in enumerate(edges[name])]
            found.append(Fact(name, np.stack(columns, -1), (BINS,) * len(columns)))
    return found


def edges_of(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By name (n, `BINS` - 1): where the ranges of each number of (N, n) end, equally full."""
    shares = np.arange(1, BINS) / BINS
    return {name: np.quantile(values, shares, axis=0).T for name, values in state.items() if values.ndim == 2}


def right(fact: Fact, read: np.ndarray) -> float:
    """Share of the labels that are read right, of those that are known.

    Args:
        fact: the truth.
        read: (N, m) classes.
    """
    known, same = fact.labels != UNKNOWN, fact.labels == read
    if fact.joint:
        known, same = known.all(-1), same.all(-1)
    return float(same[known].mean()) if known.any() else float("nan")


def commonest(learned: Fact, asked: Fact) -> float:
    """What somebody gets right who always says what was commonest where a probe learned: chance."""
    if learned.joint:
        values, counts = np.unique(learned.labels, axis=0, return_counts=True)
        return right(asked, np.broadcast_to(values[counts.argmax()], asked.labels.shape))
    guess = [np.bincount(column[column != UNKNOWN], minlength=1).argmax() for column in learned.labels.T]
    return right(asked, np.broadcast_to(np.array(guess), asked.labels.shape))


def unchanged(fact: Fact, moments: int) -> float:
    """How slow a fact is: the share of moments in a row between which it stays, in windows of ``moments`` moments that
    lie end to end (N = B * moments)."""
    labels = fact.labels.reshape(-1, moments, fact.labels.shape[-1])
    before, after = labels[:, :-1], labels[:, 1:]
    known, same = (before != UNKNOWN) & (after != UNKNOWN), before == after
    if fact.joint:
        known, same = known.all(-1), same.all(-1)
    return float(same[known].mean()) if known.any() else float("nan")


def _quadrant(cell: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    twice, middle = 2 * cell, np.array(size) - 1
    number = (twice > middle) @ np.array([1, 2])
    return np.where((twice == middle).any(-1), UNKNOWN, number)[:, None].astype(np.int64)


def _room(cell: np.ndarray, pitch: int, side: int) -> np.ndarray:
    number = cell // pitch @ np.array([1, side])
    return np.where((cell % pitch == 0).any(-1), UNKNOWN, number)[:, None].astype(np.int64)


def _passages(grid: np.ndarray, spec: TaskSpec) -> np.ndarray | None:
    """(N, 4): the place along its wall of each gap in the outermost walls; None where walls are of another kind."""
    flat, number = np.unique(grid.reshape(len(grid), -1), axis=0, return_inverse=True)
    places = np.empty((len(flat), 4), dtype=np.int64)
    for i, own in enumerate(flat.reshape(-1, *grid.shape[1:])):
        doors = doors_of(own[..., 0] == WALL, spec.depth, spec.room)
        if doors is None:
            return None
        # Two gaps lie in the wall that runs along y, then two in the one along x.
        places[i] = [doors[0, 1], doors[1, 1], doors[2, 0], doors[3, 0]]
    return places[number.reshape(-1)]
