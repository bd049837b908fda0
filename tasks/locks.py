"""A locked door and its key in a floor plan.

The outermost quadrants of a plan lie in a ring of four doors. One of these is walled up and another one is locked, so
that the locked door is the only way between two sides of the plan. The key lies on one of them, the *near* side, on a
cell that is no doorway and in nobody's way: without it the near side and its side of the lock still hang together.

A locked plan is a function of (depth, room, seed), as a plan is (see :mod:`tasks.floorplans`), and held out by content
as well, which here is the doors that are left and which of them is locked: 324 layouts at depth 2. They are drawn for
themselves, so the floor plan of a seed and the locked plan of the same seed have nothing in common.
"""

from __future__ import annotations

import operator

import numpy as np

from tasks.floorplans import (
    MAX_DRAWS,
    SPLIT_BUCKETS,
    FloorPlan,
    draw_doors,
    flood,
    plan_of,
    split_of,
)
from tasks.observations import DOOR_CELL, KEY_CELL, grid_to_barriers, walls_to_grid
from tasks.randomness import bucket, keyed_generator

BORDERS = 4
"""Doors between the outermost quadrants, the first ones of a plan."""


def locked_plan(seed: int, depth: int = 3, room: int = 3) -> FloorPlan:
    """The locked plan of (depth, room, seed).

    Args:
        seed: floor-plan seed inside one of :data:`tasks.floorplans.SPLITS`.
        depth: nested scales, 2 to 8.
        room: free cells along a side of a room, at least 2.

    Raises:
        ValueError: seed outside every split, impossible depth or room, a world without a door to lock, or one with so
            few layouts that none is set aside for the seed's split, or that has no cell for a key.
    """
    seed = operator.index(seed)
    buckets = SPLIT_BUCKETS[split_of(seed)]
    if depth < 2:
        raise ValueError(f"depth is {depth}; a single room has no door to lock, use a depth of 2 or more")
    rng = keyed_generator("locked plan", depth, room, seed)
    for _ in range(MAX_DRAWS):
        doors = draw_doors(rng, depth, room)
        walled, locked = rng.permutation(BORDERS)[:2]
        cell, side = tuple(doors[locked].tolist()), int(rng.integers(2))
        left = np.delete(doors, walled, 0)
        named = np.concatenate([left, doors[locked][None]]).astype("<i4").tobytes().hex()
        if bucket("locked layout", depth, room, named) not in buckets:
            continue
        plan = plan_of(left, depth, room, seed, lock=cell)
        key = _key_cell(rng, plan, _sides(plan)[side])
        if key is not None:
            return plan_of(left, depth, room, seed, cell, key)
    raise ValueError(
        f"depth {depth} with room {room} has too few layouts: none with a key of the {split_of(seed)} split came up"
        f" for floor-plan seed {seed}; use a larger depth or room"
    )


def near_side(plan: FloorPlan) -> np.ndarray:
    """(W, H) bool, the cells that can be reached from the key without opening the lock, the key's own among them."""
    assert plan.key is not None
    first, second = _sides(plan)
    return first if first[plan.key] else second


def plan_grid(plan: FloorPlan) -> np.ndarray:
    """(W, H, 3) uint8, the world without the agent: walls, and where there are some, a closed door and the key."""
    grid = walls_to_grid(plan.walls)
    if plan.lock is not None and plan.key is not None:
        grid[plan.lock], grid[plan.key] = DOOR_CELL, KEY_CELL
    return grid


def locked_floors(seeds: np.ndarray, depth: int, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Grids (P, W, H, 3) uint8 and barrier maps (P, W, H) int8 of the locked plans with these seeds (P,)."""
    grid = np.stack([plan_grid(locked_plan(int(seed), depth, room)) for seed in seeds])
    return grid, grid_to_barriers(grid, doors=1, keys=1)


def _sides(plan: FloorPlan) -> tuple[np.ndarray, np.ndarray]:
    """The two sides of the lock, (W, H) bool each, without the doorway."""
    assert plan.lock is not None
    free = ~plan.walls
    free[plan.lock] = False
    x, y = plan.lock
    reached = np.zeros_like(free)
    # Of the two free neighbours of a doorway the first one stands for the first side.
    beside = next((i, j) for i, j in ((x - 1, y), (x, y - 1)) if free[i, j])
    reached[beside] = True
    first = flood(free, reached)
    return first, free & ~first


def _key_cell(rng: np.random.Generator, plan: FloorPlan, side: np.ndarray) -> tuple[int, int] | None:
    """A random cell of a side where a key is in nobody's way; None if there is none."""
    whole = side.copy()
    whole[plan.lock] = True
    doorway = np.zeros_like(side)
    doorway[plan.doors[:, 0], plan.doors[:, 1]] = True
    for x, y in rng.permutation(np.argwhere(side & ~doorway)).tolist():
        rest = whole.copy()
        rest[x, y] = False
        begun = np.zeros_like(rest)
        begun[plan.lock] = True
        if (flood(rest, begun) == rest).all():
            return x, y
    return None
