"""The agent as a policy of stable-worldmodel's ``World`` (arXiv 2602.08968).

    from hjepa.integrations.stable_worldmodel import as_policy
    world = stable_worldmodel.World("swm/TwoRoom-v1", num_envs=8, image_shape=(64, 64))
    world.set_policy(as_policy("runs/two-rooms", step_budget=50))
    world.evaluate(episodes=50, seed=0)

A policy there has ``set_env`` and ``get_action``; the latter is given a dictionary of arrays (environments, 1, ...), of
which ``pixels`` is what is seen now and ``goal`` what would be seen at the goal. Environments begin new episodes one by
one: the newer interface says so by ``_needs_flush``, the released one does not, and a step counter that does not
advance or another goal gives it away. What is planned here stays a function of seed and episode all the same.

A level alone as a model for their solvers is `hjepa.integrations.solver_model.as_model`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from hjepa.agent.agent import Agent
from hjepa.agent.episodes import Episodes
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.worlds import TFLOP_PER_STEP
from hjepa.model.checkpoints import load_stack
from hjepa.model.worlds import from_bounds
from hjepa.settings import PlanSettings
from planners.noise import combine

WHERE = "stable-worldmodel"


@dataclass
class _Wave:
    """Episodes that began at the same step.

    Attributes:
        rows: (R,) their environments.
        episodes: R of them.
        active: (R,) bool, those that have not ended, nor begun anew elsewhere.
    """

    rows: np.ndarray
    episodes: Episodes
    active: np.ndarray


class WorldPolicy:
    """An agent behind the interface of a policy; `as_policy` makes it one of theirs.

    Args:
        agent: plans; of a stack that sees images or vectors.
        seed: of the planner's noise.
        observation, goal: entries of the dictionary that hold what is seen now, and what would be at the goal.

    Attributes:
        env: the environments, once they are set.
        type: what kind of policy it is.

    Raises:
        InputError: an agent that sees neither images nor vectors.
    """

    def __init__(self, agent: Agent, seed: int = 0, observation: str = "pixels", goal: str = "goal") -> None:
        sight = agent.stack.world.sight
        if sight is None or sight.kind == "symbols":
            raise InputError(
                f"an agent that {'is told' if sight is None else 'sees symbols'}",
                WHERE,
                "give a checkpoint trained on images or vectors",
            )
        self.agent, self.sight, self.observation, self.goal = agent, sight, observation, goal
        self.env: Any = None
        self.type = "hjepa"
        self.low: tuple[float, ...] = ()
        self.high: tuple[float, ...] = ()
        self.set_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Begin anew, with another seed of the planner's noise."""
        self.seed, self._begun = seed, 0
        self._waves: list[_Wave] = []
        self._goals: np.ndarray | None = None
        self._clock: np.ndarray | None = None

    def set_env(self, env: Any) -> None:
        """Act in these environments from now on.

        Args:
            env: vectorised, with ``num_envs`` and ``single_action_space``.

        Raises:
            InputError: other actions than the agent has learned.
        """
        space, world = env.single_action_space, self.agent.stack.world
        kind = "continuous" if world.continuous else "discrete"
        fits = (
            isinstance(space, spaces.Box) and space.shape == (world.actions,)
            if world.continuous
            else isinstance(space, spaces.Discrete) and space.n == world.actions
        )
        if not fits:
            raise InputError(
                f"actions {space}, the agent has {world.actions} {kind} ones",
                WHERE,
                "give a checkpoint trained in this environment",
            )
        self.env = env
        if isinstance(space, spaces.Box):
            self.low, self.high = tuple(map(float, space.low)), tuple(map(float, space.high))
        self.set_seed(self.seed)

    def get_action(self, info_dict: Mapping[str, Any], **_: Any) -> np.ndarray:
        """The next action of every environment: (n,) int64, or (n, A) float32 between their bounds.

        Environments that have ended get actions that mean nothing.

        Args:
            info_dict: arrays or tensors (n, ...), as ``World.infos`` holds them.

        Raises:
            InputError: no environments yet, or a dictionary without what is seen, or of another shape.
        """
        if self.env is None:
            raise InputError("no environments", WHERE, "call set_env, or World.set_policy")
        seen, goal = self._shown(info_dict, self.observation), self._shown(info_dict, self.goal)
        ended = _flags(info_dict, "terminated", len(seen))
        fresh = self._fresh(info_dict, goal)
        # Who has just begun may still show how the episode before ended.
        active = ~ended | fresh
        self._begin(np.flatnonzero(fresh), seen, goal)
        world = self.agent.stack.world
        action: np.ndarray = np.zeros(len(seen), np.int64)
        if world.continuous:
            action = np.zeros((len(seen), world.actions), np.float32)
        for wave in self._waves:
            wave.active &= active[wave.rows]
            if wave.active.any():
                mask = torch.from_numpy(wave.active)
                chosen = self.agent.act(wave.episodes, {"image": seen[wave.rows]}, mask)
                action[wave.rows[wave.active]] = chosen[wave.active]
        return from_bounds(action, self.low, self.high)

    def _begin(self, rows: np.ndarray, seen: np.ndarray, goal: np.ndarray) -> None:
        """Begin episodes in environments (R,)."""
        if not len(rows):
            return
        for wave in self._waves:
            wave.active &= ~np.isin(wave.rows, rows)
        self._waves = [wave for wave in self._waves if wave.active.any()]
        numbers = torch.arange(self._begun, self._begun + len(rows))
        self._begun += len(rows)
        begun = self.agent.begin({"image": seen[rows]}, {"image": goal[rows]}, combine(self.seed, numbers))
        self._waves.append(_Wave(rows, begun, np.ones(len(rows), dtype=bool)))

    def _fresh(self, info: Mapping[str, Any], goal: np.ndarray) -> np.ndarray:
        """(n,) bool, environments whose episode begins; what is seen at goals (n, ...) is remembered."""
        count = len(goal)
        clock = None if "step_idx" not in info else _array(info["step_idx"]).reshape(count, -1)[:, -1]
        if self._goals is None or len(self._goals) != count:
            fresh = np.ones(count, dtype=bool)
        else:
            fresh = _flags(info, "_needs_flush", count)
            fresh = fresh | (goal != self._goals).reshape(count, -1).any(1)
            if clock is not None and self._clock is not None:
                # One that has ended may stand still without having begun anew.
                stopped = _flags(info, "terminated", count) | _flags(info, "truncated", count)
                fresh = fresh | (clock < self._clock) | ((clock == self._clock) & ~stopped)
        self._goals, self._clock = goal.copy(), clock
        return fresh

    def _shown(self, info: Mapping[str, Any], name: str) -> np.ndarray:
        """What an entry shows last, as the agent sees it: (n, *shape)."""
        if name not in info:
            raise InputError(
                f"no entry {name!r}", WHERE, f"name one of {', '.join(sorted(info))} as observation and goal"
            )
        shown, shape = _array(info[name]), self.sight.shape
        if shown.ndim == len(shape) + 2:
            shown = shown[:, -1]
        if self.sight.kind == "image" and shown.ndim == 4 and shown.shape[1:] == (shape[2], *shape[:2]):
            shown = np.moveaxis(shown, 1, -1)
        if shown.shape[1:] != shape:
            raise InputError(
                f"{name} of shape {shown.shape}, the agent sees {shape}",
                WHERE,
                f"make the World with image_shape={shape[:2]}" if len(shape) == 3 else "name another entry",
            )
        if self.sight.kind == "image" and shown.dtype != np.uint8:
            raise InputError(f"{name} of {shown.dtype}", WHERE, "give pictures of uint8, without a transform")
        return np.ascontiguousarray(shown)


def as_policy(
    checkpoint: str | os.PathLike[str],
    step_budget: int,
    *,
    levels: int | None = None,
    budget_tflops: float | None = None,
    settings: PlanSettings | None = None,
    seed: int = 0,
    observation: str = "pixels",
    goal: str = "goal",
    device: str = "cpu",
) -> Any:
    """An agent as a policy of stable-worldmodel.

    Args:
        checkpoint: shipped weights or a run folder.
        step_budget: environment steps of an episode.
        levels: how many to plan with; None: all.
        budget_tflops: compute of an episode; None: as much a step as `hjepa plan` takes.
        settings: of planning; None: the checkpoint's.
        seed: of the planner's noise.
        observation, goal: see `WorldPolicy`.
        device: ``cpu`` or ``cuda``.

    Returns:
        a `WorldPolicy` that is a ``stable_worldmodel.policy.BasePolicy`` as well.

    Raises:
        InputError: stable-worldmodel is not installed, or a checkpoint that cannot be played there.
    """
    try:
        base = importlib.import_module("stable_worldmodel.policy").BasePolicy
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"stable_worldmodel cannot be imported ({error})",
            WHERE,
            "install stable-worldmodel, 0.1.1 or later",
        ) from None
    budget = TFLOP_PER_STEP * step_budget if budget_tflops is None else budget_tflops
    options = AgentOptions(levels, budget, settings)
    agent = Agent(load_stack(checkpoint, device), step_budget, options)
    made = type("HjepaPolicy", (WorldPolicy, base), {"__doc__": WorldPolicy.__doc__})
    return made(agent, seed, observation, goal)


def _array(value: Any) -> np.ndarray:
    return value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _flags(info: Mapping[str, Any], name: str, count: int) -> np.ndarray:
    """An entry as (n,) bool; False where there is none."""
    if info.get(name) is None:
        return np.zeros(count, dtype=bool)
    flags: np.ndarray = _array(info[name]).reshape(count, -1)[:, -1].astype(bool)
    return flags
