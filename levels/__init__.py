"""One JEPA level and its parts: encoder, predictor, macro-actions, anti-collapse, memory, metrics, critic, probes.

Nothing here has heard of an environment or of a planner. A level sees what the level below calls a latent
(level 1: what the agent's encoder makes of an observation) and a grid that perception writes into memory once
per episode.

Shapes: P floor plans, N states on each, D numbers per latent, A numbers per action: ``(P, N, D)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from levels.level import Level
    from levels.settings import LevelSettings, MemorySettings, Sight, World

# Public name -> the module that defines it.
_HOMES = {
    "Level": "level",
    "LevelSettings": "settings",
    "MemorySettings": "settings",
    "Sight": "settings",
    "World": "settings",
}

__all__ = ["Level", "LevelSettings", "MemorySettings", "Sight", "World"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'levels' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"levels.{_HOMES[name]}"), name)
