"""Missions of episodes: every word of a description gets its meaning on a floor plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tasks.episode_batches import EpisodeBatch
from tasks.hazards import lay_across
from tasks.mission_oracles import mission_steps
from tasks.missions import VERBS, Mission, MissionBatch, Place
from tasks.observations import DOOR, KEY, grid_to_lava, grid_to_walls
from tasks.randomness import keyed_generator

HASTE = 2
"""How many times the shortest way the step budget of an episode has to leave room for."""


def bind(
    mission: Mission, episodes: EpisodeBatch, step_budget: int, seed: int = 0
) -> tuple[EpisodeBatch, MissionBatch]:
    """The mission on each of some floor plans.

    Args:
        mission: what is to be done.
        episodes: E of them, in a world of cells.
        step_budget: steps of an episode.
        seed: of what is drawn.

    Returns:
        the episodes whose missions can be done in a `HASTE`-th of the step budget, with the steps of the shortest way,
        and these missions.

    Raises:
        ValueError: a continuous world, a place that a floor plan does not have, or one outside of it or in a wall.
    """
    if episodes.continuous:
        raise ValueError("missions are for worlds of cells; choose a task whose agent has a heading")
    count, legs = len(episodes), len(mission.legs)
    avoid = _avoided(mission, episodes, step_budget, seed)
    solid = grid_to_walls(episodes.grid) | grid_to_lava(episodes.grid) | avoid
    place = np.zeros((count, legs, episodes.start.shape[1]), np.int64)
    slot = np.zeros((count, legs), np.int64)
    drawn = [keyed_generator("mission", int(seed), int(own), i) for i, own in enumerate(episodes.plan_seed)]
    for number, (verb, where) in enumerate(mission.legs):
        place[:, number], slot[:, number] = _meaning(verb, where, episodes, solid, drawn)
    verbs = np.array([VERBS.index(verb) for verb, _ in mission.legs])
    bound = MissionBatch(np.tile(verbs, (count, 1)), place, slot, avoid)
    steps = mission_steps(episodes.barriers, episodes.start, bound, step_budget // HASTE)
    kept = np.flatnonzero(steps > 0)
    return replace(episodes.select(kept), oracle_steps=steps[kept]), bound.select(kept)


def _avoided(mission: Mission, episodes: EpisodeBatch, step_budget: int, seed: int) -> np.ndarray:
    avoid = np.zeros(episodes.grid.shape[:3], dtype=bool)
    for left, top, right, bottom in mission.avoid:
        avoid[:, left : right + 1, top : bottom + 1] = True
    if mission.across:
        for i, own in enumerate(episodes.plan_seed):
            start, goal = (tuple(ends[i].tolist()) for ends in (episodes.start, episodes.goal))
            rng = keyed_generator("zones", int(seed), int(own), i)
            avoid[i] |= lay_across(rng, episodes.walls[i], start, goal, step_budget // HASTE)
    return avoid


def _meaning(
    verb: str, where: Place, episodes: EpisodeBatch, solid: np.ndarray, drawn: list[np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    """Agent vectors (E, A) at a place, and the slots (E,) that doing the leg empties."""
    place, slot = episodes.goal.copy(), np.zeros(len(episodes), np.int64)
    if where == "goal":
        return place, slot
    if where == "somewhere":
        free = ~solid & (episodes.grid[..., 0] != DOOR) & (episodes.grid[..., 0] != KEY)
        for i, rng in enumerate(drawn):
            place[i, :2] = rng.permutation(np.argwhere(free[i]))[0]
        return place, slot
    cells = _cells(where, episodes)
    place[:, :2] = cells
    if verb in ("fetch", "open"):
        slot[:] = _slot(verb, cells, episodes)
    return place, slot


def _cells(where: Place, episodes: EpisodeBatch) -> np.ndarray:
    """(E, 2) the cell that a word or two numbers name."""
    width, height = episodes.grid.shape[1:3]
    if not isinstance(where, str):
        x, y = where
        if not (0 <= x < width and 0 <= y < height) or grid_to_walls(episodes.grid)[:, x, y].any():
            raise ValueError(
                f"mission place {list(where)} is outside of the {width}x{height} cells or in a wall"
            )
        return np.tile(np.array(where, np.int64), (len(episodes), 1))
    shown = (episodes.grid[..., 0] == (KEY if where == "key" else DOOR)).reshape(len(episodes), -1)
    if not shown.any(1).all():
        raise ValueError(f"mission place {where!r}: a floor plan shows none; choose a task that has one")
    return np.stack(np.divmod(shown.argmax(1), height), -1)


def _slot(verb: str, cells: np.ndarray, episodes: EpisodeBatch) -> np.ndarray:
    """(E,) where agent vectors hold the state of the key or the door in a cell of each floor plan."""
    wanted = KEY if verb == "fetch" else DOOR
    here = episodes.grid[np.arange(len(cells)), cells[:, 0], cells[:, 1], 0]
    if (here != wanted).any():
        x, y = cells[np.argmax(here != wanted)]
        raise ValueError(f"mission: nothing to {verb} in cell [{x}, {y}]")
    if verb == "fetch":
        return np.full(len(cells), episodes.start.shape[1] - 1)
    doors = episodes.grid[..., 0] == DOOR
    number = doors.reshape(len(cells), -1).cumsum(1).reshape(doors.shape)
    return 2 + number[np.arange(len(cells)), cells[:, 0], cells[:, 1]]
