"""Episodes: a floor plan, a start and a goal.

``far`` episodes start and end in diagonally opposite outermost quadrants (any of the four orientations),
``uniform`` ones on two different free cells, and ``own`` ones where an environment that was not made here puts
them. Where a door is locked (:mod:`tasks.locks`) every episode starts on the key's side; ``far`` ones end on the
other side, so that their shortest ways need the key, and ``uniform`` ones anywhere.

On one fixed plan the splits are told apart by the pair {start cell, goal cell} instead of by the plan: a hash of
the pair decides which split it belongs to.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasks.floorplans import SPLIT_BUCKETS, FloorPlan, floor_plan, grid_side, split_seeds
from tasks.hazards import lay_across
from tasks.key_oracles import key_arrival
from tasks.layouts import layout_plan
from tasks.locks import locked_plan, near_side, plan_grid
from tasks.observations import LAVA_CELL, LOCKED, LYING, grid_to_barriers
from tasks.randomness import bucket

TASK_KINDS = ("far", "uniform", "own")
"""How start and goal are drawn; a task has some of these kinds (``TaskSpec.kinds``)."""


@dataclass(frozen=True)
class Episode:
    """One drawn episode: the plan, start and goal (x, y, heading), and the cells (x, y) where lava is."""

    plan: FloorPlan
    start: tuple[int, int, int]
    goal: tuple[int, int, int]
    lava: tuple[tuple[int, int], ...] = ()

    @property
    def grid(self) -> np.ndarray:
        """(W, H, 3) uint8, the world without the agent."""
        grid = plan_grid(self.plan)
        for x, y in self.lava:
            grid[x, y] = LAVA_CELL
        return grid

    @property
    def start_agent(self) -> np.ndarray:
        """(3 + M + K,) int64, the agent vector of the start: a door that has a lock is locked, and its key lies."""
        return np.array([*self.start, *([] if self.plan.key is None else [LOCKED, LYING])], dtype=np.int64)

    @property
    def goal_agent(self) -> np.ndarray:
        """(3 + M + K,) int64, the agent vector of the goal, door and key as a shortest path leaves them."""
        if self.plan.key is None:
            return np.array(self.goal, dtype=np.int64)
        barriers = grid_to_barriers(self.grid, doors=1, keys=1)
        arrived = key_arrival(barriers[None], self.start_agent[None], np.array([self.goal]))[1]
        return np.concatenate([self.goal, arrived[0, 3:]])


def check_tasks(tasks: str, kinds: tuple[str, ...] = ("far", "uniform")) -> str:
    """``tasks`` itself; ValueError unless it is one of ``kinds``."""
    if tasks not in kinds:
        raise ValueError(f"unknown tasks {tasks!r}; choose one of {', '.join(kinds)}")
    return tasks


def quadrant(plan: FloorPlan, cells: np.ndarray) -> np.ndarray:
    """Outermost quadrant of each cell (..., 2): 0 NW, 1 NE, 2 SW, 3 SE; -1 for a door between quadrants."""
    return quadrants(plan.side, cells)


def quadrants(side: int, cells: np.ndarray) -> np.ndarray:
    """`quadrant` of the cells (..., 2) of a grid with this side."""
    middle = side // 2
    found = (cells[..., 0] > middle) + 2 * (cells[..., 1] > middle)
    return np.where((cells[..., :2] == middle).any(-1), -1, found)


def pair_split(plan_seed: int, first: tuple[int, int], second: tuple[int, int]) -> str:
    """The split that owns the unordered pair of cells on a fixed plan."""
    low, high = sorted((tuple(map(int, first)), tuple(map(int, second))))
    number = bucket("pair", int(plan_seed), *low, *high)
    return next(split for split, buckets in SPLIT_BUCKETS.items() if number in buckets)


def _allowed(plan: FloorPlan, tasks: str) -> tuple[np.ndarray, np.ndarray]:
    """Free cells (F, 2) and the (F, F) bool table of start, goal pairs that ``tasks`` allows."""
    cells = plan.free_cells()
    if plan.key is not None:
        cells = cells[~(cells[:, None] == [plan.key, plan.lock]).all(-1).any(-1)]
    if tasks == "uniform":
        allowed = ~np.eye(len(cells), dtype=bool)
    else:
        where = quadrant(plan, cells)
        allowed = (where[:, None] >= 0) & (where[None, :] >= 0) & (where[:, None] + where[None, :] == 3)
    if plan.key is not None:
        near = near_side(plan)[cells[:, 0], cells[:, 1]]
        allowed &= near[:, None] & ((tasks == "uniform") | ~near[None, :])
    return cells, allowed


@functools.lru_cache(maxsize=16)
def fixed_pairs(
    fixed_plan: int, depth: int, room: int, tasks: str, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """What a split owns on a fixed plan.

    Returns:
        cells (F, 2) int64, the free cells, and allowed (F, F) bool, True for the (start, goal) pairs of cells
        that ``tasks`` allows and ``split`` owns. Both are shared: do not write to them.
    """
    plan = floor_plan(fixed_plan, depth, room)
    cells, allowed = _allowed(plan, tasks)
    places = [(int(x), int(y)) for x, y in cells]
    for i, j in np.argwhere(np.triu(allowed | allowed.T)):
        if pair_split(fixed_plan, places[i], places[j]) != split:
            allowed[i, j] = allowed[j, i] = False
    return cells, allowed


def reset_options(options: Mapping[str, Any], keys: int = 0) -> dict[str, Any]:
    """``plan_seed``, ``start`` and ``goal`` of a reset as Python's own numbers, the others left out.

    Args:
        options: of the reset; numbers may be numpy's, and places rows of an `EpisodeBatch`.
        keys: 1 where there is a key and a locked door, whose states then stand behind the heading.

    Raises:
        ValueError: no integers, or a start where door and key are not as an episode begins.
    """
    found: dict[str, Any] = {}
    for name in ("plan_seed", "start", "goal"):
        if options.get(name) is None:
            continue
        value = np.asarray(options[name])
        if not np.issubdtype(value.dtype, np.integer) or value.ndim != int(name != "plan_seed"):
            wanted = "an integer" if name == "plan_seed" else "integers (x, y, heading)"
            raise ValueError(f"reset option {name} is {value.tolist()!r}; give {wanted}")
        numbers = value.tolist()
        if keys and name != "plan_seed" and len(numbers) == 3 + 2 * keys:
            if name == "start" and numbers[3:] != [LOCKED, LYING]:
                raise ValueError(
                    f"start {numbers} has door and key in states {numbers[3:]}; an episode begins with"
                    f" {[LOCKED, LYING]}"
                )
            numbers = numbers[:3]
        found[name] = numbers if name == "plan_seed" else tuple(numbers)
    return found


def draw_episode(
    rng: np.random.Generator,
    *,
    depth: int,
    room: int,
    split: str,
    tasks: str,
    fixed_plan: int | None = None,
    plan_seed: int | None = None,
    start: tuple[int, int, int] | None = None,
    goal: tuple[int, int, int] | None = None,
    lava: bool = False,
    step_budget: int = 0,
    keys: int = 0,
    layout: str = "",
) -> Episode:
    """Draw one episode; whatever is given is kept, the rest is drawn to fit it.

    Args:
        rng: source of every draw.
        depth, room, split, tasks: the world, which part of it, and how start and goal are drawn.
        fixed_plan: seed of the one plan for ever, or None for a new plan per episode.
        plan_seed: this plan for this episode, whatever the split.
        start, goal: (x, y, heading).
        lava: lay some across the way, where there is a way round that takes at most half of the step budget.
        step_budget: steps of an episode.
        keys: 1 for locked plans (see :mod:`tasks.locks`), otherwise 0.
        layout: family or mixture of the floor plans (see :mod:`tasks.layouts`); empty for nested rooms.

    Raises:
        ValueError: unknown split or tasks, a start or goal that is not free, start and goal on one cell, a
            given start or goal for which ``tasks`` allows no partner, a locked plan that is fixed or has lava, or a
            layout that is fixed or locked.
    """
    seeds = split_seeds(split)
    check_tasks(tasks)
    if keys not in (0, 1):
        raise ValueError(f"keys is {keys}; a floor plan has 0 or 1")
    if keys and (lava or fixed_plan is not None):
        raise ValueError("a locked plan has no lava and is no fixed plan; leave lava and fixed_plan out")
    if layout and (keys or fixed_plan is not None):
        raise ValueError(
            f"layout {layout} has no locked plans and no fixed one; leave keys and fixed_plan out"
        )
    if fixed_plan is not None:
        if plan_seed is not None and plan_seed != fixed_plan:
            raise ValueError(
                f"plan_seed {plan_seed} given, but this task has the one plan {fixed_plan}; leave it out"
            )
        plan_seed = fixed_plan
    if plan_seed is None:
        plan_seed = int(rng.integers(seeds.start, seeds.stop))
    if layout:
        plan = layout_plan(plan_seed, layout, grid_side(depth, room))
    else:
        plan = locked_plan(plan_seed, depth, room) if keys else floor_plan(plan_seed, depth, room)
    for name, place in (("start", start), ("goal", goal)):
        if place is not None:
            _check_place(plan, name, place)
    if start is None or goal is None:
        if fixed_plan is None:
            cells, allowed = _allowed(plan, tasks)
        else:
            cells, allowed = fixed_pairs(fixed_plan, depth, room, tasks, split)
        start, goal = _draw_pair(rng, cells, allowed, start, goal, tasks)
    if start[:2] == goal[:2]:
        raise ValueError(f"start and goal are both on cell {start[:2]}; an episode needs two different cells")
    episode = Episode(plan, start, goal)
    if not lava:
        return episode
    cells = np.argwhere(lay_across(rng, plan.walls, start, goal, step_budget // 2))
    return replace(episode, lava=tuple((int(x), int(y)) for x, y in cells))


def _draw_pair(
    rng: np.random.Generator,
    cells: np.ndarray,
    allowed: np.ndarray,
    start: tuple[int, int, int] | None,
    goal: tuple[int, int, int] | None,
    tasks: str,
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    if start is not None:
        allowed = allowed & (cells == start[:2]).all(-1)[:, None]
    if goal is not None:
        allowed = allowed & (cells == goal[:2]).all(-1)[None, :]
    pairs = np.flatnonzero(allowed)
    if not len(pairs):
        raise ValueError(no_pair(tasks, start, goal))
    first, second = divmod(int(pairs[rng.integers(len(pairs))]), len(cells))
    headings = rng.integers(0, 4, 2)
    drawn = [(int(x), int(y), int(h)) for (x, y), h in zip(cells[[first, second]], headings, strict=True)]
    return start or drawn[0], goal or drawn[1]


def no_pair(
    tasks: str, start: tuple[int, int, int] | None = None, goal: tuple[int, int, int] | None = None
) -> str:
    """Says that ``tasks`` allows no pair with what is given."""
    return (
        f"tasks={tasks!r} allows no episode with start {start} and goal {goal}; give both, or tasks='uniform'"
    )


def _check_place(plan: FloorPlan, name: str, place: tuple[int, int, int]) -> None:
    if len(place) != 3:
        raise ValueError(f"{name} is {place}; give (x, y, heading)")
    x, y, heading = place
    if not (0 <= x < plan.side and 0 <= y < plan.side and 0 <= heading < 4):
        raise ValueError(f"{name} {place} lies outside the {plan.side}x{plan.side} plan or headings 0..3")
    if plan.walls[x, y]:
        raise ValueError(f"{name} {place} is inside a wall of floor plan {plan.seed}; choose a free cell")
    if (x, y) in (plan.key, plan.lock):
        raise ValueError(f"{name} {place} is where the key lies or a locked door stands; choose a free cell")
    if plan.key is not None and name == "start" and not near_side(plan)[x, y]:
        raise ValueError(f"start {place} is behind the locked door without its key; choose the key's side")
