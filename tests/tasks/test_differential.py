"""The batched twin against MiniGrid, step by step, with every kind of event counted.

The reference is always the true ``FullyObsWrapper`` over the registered environment. Half of the steps are
uniformly random, half are made by explorers, some of which head for the episode's goal so that episodes
succeed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
from minigrid.wrappers import FullyObsWrapper

import tasks
from tasks.explorers import make_explorer
from tasks.observations import ACTIONS, FORWARD
from tasks.oracles import distances, shortest_actions

# Worlds with a key have tests of their own, and so have views.
IDS = [
    spec["id"]
    for spec in tasks.list_tasks()
    if spec["family"] == "nested-rooms" and not spec["keys"] and not spec["view"]
]
ENVS = 10
EVENTS = {
    "left",
    "right",
    "moved",
    "blocked",
    "door",
    "pickup",
    "drop",
    "toggle",
    "done",
    "success",
    "lava",
    "truncation",
}

Policy = Callable[[np.ndarray], np.ndarray]


def random_policy(env: tasks.BatchedNestedRooms, rng: np.random.Generator) -> Policy:
    return lambda agent: rng.integers(0, len(ACTIONS), len(agent))


def exploring_policy(env: tasks.BatchedNestedRooms, rng: np.random.Generator) -> Policy:
    return make_explorer("mixture", env.walls, rng).act


def arriving_policy(env: tasks.BatchedNestedRooms, rng: np.random.Generator) -> Policy:
    walls, table = env.walls, distances(env.walls, env.goal)

    def act(agent: np.ndarray) -> np.ndarray:
        noise = rng.random(len(agent)) < 0.15
        anything = rng.integers(0, len(ACTIONS), len(agent))
        return np.where(noise, anything, shortest_actions(walls, table, agent, rng))

    return act


def compare(
    task_id: str,
    steps: int,
    make_policy: Callable[[tasks.BatchedNestedRooms, np.random.Generator], Policy],
    seed: int,
    **arguments: object,
) -> Counter[str]:
    """Run twin and MiniGrid side by side for ``steps`` steps in all; returns how often each event was."""
    twin = tasks.make_batched(tasks.task_spec(task_id), ENVS, **arguments)
    references = [FullyObsWrapper(gymnasium.make(f"tasks:{task_id}", **arguments)) for _ in range(ENVS)]
    rng = np.random.default_rng(seed)
    events: Counter[str] = Counter()
    observation, info = twin.reset(seed=seed)
    for i, env in enumerate(references):
        expected, expected_info = env.reset(seed=seed + i)
        check(observation, expected, i)
        assert (info["goal"][i] == expected_info["goal"]).all()
    policy = make_policy(twin, rng)
    for _ in range(steps // ENVS):
        action = policy(twin.agent)
        observation, reward, terminated, truncated, _ = twin.step(action)
        for i, env in enumerate(references):
            before = env.unwrapped.agent_pos
            expected, expected_reward, ended, cut, _ = env.step(int(action[i]))
            check(observation, expected, i)
            assert (reward[i], terminated[i], truncated[i]) == (expected_reward, ended, cut), (task_id, i)
            count(events, env.unwrapped, before, int(action[i]), ended, cut)
        finished = terminated | truncated
        if finished.any():
            observation, info = twin.reset(options={"reset_mask": finished})
            for i in np.flatnonzero(finished):
                expected, expected_info = references[i].reset()
                check(observation, expected, i)
                assert (info["goal"][i] == expected_info["goal"]).all()
                assert info["plan_seed"][i] == expected_info["plan_seed"]
            policy = make_policy(twin, rng)
    events["steps"] += steps // ENVS * ENVS
    return events


def check(observation: dict[str, np.ndarray], expected: dict[str, np.ndarray], i: int) -> None:
    np.testing.assert_array_equal(observation["image"][i], expected["image"])
    assert observation["direction"][i] == expected["direction"]


def count(
    events: Counter[str], env: tasks.NestedRooms, before: tuple[int, int], action: int, ended: bool, cut: bool
) -> None:
    """Count what happened, seen from MiniGrid's side."""
    after = tuple(int(v) for v in env.agent_pos)
    moved = after != tuple(int(v) for v in before)
    if action == FORWARD:
        events["moved" if moved else "blocked"] += 1
        if moved and after in {tuple(door) for door in env.plan.doors.tolist()}:
            events["door"] += 1
    else:
        assert not moved
        events[ACTIONS[action]] += 1
    lost = ended and after != tuple(env.goal[:2])
    assert lost == (after in env.episode.lava)
    events["success"] += ended and not lost
    events["lava"] += lost
    events["truncation"] += cut


def run_all(shares: dict[str, int]) -> Counter[str]:
    """Half random, half explorers (of these half heading for the goal), on each task."""
    total: Counter[str] = Counter()
    for number, (task_id, steps) in enumerate(shares.items()):
        total += compare(task_id, steps // 4, random_policy, seed=number)
        # A short budget, a shown goal and other splits are arguments users pass as well.
        total += compare(task_id, steps // 4, random_policy, seed=50 + number, step_budget=16, split="test")
        total += compare(task_id, steps // 4, exploring_policy, seed=100 + number, tasks="uniform")
        total += compare(task_id, steps // 4, arriving_policy, seed=150 + number, show_goal=number % 2 == 0)
    return total


def assert_every_event(events: Counter[str], least: int = 100) -> None:
    rare = {event: events[event] for event in EVENTS if events[event] < least}
    assert not rare, f"seen fewer than {least} times: {rare}"


def test_ten_thousand_steps_equal_minigrid() -> None:
    events = run_all(dict(zip(IDS, (5_200, 2_400, 800, 2_400, 4_800), strict=True)))
    assert events["steps"] >= 10_000
    assert_every_event(events)


@pytest.mark.slow
def test_a_hundred_thousand_steps_equal_minigrid() -> None:
    events = run_all(dict(zip(IDS, (40_000, 25_000, 10_000, 25_000, 25_000), strict=True)))
    assert events["steps"] >= 100_000
    assert_every_event(events)


def test_the_comparison_notices_a_wrong_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: one heading turned the wrong way is found at once."""
    import tasks.dynamics

    monkeypatch.setattr(tasks.dynamics, "_TURN", np.array([-1, 1, 0, 0, 0, 0, 2]))
    with pytest.raises(AssertionError):
        compare(IDS[0], 500, random_policy, seed=0)
