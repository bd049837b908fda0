"""Floor plans: the door rule at every scale, connectivity, and content held out per split."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.floorplans import (
    SPLIT_BUCKETS,
    SPLITS,
    floor_plan,
    grid_side,
    layout_bucket,
    plan_walls,
    split_of,
    split_seeds,
)

WORLDS = [(2, 3), (3, 3), (4, 3), (3, 2), (3, 4), (5, 1)]
seeds = st.sampled_from(sorted(SPLITS)).flatmap(
    lambda split: st.integers(SPLITS[split].start, SPLITS[split].stop - 1)
)


def squares(side: int, room: int) -> list[tuple[int, int, int]]:
    """(x, y, size) of every square that is divided into quadrants, x and y its wall corner."""
    found, size = [], side - 1
    while size > room + 1:
        found += [(x, y, size) for x in range(0, side - 1, size) for y in range(0, side - 1, size)]
        size //= 2
    return found


def reachable(walls: np.ndarray) -> np.ndarray:
    """Cells connected to the first free cell, by flooding."""
    inside = np.zeros_like(walls)
    inside[tuple(np.argwhere(~walls)[0])] = True
    while True:
        grown = inside.copy()
        grown[1:] |= inside[:-1]
        grown[:-1] |= inside[1:]
        grown[:, 1:] |= inside[:, :-1]
        grown[:, :-1] |= inside[:, 1:]
        grown &= ~walls
        if (grown == inside).all():
            return inside
        inside = grown


@pytest.mark.parametrize(("depth", "side"), [(1, 5), (2, 9), (3, 17), (4, 33)])
def test_side_of_three_cell_rooms(depth: int, side: int) -> None:
    assert grid_side(depth, 3) == side
    assert floor_plan(0, depth, 3).walls.shape == (side, side)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, world=st.sampled_from(WORLDS))
def test_each_border_between_quadrants_has_exactly_one_door(seed: int, world: tuple[int, int]) -> None:
    depth, room = world
    plan = floor_plan(seed, depth, room)
    open_cells = set()
    for x, y, size in squares(plan.side, room):
        half = size // 2
        borders = [
            [(x + half, y + i) for i in range(1, half)],
            [(x + half, y + half + i) for i in range(1, half)],
            [(x + i, y + half) for i in range(1, half)],
            [(x + half + i, y + half) for i in range(1, half)],
        ]
        for border in borders:
            doors = [cell for cell in border if not plan.walls[cell]]
            assert len(doors) == 1
            open_cells.update(doors)
    # Every opening is a door of a border, each listed once, and nothing else opens a wall line.
    assert open_cells == {tuple(door) for door in plan.doors.tolist()}
    assert len(plan.doors) == sum(4**level for level in range(1, depth))
    line = np.arange(plan.side) % (room + 1) == 0
    on_line = line[:, None] | line[None, :]
    assert (plan.walls[~on_line] == 0).all()
    assert (~plan.walls & on_line).sum() == len(plan.doors)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, world=st.sampled_from(WORLDS))
def test_doors_open_on_two_free_cells_and_everything_is_connected(seed: int, world: tuple[int, int]) -> None:
    plan = floor_plan(seed, *world)
    for x, y in plan.doors:
        through_x = not plan.walls[x - 1, y] and not plan.walls[x + 1, y]
        through_y = not plan.walls[x, y - 1] and not plan.walls[x, y + 1]
        assert through_x != through_y, f"door {x, y} meets an inner wall"
    assert (reachable(plan.walls) == ~plan.walls).all()
    assert plan.walls[[0, -1]].all() and plan.walls[:, [0, -1]].all()


@settings(max_examples=30, deadline=None)
@given(seed=seeds, depth=st.integers(2, 4))
def test_a_plan_is_a_function_of_its_seed_and_read_only(seed: int, depth: int) -> None:
    first, second = floor_plan(seed, depth), floor_plan(np.int64(seed), depth)
    assert (first.walls == second.walls).all() and (first.doors == second.doors).all()
    assert first.seed == seed and first.split == split_of(seed)
    with pytest.raises(ValueError, match="read-only"):
        first.walls[0, 0] = False


def test_plans_of_different_seeds_differ() -> None:
    assert len({floor_plan(seed, 3).doors.tobytes() for seed in range(200)}) == 200


def test_plans_stay_the_same_from_version_to_version() -> None:
    """Whatever changes this digest changes every result: a drift of numpy's streams must not go unseen."""
    walls = [
        plan_walls(np.array([SPLITS[split].start + i for i in range(4)]), depth, 3)
        for split in SPLITS
        for depth in (2, 3, 4)
    ]
    digest = hashlib.sha256(b"".join(np.packbits(part).tobytes() for part in walls)).hexdigest()
    assert digest[:16] == "0c4fa519ce52ea5b"


def test_splits_are_disjoint_and_fit_the_stores_integers() -> None:
    ranges = sorted(SPLITS.values(), key=lambda seeds: seeds.start)
    for before, after in itertools.pairwise(ranges):
        assert before.stop <= after.start
    assert ranges[-1].stop <= 2**31
    assert sorted(number for part in SPLIT_BUCKETS.values() for number in part) == list(range(10))


@pytest.mark.parametrize("depth", [2, 3])
def test_no_layout_of_one_split_appears_in_another(depth: int) -> None:
    layouts = {
        split: {floor_plan(seed, depth).doors.tobytes() for seed in list(span[:600]) + list(span[-200:])}
        for split, span in SPLITS.items()
    }
    assert not layouts["train"] & layouts["validation"]
    assert not layouts["train"] & layouts["test"]
    assert not layouts["validation"] & layouts["test"]
    if depth == 2:  # 81 layouts in all; each split must own several
        assert min(map(len, layouts.values())) >= 5
        assert sum(map(len, layouts.values())) == 81


@settings(max_examples=30, deadline=None)
@given(seed=seeds, depth=st.integers(2, 4))
def test_a_layouts_bucket_belongs_to_the_seeds_split(seed: int, depth: int) -> None:
    plan = floor_plan(seed, depth)
    assert layout_bucket(depth, 3, plan.doors) in SPLIT_BUCKETS[plan.split]


@pytest.mark.parametrize("seed", [-1, max(span.stop for span in SPLITS.values()), 2**40])
def test_a_seed_outside_every_split_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed {seed} lies outside every split; use one of train"):
        floor_plan(seed)


def test_impossible_worlds_are_refused() -> None:
    with pytest.raises(ValueError, match="depth is 0"):
        floor_plan(0, 0)
    with pytest.raises(ValueError, match="room is 0"):
        floor_plan(0, 3, 0)
    with pytest.raises(ValueError, match="unknown split 'dev'; choose one of train"):
        split_seeds("dev")


def test_a_world_with_one_layout_cannot_be_held_out() -> None:
    outcomes = []
    for span in SPLITS.values():
        try:
            floor_plan(span.start, 2, 1)
            outcomes.append(True)
        except ValueError as error:
            assert "too few layouts" in str(error)
            outcomes.append(False)
    assert sum(outcomes) == 1
