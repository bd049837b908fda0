"""Worlds of `tasks.worlds` as stacks know them: what is seen, by name, and actions between -1 and 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from levels.settings import Sight, World
from tasks.store_layout import described, senses_of
from tasks.worlds import Actions, WorldSpec


def seen_world(spec: WorldSpec, name: str, patch: int) -> World:
    """What an agent sees and does in a world.

    Args:
        spec: of the world.
        name: of the sense that level 1 sees.
        patch: pixels a side of one place, for images.
    """
    sense = spec.senses[name]
    sight = Sight(sense.kind, sense.shape, sense.codes, sense.frames)
    first, second = (1, 1) if sense.kind == "vector" else sense.shape[:2]
    size = (second // patch, first // patch) if sense.kind == "image" else (first, second)
    return World(size, spec.actions.count, 0, spec.actions.continuous, 0, sight)


def within_bounds(action: np.ndarray, low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
    """Continuous actions (..., A) between their bounds as numbers in [-1, 1]; discrete ones as they are."""
    if not low:
        return action
    middle, half = (np.add(low, high) / 2, np.subtract(high, low) / 2)
    return ((action - middle) / half).astype(np.float32)


def from_bounds(action: np.ndarray, low: tuple[float, ...], high: tuple[float, ...]) -> np.ndarray:
    """The inverse of `within_bounds`."""
    if not low:
        return action
    middle, half = (np.add(low, high) / 2, np.subtract(high, low) / 2)
    return np.clip(action * half + middle, low, high).astype(np.float32)


def played_in(spec: WorldSpec, name: str, spread: dict[str, list[float]]) -> dict[str, Any]:
    """What a checkpoint says of the world it was trained in, as plain values.

    Args:
        spec: of the world.
        name: of the sense that level 1 sees.
        spread: of the vectors it shows, by name.
    """
    world = asdict(spec) | {"senses": {key: described(sense) for key, sense in spec.senses.items()}}
    return {"world": world, "sense": name, "spread": spread}


def world_played_in(content: Mapping[str, Any]) -> tuple[WorldSpec, str, dict[str, np.ndarray]]:
    """The inverse of `played_in`.

    Raises:
        ValueError: entries that are missing or do not fit.
    """
    try:
        given, name = content["world"], str(content["sense"])
        senses = senses_of(given)
        actions = Actions(
            given["actions"]["count"], *(tuple(given["actions"][end]) for end in ("low", "high"))
        )
        spec = WorldSpec(
            given["id"], senses, actions, given["step_budget"], given["observe"], dict(given["arguments"])
        )
        spread = {key: np.asarray(values, dtype=np.float64) for key, values in content["spread"].items()}
        if name not in senses:
            raise ValueError(f"sees {name!r}, which its world does not show")
        return spec, name, spread
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"says nothing usable of its world ({error!r})") from None
