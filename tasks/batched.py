"""Batched twins of MiniGrid environments: many episodes as one numpy computation.

Equal step by step to ``FullyObsWrapper`` over the environment, run in Gymnasium's ``SyncVectorEnv`` with
automatic resets disabled: the same episodes, observations, rewards and flags (the text of the mission, always
the same, is left out). The image is kept and updated in place; a step changes two cells of it per episode,
and the door that is toggled or the key that is picked up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from tasks.batched_world import BatchedWorld, Observation
from tasks.dynamics import check_actions, step_agents
from tasks.episodes import draw_episode
from tasks.floorplans import grid_side, split_seeds
from tasks.frames import Frames
from tasks.layouts import check_layout
from tasks.minigrid_suite import KINDS, MAX_MISSES, draw_ends, minigrid_spec, owned, why_none_is_owned
from tasks.observations import (
    ACTIONS,
    AGENT,
    EMPTY_CELL,
    FIRST_DOOR,
    GOAL_CELL,
    HEADINGS,
    IN_HAND,
    KEY_CELL,
    RED,
    cell_items,
    compose_image,
    grid_to_barriers,
    grid_to_lava,
    grid_to_walls,
    walls_to_grid,
    world_grid,
)
from tasks.rendering import SYMBOLS, TILE
from tasks.senses import symbol_space
from tasks.together import draw_together, drawn_together
from tasks.views import partial_views

_AGENT_ITEMS = cell_items(np.array([(AGENT, RED, heading) for heading in range(4)], dtype=np.uint8))

__all__ = ["BatchedGridWorld", "BatchedMiniGrid", "BatchedNestedRooms", "step_agents"]


class BatchedGridWorld(BatchedWorld):
    """E episodes of a MiniGrid world with walls, a goal, doors and a key; see :class:`BatchedWorld`.

    Observations: ``image`` (E, W, H, 3) uint8 indexed [x, y, channel], ``direction`` (E,) int64. Actions (E,)
    integers 0..6. Agent vectors are (x, y, heading, door states, key state).

    Args:
        num_envs: E.
        size: (W, H).
        doors: door slots.
        keys: 1 where there is a key, otherwise 0.
        view: cells a side of the partial view that is all that is observed, with the agent's ``pose`` (E, 3) int64,
            behind which stand the states of doors and key where there are some; 0: the whole grid is.
        **arguments: of :class:`BatchedWorld`.
    """

    def __init__(
        self,
        num_envs: int,
        size: tuple[int, int],
        doors: int = 0,
        keys: int = 0,
        view: int = 0,
        **arguments: Any,
    ) -> None:
        agent = np.zeros(3 + doors + keys, dtype=np.int64)
        shown = (view, view) if view else size
        observed: dict[str, spaces.Space[Any]] = {
            "image": symbol_space((*shown, 3), SYMBOLS),
            "direction": spaces.Discrete(4),
        }
        if view:
            observed["pose"] = spaces.MultiDiscrete([*size, 4, *[3] * doors, *[2] * keys])
        both = (spaces.Dict(observed), spaces.Discrete(len(ACTIONS)))
        super().__init__(num_envs, size, agent, both, **arguments)
        self.doors, self.keys, self.view = doors, keys, view
        self._grid = self._floor.copy()  # as the floor, with the door and key states of now
        self._image = self._floor.copy()
        self._barriers = grid_to_barriers(self._floor, doors, keys)
        self._lava = grid_to_lava(self._floor)
        self._deadly = False
        self._pictures: Frames | None = None
        # The first cell of each episode, all cells counted through.
        self._first = self._rows * size[0] * size[1]

    @property
    def walls(self) -> np.ndarray:
        """(E, W, H) bool, the cells that can never be entered, a copy."""
        return grid_to_walls(self._floor)

    @property
    def barriers(self) -> np.ndarray:
        """(E, W, H) what :func:`tasks.dynamics.step_agents` takes, a copy."""
        return self._barriers.copy()

    def frames(self, tile: int = TILE) -> np.ndarray:
        """Those of :func:`tasks.rendering.render_frames`; only what has changed since the last call is drawn.

        Args, returns and raises: see :class:`tasks.batched_world.BatchedWorld`.
        """
        if self._pictures is None or self._pictures.tile != tile:
            self._pictures = Frames(tile)
        shown = self._pictures.draw(self._grid, self._agent[:, :3])
        return shown.copy() if self.copy else shown

    def _begin(self, slots: np.ndarray) -> None:
        floor, agent = self._floor[slots], self._agent[slots]
        self._barriers[slots] = grid_to_barriers(floor, self.doors, self.keys)
        self._lava[slots] = grid_to_lava(floor)
        self._deadly = bool(self._lava.any())
        self._image[slots] = compose_image(floor, agent)
        self._grid[slots] = world_grid(floor, agent)

    def _advance(self, actions: np.ndarray) -> np.ndarray:
        return step_agents(self._barriers, self._agent, check_actions(actions))

    def _show(self, before: np.ndarray) -> None:
        after, left = self._agent, self._cells(before)
        # Views of now: kept ones would lead a copy of this world into the arrays of the world it was copied from.
        image, grid = cell_items(self._image), cell_items(self._grid)
        image[left] = grid.take(left)
        if self.doors and (changed := (after[:, 3:] != before[:, 3:]).any(-1)).any():
            rows = np.flatnonzero(changed)
            ahead_x, ahead_y = (before[rows, :2] + HEADINGS[before[rows, 2]]).T
            what = self._barriers[rows, ahead_x, ahead_y].astype(np.int64)
            shown = self._grid[rows, ahead_x, ahead_y]
            door = what >= FIRST_DOOR
            shown[door, 2] = after[rows[door], what[door] - FIRST_DOOR + 3]
            shown[~door] = EMPTY_CELL  # where the key lay
            self._grid[rows, ahead_x, ahead_y] = self._image[rows, ahead_x, ahead_y] = shown
        image[self._cells(after)] = _AGENT_ITEMS.take(after[:, 2])

    def _cells(self, agent: np.ndarray) -> np.ndarray:
        """Which of all cells (E,) agents are on."""
        return self._first + agent[:, 0] * self._floor.shape[2] + agent[:, 1]

    def _arrived(self) -> np.ndarray:
        return (self._agent[:, 0] == self._goal[:, 0]) & (self._agent[:, 1] == self._goal[:, 1])

    def _lost(self) -> np.ndarray:
        return self._lava.reshape(-1).take(self._cells(self._agent)) if self._deadly else super()._lost()

    def _goal_observation(self, slots: np.ndarray) -> np.ndarray:
        return self._goal[slots] if self.view else super()._goal_observation(slots)

    def _observation(self) -> Observation:
        if self.view:
            pose = self._agent.copy()
            image = partial_views(self._grid, pose, self.view)
            if self.keys:  # MiniGrid shows what is carried where the agent stands
                image[pose[:, -1] == IN_HAND, self.view // 2, self.view - 1] = KEY_CELL
            return {"image": image, "direction": pose[:, 2], "pose": pose}
        if self.copy:
            return {"image": self._image.copy(), "direction": self._agent[:, 2].copy()}
        return {"image": self._image, "direction": self._agent[:, 2]}


class BatchedNestedRooms(BatchedGridWorld):
    """The batched twin of :class:`tasks.nested_rooms.NestedRooms`; the same seeds give the same episodes.

    Args:
        num_envs: E.
        depth, room, split, tasks, fixed_plan, step_budget, show_goal, lava, keys, view, layout: as in
            :class:`tasks.nested_rooms.NestedRooms`.
        copy, render_mode: as in :class:`tasks.batched_world.BatchedWorld`.

    Raises:
        ValueError: impossible world, unknown split or tasks, or a render mode.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        depth: int = 3,
        room: int = 3,
        split: str = "train",
        fixed_plan: int | None = None,
        tasks: str = "far",
        step_budget: int = 128,
        show_goal: bool = False,
        lava: bool = False,
        keys: int = 0,
        view: int = 0,
        layout: str = "",
        copy: bool = True,
        render_mode: str | None = None,
    ) -> None:
        side = grid_side(depth, room)
        if layout:
            check_layout(layout, side)
        super().__init__(
            num_envs,
            (side, side),
            doors=keys,
            keys=keys,
            view=view,
            split=split,
            tasks=tasks,
            step_budget=step_budget,
            copy=copy,
            render_mode=render_mode,
        )
        self.show_goal = show_goal
        self._world: dict[str, Any] = {
            "depth": depth,
            "room": room,
            "fixed_plan": fixed_plan,
            "lava": lava,
            "keys": keys,
            "step_budget": step_budget,
            "layout": layout,
        }

    def _draw(self, rng: np.random.Generator, **options: Any) -> tuple[np.ndarray, Any, Any, int]:
        episode = draw_episode(rng, **self._world, split=self.split, tasks=self.tasks, **options)
        return episode.grid, episode.start_agent, episode.goal_agent, episode.plan.seed

    def _draw_all(self, slots: np.ndarray, **options: Any) -> None:
        if not drawn_together(self._world, options):
            return super()._draw_all(slots, **options)
        seeds, walls, start, goal = draw_together(self._streams, slots, self._world, self.split, self.tasks)
        self._floor[slots], self._plan_seed[slots] = walls_to_grid(walls), seeds
        self._agent[slots], self._goal[slots] = start, goal

    def _begin(self, slots: np.ndarray) -> None:
        if self.show_goal:
            self._floor[slots, self._goal[slots, 0], self._goal[slots, 1]] = GOAL_CELL
        super()._begin(slots)


class BatchedMiniGrid(BatchedGridWorld):
    """The batched twin of a stock MiniGrid environment, see :mod:`tasks.minigrid_suite`.

    An episode with floor-plan seed s equals ``FullyObsWrapper(gymnasium.make(task_id))`` after
    ``reset(seed=s)``, as long as ``tasks`` is ``own``.

    Args:
        num_envs: E.
        task_id: id of the stock environment.
        doors: door slots; None: see :func:`tasks.minigrid_suite.minigrid_spec`.
        split: which layouts episodes come from.
        tasks: ``own`` or ``uniform``.
        step_budget: steps before truncation; None: the environment's own limit.
        copy, render_mode: as in :class:`tasks.batched_world.BatchedWorld`.

    Raises:
        ValueError: an environment that is not supported, unknown split or tasks, or a render mode.
    """

    kinds = KINDS
    options = ("plan_seed",)

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task_id: str,
        doors: int | None = None,
        split: str = "train",
        tasks: str = "own",
        step_budget: int | None = None,
        copy: bool = True,
        render_mode: str | None = None,
    ) -> None:
        self._spec = minigrid_spec(task_id, doors)
        super().__init__(
            num_envs,
            (self._spec.width, self._spec.height),
            self._spec.doors,
            split=split,
            tasks=tasks,
            step_budget=self._spec.step_budget if step_budget is None else step_budget,
            copy=copy,
            render_mode=render_mode,
        )

    def _draw(self, rng: np.random.Generator, **options: Any) -> tuple[np.ndarray, Any, Any, int]:
        seeds, plan_seed = split_seeds(self.split), options.get("plan_seed")
        missed: list[int] = []
        while plan_seed is None:
            seed = int(rng.integers(seeds.start, seeds.stop))
            if owned(self._spec.id, seed):
                plan_seed = seed
            else:
                missed.append(seed)
            if len(missed) == MAX_MISSES:
                raise ValueError(why_none_is_owned(self._spec.id, self.split, missed))
        return *draw_ends(rng, self._spec, plan_seed, self.tasks), plan_seed
