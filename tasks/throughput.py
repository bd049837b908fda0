"""How fast the world is: environment steps and training windows per second of processor time, on one core.

Times are those of the process, so that what else the machine does does not count. Resets belong to stepping: nobody
steps an environment without them.
"""

from __future__ import annotations

import time

import gymnasium
import numpy as np

from tasks.observations import ACTIONS
from tasks.randomness import keyed_generator
from tasks.rendering import TILE
from tasks.suite import make_batched, sample_episodes, task_spec
from tasks.trajectories import TrajectoryStore


def minigrid_steps(task_id: str, seconds: float = 2.0, seen: str = "symbols") -> float:
    """Steps per second of the fully observed MiniGrid environment under random actions, resets included.

    Args:
        task_id: a registered task.
        seconds: how long to measure.
        seen: ``symbols``, or ``RGB`` images of `TILE` pixels a cell.
    """
    import minigrid  # registers its environments  # noqa: F401
    from minigrid.wrappers import FullyObsWrapper, RGBImgObsWrapper

    bare = gymnasium.make(task_id).unwrapped
    env = FullyObsWrapper(bare) if seen == "symbols" else RGBImgObsWrapper(bare, TILE)
    rng = keyed_generator("throughput")
    env.reset(seed=0)
    steps, spent = 0, 0.0
    while spent < seconds:
        actions = rng.integers(0, len(ACTIONS), 50)
        begin = time.process_time()
        for action in actions:
            _, _, terminated, truncated, _ = env.step(int(action))
            steps += 1
            if terminated or truncated:
                env.reset()
        spent += time.process_time() - begin
    return steps / spent


def batched_steps(
    task_id: str,
    num_envs: int = 1024,
    seconds: float = 2.0,
    copy: bool = False,
    seen: str = "symbols",
    ahead: bool = False,
) -> float:
    """Steps per second of the batched twin under random actions, observations and resets included.

    Args:
        task_id: a registered task.
        num_envs: episodes side by side.
        seconds: how long to measure.
        copy: whether observations are copied, see :class:`tasks.batched_world.BatchedWorld`.
        seen: see `minigrid_steps`.
        ahead: whether floor plans are drawn beforehand; else resets draw new ones, as MiniGrid's do.
    """
    spec = task_spec(task_id)
    env = make_batched(spec, num_envs, copy=copy)
    rng = keyed_generator("throughput")
    episodes = sample_episodes(task_id, "train", episodes=num_envs)
    steps, spent, rounds = 0, 0.0, 1
    while spent < seconds:
        actions: np.ndarray = rng.integers(0, len(ACTIONS), (spec.step_budget, num_envs))
        if spec.continuous:
            actions = rng.uniform(-1, 1, (spec.step_budget, num_envs, 2)).astype(np.float32)
        begin = time.process_time()
        if not ahead:
            episodes = sample_episodes(task_id, "train", episodes=num_envs, seed=rounds)
            rounds += 1
        env.reset(options={"episodes": episodes})
        for action in actions:
            env.step(action)
            if seen != "symbols":
                env.frames(TILE)
        spent += time.process_time() - begin
        steps += spec.step_budget * num_envs
    return steps / spent


def window_transitions(
    store: TrajectoryStore,
    count: int = 256,
    length: int = 32,
    plans: int | None = None,
    seconds: float = 1.0,
) -> float:
    """Transitions per second of ``store.windows``: count x (length - 1) transitions a call."""
    rng = keyed_generator("throughput")
    store.windows(rng, count, length, plans)
    calls, spent = 0, 0.0
    while spent < seconds:
        begin = time.process_time()
        store.windows(rng, count, length, plans)
        spent += time.process_time() - begin
        calls += 1
    return calls * count * (length - 1) / spent
