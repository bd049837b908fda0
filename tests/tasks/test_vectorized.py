"""Gymnasium's contract for ``make_vec``: a single environment's spaces and episodes, every reset mode, any integer."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

import tasks

IDS = (
    "hjepa/NestedRooms-d2-v0",
    "hjepa/NestedPartial-d2-v0",
    "hjepa/NestedKeys-d2-v0",
    "hjepa/NestedPoint-d2-v0",
)


@pytest.mark.parametrize("task", IDS)
def test_spaces_and_episodes_are_the_single_environments(task: str) -> None:
    many, one = gymnasium.make_vec(task, num_envs=2), gymnasium.make(task)
    assert many.single_observation_space == one.observation_space
    assert many.single_action_space == one.action_space
    assert many.observation_space == batch_space(one.observation_space, 2)
    observation, info = many.reset(seed=np.int64(4))  # type: ignore[arg-type]
    for i in range(2):
        expected, told = one.reset(seed=4 + i)
        assert (info["goal"][i] == told["goal"]).all()
        for name, value in expected.items():
            assert np.array_equal(observation[name][i], value), name


def test_random_actions_end_as_many_episodes_as_in_single_environments() -> None:
    task, ended, rng = IDS[0], 0, np.random.default_rng(0)
    many = gymnasium.make_vec(task, num_envs=4)
    many.reset(seed=np.int64(1))  # type: ignore[arg-type]
    for _ in range(1000):
        *_, terminated, truncated, _ = many.step(rng.integers(0, 7, 4))
        ended += int((terminated | truncated).sum())
    assert ended >= 4 * (1000 // 65), "an episode takes 64 steps at most, and a step to begin"


@pytest.mark.parametrize("mode", AutoresetMode)
def test_every_mode_of_automatic_resets(mode: AutoresetMode) -> None:
    many = gymnasium.make_vec(IDS[0], num_envs=2, autoreset_mode=mode, step_budget=3)
    assert many.metadata["autoreset_mode"] is mode
    many.reset(seed=[np.int64(1), None])  # type: ignore[list-item]
    for _ in range(3):
        *_, truncated, info = many.step(np.array([0, 0]))
    assert truncated.all()
    if mode is AutoresetMode.SAME_STEP:
        assert "final_obs" in info
        return
    if mode is AutoresetMode.DISABLED:
        many.reset(options={"reset_mask": np.array([True, True])})
    *_, truncated, _ = many.step(np.array([0, 0]))
    assert not truncated.any()


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="autoreset_mode is 'never'; choose from NextStep"):
        gymnasium.make_vec(IDS[0], num_envs=2, autoreset_mode="never")
    with pytest.raises(ValueError, match="num_envs is 0"):
        gymnasium.make_vec(IDS[0], num_envs=0)


def test_twins_take_numpys_integers_and_rows_of_episodes() -> None:
    batch = tasks.sample_episodes(IDS[0], episodes=1)
    twin = tasks.make_batched(tasks.task_spec(IDS[0]), 2)
    for seed in (np.int64(3), np.array([3, 4])):
        twin.reset(seed=seed)  # type: ignore[arg-type]
    options = {"plan_seed": batch.plan_seed[0], "start": batch.start[0], "goal": batch.goal[0]}
    twin.reset(options=options)
    assert (
        (twin.floor == batch.grid).all()
        and (twin.agent == batch.start).all()
        and (twin.goal == batch.goal).all()
    )
