"""The registry of tasks, and the episodes they are evaluated on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import gymnasium
import numpy as np

from tasks.episodes import EpisodeBatch, check_tasks, draw_episode, fixed_pairs
from tasks.floorplans import grid_side, split_seeds
from tasks.observations import ACTIONS, walls_to_grid
from tasks.oracles import distances
from tasks.randomness import keyed_generator, spread


@dataclass(frozen=True)
class TaskSpec:
    """One registered task.

    Attributes:
        id: Gymnasium id.
        depth, room: the world, see :mod:`tasks.floorplans`.
        width, height: grid size in cells.
        step_budget: steps before an episode is given up; the only horizon an agent may know.
        default_budget_tflops: planning compute per episode that results are compared at, unless said
        otherwise.
        fixed_plan: seed of the one floor plan, or None when every episode has its own.
        actions: number of discrete actions.
        description: one line for people.
    """

    id: str
    depth: int
    room: int
    width: int
    height: int
    step_budget: int
    default_budget_tflops: float
    fixed_plan: int | None
    description: str
    actions: int = len(ACTIONS)

    def make_kwargs(self) -> dict[str, Any]:
        """Arguments of the environment constructors that make this task."""
        return {
            "depth": self.depth,
            "room": self.room,
            "step_budget": self.step_budget,
            "fixed_plan": self.fixed_plan,
        }


FIXED_PLAN_SEED = 7
"""Floor-plan seed of the task with one plan for ever."""


def _nested(
    name: str, depth: int, step_budget: int, budget_tflops: float, fixed_plan: int | None = None
) -> TaskSpec:
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
        description=f"{rooms}x{rooms} nested rooms of 3x3 cells on a {side}x{side} grid, {plans}",
    )


# The default compute budgets stand here and nowhere else.
_SPECS = {
    spec.id: spec
    for spec in (
        _nested("NestedRooms", 2, 64, 0.02),
        _nested("NestedRooms", 3, 128, 0.03),
        _nested("NestedRooms", 4, 256, 0.06),
        _nested("NestedRoomsFixed", 3, 128, 0.006, fixed_plan=FIXED_PLAN_SEED),
    )
}


def task_spec(task_id: str) -> TaskSpec:
    """The registered task with this id; ValueError that lists the known ids."""
    if task_id not in _SPECS:
        raise ValueError(f"unknown task {task_id!r}; known tasks: {', '.join(_SPECS)}")
    return _SPECS[task_id]


def list_tasks() -> list[dict[str, Any]]:
    """Every registered task as a plain dictionary of :class:`TaskSpec`'s fields, for tables and JSON."""
    return [asdict(spec) for spec in _SPECS.values()]


def register_tasks() -> None:
    """Register every task with Gymnasium; ids that are registered already are left alone."""
    for spec in _SPECS.values():
        if spec.id not in gymnasium.registry:
            gymnasium.register(
                spec.id,
                entry_point="tasks.nested_rooms:NestedRooms",
                vector_entry_point="tasks.batched:BatchedNestedRooms",
                kwargs=spec.make_kwargs(),
            )


def sample_episodes(
    task_id: str, split: str = "test", tasks: str = "far", *, episodes: int, seed: int = 0
) -> EpisodeBatch:
    """Episodes to evaluate on.

    Episode i is a function of (task_id, split, tasks, seed, i) alone, so the first 10 of 200 equal the 10 of
    10. Every episode has its own floor-plan seed. On a fixed plan every episode has its own pair of start and
    goal cell, of the pairs the split owns, until they are used up and come again.

    Args:
        task_id: see :func:`list_tasks`.
        split: ``train``, ``validation`` or ``test``.
        tasks: ``far`` or ``uniform``.
        episodes: how many.
        seed: evaluation seed.

    Raises:
        ValueError: unknown id, split or tasks, or fewer than one episode.
    """
    spec = task_spec(task_id)
    seeds = split_seeds(split)
    check_tasks(tasks)
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; ask for at least 1")
    key = ("episodes", task_id, split, tasks, int(seed))
    ends: np.ndarray | None = None
    if spec.fixed_plan is None:
        plan_seed = spread(episodes, seeds.start, seeds.stop, *key)
    else:
        plan_seed = np.full(episodes, spec.fixed_plan, dtype=np.int64)
        ends = _fixed_ends(spec, split, tasks, episodes, key)
    walls = np.empty((episodes, spec.width, spec.height), dtype=bool)
    start, goal = np.empty((2, episodes, 3), dtype=np.int64)
    for i in range(episodes):
        rng = keyed_generator(*key, i)
        given: dict[str, Any] = {}
        if ends is not None:
            given = {
                name: (*cell, int(rng.integers(4))) for name, cell in zip(("start", "goal"), ends[i].tolist())
            }
        episode = draw_episode(
            rng,
            depth=spec.depth,
            room=spec.room,
            split=split,
            tasks=tasks,
            fixed_plan=spec.fixed_plan,
            plan_seed=int(plan_seed[i]),
            **given,
        )
        walls[i], start[i], goal[i] = episode.plan.walls, episode.start, episode.goal
    return EpisodeBatch(plan_seed, walls_to_grid(walls), start, goal, path_lengths(walls, start, goal))


def _fixed_ends(
    spec: TaskSpec, split: str, tasks: str, episodes: int, key: tuple[str | int, ...]
) -> np.ndarray:
    """Start and goal cells (episodes, 2, 2) on a fixed plan: the split's pairs in a keyed order."""
    assert spec.fixed_plan is not None
    cells, allowed = fixed_pairs(spec.fixed_plan, spec.depth, spec.room, tasks, split)
    pairs = keyed_generator("pairs", *key).permutation(np.argwhere(allowed))
    return cells[np.resize(pairs, (episodes, 2))]


def path_lengths(walls: np.ndarray, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Steps (E,) int64 from start (E, 3) to the goal cell (E, 2 or 3) on walls (E, W, H), turns counted."""
    steps = np.empty(len(start), dtype=np.int64)
    for first in range(0, len(start), 512):  # bounds the memory of the search
        part = slice(first, first + 512)
        table = distances(walls[part], goal[part])
        steps[part] = table[np.arange(len(table)), start[part, 0], start[part, 1], start[part, 2]]
    return steps
