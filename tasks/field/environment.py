"""Tasks of the field as single Gymnasium environments: one episode of a simulator at a time."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tasks.field.registry import FIELD_TASKS, make_simulator
from tasks.field.simulator import State
from tasks.floorplans import split_seeds
from tasks.senses import symbol_space
from tasks.vectorized import Vectorized
from tasks.worlds import Sense


class FieldEnv(gymnasium.Env[dict[str, np.ndarray], Any]):
    """One episode of a task of the field; the goal is told, and part of what is observed only with ``show_goal=True``.

    Observations are dictionaries of what its world shows. With ``show_goal`` they also hold what is seen at the goal,
    ``goal_image`` beside ``image`` and so on, which ordinary reinforcement-learning agents need.

    ``info["success"]`` says whether the goal is reached, for a reward of 1; where it is published so, that ends the
    episode. ``info["goal"]`` of a reset is what is seen at the goal, and ``info["goal_state"]`` its state.

    Args:
        task_id: one of `tasks.field.registry.FIELD_TASKS`.
        observe: ``image``, ``symbols`` or ``vector``, of those that it has; None: its own.
        split: whose seeds resets without a seed draw from.
        step_budget: steps of an episode; None: the task's.
        show_goal: observe what is seen at the goal as well.
        render_mode: None or ``rgb_array``.
        **arguments: of the simulator, such as ``pixels``.

    Raises:
        ValueError: what the task does not have, an unknown split or render mode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        task_id: str,
        observe: str | None = None,
        split: str = "train",
        step_budget: int | None = None,
        show_goal: bool = False,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is {render_mode!r}; choose 'rgb_array' or None")
        self.render_mode, self._seeds = render_mode, split_seeds(split)
        self.simulator = make_simulator(task_id, observe, **arguments)
        self._picture = self.simulator
        if render_mode and "image" not in self.simulator.senses:
            self._picture = make_simulator(task_id, "image", **arguments)
        self.max_steps = FIELD_TASKS[task_id].step_budget if step_budget is None else step_budget
        shown = {name: _space(sense) for name, sense in self.simulator.senses.items()}
        self.show_goal = show_goal
        self._beside: dict[str, np.ndarray] = {}
        if show_goal:
            shown |= {f"goal_{name}": space for name, space in shown.items()}
        self.observation_space: spaces.Space[Any] = spaces.Dict(shown)
        actions = self.simulator.actions
        self.action_space = spaces.Discrete(actions.count)
        if actions.continuous:
            low, high = np.array([actions.low, actions.high], dtype=np.float32)
            self.action_space = spaces.Box(low, high, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: what the episode is a function of; None: a seed of the split is drawn.
            options: ``state`` and ``goal_state``, arrays by name, in place of what the seed draws.

        Returns:
            The observation, and info with ``success``, ``goal`` and ``goal_state``.

        Raises:
            ValueError: an unknown option, or a state that the task does not have.
        """
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(self._seeds.start, self._seeds.stop))
        start, goal = self.simulator.draw(np.array([seed], dtype=np.int64))
        options = dict(options or {})
        self._state = _given(options.pop("state", None), start)
        self._goal = _given(options.pop("goal_state", None), goal)
        if options:
            raise ValueError(f"unknown option {next(iter(options))!r}; known: state, goal_state")
        self._steps = 0
        goal_seen = self._shown(self._goal)
        if self.show_goal:
            self._beside = {f"goal_{name}": value.copy() for name, value in goal_seen.items()}
        info = {"success": False, "goal": goal_seen, "goal_state": _single(self._goal)}
        return self._observation(), info

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Take one action, of which what is out of bounds is clipped."""
        actions = self.simulator.actions
        given = np.asarray(action)[None]
        if actions.continuous:
            given = np.clip(given.astype(np.float32), actions.low, actions.high).astype(np.float32)
        self._state = self.simulator.advance(self._state, given)
        self._steps += 1
        success = bool(self.simulator.reached(self._state, self._goal)[0])
        truncated = self._steps >= self.max_steps
        seen = self._observation()
        ended = success and self.simulator.ends_at_goal
        return seen, float(success), ended, truncated, {"success": success}

    def render(self) -> np.ndarray | None:
        """The picture (H, W, 3) uint8 that the task is seen in."""
        if self.render_mode is None:
            return None
        return np.asarray(self._picture.show(self._state)["image"][0])[..., -3:]

    def _observation(self) -> dict[str, np.ndarray]:
        return self._shown(self._state) | {name: value.copy() for name, value in self._beside.items()}

    def _shown(self, state: State) -> dict[str, np.ndarray]:
        """What is seen of the one episode; several frames (K, H, W, C) as Gymnasium stacks them."""
        seen = _single(self.simulator.show(state))
        for name, sense in self.simulator.senses.items():
            if sense.frames > 1:
                seen[name] = np.stack(np.split(seen[name], sense.frames, -1))
        return seen

    @property
    def state(self) -> State:
        """What the simulator knows, arrays by name."""
        return _single(self._state)


def field_vector(num_envs: int = 1, **arguments: Any) -> Vectorized:
    """Gymnasium's vector environment over `FieldEnv`; `tasks.field.world.FieldWorld` is many times faster."""
    return Vectorized(FieldEnv, num_envs, **arguments)


def _space(sense: Sense) -> spaces.Space[Any]:
    if sense.kind == "vector":
        return spaces.Box(-np.inf, np.inf, sense.shape, np.float32)
    if sense.kind == "image" and sense.frames > 1:
        return spaces.Box(0, 255, (sense.frames, *sense.shape[:2], sense.shape[2] // sense.frames), np.uint8)
    if sense.kind == "image":
        return spaces.Box(0, 255, sense.shape, np.uint8)
    return symbol_space(sense.shape, sense.codes)


def _given(state: State | None, drawn: State) -> State:
    """A state of one episode as a batch of one, checked against what a seed draws."""
    if state is None:
        return drawn
    wrong = state.keys() != drawn.keys()
    if wrong or any(np.shape(state[name]) != value.shape[1:] for name, value in drawn.items()):
        wanted = {name: value.shape[1:] for name, value in drawn.items()}
        raise ValueError(f"a state needs {wanted} and no other arrays, got {state!r}")
    return {name: np.asarray(state[name], dtype=value.dtype)[None] for name, value in drawn.items()}


def _single(arrays: Any) -> dict[str, np.ndarray]:
    return {name: value[0] for name, value in arrays.items()}
