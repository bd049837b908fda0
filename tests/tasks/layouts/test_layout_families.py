"""What each family is, and that no floor plan of one split is in another."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.floorplans import SPLITS, doors_of, flood, floor_plan, plan_walls, split_of
from tasks.layouts import FAMILIES, MIXTURES, family_of, layout_plan, layout_walls
from tasks.layouts.families import split_of_walls
from tasks.oracles import cell_distances, distances

SIDES = st.sampled_from([9, 11, 17, 21])
SEEDS = st.sampled_from([(split, offset) for split in SPLITS for offset in (0, 3, 499_999_000)]).flatmap(
    lambda part: st.integers(0, 900).map(lambda i: SPLITS[part[0]].start + part[1] + i)
)


def read(picture: str) -> np.ndarray:
    """Walls [x, y] of a picture whose lines are rows."""
    return np.array([[cell == "#" for cell in line] for line in picture.split()]).T


def pieces(free: np.ndarray) -> int:
    """How many pieces cells (W, H) hang together in."""
    count, left = 0, free.copy()
    while left.any():
        begun = np.zeros_like(left)
        begun.flat[int(left.argmax())] = True
        left &= ~flood(left, begun)
        count += 1
    return count


def neighbours(free: np.ndarray) -> np.ndarray:
    """(W, H) how many of the four neighbours of each cell are free; a closed border."""
    around = np.pad(free, 1).astype(int)
    return around[2:, 1:-1] + around[:-2, 1:-1] + around[1:-1, 2:] + around[1:-1, :-2]


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=25, deadline=None)
@given(side=SIDES, seed=SEEDS)
def test_all_free_cells_are_joined_behind_a_closed_border(family: str, side: int, seed: int) -> None:
    plan = layout_plan(seed, family, side)
    walls, free = plan.walls, ~plan.walls
    assert walls.shape == (side, side) and walls.dtype == np.bool_ and not walls.flags.writeable
    assert walls[[0, -1]].all() and walls[:, [0, -1]].all()
    assert pieces(free) == 1
    middle = side // 2
    for x in (slice(0, middle), slice(middle + 1, None)):
        for y in (slice(0, middle), slice(middle + 1, None)):
            assert free[x, y].any()
    assert plan.seed == seed and plan.split == split_of(seed) == split_of_walls(walls)
    assert plan.doors.shape == (0, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_floor_plan_is_a_function_of_its_arguments(family: str) -> None:
    from tasks.layouts.families import _family_plan

    first = layout_walls(np.arange(40), family, 17)
    _family_plan.cache_clear()
    again = layout_walls(np.arange(39, -1, -1), family, 17)[::-1]
    assert (first == again).all()
    assert len({walls.tobytes() for walls in first}) == 40


@pytest.mark.parametrize("layout", [*FAMILIES, *MIXTURES])
def test_no_floor_plan_is_in_two_splits(layout: str) -> None:
    """At the smallest side, where they are fewest; within a split they do come again."""
    seen = {
        split: Counter(walls.tobytes() for walls in layout_walls(np.arange(200) + seeds.start, layout, 9))
        for split, seeds in SPLITS.items()
    }
    assert not seen["train"].keys() & (seen["validation"].keys() | seen["test"].keys())
    assert not seen["validation"].keys() & seen["test"].keys()
    assert max(seen["test"].values()) > 1 or layout == "walls"
    assert min(map(len, seen.values())) >= 40


def test_nested_rooms_belong_to_the_split_of_their_doors_whoever_made_them() -> None:
    walls = plan_walls(np.array([0, 1, SPLITS["test"].start, SPLITS["validation"].start + 7]), 2, 3)
    assert [split_of_walls(each) for each in walls] == ["train", "train", "test", "validation"]
    plan = floor_plan(5, 3, 3)
    assert (doors_of(plan.walls, 3, 3) == plan.doors).all()
    for changed in ((2, 2, True), (4, 4, False)):  # a wall in a room, a hole where walls meet
        other = plan.walls.copy()
        other[changed[:2]] = changed[2]
        assert doors_of(other, 3, 3) is None
    shut = plan.walls.copy()
    shut[tuple(plan.doors[0])] = True
    assert doors_of(shut, 3, 3) is None
    assert doors_of(layout_plan(0, "maze", 17).walls, 3, 3) is None


@settings(max_examples=40, deadline=None)
@given(side=SIDES, seed=SEEDS)
def test_a_maze_is_a_tree(side: int, seed: int) -> None:
    free = ~layout_plan(seed, "maze", side).walls
    rooms = side // 2
    assert free[1::2, 1::2].all() and not free[::2, ::2].any()
    assert free.sum() == 2 * rooms**2 - 1  # as many ways between rooms as a tree has


@settings(max_examples=40, deadline=None)
@given(side=SIDES, seed=SEEDS)
def test_a_braid_has_loops_and_no_dead_end(side: int, seed: int) -> None:
    free = ~layout_plan(seed, "braid", side).walls
    assert free[1::2, 1::2].all() and not free[::2, ::2].any()
    assert (neighbours(free)[free] >= 2).all()


@settings(max_examples=40, deadline=None)
@given(side=SIDES, seed=SEEDS)
def test_a_spiral_has_one_wall_that_winds_inwards(side: int, seed: int) -> None:
    """All walls hang together, so there is no way round anything; and it takes long to get to the middle of it."""
    walls = layout_plan(seed, "spiral", side).walls
    assert pieces(walls) == 1
    longest = max(int(distances(walls, np.argwhere(~walls)[[i]]).max()) for i in (0, -1))
    assert longest >= 2 * side - 6


def is_comb(free: np.ndarray) -> bool:
    """Whether some lines along x are free from border to border, and what is left without them are rectangles."""
    lines = np.flatnonzero(free[1:-1].all(0))
    left = free.copy()
    left[:, lines] = False
    rectangles = len(lines) > 0
    while left.any():
        begun = np.zeros_like(left)
        begun.flat[int(left.argmax())] = True
        tooth = flood(left, begun)
        x, y = np.nonzero(tooth)
        rectangles &= bool(tooth[x.min() : x.max() + 1, y.min() : y.max() + 1].all())
        left &= ~tooth
    return rectangles


@settings(max_examples=40, deadline=None)
@given(side=SIDES, seed=SEEDS)
def test_a_comb_has_one_corridor_that_teeth_open_on(side: int, seed: int) -> None:
    free = ~layout_plan(seed, "comb", side).walls
    assert is_comb(free) or is_comb(free.T)


def test_what_is_no_comb() -> None:
    for family in ("maze", "spiral", "cave"):
        for seed in range(5):
            free = ~layout_plan(seed, family, 17).walls
            assert not is_comb(free) and not is_comb(free.T)


def test_open_fields_are_open_and_caves_are_not() -> None:
    share = {family: 1 - layout_walls(np.arange(60), family, 17)[:, 1:-1, 1:-1].mean() for family in FAMILIES}
    assert share["open"] > 0.85 and 0.35 < share["cave"] < 0.75
    assert share["open"] == max(share.values())


def test_rooms_are_at_least_two_cells_wide_and_openings_are_one() -> None:
    for seed in range(40):
        free = ~layout_plan(seed, "rooms", 17).walls
        squares = free[:-1, :-1] & free[1:, :-1] & free[:-1, 1:] & free[1:, 1:]
        inside = np.zeros_like(free)
        for dx in (0, 1):
            for dy in (0, 1):
                inside[dx : dx + 16, dy : dy + 16] |= squares
        openings = free & ~inside
        assert pieces(inside) >= 6  # rooms
        assert openings.sum() == pieces(openings)  # single cells
        assert (neighbours(free)[openings] == 2).all()


def test_a_known_maze_and_its_known_shortest_path() -> None:
    """Drawn by hand and counted by hand: 22 cells and 11 turns, not as the crow flies."""
    walls = read(
        """
        #########
        #.......#
        #######.#
        #.....#.#
        #.###.#.#
        #...#.#.#
        ###.#.#.#
        #...#...#
        #########
        """
    )
    steps = distances(walls, np.array([[1, 7]]))[0]
    # East along the top (6), south (6), west (2), north (4), west (4), south (2), east (2), south (2), west (2).
    assert steps[1, 1, 0] == 6 + 1 + 6 + 1 + 2 + 1 + 4 + 1 + 4 + 1 + 2 + 1 + 2 + 1 + 2 + 1 + 2
    assert steps[1, 1, 2] == steps[1, 1, 0] + 2  # a start that looks west turns twice
    states, table = cell_distances(walls)
    start, goal = ((states == place).all(-1).argmax() for place in ((1, 1, 0), (1, 7, 0)))
    assert table[start, goal] == steps[1, 1, 0]


def test_a_mixture_takes_turns_and_has_the_families_own_plans() -> None:
    for layout, parts in MIXTURES.items():
        assert {family_of(layout, seed) for seed in range(len(parts))} == set(parts)
        for split in SPLITS.values():
            seed = split.start + 3
            family = family_of(layout, seed)
            own = floor_plan(seed, 2, 3) if family == "nested" else layout_plan(seed, family, 9)
            assert (layout_plan(seed, layout, 9).walls == own.walls).all()
    assert not set(MIXTURES["mixed"]) & set(MIXTURES["leftout"])
    assert {*MIXTURES["mixed"], *MIXTURES["leftout"]} == {"nested", *FAMILIES}


@pytest.mark.parametrize(
    ("seed", "layout", "side", "message"),
    [
        (0, "labyrinth", 9, "unknown layout 'labyrinth'; choose one of maze, braid, comb"),
        (0, "maze", 10, "a side of 10 cells does not fit layout maze; give an odd one from 9 up"),
        (0, "maze", 7, "a side of 7 cells does not fit layout maze"),
        (0, "mixed", 11, "which holds nested rooms; give 9, 17, 33"),
        (-1, "maze", 9, "floor-plan seed -1 lies outside every split"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(seed: int, layout: str, side: int, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        layout_plan(seed, layout, side)
    assert "\n" not in str(caught.value)
