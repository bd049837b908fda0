"""Gymnasium's MuJoCo environments as worlds: what is seen, goals some steps later, and budgets behind a prefix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.goals import spread_of, success_rule, trajectory_tasks
from tasks.world_choice import open_world, world_spec
from tasks.world_collection import collect_world

pytest.importorskip("mujoco", reason="pip install 'hjepa[mujoco]'")

REACHER, OFFSET, BUDGET = "Reacher-v5", 25, 50


def test_a_reacher_is_recorded_and_its_later_states_are_reached_by_the_same_actions(tmp_path: Path) -> None:
    world = open_world(world_spec(REACHER))
    store = collect_world(world, tmp_path / "s", "persistent", episodes=6, seed=3)
    assert store.senses["vector"].shape == (10,) and store.actions.low == (-1.0, -1.0)
    assert store.lengths.tolist() == [BUDGET + 1] * 6 and store.truncated.all() and not store.terminated.any()
    assert set(store.state) == {"qpos", "qvel"}
    angle = np.asarray(store.state["qpos"])[:, :2]
    assert np.abs(np.asarray(store.observation["vector"])[:, :2] - np.cos(angle)).max() < 1e-5

    recorded = store.recorded()
    rule = success_rule(world.spec, None, spread_of(recorded.observations))
    tasks = trajectory_tasks(recorded, OFFSET, rule, "test", episodes=20)
    assert tasks.prefix_length.max() > 0, "some begin where the registered limit would cut them short"
    seen = world.reset(tasks)
    assert tasks.start is not None and np.allclose(seen["vector"], tasks.start["vector"], atol=1e-5)
    first = np.searchsorted(store.seed, tasks.seed, sorter=np.argsort(store.seed))
    begins = store.start[np.argsort(store.seed)[first]] + tasks.prefix_length
    reached = np.zeros(20, dtype=bool)
    for step in range(OFFSET):
        after = world.step(np.asarray(store.action)[begins + step])
        reached |= after.success
    assert reached.all()
    world.close()


def test_a_step_budget_begins_at_the_start_of_a_task(tmp_path: Path) -> None:
    world = open_world(world_spec(REACHER))
    store = collect_world(world, tmp_path / "s", "random", episodes=3, seed=1)
    world.close()
    world = open_world(replace(world.spec, step_budget=40))
    tasks = trajectory_tasks(
        store.recorded(), OFFSET, lambda seen, goal: np.zeros(len(seen["vector"]), bool), episodes=9
    )
    world.reset(tasks)
    for step in range(1, 41):
        after = world.step(np.zeros((9, 2), dtype=np.float32))
        assert not after.terminated.any() and after.truncated.all() == (step == 40)
    world.close()
