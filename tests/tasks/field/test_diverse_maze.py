"""Diverse mazes: the published rules of the maps, splits that share none, a mass that no wall lets through."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from tasks.field.diverse_maze import FASTEST, MASS, RADIUS, DiverseMaze, in_disc, push, slide
from tasks.field.mazes import block_distances, maze
from tasks.field.registry import make_simulator
from tasks.floorplans import split_seeds
from tasks.randomness import keyed_generator


def paths_from(walls: np.ndarray, start: tuple[int, int]) -> dict[tuple[int, int], int]:
    """Blocks to every cell, cell by cell."""
    found, waiting = {start: 0}, deque([start])
    while waiting:
        x, y = waiting.popleft()
        for cell in ((x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)):
            if not walls[cell] and cell not in found:
                found[cell] = found[(x, y)] + 1
                waiting.append(cell)
    return found


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_maps_keep_the_published_rules(split: str) -> None:
    for number in range(20):
        walls = maze(split, number)
        assert walls.shape == (10, 10) and walls[[0, -1]].all() and walls[:, [0, -1]].all()
        free = [tuple(cell) for cell in np.argwhere(~walls).tolist()]
        assert 32 <= len(free) <= 51
        lengths = [paths_from(walls, cell) for cell in free]
        assert all(len(found) == len(free) for found in lengths), "they hang together"
        assert max(max(found.values()) for found in lengths) < 20
        apart = block_distances(walls)
        assert apart[free[0]][free[-1]] == lengths[0][free[-1]]
        assert apart[0, 0].max() == -1, "nothing leads from a wall"


def test_no_map_is_in_two_splits() -> None:
    content = {
        split: {maze(split, n).tobytes() for n in range(25)} for split in ("train", "validation", "test")
    }
    assert all(len(each) == 25 for each in content.values())
    assert not content["train"] & content["test"] and not content["train"] & content["validation"]
    assert not content["validation"] & content["test"]
    longer = maze("test", 30)
    assert longer.tobytes() not in content["test"], "more maps, and the first ones stay"


def test_seeds_draw_maps_of_their_split() -> None:
    simulator = DiverseMaze()
    for first, split, count in ((0, "train", 25), (1_500_000_000, "test", 20)):
        seeds = np.arange(200) + first
        start, goal = simulator.draw(seeds)
        groups = simulator.layouts(seeds)
        assert len(np.unique(groups)) == count
        known = {maze(split, n).tobytes() for n in range(count)}
        assert {walls.tobytes() for walls in start["walls"]} <= known
        same = groups == groups[0]
        assert (start["walls"][same] == start["walls"][0]).all()
        speed = np.linalg.norm(start["speed"], axis=1)
        assert speed.max() <= 5 and (speed.max() > 4) == (split == "train")
        assert not goal["speed"].any()


@pytest.mark.parametrize("blocks", [(5, 8), (13, 16)])
def test_ends_are_so_many_blocks_apart(blocks: tuple[int, int]) -> None:
    start, goal = DiverseMaze(blocks=blocks).draw(np.arange(60) + 1_500_000_000)
    for slot in range(60):
        cells = [tuple(int(each) for each in state["place"][slot]) for state in (start, goal)]
        found = paths_from(start["walls"][slot], cells[0])
        longest = block_distances(start["walls"][slot]).max()
        assert blocks[0] <= found[cells[1]] <= blocks[1] or (found[cells[1]] == longest < blocks[0])


def covered(place: np.ndarray) -> set[tuple[int, int]]:
    edges = [range(int(np.floor(p - RADIUS)), int(np.floor(p + RADIUS)) + 1) for p in place.tolist()]
    return {(x, y) for x in edges[0] for y in edges[1]}


def test_walls_are_never_crossed_nor_entered() -> None:
    simulator = DiverseMaze()
    state, _ = simulator.draw(np.arange(120))
    rng = keyed_generator("diverse maze walls")
    drift = rng.uniform(-1, 1, (120, 2))
    touched = 0
    for time in range(100):
        if time % 15 == 0:
            drift = rng.uniform(-1, 1, (120, 2))
        before = state["place"]
        state = simulator.advance(state, drift.astype(np.float32))
        for slot, place in enumerate(state["place"]):
            cells = covered(place)
            assert not any(state["walls"][slot][cell] for cell in cells), (slot, place)
        assert (np.abs(state["place"] - before) < 4 * 0.01 * (FASTEST + 0.3)).all(), "nobody jumps"
        touched += int((state["speed"] == 0).any(1).sum())
    assert touched > 100, "walls were met"


def test_an_open_run_is_the_analytic_one() -> None:
    """Constant force against damping: the speed of the implicit scheme in closed form, up to where it is limited."""
    speed = np.zeros((1, 2))
    for _ in range(10):
        speed = push(speed, np.array([[0.5, -0.25]]))
    keep = MASS / (MASS + 0.01)
    wanted = 100 * np.array([[0.5, -0.25]]) * (1 - keep**10)
    np.testing.assert_allclose(speed, wanted, rtol=1e-12)
    np.testing.assert_allclose(push(np.array([[9.0, 0.0]]), np.zeros((1, 2))), [[5 * keep, 0]])


def test_a_wall_takes_the_speed_against_it_alone() -> None:
    walls = np.ones((1, 10, 10), dtype=bool)
    walls[0, 1:9, 4] = False
    place, speed = slide(walls, np.array([[3.5, 4.88]]), np.array([[2.0, 4.0]]))
    np.testing.assert_allclose(place, [[3.52, 5 - 0.102]])
    np.testing.assert_allclose(speed, [[2.0, 0.0]])


def test_momentum_is_kept_without_force() -> None:
    simulator = DiverseMaze()
    state, _ = simulator.draw(np.arange(50))
    after = simulator.advance(state, np.zeros((50, 2), np.float32))
    moving = np.linalg.norm(state["speed"], axis=1) > 1
    assert (np.linalg.norm(after["place"] - state["place"], axis=1)[moving] > 0.02).all()


def test_pictures_show_map_and_place() -> None:
    simulator = DiverseMaze(pixels=100)
    walls = maze("train", 0)[None]
    cell = np.argwhere(~walls[0])[5]
    place = (cell + 0.5)[None].astype(np.float32)
    state = {"place": place, "before": place + 0.3, "speed": np.zeros_like(place), "walls": walls}
    frame = simulator.show(state)["image"][0, ..., 3:].astype(int)
    for x, y in np.argwhere(np.ones((10, 10))).tolist():
        if abs(x - cell[0]) > 1 or abs(y - cell[1]) > 1:
            middle = frame[10 * y + 5, 10 * x + 5]
            assert middle.tolist() == ([60] * 3 if walls[0, x, y] else [255] * 3)
    red = frame[10 * cell[1] + 5, 10 * cell[0] + 5]
    assert red[0] > 240 and red[1] < 30


def test_a_picture_shows_the_moment_before_and_the_latest_last() -> None:
    simulator = DiverseMaze()
    state, goal = simulator.draw(np.arange(20))
    sense = simulator.senses["image"]
    assert (sense.shape, sense.frames) == ((64, 64, 6), 2)
    for _ in range(3):
        after = simulator.advance(state, np.full((20, 2), 0.7, np.float32))
        before, now = np.split(simulator.show(after)["image"], 2, -1)
        assert np.array_equal(before, simulator.show(state)["image"][..., 3:])
        assert np.array_equal(now, DiverseMaze(frames=1).show(after)["image"])
        state = after
    assert (before != now).any(), "what moves is in two places"
    still = simulator.show(goal)["image"]
    assert np.array_equal(still[..., :3], still[..., 3:]), "a goal stands still"


def test_at_the_start_of_training_the_speed_is_seen() -> None:
    state, _ = DiverseMaze().draw(np.arange(20))
    assert np.linalg.norm(state["speed"], axis=1).max() > 3
    np.testing.assert_allclose(state["place"] - state["before"], 0.04 * state["speed"], atol=1e-5)


def test_explorers_act_uniformly_in_the_disc() -> None:
    numbers = in_disc(keyed_generator("disc").random((20_000, 2)), 1.0)
    length = np.linalg.norm(numbers, axis=1)
    assert length.max() <= 1
    np.testing.assert_allclose([(length < 0.5).mean(), numbers.mean()], [0.25, 0.0], atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"maps": 0}, "maps is 0"),
        ({"frames": 3}, "frames is 3"),
        ({"blocks": (9, 5)}, "the lesser first"),
        ({"blocks": (5,)}, "two whole numbers"),
    ],
)
def test_what_cannot_work_is_refused(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DiverseMaze(**arguments)


@pytest.mark.parametrize(("least", "most"), [(5, 8), (9, 12), (13, 16)])
def test_the_groups_of_the_paper_are_tasks_of_their_own(least: int, most: int) -> None:
    maker = make_simulator(f"hjepa/DiverseMaze-{least}to{most}-v0", "image", pixels=40)
    assert isinstance(maker, DiverseMaze) and maker.pixels == 40
    seeds = np.arange(200) + split_seeds("test").start
    start, goal = maker.draw(seeds)
    apart = [
        block_distances(walls)[tuple(map(int, here)) + tuple(map(int, there))]
        for walls, here, there in zip(start["walls"], start["place"], goal["place"])
    ]
    longest = [block_distances(walls).max() for walls in start["walls"]]
    assert all(least <= d <= most for d, whole in zip(apart, longest) if whole >= least)
