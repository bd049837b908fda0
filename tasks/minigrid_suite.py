"""Stock MiniGrid environments as tasks, and your own: floor plans, starts and goals are the unmodified environment's.

The *layout* of seed s is exactly what ``gymnasium.make(id).reset(seed=s)`` builds. Seeds come from the split's
range (see :mod:`tasks.floorplans`), and of these only the ones are used whose *content* the split owns: a hash of
the geometry (which cells are walls and which are doors, neither colours nor start nor goal) decides, so no
geometry of one split appears in another, although an environment such as FourRooms has only 4,096 of them.

Supported is any environment with MiniGrid's own ``step`` whose world holds walls, floor, unlocked doors and one
goal object. Things to carry, locks, lava and moving objects are refused.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from tasks.episode_batches import EpisodeBatch, reachable_barriers
from tasks.floorplans import SPLIT_BUCKETS, split_of, split_seeds
from tasks.observations import (
    DOOR,
    EMPTY,
    EMPTY_CELL,
    FLOOR,
    FREE,
    GOAL,
    GOAL_CELL,
    LOCKED,
    WALL,
    close_doors,
    door_cells,
)
from tasks.oracles import arrival
from tasks.randomness import bucket, keyed_generator, spread
from tasks.specs import TaskSpec

KINDS = ("own", "uniform")
"""``own``: the environment's start and goal. ``uniform``: two different free cells, and the goal object moved."""

_OBJECTS = (EMPTY, WALL, FLOOR, DOOR, GOAL)
_PROBED = 64  # layouts looked at to count doors
_MAX_MISSES = 500


@dataclass(frozen=True, eq=False)
class Layout:
    """What one reset of a stock environment builds; the arrays are shared, do not write to them.

    Attributes:
        grid: (W, H, 3) uint8, the world without the agent, all doors closed.
        states: (D,) int64, the door states at reset, in the order of `tasks.observations.door_cells`.
        agent: (3,) int64, x, y, heading.
        goal: (2,) int64, cell of the goal object.
        content: hash bucket 0..9 of the geometry.
    """

    grid: np.ndarray
    states: np.ndarray
    agent: np.ndarray
    goal: np.ndarray
    content: int

    @property
    def doors(self) -> int:
        """D, the number of doors."""
        return len(self.states)

    def start(self, doors: int) -> np.ndarray:
        """The agent vector (3 + M,) at reset for M door slots."""
        return np.concatenate([self.agent, self.states, np.zeros(doors - self.doors, dtype=np.int64)])


@functools.lru_cache(maxsize=16)
def stock_environment(task_id: str) -> Any:
    """The unmodified environment, bare of wrappers, one per process.

    Args:
        task_id: Gymnasium id, or ``module:id`` to import the module that registers it first.

    Raises:
        ValueError: no such environment, not one of MiniGrid's, or one with rules of its own.
    """
    import minigrid  # registers the environments  # noqa: F401
    from minigrid.minigrid_env import MiniGridEnv

    try:
        env = gymnasium.make(task_id).unwrapped
    except ImportError as error:
        raise ValueError(
            f"{task_id!r} names a module that cannot be imported ({error}); put its folder on PYTHONPATH"
        ) from None
    except gymnasium.error.Error as error:
        raise ValueError(
            f"unknown MiniGrid environment {task_id!r} ({error}); see gymnasium.registry"
        ) from None
    if not isinstance(env, MiniGridEnv):
        raise ValueError(f"{task_id} is a {type(env).__name__}, not a MiniGrid environment")
    if type(env).step is not MiniGridEnv.step:
        raise ValueError(f"{task_id} has rules of its own (it overrides step); only MiniGrid's are supported")
    return env


@functools.lru_cache(maxsize=20_000)
def layout(task_id: str, seed: int) -> Layout:
    """The layout of a seed.

    Raises:
        ValueError: an environment that is not supported.
    """
    env = stock_environment(task_id)
    env.reset(seed=seed)
    grid = env.grid.encode()
    objects, states = grid[..., 0], grid[..., 2]
    for wrong, what in (
        (~np.isin(objects, _OBJECTS), "an object that is neither wall, floor, door nor goal"),
        ((objects == DOOR) & (states == LOCKED), "a locked door"),
    ):
        if wrong.any():
            x, y = np.argwhere(wrong)[0]
            raise ValueError(
                f"{task_id} with seed {seed} has {what} at (x={x}, y={y}, object {objects[x, y]});"
                " choose an environment without"
            )
    goals = np.argwhere(objects == GOAL)
    if len(goals) != 1:
        raise ValueError(f"{task_id} with seed {seed} has {len(goals)} goal objects; one is needed")
    cells = door_cells(grid, int((objects == DOOR).sum()))
    geometry = np.where(np.isin(objects, (WALL, DOOR)), objects, EMPTY).astype(np.uint8)
    return Layout(
        grid=close_doors(grid),
        states=states[cells[:, 0], cells[:, 1]].astype(np.int64),
        agent=np.array([*env.agent_pos, env.agent_dir], dtype=np.int64),
        goal=goals[0],
        content=bucket("minigrid", *geometry.shape, geometry.tobytes().hex()),
    )


def owned(task_id: str, seed: int) -> bool:
    """Whether the content of a seed's layout belongs to the split whose range the seed is in."""
    return layout(task_id, seed).content in SPLIT_BUCKETS[split_of(seed)]


def layout_seeds(task_id: str, split: str, count: int, *key: str | int) -> np.ndarray:
    """The first ``count`` owned seeds (count,) int64 of a keyed walk through the split's range.

    Raises:
        ValueError: an unknown split, or an environment with so few layouts that none is set aside for it.
    """
    found: list[int] = []
    misses = 0
    for seed in _walk(split, key):
        if owned(task_id, seed):
            found.append(seed)
            misses = 0
        else:
            misses += 1
        if len(found) == count:
            break
        if misses == _MAX_MISSES:
            raise ValueError(
                f"{task_id} has too few layouts: none of the {split} split in {misses} seeds; use split"
                " 'train', or an environment with more layouts"
            )
    return np.array(found, dtype=np.int64)


def _walk(split: str, key: tuple[str | int, ...]) -> Iterator[int]:
    seeds, taken, count = split_seeds(split), 0, 64
    while True:
        part = spread(count, seeds.start, seeds.stop, *key)
        yield from part[taken:].tolist()
        taken, count = count, 2 * count


def floors(spec: TaskSpec, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Floor plans (P, W, H, 3) uint8 and barrier maps (P, W, H) of the layouts with these seeds (P,)."""
    found = [layout(spec.id, int(seed)) for seed in seeds]
    _check_doors(spec, found)
    grid = np.stack([each.grid for each in found])
    return grid, reachable_barriers(grid, np.stack([each.agent for each in found]), spec.doors)


def draw_ends(
    rng: np.random.Generator, spec: TaskSpec, seed: int, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Floor plan (W, H, 3), start (3 + M,) and goal (3 + M,) of one episode; the goal's doors are the start's.

    Args:
        rng: source of the goal's heading, and of everything in ``uniform`` episodes.
        spec: task.
        seed: of the layout.
        kind: one of :data:`KINDS`.
    """
    found = layout(spec.id, seed)
    _check_doors(spec, [found])
    grid, start, goal = found.grid, found.start(spec.doors), found.start(spec.doors)
    if kind == "own":
        goal[:2] = found.goal
    else:
        barriers = reachable_barriers(grid[None], start[None], spec.doors)[0]
        cells = np.argwhere(barriers == FREE)
        first, second = rng.choice(len(cells), 2, replace=False)
        start[:2], start[2], goal[:2] = cells[first], rng.integers(4), cells[second]
        grid = grid.copy()
        grid[tuple(found.goal)], grid[tuple(goal[:2])] = EMPTY_CELL, GOAL_CELL
    goal[2] = rng.integers(4)
    return grid, start, goal


def sample_layout_episodes(spec: TaskSpec, split: str, kind: str, episodes: int, seed: int) -> EpisodeBatch:
    """Episodes of a stock environment; see :func:`tasks.suite.sample_episodes`."""
    key = ("episodes", spec.id, split, kind, int(seed))
    seeds = layout_seeds(spec.id, split, episodes, *key)
    drawn = [draw_ends(keyed_generator(*key, i), spec, int(s), kind) for i, s in enumerate(seeds)]
    grid, start, goal = (np.stack(part) for part in zip(*drawn, strict=True))
    steps, arrived = arrival(reachable_barriers(grid, start, spec.doors), start, goal)
    goal[:, 3:] = arrived[:, 3:]
    return EpisodeBatch(seeds, grid, start, goal, steps)


def minigrid_spec(task_id: str, doors: int | None = None, default_budget_tflops: float = 0.03) -> TaskSpec:
    """A task of any supported stock environment, with the environment's own step limit as budget.

    Args:
        task_id: Gymnasium id.
        doors: door slots; None: as many as the most of 64 layouts have.
        default_budget_tflops: planning compute per episode.

    Raises:
        ValueError: an environment that is not supported.
    """
    env = stock_environment(task_id)
    seeds = split_seeds("train")[:_PROBED]
    if doors is None:
        doors = max(layout(task_id, seed).doors for seed in seeds)
    return stock_spec(task_id, env.width, env.height, env.max_steps, doors, default_budget_tflops)


def stock_spec(
    task_id: str, width: int, height: int, max_steps: int, doors: int, budget_tflops: float
) -> TaskSpec:
    """The task of a stock environment whose properties are known, without making it."""
    what = f"with up to {doors} doors to toggle" if doors else "without doors"
    return TaskSpec(
        id=task_id,
        depth=0,
        room=0,
        width=width,
        height=height,
        step_budget=max_steps,
        default_budget_tflops=budget_tflops,
        fixed_plan=None,
        description=f"MiniGrid's own environment {what} on a {width}x{height} grid, its layouts, starts and goals",
        family="minigrid",
        kinds=KINDS,
        doors=doors,
    )


def _check_doors(spec: TaskSpec, layouts: list[Layout]) -> None:
    most = max((each.doors for each in layouts), default=0)
    if most > spec.doors:
        raise ValueError(
            f"a layout of {spec.id} has {most} doors, the task {spec.doors} door slots; make it with"
            f" tasks.minigrid_spec({spec.id!r}, doors={most})"
        )
