"""What holds of every task of the field: twins, seeds, frames, goals from trajectories, stores, the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import tasks
from tasks.field.registry import FIELD_TASKS, make_simulator, published_budget
from tasks.field.world import FieldWorld
from tasks.gymnasium_world import draw_actions
from tasks.randomness import keyed_generator
from tasks.twin_worlds import has_twin
from tasks.world_collection import collect_world

IDS = list(FIELD_TASKS)
WAYS = [
    ("hjepa/TwoRoom-v0", None),
    ("hjepa/DiverseMaze-v0", "image"),
    ("hjepa/DiverseMaze-v0", "vector"),
    ("hjepa/SokobanLong-v0", "image"),
    ("hjepa/SokobanLong-v0", "symbols"),
    ("hjepa/FourRoomDistractors-v0", None),
    ("hjepa/Occluder-v0", "symbols"),
    ("hjepa/Occluder-v0", "image"),
]
SEEDS = np.array([3, 11, 1_000_000_005, 1_500_000_003])


def world_of(task_id: str, observe: str | None = None, **arguments: Any) -> FieldWorld:
    world = tasks.make_world(task_id, observe, **arguments)
    assert isinstance(world, FieldWorld)
    return world


@pytest.mark.parametrize(("task_id", "observe"), WAYS)
def test_the_single_environment_is_the_batched_world_step_by_step(task_id: str, observe: str | None) -> None:
    world = world_of(task_id, observe, step_budget=25)
    seen, goal = world.reset(tasks.plain_tasks(SEEDS)), world.goal()
    assert goal is not None
    made: dict[str, Any] = {} if observe is None else {"observe": observe}
    envs = [gymnasium.make(task_id, step_budget=25, **made) for _ in SEEDS]
    for slot, (env, seed) in enumerate(zip(envs, SEEDS)):
        raw, info = env.reset(seed=int(seed))
        assert env.observation_space.contains(raw)
        for name, value in raw.items():
            np.testing.assert_array_equal(in_channels(value), seen[name][slot])
            np.testing.assert_array_equal(in_channels(info["goal"][name]), goal[name][slot])
    rng = keyed_generator("field single", task_id)
    over, done = np.zeros((2, len(SEEDS)), dtype=bool)
    for _ in range(26):
        actions = draw_actions(world.spec.actions, rng, len(SEEDS))
        step = world.step(actions)
        for slot, env in enumerate(envs):
            if over[slot]:
                continue
            raw, reward, terminated, truncated, info = env.step(actions[slot])
            assert env.action_space.contains(actions[slot])
            for name, value in raw.items():
                np.testing.assert_array_equal(in_channels(value), step.observation[name][slot])
            done[slot] |= info["success"]
            assert info["success"] == bool(reward)
            assert (terminated, truncated) == (step.terminated[slot], step.truncated[slot])
        np.testing.assert_array_equal(done, step.success)
        over |= step.terminated | step.truncated
    assert over.all()


def in_channels(value: np.ndarray) -> np.ndarray:
    """Frames (K, H, W, C) as a picture (H, W, K C); anything else as it is."""
    return np.concatenate(list(value), -1) if value.ndim == 4 else value


@pytest.mark.parametrize("task_id", IDS)
def test_any_gymnasium_adapter_sees_the_same(task_id: str) -> None:
    """The environment itself, stepped as somebody's, shows and does what its twin does; two makings repeat."""
    real = tasks.make_world(task_id, real=True, step_budget=20)
    twin = world_of(task_id, step_budget=20)
    assert real.spec.senses == twin.spec.senses and real.spec.actions == twin.spec.actions
    batch = tasks.plain_tasks(SEEDS)
    first = real.reset(batch), twin.reset(batch)
    rng = keyed_generator("field real", task_id)
    for name in first[0]:
        np.testing.assert_array_equal(first[0][name], first[1][name])
    for _ in range(20):
        action = draw_actions(twin.spec.actions, rng, len(SEEDS))
        one, other = real.step(action), twin.step(action)
        for name in one.observation:
            np.testing.assert_array_equal(one.observation[name], other.observation[name])
        np.testing.assert_array_equal(one.success, other.success)
        np.testing.assert_array_equal(one.terminated, other.terminated)
        np.testing.assert_array_equal(one.truncated, other.truncated)


@pytest.mark.parametrize("task_id", IDS)
def test_episodes_are_functions_of_their_seed_alone(task_id: str) -> None:
    simulator = make_simulator(task_id)
    start, goal = simulator.draw(SEEDS)
    again, goals = simulator.draw(SEEDS[::-1])
    for name, value in start.items():
        np.testing.assert_array_equal(again[name][::-1], value)
        np.testing.assert_array_equal(goals[name][::-1], goal[name])
    other, _ = simulator.draw(SEEDS + 1)
    assert any((other[name] != value).any() for name, value in start.items())
    # Many: of a start, nothing is at its goal.
    start, goal = simulator.draw(np.arange(150))
    assert not simulator.reached(start, goal).any()
    assert simulator.reached(start, start).all()
    assert simulator.layouts(np.arange(150)).shape == (150,)


@pytest.mark.parametrize(("task_id", "observe"), WAYS)
def test_stores_keep_the_frame_of_the_reset_and_align(
    task_id: str, observe: str | None, tmp_path: Path
) -> None:
    """Every row of a store is what its state shows; states follow from the actions; goals of offsets are reached."""
    world = world_of(task_id, observe)
    store = collect_world(world, tmp_path / "held", "explorer", episodes=6, length=40, split="test")
    simulator = world.simulator
    # The same numbers in the order of the folder's episodes.
    drawn, _ = simulator.draw(store.seed)
    state = {name: np.asarray(value) for name, value in store.state.items()}
    for name, value in drawn.items():
        np.testing.assert_array_equal(state[name][store.start], value, err_msg="the reset frame comes first")
    for name, frames in simulator.show(state).items():
        np.testing.assert_array_equal(frames, store.observation[name])
    last = np.zeros(store.observations, dtype=bool)
    last[store.start + store.lengths - 1] = True
    before = np.flatnonzero(~last)
    after = simulator.advance({k: v[before] for k, v in state.items()}, np.asarray(store.action)[before])
    for name, value in after.items():
        np.testing.assert_array_equal(value, state[name][before + 1])
    np.testing.assert_array_equal(store.group, simulator.layouts(store.seed))
    rule = tasks.success_rule(world.spec)
    assert rule is None, "the published rule"
    batch = tasks.trajectory_tasks(store.recorded(), 12, rule, "field", episodes=5)
    world.reset(batch)
    assert batch.way is not None
    for time in range(12):
        step = world.step(batch.way[:, time])
    assert step.success.all()
    # Nothing of it needs the states that the store may be without.
    again = collect_world(world, tmp_path / "held", "explorer", episodes=6, length=40, split="test")
    assert again.sha256 == store.sha256


@pytest.mark.parametrize("task_id", IDS)
def test_finished_episodes_stay_and_others_go_on(task_id: str) -> None:
    world = world_of(task_id, step_budget=3)
    world.reset(tasks.plain_tasks(SEEDS))
    rng = keyed_generator("field finished")
    for _ in range(3):
        step = world.step(draw_actions(world.spec.actions, rng, len(SEEDS)))
    assert (step.truncated | step.terminated).all()
    frozen = world.step(draw_actions(world.spec.actions, rng, len(SEEDS)))
    for name, value in step.observation.items():
        np.testing.assert_array_equal(frozen.observation[name], value)


@pytest.mark.parametrize("task_id", IDS)
def test_goals_that_the_world_shows(task_id: str) -> None:
    """Held-out tasks with the world's own goals; begun at the goal itself they are done."""
    world = world_of(task_id)
    batch = tasks.world_tasks(world, "test", episodes=5, seed=1)
    world.reset(batch)
    groups = batch.seed if FIELD_TASKS[task_id].finite else world.groups(batch.seed)
    np.testing.assert_array_equal(batch.group, groups)
    goal = world.goal_state()
    world.place(goal, goal)
    shown = world.goal()
    assert shown is not None
    action = np.zeros((5, 2), np.float32) if world.spec.actions.continuous else np.zeros(5, np.int64)
    assert world.step(action).success.all()


def test_the_field_is_not_of_cells() -> None:
    assert not any(has_twin(task_id) for task_id in IDS)
    listed = {spec["id"] for spec in tasks.list_tasks()}
    assert listed >= set(IDS)
    with pytest.raises(ValueError, match="no task of the field"):
        make_simulator("hjepa/Nothing-v0")


def test_published_budgets() -> None:
    assert {each: world_of(each).spec.step_budget for each in IDS} == {
        each: FIELD_TASKS[each].step_budget for each in IDS
    }
    for task_id in ("hjepa/TwoRoom-v0", "hjepa/SokobanLong-v0"):
        assert [published_budget(task_id, k) for k in (25, 50, 100)] == [50, 75, 125]
    assert published_budget("hjepa/FourRoomDistractors-v0", 15) == 42
    assert published_budget("hjepa/DiverseMaze-v0", 25) is None
    assert published_budget("Pendulum-v1", 25) is None


@pytest.mark.parametrize("task_id", IDS)
def test_batches_of_gymnasium(task_id: str) -> None:
    envs = gymnasium.make_vec(task_id, num_envs=2, vectorization_mode="vector_entry_point")
    seen, _ = envs.reset(seed=[3, 11])
    expected = world_of(task_id).reset(tasks.plain_tasks(SEEDS[:2]))
    for name, value in expected.items():
        np.testing.assert_array_equal([in_channels(each) for each in seen[name]], value)
    envs.close()


@pytest.mark.parametrize(("task_id", "observe"), WAYS)
def test_render_and_wrong_arguments(task_id: str, observe: str | None) -> None:
    env = gymnasium.make(task_id, render_mode="rgb_array", observe=observe)
    env.reset(seed=1)
    frame = env.render()
    assert isinstance(frame, np.ndarray) and frame.shape == (64, 64, 3)
    with pytest.raises(ValueError, match="observed as sound"):
        make_simulator(task_id, "sound")
    with pytest.raises(ValueError, match="from 16 to 4096"):
        make_simulator(task_id, observe, pixels=7)
    with pytest.raises(ValueError, match="takes no argument 'colour'"):
        make_simulator(task_id, observe, colour=1)


def test_intervals_are_clustered_by_layouts_that_are_drawn_from_many() -> None:
    four, maze = (world_of(f"hjepa/{name}-v0") for name in ("FourRoomDistractors", "DiverseMaze"))
    assert len(set(tasks.world_tasks(four, episodes=40).group.tolist())) == 40
    assert len(set(tasks.world_tasks(maze, episodes=40).group.tolist())) <= 20
