"""Pictures of worlds: the environment's own where it renders, and what is seen where that is a picture."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

import tasks
from tasks.rendering import render_frames
from tasks.world_pictures import drawn, goal_pictures, open_rendered, pictures

ACTIONS = np.array([[[1.5], [-2.0], [0.5], [2.0]]], dtype=np.float32)


def pendulum(seed: int, actions: np.ndarray) -> np.ndarray:
    env = gymnasium.make("Pendulum-v1", render_mode="rgb_array")
    env.reset(seed=seed)
    for action in actions:
        env.step(action)
    frame = np.asarray(env.render())
    env.close()
    return frame


def test_an_environment_renders_itself_and_its_goals_at_the_end_of_the_way() -> None:
    world = open_rendered(tasks.world_spec("Pendulum-v1", "vector", step_budget=10))
    spec = tasks.world_spec("Pendulum-v1", "vector")
    plain = tasks.plain_tasks(np.array([7]))
    goal = {name: np.zeros((1, *sense.shape), np.float32) for name, sense in spec.senses.items()}
    # A rule that calls everything the goal: the picture is of the end of the way all the same.
    batch = replace(plain, goal=goal, way=ACTIONS, reached=lambda seen, _: np.ones(1, dtype=bool))
    found = goal_pictures(world, batch)
    assert found is not None
    np.testing.assert_array_equal(found[0], pendulum(7, ACTIONS[0]))
    seen = world.reset(batch)
    shown = pictures(world, seen)
    assert shown is not None
    np.testing.assert_array_equal(shown[0], pendulum(7, ACTIONS[0, :0]))
    world.close()


def test_a_picture_that_is_seen_is_the_picture() -> None:
    world = open_rendered(tasks.world_spec("hjepa/TwoRoom-v0"))
    batch = tasks.world_tasks(world, episodes=2)
    seen = world.reset(batch)
    goal = world.goal()
    assert goal is not None
    name = next(iter(seen))
    for shown, wanted in ((pictures(world, seen), seen), (goal_pictures(world, batch), goal)):
        assert shown is not None
        np.testing.assert_array_equal(shown, wanted[name])


def test_symbols_of_minigrid_are_drawn() -> None:
    spec = tasks.world_spec("hjepa/NestedRooms-d2-v0", "symbols")
    world = open_rendered(spec)
    batch = tasks.sample_episodes(spec.id, "test", episodes=2, seed=0)
    seen = world.reset(tasks.tasks_of(batch))
    shown = pictures(world, seen)
    assert shown is not None
    np.testing.assert_array_equal(shown, render_frames(batch.grid, batch.start, tile=16))


@pytest.mark.parametrize("kind", ["vector", "symbols"])
def test_what_is_no_picture_has_none(kind: str) -> None:
    shape, codes = ((3,), ()) if kind == "vector" else ((4, 4, 3), (2, 2, 2))
    spec = replace(tasks.world_spec("Pendulum-v1"), senses={"it": tasks.Sense(kind, shape, codes)})
    assert drawn(spec, {"it": np.zeros((1, *shape), np.uint8)}) is None
