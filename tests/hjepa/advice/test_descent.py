"""The descent test and the graph it is made on: worlds small enough to know the answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hjepa.advice.descent import descend, far_pairs
from hjepa.advice.graph import FAR, number_frames, number_latents, steps_between

SIDE = 9


def grid(wall: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cells (S, 2) of a square, and moves between neighbours (M, 2); a wall stands in the middle, open at the top."""
    cells = [
        (x, y) for x in range(SIDE) for y in range(SIDE) if not (wall and x == SIDE // 2 and y < SIDE - 1)
    ]
    number = {cell: row for row, cell in enumerate(cells)}
    moves = [
        (row, number[x + dx, y + dy])
        for (x, y), row in number.items()
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
        if (x + dx, y + dy) in number
    ]
    return np.array(cells), np.array(moves)


def across(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the lower left corner to the lower right one."""
    here, there = (int(np.flatnonzero((cells == corner).all(1))[0]) for corner in ((0, 0), (SIDE - 1, 0)))
    return np.array([here]), np.array([there])


@pytest.mark.parametrize("wall", [False, True])
@pytest.mark.parametrize("hop", [1, 2, 5, 30])
def test_the_true_metric_always_arrives(wall: bool, hop: int) -> None:
    cells, moves = grid(wall)
    steps = steps_between(moves, len(cells))
    pairs = far_pairs(steps, 40, np.random.default_rng(0), int(FAR))
    assert descend(steps, steps[:, pairs[:, 1]].T.astype(float), *pairs.T, hop).all()


def test_straight_lines_get_stuck_behind_a_wall_until_a_hop_leads_around() -> None:
    cells, moves = grid(True)
    steps = steps_between(moves, len(cells))
    start, goal = across(cells)
    straight = np.square(cells[None] - cells[goal][:, None]).sum(-1).astype(float)
    arrived = {hop: bool(descend(steps, straight, start, goal, hop)[0]) for hop in (1, 2, 4, 8, 16, 32)}
    # Before the wall the goal is 5 cells away; the way around to where it is nearer takes 8 + 2 + 3 steps and more.
    assert arrived == {1: False, 2: False, 4: False, 8: False, 16: True, 32: True}
    assert steps[start[0], goal[0]] == 8 + 2 * 8


def test_straight_lines_arrive_where_nothing_stands() -> None:
    cells, moves = grid(False)
    steps = steps_between(moves, len(cells))
    start, goal = across(cells)
    straight = np.square(cells[None] - cells[goal][:, None]).sum(-1).astype(float)
    assert descend(steps, straight, start, goal, 1).all()


def test_steps_are_those_of_walking_every_way_out() -> None:
    """Against matrix powers: a way of n steps is there when the n-th power of (moves or staying) holds it."""
    rng = np.random.default_rng(3)
    walks = rng.integers(0, 12, (4, 9))
    steps = steps_between(walks, 14)
    reach = np.eye(14, dtype=bool)
    near = reach.copy()
    near[walks[:, :-1].ravel(), walks[:, 1:].ravel()] = True
    expected = np.full((14, 14), int(FAR))
    for count in range(30):
        expected = np.where(reach & (expected == FAR), count, expected)
        reach = (reach.astype(int) @ near.astype(int)) > 0
    assert np.array_equal(steps, expected)
    assert (steps == FAR).any(), "two states were never seen: no way leads there"


def test_ways_are_one_way_where_nobody_came_back() -> None:
    steps = steps_between(np.array([[0, 1, 2]]), 3)
    assert steps[0, 2] == 2 and steps[2, 0] == FAR


def test_hops_of_no_step_are_refused() -> None:
    with pytest.raises(ValueError, match="hop is 0"):
        descend(np.zeros((1, 1), dtype=int), np.zeros((1, 1)), np.zeros(1, int), np.zeros(1, int), 0)


def test_far_pairs_are_the_longer_half() -> None:
    cells, moves = grid(True)
    steps = steps_between(moves, len(cells))
    pairs = far_pairs(steps, 200, np.random.default_rng(1), int(FAR))
    assert steps[pairs[:, 0], pairs[:, 1]].min() >= np.median(steps[steps > 0])
    assert far_pairs(np.zeros((3, 3), dtype=int), 5, np.random.default_rng(1), int(FAR)).shape == (0, 2)


def test_states_by_what_is_seen_and_by_where_they_are() -> None:
    frames = np.array([[1, 2], [3, 4], [1, 2], [3, 5]])
    first, number = number_frames(frames)
    assert first.tolist() == [0, 1, 3] and number.tolist() == [0, 1, 0, 2]
    latents = torch.tensor([[0.0], [1.0], [0.1], [1.4], [0.9]])
    first, number = number_latents(latents, 0.05)
    assert first.tolist() == [0, 1, 3] and number.tolist() == [0, 1, 0, 2, 1]
