"""The batched twin of :class:`tasks.nested_rooms.NestedRooms`: many episodes as one numpy computation.

Equal step by step to ``FullyObsWrapper(NestedRooms(...))`` run in Gymnasium's ``SyncVectorEnv`` with
automatic resets disabled: the same seeds give the same episodes, observations, rewards and flags (the text of
the mission, always the same, is left out). The image is kept and updated in place; a step changes two cells
of it per episode.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from tasks.dynamics import check_actions, step_agents
from tasks.episodes import EpisodeBatch, check_tasks, draw_episode
from tasks.floorplans import grid_side, split_seeds
from tasks.observations import ACTIONS, AGENT, GOAL_CELL, RED, compose_image, grid_to_walls, walls_to_grid

__all__ = ["BatchedNestedRooms", "step_agents"]

Observation = dict[str, np.ndarray]


class BatchedNestedRooms(VectorEnv):
    """E nested-rooms episodes side by side.

    Observations: ``image`` (E, W, H, 3) uint8 indexed [x, y, channel], ``direction`` (E,) int64. Actions (E,)
    integers 0..6. Rewards (E,) float64, MiniGrid's ``1 - 0.9 * steps / step_budget`` on success, otherwise 0.

    Resets are never automatic. A finished episode stays frozen: its agent no longer moves, its reward is 0,
    and its terminated / truncated flags stay as they were until it is reset through
    ``options["reset_mask"]``.

    Args:
        num_envs: E.
        depth, room, split, tasks, fixed_plan, step_budget, show_goal: as in
        :class:`tasks.nested_rooms.NestedRooms`.
        copy: whether ``reset`` and ``step`` return copies. False is faster: the returned arrays are then the
            environment's own memory, valid until the next call, and must not be written to.
        render_mode: only None; render single episodes with NestedRooms.

    Raises:
        ValueError: impossible world, unknown split or tasks, or a render mode.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "autoreset_mode": AutoresetMode.DISABLED,
        "render_modes": [],
    }

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
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; at least 1 is needed")
        if render_mode is not None:
            raise ValueError(
                f"the batched twin cannot render ({render_mode!r}); make a single environment for pictures"
            )
        split_seeds(split)
        self.num_envs = num_envs
        self.step_budget = step_budget
        self.show_goal = show_goal
        self.copy = copy
        self.render_mode = None
        self._draw: dict[str, Any] = {
            "depth": depth,
            "room": room,
            "split": split,
            "tasks": check_tasks(tasks),
            "fixed_plan": fixed_plan,
        }
        side = grid_side(depth, room)
        self.single_observation_space = spaces.Dict(
            {"image": spaces.Box(0, 255, (side, side, 3), np.uint8), "direction": spaces.Discrete(4)}
        )
        self.single_action_space = spaces.Discrete(len(ACTIONS))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._rows = np.arange(num_envs)
        self._grid = np.zeros((num_envs, side, side, 3), dtype=np.uint8)
        self._image = self._grid.copy()
        self._walls = np.zeros((num_envs, side, side), dtype=bool)
        self._agent = np.zeros((num_envs, 3), dtype=np.int64)
        self._goal = np.zeros((num_envs, 3), dtype=np.int64)
        self._plan_seed = np.zeros(num_envs, dtype=np.int64)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._terminated = np.zeros(num_envs, dtype=bool)
        self._truncated = np.zeros(num_envs, dtype=bool)
        self._ready = np.zeros(num_envs, dtype=bool)

    @property
    def agent(self) -> np.ndarray:
        """(E, 3) int64 (x, y, heading), a copy."""
        return self._agent.copy()

    @property
    def goal(self) -> np.ndarray:
        """(E, 3) int64 (x, y, heading), a copy."""
        return self._goal.copy()

    @property
    def walls(self) -> np.ndarray:
        """(E, W, H) bool, a copy."""
        return self._walls.copy()

    @property
    def steps(self) -> np.ndarray:
        """(E,) int64 steps taken in the current episodes, a copy."""
        return self._steps.copy()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start episodes.

        Args:
            seed: an integer s seeds slot i with s + i; a list gives one seed (or None) per slot; None goes on
                drawing.
            options: ``reset_mask`` (E,) bool: only these slots; ``episodes``: an :class:`EpisodeBatch` to
                start instead of drawn episodes, with one row per slot that is reset; ``plan_seed``,
                ``start``, ``goal`` as in NestedRooms, for every slot that is reset.

        Returns:
            The observation of all slots, and info with ``goal`` (E, W, H, 3) uint8, the goal observations,
            and ``plan_seed`` (E,) int64, each with a mask ``_goal``, ``_plan_seed`` (E,) bool of the slots
            that were reset.

        Raises:
            ValueError: a mask, seeds, episodes or options that do not fit.
        """
        options = dict(options or {})
        mask = self._checked_mask(options.pop("reset_mask", None))
        slots = np.flatnonzero(mask)
        self._seed_slots(seed, slots)
        batch = options.pop("episodes", None)
        unknown = set(options) - {"plan_seed", "start", "goal"}
        if unknown:
            raise ValueError(
                f"unknown reset option {sorted(unknown)[0]!r};"
                " known: reset_mask, episodes, plan_seed, start, goal"
            )
        if batch is not None:
            if options:
                raise ValueError(f"give either episodes or {', '.join(options)} to reset, not both")
            self._load(slots, batch)
        else:
            self._draw_episodes(slots, options)
        if self.show_goal:
            self._grid[slots, self._goal[slots, 0], self._goal[slots, 1]] = GOAL_CELL
        self._image[slots] = compose_image(self._grid[slots], self._agent[slots])
        self._steps[slots] = 0
        self._terminated[slots] = self._truncated[slots] = False
        self._ready[slots] = True
        goal = np.zeros_like(self._grid)
        goal[slots] = compose_image(self._grid[slots], self._goal[slots])
        plan_seed = np.where(mask, self._plan_seed, 0)
        info = {"goal": goal, "_goal": mask.copy(), "plan_seed": plan_seed, "_plan_seed": mask.copy()}
        return self._observation(), info

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one action (E,) in every unfinished episode; see the class for what finished ones do.

        Raises:
            ValueError: actions of a wrong shape or value.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if not self._ready.all():
            raise gymnasium.error.ResetNeeded("step before reset; call reset() first")
        actions = check_actions(actions)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions have shape {actions.shape}; ({self.num_envs},) is needed")
        running = ~(self._terminated | self._truncated)
        before, after = self._agent, step_agents(self._walls, self._agent, actions)
        if not running.all():
            after[~running] = before[~running]
        self._steps += running
        x, y = before[:, 0], before[:, 1]
        self._image[self._rows, x, y] = self._grid[self._rows, x, y]
        drawn = np.empty((self.num_envs, 3), dtype=np.uint8)
        drawn[:, 0], drawn[:, 1], drawn[:, 2] = AGENT, RED, after[:, 2]
        self._image[self._rows, after[:, 0], after[:, 1]] = drawn
        self._agent = after

        arrived = running & (after[:, 0] == self._goal[:, 0]) & (after[:, 1] == self._goal[:, 1])
        reward = np.where(arrived, 1 - 0.9 * (self._steps / self.step_budget), 0.0)
        self._terminated |= arrived
        self._truncated |= running & (self._steps >= self.step_budget)
        return self._observation(), reward, self._terminated.copy(), self._truncated.copy(), {}

    def _observation(self) -> Observation:
        if self.copy:
            return {"image": self._image.copy(), "direction": self._agent[:, 2].copy()}
        return {"image": self._image, "direction": self._agent[:, 2]}

    def _checked_mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, dtype=bool)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise ValueError(f"reset_mask needs a numpy array ({self.num_envs},) of bool, got {mask!r}")
        if not mask.any():
            raise ValueError("reset_mask selects no environment; leave it out to reset all of them")
        return mask

    def _seed_slots(self, seed: int | list[int | None] | None, slots: np.ndarray) -> None:
        if seed is None:
            return
        if isinstance(seed, int):
            super().reset(seed=seed)
            seed = [seed + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds given for {self.num_envs} environments; give one each")
        for slot in slots:
            if seed[slot] is not None:
                self._rngs[slot], _ = seeding.np_random(seed[slot])

    def _draw_episodes(self, slots: np.ndarray, options: dict[str, Any]) -> None:
        for slot in slots:
            rng = self._rngs[slot]
            if rng is None:
                rng, _ = seeding.np_random()
                self._rngs[slot] = rng
            episode = draw_episode(rng, **self._draw, **options)
            self._walls[slot] = episode.plan.walls
            self._agent[slot], self._goal[slot] = episode.start, episode.goal
            self._plan_seed[slot] = episode.plan.seed
        self._grid[slots] = walls_to_grid(self._walls[slots])

    def _load(self, slots: np.ndarray, batch: EpisodeBatch) -> None:
        if len(batch) != len(slots):
            raise ValueError(f"{len(batch)} episodes given for {len(slots)} environments; give one each")
        if batch.grid.shape[1:] != self._grid.shape[1:]:
            wanted, given = self._grid.shape[1:3], batch.grid.shape[1:3]
            raise ValueError(
                f"episodes are {given[0]}x{given[1]}, this task {wanted[0]}x{wanted[1]};"
                " sample them for its id"
            )
        self._grid[slots] = batch.grid
        self._walls[slots] = grid_to_walls(batch.grid)
        self._agent[slots], self._goal[slots] = batch.start, batch.goal
        self._plan_seed[slots] = batch.plan_seed
