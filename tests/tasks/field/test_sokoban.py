"""Sokoban as published: pushes against rules written out for one board, success, what the explorer brings about."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.field.sokoban import MOVES, SokobanLong, symbols_of, walking_distances
from tasks.randomness import keyed_generator

WALLS = {(3, 3), (4, 3), (5, 3), (4, 6), (5, 6), (6, 6)}
"""Columns and rows: the published (row, column) the other way round."""


def one_step(agent: tuple[int, int], boxes: list[tuple[int, int]], action: int) -> tuple:
    """The rules of Sokoban for one board."""
    dx, dy = {0: (0, 0), 1: (0, -1), 2: (0, 1), 3: (-1, 0), 4: (1, 0)}[action]

    def free(x: int, y: int) -> bool:
        return 0 <= x < 10 and 0 <= y < 10 and (x, y) not in WALLS

    ahead, beyond = (agent[0] + dx, agent[1] + dy), (agent[0] + 2 * dx, agent[1] + 2 * dy)
    if action == 0 or not free(*ahead):
        return agent, boxes
    if ahead in boxes:
        if not free(*beyond) or beyond in boxes:
            return agent, boxes
        boxes = [beyond if box == ahead else box for box in boxes]
    return ahead, boxes


def test_steps_are_those_of_one_board_at_a_time() -> None:
    simulator = SokobanLong()
    state, _ = simulator.draw(np.arange(60))
    act = simulator.explorer(60, keyed_generator("sokoban steps"))
    rng = keyed_generator("sokoban random")
    pushes = stopped = 0
    for time in range(150):
        action = act(state, state) if time % 2 else rng.integers(0, 5, 60)
        after = simulator.advance(state, action)
        for slot in range(60):
            agent = tuple(state["agent"][slot].tolist())
            boxes = [tuple(box) for box in state["boxes"][slot].tolist()]
            moved, pushed = one_step(agent, boxes, int(action[slot]))
            assert tuple(after["agent"][slot].tolist()) == moved
            assert [tuple(box) for box in after["boxes"][slot].tolist()] == pushed
            pushes += pushed != boxes
            stopped += moved == agent and int(action[slot]) > 0
        state = after
    assert pushes > 300 and stopped > 100


def test_starts_are_on_the_board_and_boxes_can_be_pushed_either_way() -> None:
    start, goal = SokobanLong().draw(np.arange(300))
    for state, inner in ((start, True), (goal, False)):
        for agent, boxes in zip(state["agent"].tolist(), state["boxes"].tolist()):
            cells = {tuple(agent), *map(tuple, boxes)}
            assert len(cells) == 3 and not cells & WALLS
            assert all(0 <= each <= 9 for cell in cells for each in cell)
            if inner:
                assert all(1 <= each <= 8 for box in boxes for each in box)
    assert len(np.unique(start["agent"], axis=0)) > 60
    moved = (start["boxes"] != goal["boxes"]).any((1, 2))
    assert moved.mean() > 0.7, "most goals have boxes elsewhere"


def test_success_is_four_cells_in_all_boxes_best_assigned() -> None:
    simulator = SokobanLong()
    goal = {"agent": np.array([[5, 5]]), "boxes": np.array([[[2, 2], [7, 7]]])}
    for agent, boxes, wanted in (
        ((5, 5), ((7, 7), (2, 2)), True),
        ((5, 4), ((2, 4), (7, 8)), True),
        ((5, 4), ((2, 4), (7, 5)), False),
        ((1, 5), ((7, 7), (2, 2)), True),
        ((0, 5), ((7, 7), (2, 2)), False),
    ):
        state = {"agent": np.array([agent]), "boxes": np.array([boxes])}
        assert simulator.reached(state, goal)[0] == wanted


def test_symbols_and_pictures_show_the_same_board() -> None:
    start, _ = SokobanLong().draw(np.arange(5))
    symbols = SokobanLong("symbols").show(start)["symbols"][..., 0]
    np.testing.assert_array_equal(symbols, symbols_of(start))
    assert {tuple(cell) for cell in np.argwhere(symbols[0] == 1).tolist()} == WALLS
    assert (symbols == 2).sum() == 10 and (symbols == 3).sum() == 5
    frames = SokobanLong(pixels=100).show(start)["image"]
    colours = np.array([(255, 255, 255), (60, 60, 60), (200, 130, 50), (220, 40, 40)])
    for x in range(10):
        for y in range(10):
            np.testing.assert_array_equal(frames[:, 10 * y + 5, 10 * x + 5], colours[symbols[:, x, y]])
    assert SokobanLong(pixels=224).show(start)["image"].shape == (5, 224, 224, 3)


def test_the_explorer_seeks_boxes() -> None:
    """It changes the places of boxes many times as often as random actions do."""
    simulator = SokobanLong()
    changed = []
    for which in ("explorer", "random"):
        state, _ = simulator.draw(np.arange(100))
        act = simulator.explorer(100, keyed_generator("sokoban explorer"))
        rng = keyed_generator("sokoban compare")
        count = 0
        for _ in range(100):
            action = act(state, state) if which == "explorer" else rng.integers(0, 5, 100)
            after = simulator.advance(state, action)
            count += int((after["boxes"] != state["boxes"]).any((1, 2)).sum())
            state = after
        changed.append(count / 1e4)
    assert changed[0] > 0.1 and changed[0] > 4 * changed[1]


def test_walking_distances_are_least() -> None:
    boxes = np.array([[[1, 1], [8, 8]]])
    distance = walking_distances(boxes, np.array([[4, 4]]))[0]
    assert distance[4, 4] == 0 and distance[4, 5] == 1 and distance[4, 2] == 6, "around the bar above"
    assert distance[1, 1] == distance[3, 3] == 99
    known = np.argwhere(distance < 99)
    for x, y in known.tolist():
        beside = [distance[x + dx, y + dy] for dx, dy in MOVES[1:] if 0 <= x + dx < 10 and 0 <= y + dy < 10]
        assert distance[x, y] == 0 or distance[x, y] == min(beside) + 1
    nowhere = walking_distances(boxes, np.array([[-1, 4]]))
    assert (nowhere == 99).all()


@pytest.mark.parametrize("action", [-1, 5])
def test_other_actions_are_refused(action: int) -> None:
    import tasks

    world = tasks.make_world("hjepa/SokobanLong-v0")
    world.reset(tasks.plain_tasks(np.arange(2)))
    with pytest.raises(ValueError, match="integers 0 to 4"):
        world.step(np.array([0, action]))
