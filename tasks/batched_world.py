"""What all batched environments share: seeds, masks, given episodes, rewards, and episodes that stay finished."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from tasks.episode_batches import EpisodeBatch
from tasks.episodes import check_tasks, reset_options
from tasks.floorplans import split_seeds
from tasks.observations import compose_image
from tasks.rendering import TILE
from tasks.streams import Streams

Observation = dict[str, np.ndarray]


class BatchedWorld(VectorEnv, ABC):
    """E episodes side by side, as one numpy computation.

    Rewards are (E,) float64, MiniGrid's ``1 - 0.9 * steps / step_budget`` on success, otherwise 0.

    Resets are never automatic. A finished episode stays frozen: its agent no longer moves, its reward is 0,
    and its terminated / truncated flags stay as they were until it is reset through
    ``options["reset_mask"]``.

    A subclass sets the class attributes and has the methods that are empty here.

    Args:
        num_envs: E.
        size: (W, H) of the grid.
        agent: zeros (A,), an agent vector of this world.
        spaces: of single observations and single actions.
        split: where drawn episodes come from.
        tasks: how start and goal are drawn, one of ``kinds``.
        step_budget: steps before truncation.
        copy: whether ``reset`` and ``step`` return copies. False is faster: the returned arrays are then the
            environment's own memory, valid until the next call, and must not be written to.
        render_mode: only None; render single episodes.

    Raises:
        ValueError: no episodes, unknown split or tasks, a step budget below 1, or a render mode.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium declares it so)
        "autoreset_mode": AutoresetMode.DISABLED,
        "render_modes": [],
    }
    kinds: tuple[str, ...] = ("far", "uniform")
    options: tuple[str, ...] = ("plan_seed", "start", "goal")
    """What ``reset`` takes besides ``reset_mask`` and ``episodes``."""

    def __init__(
        self,
        num_envs: int,
        size: tuple[int, int],
        agent: np.ndarray,
        spaces: tuple[spaces.Dict, Space[Any]],
        *,
        split: str,
        tasks: str,
        step_budget: int,
        copy: bool,
        render_mode: str | None,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; at least 1 is needed")
        if step_budget < 1:
            raise ValueError(f"step_budget is {step_budget}; at least 1 step is needed")
        if render_mode is not None:
            raise ValueError(
                f"the batched twin cannot render ({render_mode!r}); make a single environment for pictures"
            )
        split_seeds(split)
        self.num_envs = num_envs
        self.split = split
        self.tasks = check_tasks(tasks, self.kinds)
        self.step_budget = step_budget
        self.copy = copy
        self.render_mode = None
        self.single_observation_space, self.single_action_space = spaces
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._streams = Streams(np.zeros((num_envs, 4)))  # what episodes are drawn from
        self._seeded = np.zeros(num_envs, dtype=bool)
        self._rows = np.arange(num_envs)
        self._floor = np.zeros((num_envs, *size, 3), dtype=np.uint8)
        self._agent = np.repeat(agent[None], num_envs, 0)
        self._goal = self._agent.copy()
        self._plan_seed = np.zeros(num_envs, dtype=np.int64)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._terminated = np.zeros(num_envs, dtype=bool)
        self._truncated = np.zeros(num_envs, dtype=bool)
        self._ready = np.zeros(num_envs, dtype=bool)

    @abstractmethod
    def _draw(self, rng: np.random.Generator, **options: Any) -> tuple[np.ndarray, Any, Any, int]:
        """One episode: floor plan (W, H, 3), start and goal (A,), floor-plan seed."""

    def _draw_all(self, slots: np.ndarray, **options: Any) -> None:
        """Draw an episode in each slot, from its stream."""
        for slot in slots.tolist():
            rng = self._streams.generator(slot)
            try:
                drawn = self._draw(rng, **options)
            finally:
                self._streams.keep(slot, rng)
            self._floor[slot], self._agent[slot], self._goal[slot], self._plan_seed[slot] = drawn

    @abstractmethod
    def _begin(self, slots: np.ndarray) -> None:
        """Called when floor, agent and goal of ``slots`` are new."""

    @abstractmethod
    def _advance(self, actions: np.ndarray) -> np.ndarray:
        """Check the actions and return the agents (E, A) after them, without changing anything."""

    @abstractmethod
    def _arrived(self) -> np.ndarray:
        """Which agents (E,) are at their goals."""

    def _lost(self) -> np.ndarray:
        """Which agents (E,) can go no further."""
        return np.zeros(self.num_envs, dtype=bool)

    @abstractmethod
    def _observation(self) -> Observation:
        """What is observed now."""

    @abstractmethod
    def frames(self, tile: int = TILE) -> np.ndarray:
        """Pictures of all episodes as they are now, of the whole world also where only a view is observed.

        Args:
            tile: pixels a side of one cell.

        Returns:
            (E, H * tile, W * tile, 3) uint8; without ``copy`` they may be the environment's own memory, valid until the
            next call, as observations are.

        Raises:
            ValueError: no pixels.
        """

    def _show(self, before: np.ndarray) -> None:
        """Called after agents have moved from ``before`` (E, A)."""

    @property
    def agent(self) -> np.ndarray:
        """(E, A) agent vectors, a copy."""
        return self._agent.copy()

    @property
    def goal(self) -> np.ndarray:
        """(E, A) agent vectors at the goals, a copy."""
        return self._goal.copy()

    @property
    def floor(self) -> np.ndarray:
        """(E, W, H, 3) uint8 floor plans, doors closed, a copy."""
        return self._floor.copy()

    @property
    def steps(self) -> np.ndarray:
        """(E,) int64 steps taken in the current episodes, a copy."""
        return self._steps.copy()

    def move_goals(self, goal: np.ndarray) -> None:
        """Put the goals of the running episodes elsewhere, (E, A)."""
        self._goal[:] = goal

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start episodes.

        Args:
            seed: an integer s seeds slot i with s + i; a list gives one seed (or None) per slot; None goes on
                drawing.
            options: ``reset_mask`` (E,) bool: only these slots; ``episodes``: an :class:`EpisodeBatch` to
                start instead of drawn episodes, with one row per slot that is reset; ``plan_seed``, and where
                the world has them ``start`` and ``goal``, for every slot that is reset.

        Returns:
            The observation of all slots, and info with ``goal`` (E, W, H, 3) uint8, the goal observations (in
            a continuous world the goal positions (E, 2)), and ``plan_seed`` (E,) int64, each with a mask
            ``_goal``, ``_plan_seed`` (E,) bool of the slots that were reset.

        Raises:
            ValueError: a mask, seeds, episodes or options that do not fit.
        """
        options = dict(options or {})
        mask = self._checked_mask(options.pop("reset_mask", None))
        slots = np.flatnonzero(mask)
        self._seed_slots(seed, slots)
        batch = options.pop("episodes", None)
        if unknown := sorted(set(options) - set(self.options)):
            known = ", ".join(("reset_mask", "episodes", *self.options))
            raise ValueError(f"unknown reset option {unknown[0]!r}; known: {known}")
        options = reset_options(options, getattr(self, "keys", 0))
        if batch is not None:
            if options:
                raise ValueError(f"give either episodes or {', '.join(options)} to reset, not both")
            self._load(slots, batch)
        else:
            self._seed_anyhow(slots)
            self._draw_all(slots, **options)
        self._begin(slots)
        self._steps[slots] = 0
        self._terminated[slots] = self._truncated[slots] = False
        self._ready[slots] = True
        goals = self._goal_observation(slots)
        goal = np.zeros((self.num_envs, *goals.shape[1:]), dtype=goals.dtype)
        goal[slots] = goals
        plan_seed = np.where(mask, self._plan_seed, 0)
        info = {"goal": goal, "_goal": mask.copy(), "plan_seed": plan_seed, "_plan_seed": mask.copy()}
        return self._observation(), info

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one action in every unfinished episode; see the class for what finished ones do.

        Raises:
            ValueError: actions of a wrong shape or value.
            gymnasium.error.ResetNeeded: before the first reset.
        """
        if not self._ready.all():
            raise gymnasium.error.ResetNeeded("step before reset; call reset() first")
        wanted, actions = self.action_space.shape, np.asarray(actions)
        if actions.shape != wanted:
            raise ValueError(f"actions have shape {actions.shape}; {wanted} is needed")
        running = ~(self._terminated | self._truncated)
        before, after = self._agent, self._advance(actions)
        if not running.all():
            np.copyto(after, before, where=~running[:, None])
        self._steps += running
        self._agent = after
        self._show(before)
        arrived = running & self._arrived()
        reward = np.where(arrived, 1 - 0.9 * (self._steps / self.step_budget), 0.0)
        self._terminated |= arrived | (running & self._lost())
        self._truncated |= running & (self._steps >= self.step_budget)
        return self._observation(), reward, self._terminated.copy(), self._truncated.copy(), {}

    def _goal_observation(self, slots: np.ndarray) -> np.ndarray:
        return compose_image(self._floor[slots], self._goal[slots])

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
        if isinstance(seed, (int, np.integer)):
            seed = int(seed)
            super().reset(seed=seed)
            seed = [seed + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds given for {self.num_envs} environments; give one each")
        given = [(slot, seed[slot]) for slot in slots.tolist() if seed[slot] is not None]
        self._seed_with([slot for slot, _ in given], [int(each) for _, each in given if each is not None])

    def _seed_anyhow(self, slots: np.ndarray) -> None:
        """Seed those of the slots that never were, with whatever the operating system draws."""
        unseeded = slots[~self._seeded[slots]].tolist()
        self._seed_with(unseeded, [secrets.randbits(128) for _ in unseeded])

    def _seed_with(self, slots: list[int], seeds: list[int]) -> None:
        for seed in seeds:
            if seed < 0:
                raise gymnasium.error.Error(f"seed {seed} is negative; give a non-negative integer")
        if slots:
            self._streams.seed(np.array(slots), seeds)
            self._seeded[slots] = True

    def _load(self, slots: np.ndarray, batch: EpisodeBatch) -> None:
        if len(batch) != len(slots):
            raise ValueError(f"{len(batch)} episodes given for {len(slots)} environments; give one each")
        if batch.grid.shape[1:] != self._floor.shape[1:]:
            wanted, given = self._floor.shape[1:3], batch.grid.shape[1:3]
            raise ValueError(
                f"episodes are {given[0]}x{given[1]}, this task {wanted[0]}x{wanted[1]};"
                " sample them for its id"
            )
        if batch.start.shape[1:] != self._agent.shape[1:] or batch.continuous != (
            self._agent.dtype == np.float32
        ):
            raise ValueError(
                f"episodes have agents of {batch.start.shape[1]} {batch.start.dtype} numbers, this task of"
                f" {self._agent.shape[1]} {self._agent.dtype}; sample them for its id"
            )
        self._floor[slots] = batch.grid
        self._agent[slots], self._goal[slots] = batch.start, batch.goal
        self._plan_seed[slots] = batch.plan_seed
