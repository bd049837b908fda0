"""Pictures of episodes that go on, drawn where something changed, against pictures that are drawn from scratch."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

import tasks
from tasks.frames import Frames
from tasks.observations import FORWARD, GOAL_CELL, PICKUP, TOGGLE
from tasks.point_pictures import draw_points
from tasks.rendering import Tiles, render_frames

WORLDS = [
    "hjepa/NestedRooms-d2-v0",
    "hjepa/NestedKeys-d2-v0",
    "hjepa/NestedLava-d3-v0",
    "MiniGrid-MultiRoom-N6-v0",
]


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("task_id", [*WORLDS, "hjepa/NestedPartialKeys-d2-v0"])
def test_pictures_of_a_world_that_goes_on_are_those_from_scratch(task_id: str, copy: bool) -> None:
    world = tasks.make_batched(tasks.task_spec(task_id), 6, copy=copy, split="validation")
    rng, floors, shown = np.random.default_rng(0), [], []
    world.reset(seed=1)
    for step in range(40):
        if step == 25:  # some begin anew, others go on
            world.reset(options={"reset_mask": np.arange(6) % 2 == 0})
        frames = world.frames()
        assert np.array_equal(frames, render_frames(world.floor, world.agent)), step
        floors.append(frames[:1])
        shown.append(frames[0].copy())
        world.step(rng.choice([0, 1, FORWARD, FORWARD, TOGGLE, PICKUP], 6))
    assert len(np.unique(shown, axis=0)) > 5, "agents moved"
    assert np.array_equal(floors[0][0], shown[0]) == copy, "without copies it is one memory"
    assert np.array_equal(world.frames(5), render_frames(world.floor, world.agent, 5))


@pytest.mark.parametrize("copy", [True, False])
def test_a_copy_of_a_world_goes_on_by_itself(copy: bool) -> None:
    """People copy a world to look ahead."""
    world = tasks.make_batched(tasks.task_spec("hjepa/NestedRooms-d2-v0"), 4, copy=copy)
    world.reset(seed=3)
    world.frames()
    other, fresh = deepcopy(world), tasks.make_batched(tasks.task_spec("hjepa/NestedRooms-d2-v0"), 4)
    before = world.step(np.zeros(4, np.int64))[0]["image"].copy()
    fresh.reset(seed=3)
    for action in np.random.default_rng(0).choice([0, 1, FORWARD, FORWARD], (15, 4)):
        seen, expected = other.step(action)[0], fresh.step(action)[0]
        assert np.array_equal(seen["image"], expected["image"])
        assert np.array_equal(other.frames(), render_frames(other.floor, other.agent))
    assert np.array_equal(world.frames(), render_frames(world.floor, world.agent))
    assert copy or np.array_equal(world.step(np.full(4, 6))[0]["image"], before), (
        "whom it was copied from stands still"
    )


def test_the_same_episode_frozen_or_replaced() -> None:
    grid, agent = np.tile(np.array([1, 0, 0], np.uint8), (2, 5, 4, 1)), np.array([[1, 1, 0], [2, 2, 3]])
    frames = Frames(4)
    for _ in range(2):
        assert np.array_equal(frames.draw(grid, agent), render_frames(grid, agent, 4))
    grid[1, 2, 2], grid[0, 3, 3] = GOAL_CELL, GOAL_CELL  # changed in place, one of them below the agent
    assert np.array_equal(frames.draw(grid, agent), render_frames(grid, agent, 4))
    assert np.array_equal(frames.draw(grid[:1], agent[1:]), render_frames(grid[:1], agent[1:], 4))


@pytest.mark.parametrize(
    ("grid", "agent", "reason"),
    [(200, [1, 1, 0], "MiniGrid's symbols"), (10, [1, 1, 0], "agent"), (1, [9, 1, 0], "outside")],
)
def test_what_cannot_be_drawn_is_refused(grid: int, agent: list[int], reason: str) -> None:
    frames = Frames(4)
    good = np.ones((1, 5, 5, 3), np.uint8), np.array([[1, 1, 0]])
    for _ in range(2):  # also when it goes on
        with pytest.raises(ValueError, match=reason):
            frames.draw(np.full((1, 5, 5, 3), grid, np.uint8), np.array([agent]))
        assert np.array_equal(frames.draw(*good), render_frames(*good, 4))
    for pixels in (lambda: Tiles(0), lambda: draw_points(good[0], np.ones((1, 2)), 0)):
        with pytest.raises(ValueError, match="tile is 0"):
            pixels()


def test_pictures_of_points_are_those_that_are_drawn_of_them() -> None:
    world = tasks.make_batched(tasks.task_spec("hjepa/NestedPoint-d2-v0"), 3)
    world.reset(seed=2)
    world.step(np.full((3, 2), 0.5, np.float32))
    assert np.array_equal(world.frames(6), draw_points(world.floor, world.agent, 6))
