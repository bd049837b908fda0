"""Making one Gymnasium environment as the user named it, and seeing it the way the user asked.

Wrappers are the user's and stay where they are. Where an environment is MiniGrid's and nothing it is wrapped in
changes what is seen, the whole grid is shown, as symbols or as a picture, by MiniGrid's own wrappers around all others;
an environment whose observation is somebody's choice already is used as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np

from tasks.senses import average, behind, leaves, sensed, senses_of
from tasks.worlds import KINDS, Sense

PIXELS = 64
"""Pixels a side of a frame that an environment renders."""

MOST_FRAMES = 16
"""Moments that a picture may show at most."""

TILE = 8
"""Pixels a side of a cell of MiniGrid's picture."""

_MINIGRID = ("MiniGrid-", "BabyAI-")
_OWN_ENTRIES = {"image", "direction", "mission"}


class Seen:
    """One environment and how it is observed.

    Args:
        env_id: Gymnasium id, or ``module:Id-v0``.
        observe: one of `tasks.worlds.KINDS`, or empty for what the environment shows by itself.
        arguments: keyword arguments of ``gymnasium.make``.
        pixels: a side of a picture; None: as the environment has it, 64 where it is rendered.
        frames: moments that pictures show, see `tasks.worlds.Sense`; 1: as the environment shows them.
        longer: steps that its registered limit is raised by.

    Attributes:
        env: outermost.
        observe: how it is observed after all.
        senses: what is seen, by name. An image with more frames than the environment shows at once is put together
            from what was seen before; an episode begins as if it had stood still.

    Raises:
        ValueError: an environment that cannot be made, or nothing of the wanted kind to see.
    """

    def __init__(
        self,
        env_id: str,
        observe: str = "",
        arguments: Mapping[str, Any] | None = None,
        pixels: int | None = None,
        longer: int = 0,
        frames: int = 1,
    ) -> None:
        if observe not in ("", *KINDS):
            raise ValueError(f"observe is {observe!r}; choose from {', '.join(KINDS)}")
        if pixels is not None and pixels < 1:
            raise ValueError(f"pixels is {pixels}; give the pixels a side of the picture")
        if not isinstance(frames, int) or not 1 <= frames <= MOST_FRAMES:
            raise ValueError(f"frames is {frames!r}; give a whole number from 1 to {MOST_FRAMES}")
        self.id, self.rendered = env_id, False
        self.env = make_environment(env_id, arguments or {}, longer)
        try:
            if grid_unseen(self.env):
                observe = observe or "symbols"
                self.env = _show_grid(self.env, observe)
            self.observe = observe
            self.senses = senses_of(self.env.observation_space, observe)
            if observe == "image" and not self.senses:
                self._render({**(arguments or {}), "render_mode": "rgb_array"}, longer)
                pixels = PIXELS if pixels is None else pixels
            self._check()
        except BaseException:
            self.env.close()
            raise
        own = {name: self._settled(sense, pixels) for name, sense in self.senses.items()}
        if frames > 1 and all(sense.kind != "image" for sense in own.values()):
            self.env.close()
            raise ValueError(
                f"{frames} frames of {env_id}, which shows no image; observe it as image, or give 1"
            )
        self._own = {name: sense.frames for name, sense in own.items()}
        self._past: dict[str, list[np.ndarray]] = {}
        self.senses = {name: several(sense, frames) for name, sense in own.items()}
        self._leaves = {
            ".".join(path) or next(iter(self.senses)): (path, leaf)
            for path, leaf in leaves(self.env.observation_space)
        }

    def _render(self, arguments: Mapping[str, Any], longer: int) -> None:
        self.env.close()
        self.env = make_environment(self.id, arguments, longer)
        self.env.reset(seed=0)
        self.rendered, self.senses = True, {"image": Sense("image", frame_of(self.env, self.id).shape)}

    def _check(self) -> None:
        if self.senses:
            return
        what = f"of kind {self.observe} " if self.observe else ""
        held = "; ".join(
            f"{'.'.join(path)} {leaf}".strip() for path, leaf in leaves(self.env.observation_space)
        )
        raise ValueError(
            f"nothing {what}can be sensed of what {self.id} shows ({' '.join(held.split())}); observe it as image, or"
            " wrap it so that it returns a uint8 picture (H, W, C), a grid of small integers, or a row of numbers"
        )

    def _settled(self, sense: Sense, pixels: int | None) -> Sense:
        if sense.kind == "image" and pixels is not None:
            return Sense("image", (pixels, pixels, sense.shape[2]), frames=sense.frames)
        if sense.kind == "symbols" and sense.codes == (256,) * 3 and is_minigrid(self.env):
            return Sense("symbols", sense.shape, minigrid_codes())
        return sense

    def look(self, raw: Any, begins: bool = False) -> dict[str, np.ndarray]:
        """What is seen when the environment returned ``raw``, arrays by name.

        Args:
            raw: observation.
            begins: whether the episode begins with it.
        """
        seen = self.now(raw)
        if begins:
            self._past = {}
        for name, latest in seen.items():
            count = self._moments(name)
            if count > 1:
                past = self._past.get(name, [latest] * count)
                self._past[name] = [*past[1:], latest]
                seen[name] = behind(np.stack(self._past[name]))
        return seen

    def still(self, seen: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What is `now` seen, as if it had been so for long."""
        return {
            name: np.tile(value, self._moments(name)) if self._moments(name) > 1 else value
            for name, value in seen.items()
        }

    def _moments(self, name: str) -> int:
        """How many moments are put together for a sense."""
        return self.senses[name].frames // self._own[name]

    def now(self, raw: Any) -> dict[str, np.ndarray]:
        """What the environment shows at one moment, arrays by name."""
        if self.rendered:
            sense = self.senses["image"]
            return {"image": average(frame_of(self.env, self.id), *sense.shape[:2])}
        seen = {}
        for name, sense in self.senses.items():
            path, leaf = self._leaves[name]
            entry = raw
            for key in path:
                entry = entry[key]
            seen[name] = sensed(entry, leaf, sense)
        return seen


def several(sense: Sense, frames: int) -> Sense:
    """An image of so many times the moments; anything else as it is."""
    if sense.kind != "image" or frames == 1:
        return sense
    return Sense("image", (*sense.shape[:2], sense.shape[2] * frames), frames=sense.frames * frames)


def make_environment(env_id: str, arguments: Mapping[str, Any], longer: int = 0) -> gymnasium.Env[Any, Any]:
    """The environment with this id, in the user's wrappers.

    Args:
        env_id: Gymnasium id, or ``module:Id-v0`` to import the module that registers it first.
        arguments: keyword arguments of ``gymnasium.make``.
        longer: steps that its limit is raised by, the registered one and MiniGrid's ``max_steps``.

    Raises:
        ValueError: no such environment, arguments that it does not take, or a package that it misses.
    """
    if env_id.partition(":")[2].startswith(_MINIGRID) or env_id.startswith(_MINIGRID):
        import minigrid  # registers the environments  # noqa: F401
    given = dict(arguments)
    try:
        env = gymnasium.make(env_id, disable_env_checker=True, **given)
        if longer and env.spec is not None and env.spec.max_episode_steps:
            limit = env.spec.max_episode_steps + longer
            env.close()
            env = gymnasium.make(env_id, disable_env_checker=True, **{**given, "max_episode_steps": limit})
        if longer and is_minigrid(env):
            bare: Any = env.unwrapped
            bare.max_steps += longer
        return env
    except gymnasium.error.DependencyNotInstalled as error:
        raise ValueError(f"{env_id} needs a package that is missing ({_line(error)}); install it") from None
    except ImportError as error:
        raise ValueError(
            f"{env_id} needs a module that cannot be imported ({_line(error)}); install it, or put its folder on"
            " PYTHONPATH"
        ) from None
    except gymnasium.error.Error as error:
        raise ValueError(
            f"unknown environment {env_id!r} ({_line(error)}); give an id of gymnasium.registry, or module:Id-v0"
        ) from None
    except Exception as error:  # a constructor raises what it likes about its arguments
        raise ValueError(
            f"{env_id} cannot be made with {given} ({_line(error)}); leave out what it does not take"
        ) from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def frame_of(env: gymnasium.Env[Any, Any], env_id: str) -> np.ndarray:
    """The frame (H, W, 3) uint8 that an environment renders now.

    Raises:
        ValueError: it renders none.
    """
    try:
        frame = env.render()
    except Exception as error:  # whatever a renderer raises that finds no library or no screen
        raise ValueError(
            f"{env_id} cannot render ({_line(error)}); observe it as vector or symbols"
        ) from None
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.dtype != np.uint8:
        raise ValueError(
            f"{env_id} renders no picture (H, W, 3) uint8 as rgb_array but {type(frame).__name__}; observe it as"
            " vector or symbols"
        )
    return frame


def is_minigrid(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether the innermost environment is MiniGrid's, without importing MiniGrid for others."""
    module = sys.modules.get("minigrid.minigrid_env")
    return module is not None and isinstance(env.unwrapped, module.MiniGridEnv)


def minigrid_codes() -> tuple[int, int, int]:
    """How many codes object types, colours and states have, the agent's heading among the states."""
    from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX

    objects, colours, states = (
        max(table.values()) + 1 for table in (OBJECT_TO_IDX, COLOR_TO_IDX, STATE_TO_IDX)
    )
    return objects, colours, max(states, 4)


def wrappers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Wrapper[Any, Any, Any, Any]]:
    """The wrappers of an environment, outermost first."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env


def grid_unseen(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether an environment is MiniGrid's and shows its own partial view, which nobody has replaced."""
    if not is_minigrid(env):
        return False
    bare: Any = env.unwrapped
    replaced = any(
        isinstance(each, gymnasium.ObservationWrapper) or each._observation_space is not None
        for each in wrappers(env)
    )
    view = (bare.agent_view_size, bare.agent_view_size, 3)
    own = bare.observation_space.spaces
    if replaced or set(own) != _OWN_ENTRIES or own["image"].shape != view:
        return False
    raw, _ = env.reset(seed=0)  # a wrapper may change what is seen without saying so in a space
    return np.array_equal(raw["image"], bare.gen_obs()["image"])


def _show_grid(env: gymnasium.Env[Any, Any], observe: str) -> gymnasium.Env[Any, Any]:
    from minigrid.wrappers import FullyObsWrapper, RGBImgObsWrapper

    if observe == "symbols":
        return FullyObsWrapper(env)
    if observe == "image":
        bare: Any = env.unwrapped
        bare.highlight = False  # of the cells in the partial view, which say nothing about the world
        return RGBImgObsWrapper(env, TILE)
    return env
