"""Floor plans of recursively nested rooms.

A plan of depth d has 2^(d-1) rooms a side; a room has ``room`` x ``room`` free cells. Walls are one cell
thick and shared, so the grid side is 2^(d-1) * (room + 1) + 1 cells. The square is divided into four
quadrants, each of these again into four, down to single rooms. At every division each of the four borders
between neighbouring quadrants (NW|NE, SW|SE, NW/SW, NE/SE) has exactly one door: one free cell. The way
between two rooms that lie on two sides of a border therefore leads through that one door or around through
the three others, so walking straight towards a goal is usually wrong, and it is wrong at every scale.

A plan is a function of (depth, room, seed). Seeds belong to disjoint ranges per split, and a plan's *content*
(its door positions) is held out too: the draw is repeated until the layout's hash bucket belongs to the
seed's split, so no layout of one split appears in another, even at depth 2 where only 81 layouts exist.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tasks.randomness import BUCKETS, bucket, buckets, keyed_generator
from tasks.streams import keyed_streams

SPLITS: dict[str, range] = {
    "train": range(0, 1_000_000_000),
    "validation": range(1_000_000_000, 1_500_000_000),
    "test": range(1_500_000_000, 2_000_000_000),
}
"""Floor-plan seeds of each split: disjoint, and all below 2^31."""

SPLIT_BUCKETS: dict[str, range] = {"train": range(0, 8), "validation": range(8, 9), "test": range(9, 10)}
"""Hash buckets of held-out content of each split (80 / 10 / 10 %)."""

MAX_DRAWS = 2_000
"""Layouts that are drawn for one seed before a world is given up as too small."""


@dataclass(frozen=True, eq=False)
class FloorPlan:
    """One floor plan.

    Attributes:
        walls: (W, H) bool, indexed [x, y] as in MiniGrid; True where a wall stands.
        doors: (D, 2) int64, the (x, y) of every door, outermost division first, then the quadrants NW, NE,
            SW, SE; within a division the borders NW|NE, SW|SE, NW/SW, NE/SE. Without the one that is walled up
            where there is a lock.
        depth: number of nested scales, at least 1 (1 is a single room without doors).
        room: free cells along a side of a room.
        seed: the floor-plan seed.
        lock: (x, y) of the door that is locked, see :mod:`tasks.locks`; None: no door is.
        key: (x, y) of its key.
    """

    walls: np.ndarray = field(repr=False)
    doors: np.ndarray = field(repr=False)
    depth: int
    room: int
    seed: int
    lock: tuple[int, int] | None = None
    key: tuple[int, int] | None = None

    @property
    def side(self) -> int:
        """Grid side in cells, walls included."""
        return int(self.walls.shape[0])

    @property
    def split(self) -> str:
        """The split this plan's seed belongs to."""
        return split_of(self.seed)

    def free_cells(self) -> np.ndarray:
        """(F, 2) int64: the (x, y) of all free cells, doors included, sorted by x then y."""
        return np.argwhere(~self.walls)


@dataclass(frozen=True)
class _Template:
    walls: np.ndarray  # (W, W) bool, every door place still a wall
    options: np.ndarray  # (D, M, 2) int64, places a door may take, padded by repetition
    counts: np.ndarray  # (D,) int64, number of places per door


def grid_side(depth: int, room: int) -> int:
    """Grid side in cells of plans of this depth and room size (9, 17, 33 for depth 2, 3, 4 and room 3)."""
    if depth < 1 or depth > 8:
        raise ValueError(f"depth is {depth}; floor plans need a depth of 1 to 8")
    if room < 1:
        raise ValueError(f"room is {room}; a room needs at least 1 free cell a side")
    return 2 ** (depth - 1) * (room + 1) + 1


@functools.lru_cache(maxsize=32)
def _template(depth: int, room: int) -> _Template:
    side, pitch = grid_side(depth, room), room + 1
    line = np.arange(side) % pitch == 0
    borders = list(_borders(0, 0, side - 1, pitch))
    most = max((len(cells) for cells in borders), default=0)
    options = np.zeros((len(borders), most, 2), dtype=np.int64)
    for i, cells in enumerate(borders):
        options[i] = np.resize(np.array(cells), (most, 2))
    counts = np.array([len(cells) for cells in borders], dtype=np.int64)
    return _Template(line[:, None] | line[None, :], options, counts)


def _borders(x: int, y: int, size: int, pitch: int) -> Iterator[list[tuple[int, int]]]:
    """Yield the possible door cells of each border in the square from wall corner (x, y), ``size`` wide."""
    if size == pitch:
        return
    half = size // 2
    mid_x, mid_y = x + half, y + half
    # A door where an inner wall meets the border would open on that wall, so those cells do not qualify.
    first = [i for i in range(1, half) if i % pitch]
    yield [(mid_x, y + i) for i in first]
    yield [(mid_x, mid_y + i) for i in first]
    yield [(x + i, mid_y) for i in first]
    yield [(mid_x + i, mid_y) for i in first]
    for corner_x, corner_y in ((x, y), (mid_x, y), (x, mid_y), (mid_x, mid_y)):
        yield from _borders(corner_x, corner_y, half, pitch)


def split_of(seed: int) -> str:
    """The split that a floor-plan seed belongs to; ValueError for a seed outside every range."""
    for split, seeds in SPLITS.items():
        if operator.index(seed) in seeds:
            return split
    ranges = ", ".join(f"{split} {seeds.start}..{seeds.stop - 1}" for split, seeds in SPLITS.items())
    raise ValueError(f"floor-plan seed {seed} lies outside every split; use one of {ranges}")


def split_seeds(split: str) -> range:
    """The floor-plan seeds of a split; ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    return SPLITS[split]


def layout_bucket(depth: int, room: int, doors: np.ndarray) -> int:
    """Hash bucket 0..9 of a layout, from its door positions (D, 2) alone."""
    return bucket("layout", depth, room, np.asarray(doors, dtype="<i4").tobytes().hex())


def floor_plan(seed: int, depth: int = 3, room: int = 3) -> FloorPlan:
    """The floor plan of (depth, room, seed).

    Args:
        seed: floor-plan seed inside one of :data:`SPLITS`.
        depth: nested scales, 1 to 8.
        room: free cells along a side of a room.

    Raises:
        ValueError: seed outside every split, impossible depth or room, or a world with so few layouts that
            none is set aside for the seed's split.
    """
    seed = operator.index(seed)
    owned = SPLIT_BUCKETS[split_of(seed)]
    rng = keyed_generator("floor plan", depth, room, seed)
    for _ in range(MAX_DRAWS):
        doors = draw_doors(rng, depth, room)
        if layout_bucket(depth, room, doors) in owned:
            return plan_of(doors, depth, room, seed)
    raise ValueError(_too_few(depth, room, seed))


def draw_doors(rng: np.random.Generator, depth: int, room: int) -> np.ndarray:
    """One door for every border, (D, 2) int64 in the order of :class:`FloorPlan`."""
    template = _template(depth, room)
    return template.options[np.arange(len(template.counts)), rng.integers(0, template.counts)]


def plan_of(
    doors: np.ndarray,
    depth: int,
    room: int,
    seed: int,
    lock: tuple[int, int] | None = None,
    key: tuple[int, int] | None = None,
) -> FloorPlan:
    """The floor plan with these doors (D, 2), whose arrays cannot be written to."""
    walls = _template(depth, room).walls.copy()
    walls[doors[:, 0], doors[:, 1]] = False
    for array in (walls, doors):
        array.flags.writeable = False
    return FloorPlan(walls, doors, depth, room, seed, lock, key)


def doors_of(walls: np.ndarray, depth: int, room: int) -> np.ndarray | None:
    """The doors (D, 2) of walls (W, H) bool that are a floor plan of this depth and room size; None: they are not."""
    template = _template(depth, room)
    options, counts = template.options, template.counts
    if walls.shape != template.walls.shape or (walls & ~template.walls).any():
        return None
    free = ~walls[options[..., 0], options[..., 1]] & (np.arange(options.shape[1]) < counts[:, None])
    if (free.sum(1) != 1).any() or (template.walls & ~walls).sum() != len(options):
        return None
    return options[np.arange(len(options)), free.argmax(1)]


def flood(free: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """The free cells (..., W, H) that are joined to some that are reached already, bool both."""
    count = -1
    while (now := int(np.count_nonzero(reached))) != count:
        count = now
        spread = reached.copy()
        spread[..., 1:, :] |= reached[..., :-1, :]
        spread[..., :-1, :] |= reached[..., 1:, :]
        spread[..., 1:] |= reached[..., :-1]
        spread[..., :-1] |= reached[..., 1:]
        reached = spread & free
    return reached


def plan_walls(seeds: np.ndarray, depth: int, room: int) -> np.ndarray:
    """Walls (P, W, H) bool of the plans with these seeds (P,), those of `floor_plan`, drawn all at once.

    Raises:
        ValueError: what `floor_plan` refuses.
    """
    numbers, template = [operator.index(seed) for seed in np.asarray(seeds).tolist()], _template(depth, room)
    owned = _owned_buckets(numbers)
    streams = keyed_streams("floor plan", depth, room, last=numbers)
    walls = np.repeat(template.walls[None], len(numbers), 0)
    waiting = np.arange(len(numbers))
    for _ in range(MAX_DRAWS):
        drawn = streams.integers(template.counts, waiting)
        doors = template.options[np.arange(len(template.counts)), drawn]
        found = _layout_buckets(depth, room, doors)
        mine = owned[waiting, found]
        walls[waiting[mine, None], doors[mine, :, 0], doors[mine, :, 1]] = False
        waiting = waiting[~mine]
        if not len(waiting):
            return walls
    raise ValueError(_too_few(depth, room, numbers[waiting[0]]))


def _owned_buckets(seeds: list[int]) -> np.ndarray:
    """(P, 10) bool, the hash buckets that are those of each seed's split."""
    numbers, owned = np.array(seeds, dtype=np.int64), np.zeros((len(seeds), BUCKETS), dtype=bool)
    for split, span in SPLITS.items():
        mine = SPLIT_BUCKETS[split]
        owned[(span.start <= numbers) & (numbers < span.stop), mine.start : mine.stop] = True
    for seed in numbers[~owned.any(1)].tolist():
        split_of(seed)  # refuses it
    return owned


def _layout_buckets(depth: int, room: int, doors: np.ndarray) -> np.ndarray:
    """(P,) int64, the `layout_bucket` of each of P plans with doors (P, D, 2)."""
    whole, size = doors.astype("<i4").tobytes().hex(), 8 * doors.shape[1] * doors.shape[2]
    return buckets("layout", depth, room, last=[whole[i * size : (i + 1) * size] for i in range(len(doors))])


def _too_few(depth: int, room: int, seed: int) -> str:
    return (
        f"depth {depth} with room {room} has too few layouts: none of the {split_of(seed)} split came up"
        f" for floor-plan seed {seed}; use a larger depth or room"
    )
