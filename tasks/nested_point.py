"""A continuous point in nested rooms: the same floor plans, starts and goals, without headings and cells.

:class:`BatchedNestedPoint` is the implementation, and :class:`NestedPoint` a batch of one.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tasks.batched_world import BatchedWorld, Observation
from tasks.episode_batches import EpisodeBatch
from tasks.episodes import draw_episode
from tasks.floorplans import grid_side
from tasks.observations import grid_to_walls, walls_to_grid
from tasks.point_dynamics import RADIUS, check_point_actions, step_points
from tasks.point_oracles import GOAL_RADIUS, at_goal, place_in_cells, place_many_in_cells
from tasks.point_pictures import draw_points
from tasks.rendering import SYMBOLS, TILE
from tasks.senses import symbol_space
from tasks.together import draw_together, drawn_together


class BatchedNestedPoint(BatchedWorld):
    """E episodes of a point in nested rooms; see :class:`BatchedWorld` and :mod:`tasks.point_dynamics`.

    Observations: ``image`` (E, W, H, 3) uint8, the floor plan, and ``position`` (E, 2) float32 in cells. Actions
    (E, 2) float32 in -1..1; what lies outside is clipped. The goal is a position in ``info["goal"]`` (E, 2);
    the episode terminates when both coordinates are within half a cell of it. With ``show_goal`` it is observed, too,
    as ``goal_position`` (E, 2) float32.

    Args:
        num_envs: E.
        depth, room, split, tasks, fixed_plan, step_budget: as in :class:`tasks.nested_rooms.NestedRooms`.
        show_goal: observe the goal's position as well.
        copy, render_mode: as in :class:`tasks.batched_world.BatchedWorld`.

    Raises:
        ValueError: impossible world, unknown split or tasks, or a render mode.
    """

    options = ("plan_seed",)

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
        copy: bool = True,
        render_mode: str | None = None,
    ) -> None:
        side = grid_side(depth, room)
        observed: dict[str, spaces.Space[Any]] = {
            "image": symbol_space((side, side, 3), SYMBOLS),
            "position": spaces.Box(0.0, float(side), (2,), np.float32),
        }
        if show_goal:
            observed["goal_position"] = observed["position"]
        super().__init__(
            num_envs,
            (side, side),
            np.zeros(2, dtype=np.float32),
            (spaces.Dict(observed), spaces.Box(-1.0, 1.0, (2,), np.float32)),
            split=split,
            tasks=tasks,
            step_budget=step_budget,
            copy=copy,
            render_mode=render_mode,
        )
        self.show_goal = show_goal
        self._world: dict[str, Any] = {"depth": depth, "room": room, "fixed_plan": fixed_plan}
        self._walls = grid_to_walls(self._floor)

    @property
    def walls(self) -> np.ndarray:
        """(E, W, H) bool, a copy."""
        return self._walls.copy()

    def _draw(self, rng: np.random.Generator, **options: Any) -> tuple[np.ndarray, Any, Any, int]:
        episode = draw_episode(rng, **self._world, split=self.split, tasks=self.tasks, **options)
        start, goal = place_in_cells(rng, np.array([episode.start, episode.goal]))
        return walls_to_grid(episode.plan.walls), start, goal, episode.plan.seed

    def _draw_all(self, slots: np.ndarray, **options: Any) -> None:
        if not drawn_together(self._world, options):
            return super()._draw_all(slots, **options)
        seeds, walls, start, goal = draw_together(self._streams, slots, self._world, self.split, self.tasks)
        places = place_many_in_cells(self._streams, np.stack([start, goal], 1), slots)
        self._floor[slots], self._plan_seed[slots] = walls_to_grid(walls), seeds
        self._agent[slots], self._goal[slots] = places.swapaxes(0, 1)

    def frames(self, tile: int = TILE) -> np.ndarray:
        """Those of :func:`tasks.point_pictures.draw_points`.

        Args, returns and raises: see :class:`tasks.batched_world.BatchedWorld`.
        """
        return draw_points(self._floor, self._agent, tile)

    def _begin(self, slots: np.ndarray) -> None:
        self._walls[slots] = grid_to_walls(self._floor[slots])

    def _advance(self, actions: np.ndarray) -> np.ndarray:
        return step_points(self._walls, self._agent, check_point_actions(actions))

    def _arrived(self) -> np.ndarray:
        return at_goal(self._agent, self._goal)

    def _observation(self) -> Observation:
        seen = {"image": self._floor, "position": self._agent}
        if self.show_goal:
            seen["goal_position"] = self._goal
        return {name: value.copy() for name, value in seen.items()} if self.copy else seen

    def _goal_observation(self, slots: np.ndarray) -> np.ndarray:
        return self._goal[slots]


class NestedPoint(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """A continuous point in nested rooms; the goal is told, and part of what is observed only with ``show_goal=True``.

    One episode of :class:`BatchedNestedPoint` at a time, with a picture for people.

    Args:
        render_mode: None or ``rgb_array``.
        **arguments: of :class:`BatchedNestedPoint`.

    Raises:
        ValueError: what :class:`BatchedNestedPoint` refuses, or another render mode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    _PIXELS = 16  # per cell

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}; choose 'rgb_array' or None")
        self.render_mode = render_mode
        self.batch = BatchedNestedPoint(1, **arguments)
        self.observation_space = self.batch.single_observation_space
        self.action_space = self.batch.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: seed of all following draws, or None to go on drawing.
            options: ``plan_seed`` (integer); with it ``start`` and ``goal`` (x, y) may be given, both or none.

        Returns:
            The observation, and info with ``goal`` (2,) and ``plan_seed``.

        Raises:
            ValueError: an unknown option, or one that does not fit the plan.
        """
        super().reset(seed=seed)
        options = dict(options or {})
        places = [options.pop(name) for name in ("start", "goal") if options.get(name) is not None]
        observation, info = self.batch.reset(seed=seed, options=options)
        if places:
            if len(places) < 2 or options.get("plan_seed") is None:
                raise ValueError("start and goal are taken together and with plan_seed; give all three")
            observation, info = self._placed(info, *(self._free(place) for place in places))
        return _single(observation), {"goal": info["goal"][0], "plan_seed": int(info["plan_seed"][0])}

    def _free(self, place: Any) -> np.ndarray:
        position = np.asarray(place, dtype=np.float32)
        side = self.batch.walls.shape[1]
        if position.shape != (2,) or not ((position >= 0) & (position < side)).all():
            raise ValueError(f"place {place!r}; give (x, y) in the {side}x{side} floor plan")
        if self.batch.walls[(0, *np.floor(position).astype(int))]:
            raise ValueError(f"place {place!r} is inside a wall; choose a free one")
        return position[None]

    def _placed(
        self, info: dict[str, Any], start: np.ndarray, goal: np.ndarray
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin at a place; nobody asks for the shortest way."""
        episodes = EpisodeBatch(info["plan_seed"], self.batch.floor, start, goal, np.zeros(1, np.int64))
        return self.batch.reset(options={"episodes": episodes})

    def move_goal(self, goal: np.ndarray | None) -> None:
        """Put the goal of the running episode at (x, y); None: there is none."""
        self.batch.move_goals(np.zeros((1, 2)) if goal is None else np.asarray(goal)[None])

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Take one action (2,)."""
        observation, reward, terminated, truncated, _ = self.batch.step(np.asarray(action)[None])
        return _single(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}

    def render(self) -> np.ndarray | None:
        """Picture (16 H, 16 W, 3) uint8: walls grey, the goal's square green, the point's body red."""
        if self.render_mode is None:
            return None
        fine = np.repeat(np.repeat(self.batch.walls[0], self._PIXELS, 0), self._PIXELS, 1)
        picture = np.where(fine[..., None], np.uint8(100), np.uint8(0)) * np.ones(3, dtype=np.uint8)
        for place, radius, colour in (
            (self.batch.goal[0], GOAL_RADIUS, (0, 160, 0)),
            (self.batch.agent[0], RADIUS, (255, 0, 0)),
        ):
            low = np.rint((place - radius) * self._PIXELS).astype(int)
            high = np.rint((place + radius) * self._PIXELS).astype(int)
            picture[max(low[0], 0) : high[0], max(low[1], 0) : high[1]] = colour
        return picture.swapaxes(0, 1)


def _single(observation: Observation) -> dict[str, np.ndarray]:
    return {name: value[0] for name, value in observation.items()}
