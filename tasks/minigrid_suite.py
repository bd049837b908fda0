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

import numpy as np

from tasks.episode_batches import EpisodeBatch, reachable_barriers
from tasks.floorplans import SPLIT_BUCKETS, split_of, split_seeds
from tasks.named import Registration, make_named, step_limits
from tasks.named_episode import told_grid
from tasks.observations import (
    BARRIER,
    DOOR,
    EMPTY,
    EMPTY_CELL,
    FLOOR,
    FREE,
    GOAL,
    GOAL_CELL,
    LOCKED,
    WALL,
    door_cells,
)
from tasks.oracles import arrival
from tasks.randomness import bucket, keyed_generator, spread
from tasks.specs import TaskSpec

KINDS = ("own", "uniform")
"""``own``: the environment's start and goal. ``uniform``: two different free cells, and the goal object moved."""

_OBJECTS = (EMPTY, WALL, FLOOR, DOOR, GOAL)
_PROBED = 64  # layouts looked at to count doors
MAX_MISSES = 500
"""Layouts looked at in vain before a split counts as empty."""


@dataclass(frozen=True, eq=False)
class Layout:
    """What one reset of a stock environment builds; the arrays are shared, do not write to them.

    Attributes:
        grid: (W, H, 3) uint8, the world without the agent, all doors closed.
        states: (D,) int64, the door states at reset, in the order of `tasks.observations.door_cells`.
        agent: (3,) int64, x, y, heading.
        goal: (2,) int64, cell of the goal object.
        content: hash bucket 0..9 of the geometry.
        reachable: whether a way leads from the start to the goal.
    """

    grid: np.ndarray
    states: np.ndarray
    agent: np.ndarray
    goal: np.ndarray
    content: int
    reachable: bool

    @property
    def doors(self) -> int:
        """D, the number of doors."""
        return len(self.states)

    def start(self, doors: int) -> np.ndarray:
        """The agent vector (3 + M,) at reset for M door slots."""
        return np.concatenate([self.agent, self.states, np.zeros(doors - self.doors, dtype=np.int64)])


def stock_environment(task_id: str) -> Any:
    """The environment as it is registered, wrappers and all, one per process and registration.

    Args:
        task_id: Gymnasium id, or ``module:id`` to import the module that registers it first.

    Raises:
        ValueError: no such environment, not one of MiniGrid's, or one with rules of its own.
    """
    return _environment(Registration(task_id))


@functools.lru_cache(maxsize=16)
def _environment(registration: Registration) -> Any:
    from minigrid.minigrid_env import MiniGridEnv

    task_id, env = registration.task_id, make_named(registration)
    bare = env.unwrapped
    if not isinstance(bare, MiniGridEnv):
        raise ValueError(f"{task_id} is a {type(bare).__name__}, not a MiniGrid environment")
    if type(bare).step is not MiniGridEnv.step:
        raise ValueError(
            f"{task_id} has rules of its own ({_who_has(type(bare), 'step').__name__} overrides step);"
            " only MiniGrid's are supported"
        )
    return env


def _who_has(kind: type, name: str) -> type:
    """The class that an attribute of a class is inherited from."""
    return next(each for each in kind.__mro__ if name in vars(each))


def layout(task_id: str, seed: int) -> Layout:
    """The layout of a seed.

    Raises:
        ValueError: an environment that is not supported.
    """
    return _layout(Registration(task_id), seed)


@functools.lru_cache(maxsize=20_000)
def _layout(registration: Registration, seed: int) -> Layout:
    task_id, env = registration.task_id, _environment(registration)
    env.reset(seed=seed)
    bare = env.unwrapped
    shown = bare.grid.encode()
    objects, states = shown[..., 0], shown[..., 2]
    for x, y in np.argwhere(~np.isin(objects, _OBJECTS) | ((objects == DOOR) & (states == LOCKED))):
        what = _in_words(bare.grid.get(int(x), int(y)))
        raise ValueError(
            f"{task_id} with seed {seed} has {what} at (x={x}, y={y}); choose an environment without"
        )
    goals = np.argwhere(objects == GOAL)
    if len(goals) != 1:
        raise ValueError(f"{task_id} with seed {seed} has {len(goals)} goal objects; one is needed")
    grid = told_grid(bare)
    doors = int((objects == DOOR).sum())
    cells = door_cells(grid, doors)
    agent = np.array([*bare.agent_pos, bare.agent_dir], dtype=np.int64)
    geometry = np.where(np.isin(grid[..., 0], (WALL, DOOR)), grid[..., 0], EMPTY).astype(np.uint8)
    barriers = reachable_barriers(grid[None], agent[None], doors)[0]
    return Layout(
        grid=grid,
        states=states[cells[:, 0], cells[:, 1]].astype(np.int64),
        agent=agent,
        goal=goals[0],
        content=bucket("minigrid", *geometry.shape, geometry.tobytes().hex()),
        reachable=bool(barriers[tuple(goals[0])] != BARRIER),
    )


def _in_words(thing: Any) -> str:
    """An object that is not supported."""
    if thing.type == "door":
        return "a locked door"
    article = "" if thing.type == "lava" else "a "
    return f"{article}{thing.type}, which is neither wall, floor, door nor goal,"


def owned(task_id: str, seed: int) -> bool:
    """Whether a seed's layout can be solved and its content belongs to the split whose range the seed is in."""
    found = layout(task_id, seed)
    return found.reachable and found.content in SPLIT_BUCKETS[split_of(seed)]


def layout_seeds(task_id: str, split: str, count: int, *key: str | int) -> np.ndarray:
    """The first ``count`` owned seeds (count,) int64 of a keyed walk through the split's range.

    Layouts whose goal cannot be reached from the start are passed over, as if they had not been drawn.

    Raises:
        ValueError: an unknown split, or an environment with so few layouts that none is set aside for it.
    """
    found: list[int] = []
    missed: list[int] = []
    for seed in _walk(split, key):
        if owned(task_id, seed):
            found.append(seed)
            missed = []
        else:
            missed.append(seed)
        if len(found) == count:
            break
        if len(missed) == MAX_MISSES:
            raise ValueError(why_none_is_owned(task_id, split, missed))
    return np.array(found, dtype=np.int64)


def why_none_is_owned(task_id: str, split: str, seeds: list[int]) -> str:
    """Why none of these seeds of a split has a layout to use, and what to do."""
    layouts = [layout(task_id, seed) for seed in seeds]
    walled = [seed for seed, each in zip(seeds, layouts) if not each.reachable]
    if len(walled) == len(seeds):
        return (
            f"{task_id} with seed {walled[0]} has a goal that cannot be reached from the start, as have"
            f" {len(seeds) - 1} other layouts of the {split} split; choose an environment that can be solved"
        )
    contents = {each.content for each in layouts if each.reachable}
    owners = [name for name, buckets in SPLIT_BUCKETS.items() if contents & set(buckets)]
    geometries = len({each.grid.tobytes() for each in layouts if each.reachable})
    return (
        f"{task_id} has too few layouts: {geometries} different in {len(seeds)} seeds of the {split} split, and"
        f" by their content they belong to {' and '.join(owners)}, so that none is left for {split}; use split"
        f" {owners[0]!r}, or an environment with more layouts"
    )


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


BUDGET_PER_STEP = 0.0003
"""TFLOP of planning per step of the step budget, of an environment that nobody gave a budget: that of FourRooms."""

LEAST_BUDGET = 0.03
"""TFLOP that an episode is given at least, however short it is."""


def minigrid_spec(
    task_id: str, doors: int | None = None, default_budget_tflops: float | None = None
) -> TaskSpec:
    """A task of any supported stock environment, with the environment's own step limit as budget.

    Where it is registered with ``max_episode_steps``, or stands in a ``TimeLimit``, the smallest limit counts.

    Args:
        task_id: Gymnasium id.
        doors: door slots; None: as many as the most of 64 layouts have.
        default_budget_tflops: planning compute per episode; None: it grows with the steps that have to be planned.

    Raises:
        ValueError: an environment that is not supported.
    """
    env = stock_environment(task_id)
    seeds = split_seeds("train")[:_PROBED]
    if doors is None:
        doors = max(layout(task_id, seed).doors for seed in seeds)
    bare = env.unwrapped
    limit = min([bare.max_steps, *step_limits(env)])
    if default_budget_tflops is None:
        default_budget_tflops = round(max(LEAST_BUDGET, BUDGET_PER_STEP * limit), 4)
    return stock_spec(task_id, bare.width, bare.height, limit, doors, default_budget_tflops)


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
