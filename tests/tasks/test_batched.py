"""The batched twin's interface: seeding, masks, given episodes, frozen episodes, copies."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from minigrid.wrappers import FullyObsWrapper

import tasks
from tasks.batched import BatchedNestedRooms
from tasks.nested_rooms import NestedRooms
from tasks.observations import FORWARD, LEFT, split_image
from tasks.oracles import distances, shortest_actions

D2 = "hjepa/NestedRooms-d2-v0"


def twin(count: int = 6, **arguments: object) -> BatchedNestedRooms:
    return BatchedNestedRooms(count, depth=2, step_budget=64, **arguments)  # type: ignore[arg-type]


OURS = [
    spec["id"]
    for spec in tasks.list_tasks()
    if spec["id"].startswith("hjepa/Nested") or (spec["family"] == "layouts" and spec["width"] == 9)
]


@pytest.mark.parametrize("task_id", OURS)
def test_the_twin_of_a_task_keeps_to_its_spaces(task_id: str) -> None:
    twins = tasks.make_batched(tasks.task_spec(task_id), 3, split="test")
    assert isinstance(twins, tasks.BatchedWorld)
    assert twins.step_budget == tasks.task_spec(task_id).step_budget
    assert twins.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    observation, _ = twins.reset(seed=np.int64(0))  # type: ignore[arg-type]
    assert observation in twins.observation_space
    assert len(twins.action_space.sample()) == 3
    observation, *_ = twins.step(twins.action_space.sample())
    assert observation in twins.observation_space


def test_the_same_seeds_as_gymnasiums_own_vectoriser() -> None:
    """Episodes, infos and later draws equal those of SyncVectorEnv over the wrapped MiniGrid environment."""
    ours = twin(4)
    theirs = SyncVectorEnv(
        [lambda: FullyObsWrapper(NestedRooms(depth=2, step_budget=64))] * 4,
        autoreset_mode=AutoresetMode.DISABLED,
    )
    mask = np.array([True, False, True, True])
    for seed, options in ((5, None), ([3, None, 9, 9], {"reset_mask": mask}), (None, None)):
        (a, info_a), (b, info_b) = (
            env.reset(seed=seed, options=None if options is None else dict(options)) for env in (ours, theirs)
        )
        assert all((a[name] == b[name]).all() for name in a)
        assert set(info_a) == set(info_b)
        for name in info_a:
            np.testing.assert_array_equal(info_a[name], info_b[name], err_msg=name)


def test_given_episodes_start_as_given() -> None:
    episodes = tasks.sample_episodes(D2, "test", episodes=6)
    env = twin()
    observation, info = env.reset(options={"episodes": episodes})
    assert (observation["image"] == episodes.start_image).all()
    assert (info["goal"] == episodes.goal_image).all() and (info["plan_seed"] == episodes.plan_seed).all()
    assert (env.agent == episodes.start).all() and (env.goal == episodes.goal).all()
    assert (env.walls == episodes.walls).all() and (observation["direction"] == episodes.start[:, 2]).all()


def test_a_mask_refills_only_its_slots() -> None:
    episodes = tasks.sample_episodes(D2, "test", episodes=8)
    env = twin()
    env.reset(options={"episodes": episodes.select(slice(0, 6))})
    env.step(np.full(6, LEFT))
    before = env.agent
    mask = np.array([False, True, False, False, True, False])
    observation, info = env.reset(options={"episodes": episodes.select([6, 7]), "reset_mask": mask})
    assert (env.agent[mask] == episodes.start[[6, 7]]).all() and (env.agent[~mask] == before[~mask]).all()
    assert env.steps.tolist() == [1, 0, 1, 1, 0, 1]
    assert (info["_goal"] == mask).all() and not info["goal"][~mask].any()
    assert (split_image(observation["image"])[1] == env.agent).all()


def test_finished_episodes_are_frozen_until_reset() -> None:
    episodes = tasks.sample_episodes(D2, "test", "uniform", episodes=6)
    env = twin()
    env.reset(options={"episodes": episodes})
    table = distances(episodes.walls, episodes.goal)
    rewards = np.zeros(6)
    for step in range(1, 71):
        optimal = shortest_actions(episodes.walls, table, env.agent)
        walking = np.arange(6) < 4  # the others turn on the spot until the budget ends
        _, reward, terminated, truncated, _ = env.step(np.where(walking, optimal, LEFT))
        rewards += reward
        assert (terminated == (walking & (step >= episodes.oracle_steps))).all()
        assert (truncated == (~walking & (step >= 64))).all()
        assert (reward == np.where(walking & (step == episodes.oracle_steps), 1 - 0.9 * step / 64, 0)).all()
    where = env.agent
    observation, reward, terminated, truncated, _ = env.step(np.full(6, FORWARD))
    assert (env.agent == where).all() and not reward.any() and (terminated | truncated).all()
    assert (split_image(observation["image"])[1] == where).all()
    assert (env.steps == np.where(np.arange(6) < 4, episodes.oracle_steps, 64)).all()
    env.reset(options={"reset_mask": terminated})
    assert (env.steps[:4] == 0).all()
    _, _, terminated, truncated, _ = env.step(np.full(6, LEFT))
    assert not terminated[:4].any() and truncated[4:].all() and (env.steps[:4] == 1).all()


def test_copies_are_the_callers_and_views_are_not() -> None:
    for copy in (True, False):
        env = twin(copy=copy)
        observation, _ = env.reset(seed=0)
        kept = observation["image"].copy()
        env.step(np.full(6, LEFT))
        assert (observation["image"] == kept).all() == copy


def test_properties_are_copies() -> None:
    env = twin()
    env.reset(seed=0)
    for value in (env.agent, env.goal, env.walls, env.steps):
        value[:] = 1
    assert (split_image(env.step(np.full(6, LEFT))[0]["image"])[1] == env.agent).all()
    assert not (env.walls.all() or (env.goal == 1).all())


def test_recording_episode_statistics_works() -> None:
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(twin())
    env.reset(seed=0)
    *_, info = env.step(np.full(6, LEFT))
    assert isinstance(info, dict)


def test_bad_calls_are_refused() -> None:
    env = twin()
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(np.zeros(6, dtype=int))
    episodes = tasks.sample_episodes(D2, "test", episodes=6)
    large = tasks.sample_episodes("hjepa/NestedRooms-d3-v0", "test", episodes=6)
    refused = {
        "5 episodes given for 6 environments": {"episodes": episodes.select(slice(0, 5))},
        "episodes are 17x17, this task 9x9": {"episodes": large},
        "unknown reset option 'plan'": {"plan": 3},
        "either episodes or start": {"episodes": episodes, "start": (1, 1, 0)},
        "reset_mask needs": {"reset_mask": np.ones(5, dtype=bool)},
        "selects no environment": {"reset_mask": np.zeros(6, dtype=bool)},
    }
    for message, options in refused.items():
        with pytest.raises(ValueError, match=message):
            env.reset(options=options)
    with pytest.raises(ValueError, match="2 seeds given for 6"):
        env.reset(seed=[1, 2])
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions have shape \(5,\); \(6,\) is needed"):
        env.step(np.zeros(5, dtype=int))
    with pytest.raises(ValueError, match="action 7 does not exist"):
        env.step(np.full(6, 7))
    with pytest.raises(ValueError, match="num_envs is 0"):
        twin(0)
    with pytest.raises(ValueError, match="cannot render"):
        twin(render_mode="rgb_array")
    with pytest.raises(ValueError, match="unknown split"):
        twin(split="dev")
