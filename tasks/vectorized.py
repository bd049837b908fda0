"""What ``gymnasium.make_vec`` makes of our tasks: Gymnasium's own vector environment over the single one.

Spaces, observations, infos and automatic resets are therefore those of the single environment. The batched twins
(:meth:`tasks.specs.TaskSpec.make_batched`) are many times faster; they show the whole floor plan and never reset by
themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv


class Vectorized(SyncVectorEnv):
    """E single environments, stepped one after another.

    Args:
        make: makes one.
        num_envs: E.
        autoreset_mode: of Gymnasium's: ``NextStep``, ``SameStep`` or ``Disabled``.
        **arguments: of the single environment.

    Raises:
        ValueError: no environments, an unknown mode, or what the single environment refuses.
    """

    def __init__(
        self,
        make: Callable[..., gymnasium.Env[Any, Any]],
        num_envs: int,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        **arguments: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; at least 1 is needed")
        super().__init__([partial(make, **arguments)] * int(num_envs), autoreset_mode=_mode(autoreset_mode))

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Gymnasium's reset; seeds may be numpy's integers, too."""
        if isinstance(seed, (int, np.integer)):
            seed = int(seed)
        elif seed is not None:
            seed = [None if one is None else int(one) for one in seed]
        return super().reset(seed=seed, options=options)


def nested_rooms(num_envs: int = 1, **arguments: Any) -> Vectorized:
    """`Vectorized` over :class:`tasks.nested_rooms.NestedRooms`."""
    from tasks.nested_rooms import NestedRooms

    return Vectorized(NestedRooms, num_envs, **arguments)


def nested_point(num_envs: int = 1, **arguments: Any) -> Vectorized:
    """`Vectorized` over :class:`tasks.nested_point.NestedPoint`."""
    from tasks.nested_point import NestedPoint

    return Vectorized(NestedPoint, num_envs, **arguments)


def _mode(name: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(name)
    except ValueError:
        known = ", ".join(mode.value for mode in AutoresetMode)
        raise ValueError(f"autoreset_mode is {name!r}; choose from {known}") from None
