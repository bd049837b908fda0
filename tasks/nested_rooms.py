"""Nested rooms as a MiniGrid environment, so that every MiniGrid wrapper, renderer and agent works on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, SupportsFloat

import numpy as np
from gymnasium import spaces
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Door, Goal, Key, Lava, Wall
from minigrid.minigrid_env import MiniGridEnv

from tasks.episodes import Episode, check_tasks, draw_episode, reset_options
from tasks.floorplans import FloorPlan, grid_side, split_seeds
from tasks.layouts import check_layout
from tasks.observations import DONE, DROP, GOAL_CELL, IN_HAND, LYING, compose_image, grid_to_lava
from tasks.rendering import SYMBOLS
from tasks.senses import symbol_space

_OPTIONS = ("plan_seed", "start", "goal", "lava")

KEY_COLOUR = "yellow"
"""Of the key and its door, MiniGrid's name of :data:`tasks.observations.YELLOW`."""


def _mission() -> str:
    return "reach the goal"


class NestedRooms(MiniGridEnv):
    """Walk from a start to a goal cell through nested rooms; the goal is told, and drawn only with ``show_goal=True``.

    Observations are MiniGrid's partial 7x7 views by default; wrap with ``minigrid.wrappers.FullyObsWrapper``
    for the whole grid. Actions are MiniGrid's seven. The goal is not part of the world but an observation in
    ``info["goal"]`` after reset; with ``show_goal`` a MiniGrid goal object stands on its cell as well, which
    ordinary reinforcement-learning agents need. The episode terminates, with MiniGrid's reward, when the
    agent stands on the goal cell at any heading, and is truncated after ``step_budget`` steps. Where there is lava, an
    agent that enters it ends the episode with no reward. Where there is a key, the goal is behind a locked door, and
    all of MiniGrid's rules hold but one: ``drop`` does nothing, so that the key is where it lay or in hand.

    Args:
        depth, room: the floor plans, see :mod:`tasks.floorplans`.
        split: which floor plans (or start-goal pairs of a fixed plan) episodes come from.
        fixed_plan: floor-plan seed of the one plan for ever, or None for a new one every episode.
        tasks: ``far`` or ``uniform``, see :mod:`tasks.episodes`.
        step_budget: steps before truncation.
        show_goal: put a goal object on the goal cell.
        lava: lay MiniGrid's lava across the way, see :mod:`tasks.hazards`.
        keys: 1 for a locked door and its key, see :mod:`tasks.locks`.
        layout: family or mixture of the floor plans, see :mod:`tasks.layouts`, which stand in the one room of depth 1;
            empty for nested rooms.
        view: cells a side of the partial view that shows all there is to see; 0: whoever wants it wraps the
            environment and sees the whole. With a view an observation also holds ``pose``, the agent's (x, y,
            heading) and what it knows of the states of door and key, and ``info["goal"]`` is the pose at the goal
            instead of a picture of the floor plan.
        max_steps: MiniGrid's name of the step budget, which it then takes the place of.
        **kwargs: MiniGridEnv's own arguments (``render_mode``, ``agent_view_size``, ``tile_size``, ...).

    Raises:
        ValueError: impossible world, unknown split or tasks, or a step budget below 1.
    """

    def __init__(
        self,
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
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        step_budget = step_budget if max_steps is None else max_steps
        if step_budget < 1:
            raise ValueError(f"step_budget is {step_budget}; at least 1 step is needed")
        split_seeds(split)
        if layout:
            check_layout(layout, grid_side(depth, room))
        self.depth = depth
        self.room = room
        self.split = split
        self.fixed_plan = fixed_plan
        self.tasks = check_tasks(tasks)
        self.show_goal = show_goal
        self.lava = lava
        self.keys = keys
        self.view = view
        self.layout = layout
        self._options: dict[str, Any] = {}
        self._episode: Episode | None = None
        if view:
            kwargs = {"agent_view_size": view, **kwargs}
        super().__init__(
            mission_space=MissionSpace(mission_func=_mission),
            grid_size=grid_side(depth, room),
            max_steps=int(step_budget),
            **kwargs,
        )
        assert isinstance(self.observation_space, spaces.Dict)
        image = symbol_space((self.agent_view_size, self.agent_view_size, 3), SYMBOLS)
        observed = {**self.observation_space.spaces, "image": image}
        if view:
            observed["pose"] = spaces.MultiDiscrete([self.width, self.height, 4, *[3, 2][: 2 * keys]])
        self.observation_space = spaces.Dict(observed)

    @property
    def step_budget(self) -> int:
        """Steps before an episode is truncated."""
        return self.max_steps

    @property
    def episode(self) -> Episode:
        """The running episode; ValueError before the first reset."""
        if self._episode is None:
            raise ValueError("no episode is running; call reset() first")
        return self._episode

    @property
    def plan(self) -> FloorPlan:
        """Floor plan of the running episode."""
        return self.episode.plan

    @property
    def goal(self) -> tuple[int, int, int]:
        """Goal (x, y, heading) of the running episode; the heading does not matter for success."""
        return self.episode.goal

    def reset(  # type: ignore[override]
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: seed of all following draws, or None to go on drawing.
            options: any of ``plan_seed`` (integer), ``start`` and ``goal`` (x, y, heading), which are then
                kept instead of drawn; in a world with lava also ``lava``, a floor plan (W, H, 3) that shows where it
                lies. Rows of a `tasks.episodes.EpisodeBatch` are taken as they are.

        Returns:
            The observation, and info with ``goal`` (W, H, 3) uint8, the full observation of the agent
            standing on the goal (with a view its pose), and ``plan_seed``.

        Raises:
            ValueError: an unknown option, or one that does not fit the plan.
        """
        self._options = self._checked_options(options or {})
        observation, _ = super().reset(seed=seed)
        grid = self.episode.grid
        if self.show_goal:
            grid[self.goal[0], self.goal[1]] = GOAL_CELL
        goal = self.episode.goal_agent
        info = {"goal": goal if self.view else compose_image(grid, goal), "plan_seed": self.plan.seed}
        return observation, info

    def _checked_options(self, options: dict[str, Any]) -> dict[str, Any]:
        known = _OPTIONS if self.lava else _OPTIONS[:-1]
        for name in options:
            if name not in known:
                raise ValueError(f"unknown reset option {name!r}; known: {', '.join(known)}")
        if "lava" not in options:
            return reset_options(options, self.keys)
        shape, shown = (self.width, self.height, 3), np.asarray(options["lava"])
        if shown.shape != shape:
            raise ValueError(f"reset option lava has shape {shown.shape}; give a floor plan {shape}")
        return reset_options(options, self.keys) | {"lava": shown}

    def move_goal(self, goal: tuple[int, int, int] | None) -> None:
        """Put the goal of the running episode elsewhere.

        Args:
            goal: (x, y, heading), or None to have none: the episode then ends when its time is up.
        """
        # No agent ever stands in a corner.
        self._episode = replace(self.episode, goal=goal or (0, 0, 0))

    def step(  # type: ignore[override]
        self, action: int
    ) -> tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """MiniGrid's step, with a float reward and termination on the goal cell."""
        if self.keys and action == DROP:
            action = DONE
        observation, reward, terminated, truncated, info = super().step(action)
        if self._on_goal():
            reward, terminated = self._reward(), True
        return observation, float(reward), terminated, truncated, info

    def gen_obs(self) -> dict[str, Any]:
        """MiniGrid's observation, with the agent's pose where there is a view."""
        observation: dict[str, Any] = super().gen_obs()
        if self.view:
            observation["pose"] = np.array([*self.agent_pos, self.agent_dir, *self._states()])
        return observation

    def _states(self) -> tuple[int, ...]:
        """Of door and key, which begin alike in every episode, so that the agent knows them from what it did."""
        if self.plan.lock is None:
            return ()
        door = self.grid.get(*self.plan.lock)
        assert door is not None
        return door.encode()[2], IN_HAND if self.carrying else LYING

    def render(self) -> Any:
        """MiniGrid's picture with the goal cell drawn, also where the world holds no goal object.

        Only pictures for people show it: observations made from pixels (``RGBImgObsWrapper``) use another
            path.
        """
        if self._episode is None or self.show_goal:
            return super().render()
        x, y, _ = self.goal
        self.grid.set(x, y, Goal())
        try:
            return super().render()
        finally:
            self.grid.set(x, y, None)

    def _gen_grid(self, width: int, height: int) -> None:
        given = {name: value for name, value in self._options.items() if name != "lava"}
        shown = self._options.get("lava")
        self._episode = draw_episode(
            self.np_random,
            depth=self.depth,
            room=self.room,
            split=self.split,
            tasks=self.tasks,
            fixed_plan=self.fixed_plan,
            lava=self.lava and shown is None,
            keys=self.keys,
            layout=self.layout,
            step_budget=self.step_budget,
            **given,
        )
        if shown is not None:
            cells = tuple((int(x), int(y)) for x, y in np.argwhere(grid_to_lava(shown)))
            self._episode = replace(self._episode, lava=cells)
        self.grid = Grid(width, height)
        for x, y in np.argwhere(self.plan.walls):
            self.grid.set(int(x), int(y), Wall())
        for x, y in self._episode.lava:
            self.grid.set(x, y, Lava())
        if self.plan.lock is not None and self.plan.key is not None:
            self.put_obj(Door(KEY_COLOUR, is_locked=True), *self.plan.lock)
            self.put_obj(Key(KEY_COLOUR), *self.plan.key)
        if self.show_goal:
            self.put_obj(Goal(), *self.goal[:2])
        x, y, heading = self._episode.start
        self.agent_pos = (x, y)
        self.agent_dir = heading
        self.mission = _mission()

    def _on_goal(self) -> bool:
        return bool(self.agent_pos[0] == self.goal[0] and self.agent_pos[1] == self.goal[1])
