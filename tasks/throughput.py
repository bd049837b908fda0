"""How fast the world is: environment steps and training windows per second of processor time, on one core.

Times are those of the process, so that what else the machine does does not count. Resets belong to stepping: nobody
steps an environment without them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from tasks.collection import collect
from tasks.observations import ACTIONS
from tasks.randomness import keyed_generator
from tasks.suite import make_batched, sample_episodes, task_spec
from tasks.trajectories import TrajectoryStore

FLOOR = 300.0
"""How many times as many steps a second the batched twin takes as MiniGrid, at least, in the task of middle size."""


def minigrid_steps(task_id: str, seconds: float = 2.0) -> float:
    """Steps per second of the fully observed MiniGrid environment under random actions, resets included."""
    import minigrid  # registers its environments  # noqa: F401
    from minigrid.wrappers import FullyObsWrapper

    env = FullyObsWrapper(gymnasium.make(task_id).unwrapped)
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


def batched_steps(task_id: str, num_envs: int = 1024, seconds: float = 2.0, copy: bool = False) -> float:
    """Steps per second of the batched twin, observations and resets included.

    Args:
        task_id: a registered task.
        num_envs: episodes side by side.
        seconds: how long to measure.
        copy: whether observations are copied, see :class:`tasks.batched_world.BatchedWorld`.
    """
    spec = task_spec(task_id)
    env = make_batched(spec, num_envs, copy=copy)
    episodes = sample_episodes(task_id, "train", episodes=num_envs)
    rng = keyed_generator("throughput")
    steps, spent = 0, 0.0
    while spent < seconds:
        actions: np.ndarray = rng.integers(0, len(ACTIONS), (spec.step_budget, num_envs))
        if spec.continuous:
            actions = rng.uniform(-1, 1, (spec.step_budget, num_envs, 2)).astype(np.float32)
        begin = time.process_time()
        env.reset(options={"episodes": episodes})
        for action in actions:
            env.step(action)
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


def ratios(
    name: str, fast: Sequence[float], slow: Sequence[float | None]
) -> dict[str, float | list[float] | None]:
    """Of rates measured side by side, under ``name``: their median, and the least and the most; None without rates."""
    found = [over / under for over, under in zip(fast, slow) if under is not None]
    return {
        name: float(np.median(found)) if found else None,
        f"{name}_spread": [min(found), max(found)] if found else None,
    }


def measure(
    task_id: str = "hjepa/NestedRooms-d3-v0",
    num_envs: int = 1024,
    seconds: float = 2.0,
    transitions: int = 1_000_000,
    repeats: int = 3,
) -> dict[str, Any]:
    """Measure steps and windows; every figure is for one process.

    Steps are measured ``repeats`` times, by turns; medians are given, and the least and the most of each ratio.

    A continuous world is its own twin, so ``minigrid_steps_per_s`` and the ratios are None there.

    Returns:
        ``minigrid_steps_per_s``, ``batched_steps_per_s`` and ``batched_copy_steps_per_s`` (observations
        copied), their ``ratio`` (without copies) and ``ratio_copy``, each with its ``_spread``,
        ``ratio_floor``, what the first should not be below, ``windows_transitions_per_s`` for 256
        windows of 32 observations out of ``transitions`` transitions, ``windows_16_plans_transitions_per_s``
        for the same out of 16 plans a batch, ``collect_transitions_per_s``, and what was measured.
    """
    continuous = task_spec(task_id).continuous
    rates: list[tuple[float | None, float, float]] = []
    for _ in range(repeats):
        own = None if continuous else minigrid_steps(task_id, seconds)
        plain, copied = (batched_steps(task_id, num_envs, seconds, copy) for copy in (False, True))
        rates.append((own, plain, copied))
    owns, plains, copies = zip(*rates)
    fixed = task_spec(task_id).fixed_plan is not None
    episodes = max(transitions // 99, 4)
    plans, per_plan, length = (1, episodes, 100) if fixed else (episodes // 4, 4, 100)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        store = collect(task_id, Path(folder) / "store", plans, per_plan, length, seed=0)
        collected = store.transitions / (time.process_time() - begin)
        windows = window_transitions(store, seconds=seconds)
        few = window_transitions(store, plans=16 if plans >= 16 else 1, seconds=seconds)
    return {
        "task": task_id,
        "num_envs": num_envs,
        "minigrid_steps_per_s": None if continuous else float(np.median(owns)),
        "batched_steps_per_s": float(np.median(plains)),
        "batched_copy_steps_per_s": float(np.median(copies)),
        **ratios("ratio", plains, owns),
        "ratio_floor": FLOOR,
        **ratios("ratio_copy", copies, owns),
        "windows_transitions_per_s": windows,
        "windows_16_plans_transitions_per_s": few,
        "collect_transitions_per_s": collected,
    }
