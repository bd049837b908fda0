"""The environment that a task names, wrappers and all: what it is registered as, and whose code is in it.

What counts as success is what this environment says (:mod:`tasks.named_episode`). Batched twins may stand in for it
where a replay agrees (:mod:`tasks.replay`); where somebody else's code is in it, it is stepped itself.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import gymnasium

_PLAIN_WRAPPERS = ("PassiveEnvChecker", "OrderEnforcing", "TimeLimit")
"""Gymnasium's own, which change neither what an action does nor what is seen."""

_OURS = ("minigrid", "tasks")
"""Packages whose environments have batched twins."""


class Registration:
    """What an id means now; a key for caches that a new registration under the same id makes stale.

    Two are equal where the id and the entry in Gymnasium's registry are the same one.

    Args:
        task_id: Gymnasium id, or ``module:id`` to import the module that registers it first.

    Raises:
        ValueError: the module cannot be imported.
    """

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        module, _, name = task_id.rpartition(":")
        if module:
            _import(module, task_id)
        elif name not in gymnasium.registry:
            import minigrid  # registers its environments, BabyAI's among them  # noqa: F401
        self.spec = gymnasium.registry.get(name)

    def __hash__(self) -> int:
        return hash((self.task_id, id(self.spec)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Registration) and self.task_id == other.task_id and self.spec is other.spec


def _import(module: str, task_id: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{task_id!r} names a module that cannot be imported ({error}); put its folder on PYTHONPATH"
        ) from None


def make_named(registration: Registration, **arguments: Any) -> gymnasium.Env[Any, Any]:
    """The environment with all wrappers it is registered with.

    Args:
        registration: of its id.
        **arguments: of its constructor, in place of those it is registered with.

    Raises:
        ValueError: no such environment.
    """
    try:
        # The checker looks at every observation, once; it is not part of the environment.
        return gymnasium.make(registration.task_id, disable_env_checker=True, **arguments)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(
            f"unknown MiniGrid environment {registration.task_id!r} ({error}); see gymnasium.registry"
        ) from None


def wrappers_of(env: gymnasium.Env[Any, Any]) -> list[gymnasium.Env[Any, Any]]:
    """The wrappers around an environment, the outermost first."""
    found: list[gymnasium.Env[Any, Any]] = []
    while isinstance(env, gymnasium.Wrapper):
        found.append(env)
        env = env.env
    return found


def step_limits(env: gymnasium.Env[Any, Any]) -> list[int]:
    """Steps after which Gymnasium's ``TimeLimit`` around an environment truncates an episode, each of them."""
    return [
        int(wrapper._max_episode_steps)
        for wrapper in wrappers_of(env)
        if isinstance(wrapper, gymnasium.wrappers.TimeLimit)
    ]


def is_plain(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether nobody else's code is in the environment, so that a batched twin knows its rules."""
    return not _foreign(env) and type(env.unwrapped).__module__.split(".")[0] in _OURS


def _foreign(env: gymnasium.Env[Any, Any]) -> list[str]:
    """The wrappers around an environment that are somebody else's, by name, the outermost first."""
    return [
        type(wrapper).__name__
        for wrapper in wrappers_of(env)
        if type(wrapper).__name__ not in _PLAIN_WRAPPERS
        or not type(wrapper).__module__.startswith("gymnasium.")
    ]


@functools.lru_cache(maxsize=64)
def _looked(registration: Registration) -> tuple[bool, tuple[str, ...]]:
    env = make_named(registration)
    try:
        return is_plain(env), tuple(_foreign(env))
    finally:
        env.close()


def has_twin(task_id: str) -> bool:
    """Whether the batched twin may stand in for the environment, as far as can be told before it is played.

    Raises:
        ValueError: no such environment.
    """
    return _looked(Registration(task_id))[0]


def check_unwrapped(task_id: str) -> None:
    """ValueError for an environment in somebody else's wrappers, whose ways its batched twin does not know."""
    if wrapped := _looked(Registration(task_id))[1]:
        raise ValueError(
            f"{task_id} is wrapped in {wrapped[0]}, whose ways its batched twin does not know; collect what it shows"
            f" instead, for levels that see: hjepa collect --env {task_id} --observe symbols"
        )
