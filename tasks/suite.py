"""The registry of tasks, and the episodes they are evaluated on."""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import Any

import gymnasium
import numpy as np

from tasks.batched import BatchedMiniGrid, BatchedNestedRooms
from tasks.batched_world import BatchedWorld
from tasks.chance import CHANCE_ROOMS
from tasks.episode_batches import EpisodeBatch
from tasks.episodes import check_tasks, draw_episode, fixed_pairs
from tasks.field.registry import FIELD_TASKS, register_field_tasks
from tasks.floorplans import grid_side, plan_walls, split_seeds
from tasks.key_oracles import key_arrival
from tasks.layouts import layout_walls
from tasks.layouts.registered import layout_specs
from tasks.locks import locked_floors
from tasks.minigrid_suite import floors, layout_seeds, minigrid_spec, sample_layout_episodes, stock_spec
from tasks.named import Registration
from tasks.nested_point import BatchedNestedPoint
from tasks.observations import ACTIONS, grid_to_barriers, walls_to_grid
from tasks.oracles import arrival
from tasks.pairs import draw_pairs
from tasks.point_oracles import least_steps, place_many_in_cells
from tasks.randomness import keyed_generator, spread
from tasks.specs import TaskSpec
from tasks.streams import keyed_streams

FIXED_PLAN_SEED = 7
"""Floor-plan seed of the task with one plan for ever."""

VIEW = 7
"""Cells a side of a partial view, MiniGrid's own."""


def _nested(
    name: str, depth: int, step_budget: int, budget_tflops: float, fixed_plan: int | None = None
) -> TaskSpec:
    view = VIEW if name.startswith("NestedPartial") else 0
    kind = name.removeprefix("Nested").removeprefix("Partial")
    point, lava, keys = (kind.startswith(named) for named in ("Point", "Lava", "Keys"))
    side, rooms = grid_side(depth, 3), 2 ** (depth - 1)
    plans = "one floor plan for ever" if fixed_plan is not None else "a new floor plan every episode"
    return TaskSpec(
        id=f"hjepa/{name}-d{depth}-v0",
        depth=depth,
        room=3,
        width=side,
        height=side,
        step_budget=step_budget,
        default_budget_tflops=budget_tflops,
        fixed_plan=fixed_plan,
        description=(
            f"{'a continuous point in ' if point else ''}{rooms}x{rooms} nested rooms of 3x3 cells"
            f" on a {side}x{side} grid, {plans}{', lava across the way' if lava else ''}"
            f"{', the goal behind a locked door whose key lies about' if keys else ''}"
            f"{f', seen {view}x{view} cells at a time' if view else ''}"
        ),
        actions=2 if point else len(ACTIONS),
        family="nested-point" if point else "nested-rooms",
        doors=int(keys),
        lava=lava,
        keys=int(keys),
        view=view,
    )


# The default compute budgets stand here and nowhere else.
_SPECS = {
    spec.id: spec
    for spec in (
        _nested("NestedRooms", 2, 64, 0.005),
        _nested("NestedRooms", 3, 128, 0.01),
        _nested("NestedRooms", 4, 256, 0.04),
        _nested("NestedRoomsFixed", 3, 128, 0.006, fixed_plan=FIXED_PLAN_SEED),
        _nested("NestedLava", 3, 128, 0.01),
        _nested("NestedKeys", 2, 96, 0.01),
        _nested("NestedKeys", 3, 192, 0.02),
        _nested("NestedPartial", 2, 64, 0.01),
        _nested("NestedPartial", 3, 128, 0.02),
        _nested("NestedPartialKeys", 2, 96, 0.02),
        _nested("NestedPoint", 2, 64, 0.02),
        _nested("NestedPoint", 3, 128, 0.03),
        _nested("NestedPoint", 4, 256, 0.06),
        _nested("NestedPointFixed", 3, 128, 0.006, fixed_plan=FIXED_PLAN_SEED),
        stock_spec("MiniGrid-FourRooms-v0", 19, 19, 100, 0, 0.03),
        stock_spec("MiniGrid-MultiRoom-N6-v0", 25, 25, 120, 5, 0.06),
    )
}
_SPECS |= {
    spec.id: spec for depth in (2, 3, 4) for spec in layout_specs(_SPECS[f"hjepa/NestedRooms-d{depth}-v0"])
}

_ENTRY_POINTS = {
    "nested-rooms": ("tasks.nested_rooms:NestedRooms", "tasks.vectorized:nested_rooms"),
    "nested-point": ("tasks.nested_point:NestedPoint", "tasks.vectorized:nested_point"),
    "layouts": ("tasks.nested_rooms:NestedRooms", "tasks.vectorized:nested_rooms"),
}
"""Environment of each family, and Gymnasium's vector environment of it; MiniGrid registers its own."""


def task_spec(task_id: str) -> TaskSpec:
    """The task with this id: one of ours, or any MiniGrid environment of Gymnasium's registry that is supported.

    Args:
        task_id: an environment of your own may be named ``module:Id-v0``, as Gymnasium has it: the module is imported
            first, in whichever process asks, and registers it.

    Raises:
        ValueError: an unknown id (the message lists the known ones), or an environment that is not supported.
    """
    if task_id in _SPECS:
        return _SPECS[task_id]
    if task_id.startswith(("MiniGrid-", "BabyAI-")) or ":" in task_id or task_id in gymnasium.registry:
        return _generic(Registration(task_id))
    raise ValueError(
        f"unknown task {task_id!r}; known tasks: {', '.join(_SPECS)}; and any"
        " MiniGrid environment in Gymnasium's registry, also as module:id"
    )


@functools.lru_cache(maxsize=64)
def _generic(registration: Registration) -> TaskSpec:
    return minigrid_spec(registration.task_id)


def list_tasks() -> list[dict[str, Any]]:
    """Every registered task as a plain dictionary for tables and JSON: :class:`TaskSpec`'s fields, and those of
    `tasks.field.registry.FieldTask`, whose ``family`` is ``field``."""
    return [asdict(spec) for spec in _SPECS.values()] + [asdict(task) for task in FIELD_TASKS.values()]


def register_tasks() -> None:
    """Register our own tasks with Gymnasium; ids that are registered already are left alone."""
    for spec in _SPECS.values():
        if spec.family in _ENTRY_POINTS and spec.id not in gymnasium.registry:
            single, batched = _ENTRY_POINTS[spec.family]
            gymnasium.register(
                spec.id, entry_point=single, vector_entry_point=batched, kwargs=spec.make_kwargs()
            )
    for env_id, (entry_point, step_budget) in CHANCE_ROOMS.items():
        if env_id not in gymnasium.registry:
            kwargs = {"depth": 2, "step_budget": step_budget}
            gymnasium.register(env_id, entry_point=entry_point, kwargs=kwargs)
    register_field_tasks()


def make_batched(spec: TaskSpec, num_envs: int, **arguments: Any) -> BatchedWorld:
    """The batched environment of a task.

    Args:
        spec: task.
        num_envs: E.
        **arguments: further ones of its constructor, such as ``copy``, ``split`` or ``tasks``.

    Raises:
        ValueError: what the constructor refuses.
    """
    worlds: dict[str, type[BatchedWorld]] = {
        "nested-rooms": BatchedNestedRooms,
        "minigrid": BatchedMiniGrid,
        "nested-point": BatchedNestedPoint,
        "layouts": BatchedNestedRooms,
    }
    return worlds[spec.family](num_envs, **{**spec.make_kwargs(), **arguments})


def plan_seeds(task_id: str, split: str, plans: int, *key: str | int) -> np.ndarray:
    """The first ``plans`` floor-plan seeds (plans,) int64 of a keyed walk through the split's."""
    spec, seeds = task_spec(task_id), split_seeds(split)
    if spec.fixed_plan is not None:
        return np.full(plans, spec.fixed_plan, dtype=np.int64)
    if spec.family == "minigrid":
        return layout_seeds(task_id, split, plans, *key)
    return spread(plans, seeds.start, seeds.stop, *key)


def floor_plans(task_id: str, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What stands where on the floor plans with these seeds (P,).

    Returns:
        grid (P, W, H, 3) uint8, without the agent and with doors closed, and what dynamics, explorers and
        oracles take: walls (P, W, H) bool, or barrier maps (P, W, H) int8 where there are doors.
    """
    spec = task_spec(task_id)
    if spec.family == "minigrid":
        return floors(spec, seeds)
    if spec.keys:
        return locked_floors(seeds, spec.depth, spec.room)
    if spec.layout:
        walls = layout_walls(seeds, spec.layout, spec.width)
    else:
        walls = plan_walls(seeds, spec.depth, spec.room)
    return walls_to_grid(walls), walls


def sample_episodes(
    task_id: str, split: str = "test", tasks: str | None = None, *, episodes: int, seed: int = 0
) -> EpisodeBatch:
    """Episodes to evaluate on.

    Episode i is a function of (task_id, split, tasks, seed, i) alone, so the first 10 of 200 equal the 10 of
    10. Every episode has its own floor-plan seed. On a fixed plan every episode has its own pair of start and
    goal cell, of the pairs the split owns, until they are used up and come again.

    Args:
        task_id: see :func:`list_tasks`.
        split: ``train``, ``validation`` or ``test``.
        tasks: ``far``, ``uniform`` or ``own``, see :mod:`tasks.episodes`; None: the task's first kind, ``far``
            on our floor plans, ``own`` in stock environments.
        episodes: how many.
        seed: evaluation seed.

    Raises:
        ValueError: unknown id, split or tasks, or fewer than one episode.
    """
    spec = task_spec(task_id)
    split_seeds(split)
    tasks = check_tasks(spec.kinds[0] if tasks is None else tasks, spec.kinds)
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; ask for at least 1")
    if spec.family == "minigrid":
        return sample_layout_episodes(spec, split, tasks, episodes, seed)
    key = ("episodes", spec.drawn_as, split, tasks, int(seed))
    plan_seed = plan_seeds(task_id, split, episodes, *key)
    if spec.keys or spec.lava:
        return _one_by_one(spec, split, tasks, plan_seed, key)
    grid, walls = floor_plans(task_id, plan_seed)
    streams = keyed_streams(*key, last=range(episodes))
    if spec.fixed_plan is None:
        start, goal = draw_pairs(streams, walls, tasks)
    else:
        ends, headings = _fixed_ends(spec, split, tasks, episodes, key), streams.integers(np.full((1, 2), 4))
        start, goal = np.concatenate([ends, headings[..., None]], -1).swapaxes(0, 1)
    if not spec.continuous:
        return EpisodeBatch(plan_seed, grid, start, goal, _ways)
    places = keyed_streams(*key, last=range(episodes), after=("places",))
    first, last = place_many_in_cells(places, np.stack([start, goal], 1)).swapaxes(0, 1)
    return EpisodeBatch(plan_seed, grid, first, last, _ways)


def _ways(episodes: EpisodeBatch) -> np.ndarray:
    """Steps (E,) of shortest ways where no door is in them."""
    if episodes.continuous:
        return least_steps(episodes.walls, episodes.start, episodes.goal)
    return arrival(episodes.walls, episodes.start, episodes.goal)[0]


def _one_by_one(
    spec: TaskSpec, split: str, tasks: str, plan_seed: np.ndarray, key: tuple[str | int, ...]
) -> EpisodeBatch:
    """Episodes with locked doors or lava, whose draws are searches of their own."""
    grid = np.empty((len(plan_seed), spec.width, spec.height, 3), dtype=np.uint8)
    start, goal = np.zeros((2, len(plan_seed), 3 + spec.doors + spec.keys), dtype=np.int64)
    for i, floor in enumerate(plan_seed.tolist()):
        episode = draw_episode(
            keyed_generator(*key, i),
            depth=spec.depth,
            room=spec.room,
            split=split,
            tasks=tasks,
            plan_seed=floor,
            lava=spec.lava,
            step_budget=spec.step_budget,
            keys=spec.keys,
        )
        grid[i], start[i], goal[i, :3] = episode.grid, episode.start_agent, episode.goal
    if not spec.keys:
        return EpisodeBatch(plan_seed, grid, start, goal, _ways)
    steps, arrived = key_arrival(grid_to_barriers(grid, spec.doors, spec.keys), start, goal)
    goal[:, 3:] = arrived[:, 3:]
    return EpisodeBatch(plan_seed, grid, start, goal, steps)


def _fixed_ends(
    spec: TaskSpec, split: str, tasks: str, episodes: int, key: tuple[str | int, ...]
) -> np.ndarray:
    """Start and goal cells (episodes, 2, 2) on a fixed plan: the split's pairs in a keyed order."""
    assert spec.fixed_plan is not None
    cells, allowed = fixed_pairs(spec.fixed_plan, spec.depth, spec.room, tasks, split)
    pairs = keyed_generator("pairs", *key).permutation(np.argwhere(allowed))
    return cells[np.resize(pairs, (episodes, 2))]
