"""One way in: the world with an id, by its batched twin where it has one, or the Gymnasium environment itself."""

from __future__ import annotations

from typing import Any

from tasks.field.registry import is_field
from tasks.worlds import World, WorldSpec


def world_spec(
    env_id: str,
    observe: str | None = None,
    *,
    real: bool = False,
    step_budget: int | None = None,
    **arguments: Any,
) -> WorldSpec:
    """What a world is to an agent.

    Args:
        env_id: Gymnasium id, or ``module:Id-v0``.
        observe: ``image``, ``symbols`` or ``vector``; None: what the world shows by itself.
        real: the environment itself, also where it has a batched twin.
        step_budget: steps of an episode; None: the world's own limit.
        **arguments: of `tasks.field.world.field_spec`, `tasks.twin_worlds.twin_spec` or
            `tasks.gymnasium_world.gymnasium_spec`.

    Raises:
        ValueError: an environment that cannot be a world, see there.
    """
    from tasks.field.world import field_spec
    from tasks.gymnasium_world import gymnasium_spec
    from tasks.twin_worlds import has_twin, twin_spec

    if is_field(env_id) and not real:
        return field_spec(env_id, observe, step_budget=step_budget, **arguments)
    if has_twin(env_id) and not real:
        return twin_spec(env_id, observe, step_budget=step_budget, **arguments)
    return gymnasium_spec(env_id, observe, step_budget=step_budget, **arguments)


def open_world(spec: WorldSpec, *, real: bool = False) -> World:
    """The world that a spec is of.

    Args:
        spec: of `world_spec`, also one that was stored.
        real: the environment itself, also where it has a batched twin.

    Raises:
        ValueError: an environment that cannot be made, or that is not what the spec says.
    """
    from tasks.field.world import FieldWorld
    from tasks.gymnasium_world import GymnasiumWorld
    from tasks.twin_worlds import TwinWorld, has_twin

    if is_field(spec.id) and not real:
        return FieldWorld(spec)
    return TwinWorld(spec) if has_twin(spec.id) and not real else GymnasiumWorld(spec)


def make_world(
    env_id: str,
    observe: str | None = None,
    *,
    real: bool = False,
    step_budget: int | None = None,
    **arguments: Any,
) -> World:
    """The world with an id; the arguments of `world_spec`."""
    spec = world_spec(env_id, observe, real=real, step_budget=step_budget, **arguments)
    return open_world(spec, real=real)
