"""Collecting trajectories with explorers into a store.

Episodes are made in shards that are each a function of (seed, shard) and the other arguments. Everything is
written to ``OUT.partial`` beside the output, with a progress file that counts finished shards; a killed
collection goes on at the first unfinished shard and ends in the same bytes. The folder is renamed to ``OUT``
when it is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tasks import suite
from tasks.explorers import EXPLORERS
from tasks.floorplans import split_seeds
from tasks.named import check_unwrapped
from tasks.randomness import keyed_generator
from tasks.specs import TaskSpec
from tasks.store_files import (
    META,
    PROGRESS,
    StoreError,
    locked,
    output_folder,
    partial_folder,
    require_space,
    reserve,
    same_arguments,
    write_json,
)
from tasks.suite import task_spec
from tasks.trajectories import TrajectoryStore, read_meta, write_meta
from tasks.walks import walk

SHARD_EPISODES = 512
"""Episodes made side by side; part of what a collection is a function of."""


def collect(
    task_id: str,
    out: str | os.PathLike[str],
    plans: int,
    episodes_per_plan: int,
    length: int,
    seed: int,
    split: str = "train",
    explorer: str = "mixture",
    progress: Callable[[int, int], None] | None = None,
) -> TrajectoryStore:
    """Collect trajectories, or open them when they were collected before.

    Args:
        task_id: a registered task.
        out: folder of the store. A complete store with the same arguments is opened and returned.
        plans: number of floor plans, each with its own seed of the split; 1 on a fixed plan.
        episodes_per_plan: episodes on each plan, from random starts.
        length: observations per episode, so length - 1 transitions.
        seed: key of everything drawn.
        split: whose floor plans to use.
        explorer: ``persistent``, ``goal-seeking`` or ``mixture``, see :mod:`tasks.explorers`.
        progress: called with (finished, all) episodes at the start and after every shard.

    Raises:
        ValueError: arguments that cannot work, or an environment in wrappers of somebody else's.
        StoreError: ``out`` holds something else, or a store or a partial collection with other arguments;
            nothing is overwritten. Also when another process is collecting there.
    """
    spec = task_spec(task_id)
    check_unwrapped(task_id)
    split_seeds(split)
    if explorer not in EXPLORERS:
        raise ValueError(f"unknown explorer {explorer!r}; choose one of {', '.join(EXPLORERS)}")
    for name, value, least in (
        ("plans", plans, 1),
        ("episodes_per_plan", episodes_per_plan, 1),
        ("length", length, 2),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}; at least {least} is needed")
    if spec.fixed_plan is not None and plans != 1:
        raise ValueError(f"plans is {plans}, but {task_id} has one floor plan for ever; use plans=1")
    arguments = {
        "task": task_id,
        "split": split,
        "plans": int(plans),
        "episodes_per_plan": int(episodes_per_plan),
        "length": int(length),
        "seed": int(seed),
        "explorer": explorer,
    }
    folder = output_folder(out)
    if finished := _finished(folder, arguments):
        return finished
    partial = partial_folder(folder)
    partial.mkdir(parents=True, exist_ok=True)
    with locked(partial):
        if finished := _finished(folder, arguments):  # another process may just have completed it
            return finished
        _collect_shards(partial, arguments, progress)
        write_meta(partial, task_id, split, arguments)
        (partial / PROGRESS).unlink(missing_ok=True)
        partial.rename(folder)
    return TrajectoryStore.open(folder)


def plan_seeds(task_id: str, split: str, plans: int, seed: int) -> np.ndarray:
    """Floor-plan seeds (plans,) int64 that a collection with these arguments uses."""
    return suite.plan_seeds(task_id, split, plans, "collect", task_id, split, int(seed))


def _collect_shards(
    partial: Path, arguments: dict[str, Any], progress: Callable[[int, int], None] | None
) -> None:
    spec = task_spec(arguments["task"])
    per_plan, length = arguments["episodes_per_plan"], arguments["length"]
    episodes = arguments["plans"] * per_plan
    shards = -(-episodes // SHARD_EPISODES)
    seeds = plan_seeds(arguments["task"], arguments["split"], arguments["plans"], arguments["seed"])
    grids, walls = suite.floor_plans(spec.id, seeds)
    done = _begin(partial, arguments, shards)
    arrays, intact = _arrays(partial, episodes * length, spec)
    if not intact or done == 0:
        done = 0
        write_json(partial / PROGRESS, {"arguments": arguments, "shards": 0})
        np.save(partial / "grids.npy", grids, allow_pickle=False)
        np.save(partial / "offsets.npy", np.arange(episodes + 1, dtype=np.int64) * length, allow_pickle=False)
        np.save(partial / "plan.npy", np.repeat(seeds, per_plan).astype(np.int32), allow_pickle=False)
    report = progress or (lambda finished, total: None)
    report(min(done * SHARD_EPISODES, episodes), episodes)
    for shard in range(done, shards):
        first, last = shard * SHARD_EPISODES, min((shard + 1) * SHARD_EPISODES, episodes)
        plan = np.arange(first, last) // per_plan
        rng = keyed_generator(
            "collect", *(arguments[name] for name in ("task", "split", "explorer", "seed")), shard
        )
        agent, action = walk(walls[plan], length, arguments["explorer"], rng, first, spec)
        rows = slice(first * length, last * length)
        arrays["agent"][rows] = agent.reshape(arrays["agent"][rows].shape)
        arrays["action"][rows] = action.reshape(arrays["action"][rows].shape)
        arrays["grid_index"][rows] = np.repeat(plan, length)
        for array in arrays.values():
            array.flush()
        write_json(partial / PROGRESS, {"arguments": arguments, "shards": shard + 1})
        report(last, episodes)


def _finished(folder: Path, arguments: dict[str, Any]) -> TrajectoryStore | None:
    """The complete store at ``folder`` if it has these arguments, None if nothing is there."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    store = TrajectoryStore.open(folder)
    same_arguments(folder, store.meta.get("arguments"), arguments)
    return store


def _begin(partial: Path, arguments: dict[str, Any], shards: int) -> int:
    """Number of finished shards in ``partial``."""
    file = partial / PROGRESS
    if not file.exists():
        if (partial / META).exists():  # ended just before the last rename
            same_arguments(partial, read_meta(partial).get("arguments"), arguments)
            return shards
        return 0
    try:
        found = json.loads(file.read_text())
        done = int(found["shards"])
        known = found["arguments"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(f"{file} cannot be read; remove {partial} and collect again") from None
    same_arguments(partial, known, arguments)
    return done


def _arrays(partial: Path, observations: int, spec: TaskSpec) -> tuple[dict[str, np.memmap[Any, Any]], bool]:
    """The arrays that shards are written to, and whether all of them were there already."""
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "agent": ((observations, spec.agent_size), np.float32 if spec.continuous else np.int16),
        "action": ((observations, 2), np.float32) if spec.continuous else ((observations,), np.uint8),
        "grid_index": ((observations,), np.int32),
    }
    sizes = {name: np.dtype(dtype).itemsize * int(np.prod(shape)) for name, (shape, dtype) in shapes.items()}
    kept = sum(file.stat().st_size for file in partial.glob("*.npy"))
    require_space(partial, sum(sizes.values()), kept)
    arrays, intact = {}, True
    for name, (shape, dtype) in shapes.items():
        file = partial / f"{name}.npy"
        array = None
        if file.exists():
            with contextlib.suppress(ValueError, OSError, EOFError):
                array = np.lib.format.open_memmap(file, mode="r+")
        if array is None or array.shape != shape or array.dtype != dtype:
            array, intact = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape), False
            reserve(file)
        arrays[name] = array
    return arrays, intact
