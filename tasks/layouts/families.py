"""Floor plans of a family: functions of (family, side, seed), held out by content.

Seeds belong to the splits' disjoint ranges, as those of nested rooms do (:mod:`tasks.floorplans`), and so does what
they look like: `split_of_walls` says of any walls which split owns them, whatever family or seed made them, and walls
are drawn until they are the seed's own split's. So no floor plan of one split is in another, also not in another
family, and walls that happen to be nested rooms belong where the nested rooms of the same doors do.

A *mixture* is several families, one after the other by the seed, so that a collection holds as many floor plans of
each. ``mixed`` is for training; ``leftout`` are the families that it does not hold.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import numpy as np

from tasks.floorplans import (
    MAX_DRAWS,
    SPLIT_BUCKETS,
    FloorPlan,
    doors_of,
    floor_plan,
    grid_side,
    layout_bucket,
    split_of,
)
from tasks.layouts.corridors import comb, spiral
from tasks.layouts.fields import cave, loose_walls, open_field
from tasks.layouts.mazes import braid, maze
from tasks.layouts.partitions import rooms
from tasks.randomness import bucket, keyed_generator

FAMILIES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "maze": maze,
    "braid": braid,
    "comb": comb,
    "spiral": spiral,
    "cave": cave,
    "open": open_field,
    "rooms": rooms,
    "walls": loose_walls,
}
"""Families by name; each draws walls (W, W) bool of an odd side, with a closed border and all free cells joined."""

NESTED = "nested"
"""The nested rooms as a part of a mixture, where the side is one of theirs."""

MIXTURES: dict[str, tuple[str, ...]] = {
    "mixed": (NESTED, "rooms", "maze", "cave", "walls"),
    "leftout": ("braid", "comb", "spiral", "open"),
}
"""Families that a mixture holds, in the order in which seeds take turns."""

SMALLEST = 9
"""Side of the smallest layouts; of braids with a side of 7 there are eleven, too few to hold some out."""

_ROOM = 3
"""Free cells along a side of a room of our nested rooms."""


def check_layout(layout: str, side: int) -> None:
    """Raise ValueError unless there are floor plans of this family or mixture with this side."""
    if layout not in FAMILIES and layout not in MIXTURES:
        raise ValueError(f"unknown layout {layout!r}; choose one of {', '.join([*FAMILIES, *MIXTURES])}")
    if side < SMALLEST or side % 2 == 0:
        raise ValueError(
            f"a side of {side} cells does not fit layout {layout}; give an odd one from {SMALLEST} up"
        )
    if NESTED in MIXTURES.get(layout, ()) and _nested_depth(side) is None:
        raise ValueError(
            f"a side of {side} cells does not fit layout {layout}, which holds nested rooms; give 9, 17, 33 or so on"
        )


def family_of(layout: str, seed: int) -> str:
    """The family of the floor plan that a family or mixture has for a seed."""
    return MIXTURES[layout][seed % len(MIXTURES[layout])] if layout in MIXTURES else layout


def layout_plan(seed: int, layout: str, side: int) -> FloorPlan:
    """The floor plan of (layout, side, seed).

    Args:
        seed: floor-plan seed inside one of `tasks.floorplans.SPLITS`.
        layout: one of `FAMILIES` or `MIXTURES`. A family has the same plans whatever it is a part of.
        side: cells of the grid, walls included; odd, from `SMALLEST` up.

    Raises:
        ValueError: an unknown layout, a side or a seed that cannot be.
    """
    seed, side = operator.index(seed), operator.index(side)
    check_layout(layout, side)
    split_of(seed)
    return _family_plan(seed, family_of(layout, seed), side)


@functools.lru_cache(maxsize=4096)
def _family_plan(seed: int, family: str, side: int) -> FloorPlan:
    if family == NESTED:
        depth = _nested_depth(side)
        assert depth is not None
        return floor_plan(seed, depth, _ROOM)
    split, rng = split_of(seed), keyed_generator("layout", family, side, seed)
    for _ in range(MAX_DRAWS):
        drawn = FAMILIES[family](rng, side)
        if not in_every_quadrant(drawn):
            continue
        for turn in rng.permutation(8).tolist():
            walls = np.ascontiguousarray(np.rot90(drawn.T if turn & 4 else drawn, turn))
            if split_of_walls(walls) == split:
                walls.flags.writeable = False
                return FloorPlan(walls, np.zeros((0, 2), dtype=np.int64), 1, side - 2, seed)
    raise ValueError(
        f"layout {family} with a side of {side} has too few floor plans: none of the {split} split came up for"
        f" floor-plan seed {seed}; use a larger side"
    )


def layout_walls(seeds: np.ndarray, layout: str, side: int) -> np.ndarray:
    """Walls (P, W, W) bool of the plans with these seeds (P,)."""
    check_layout(layout, side)
    walls = np.empty((len(seeds), side, side), dtype=bool)
    for i, seed in enumerate(np.asarray(seeds).tolist()):
        walls[i] = layout_plan(seed, layout, side).walls
    return walls


def split_of_walls(walls: np.ndarray) -> str:
    """The split that owns a floor plan, by its walls (W, H) bool alone."""
    depth = _nested_depth(len(walls))
    doors = None if depth is None else doors_of(walls, depth, _ROOM)
    if depth is not None and doors is not None:
        number = layout_bucket(depth, _ROOM, doors)
    else:
        number = bucket("walls", *walls.shape, np.packbits(walls).tobytes().hex())
    return next(split for split, buckets in SPLIT_BUCKETS.items() if number in buckets)


def in_every_quadrant(walls: np.ndarray) -> bool:
    """Whether each outermost quadrant has a free cell, so that there is always one diagonally opposite."""
    middle = len(walls) // 2
    halves = (slice(0, middle), slice(middle + 1, None))
    return all(bool((~walls[x, y]).any()) for x in halves for y in halves)


def _nested_depth(side: int) -> int | None:
    """Depth of the nested rooms with this side; None: there are none."""
    depth = 2
    while grid_side(depth, _ROOM) < side:
        depth += 1
    return depth if grid_side(depth, _ROOM) == side else None
