"""Small random levels and inputs that tests of several files share, through the fixture ``toys``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from levels.level import Level
from levels.settings import CONTINUOUS, LevelSettings, MemorySettings, World

SIZE = (7, 5)
BELOW_DIM, BELOW_ACTIONS, STRIDE, MOMENTS = 6, 4, 3, 4
WORLD = World(SIZE, BELOW_ACTIONS)


def make_level(seed: int = 0, below_dim: int = BELOW_DIM, **changes: Any) -> Level:
    """A level with weights from a seed, of latent size 6 and width 16 unless told otherwise."""
    values: dict[str, Any] = {"latent_dim": BELOW_DIM, "hidden": 16, "head": 12, "codes": 5, "macro_dim": 3}
    values |= {"stride": STRIDE, "memory": MemorySettings(channels=4, dilations=(1,)), **changes}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Level(LevelSettings(**values), below_dim, BELOW_ACTIONS, WORLD)


def grids(plans: int = 2, seed: int = 0) -> Tensor:
    """Random symbols (P, W, H, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(0, n, (plans, *SIZE), generator=generator) for n in (11, 6, 4)], -1)


def agents(*shape: int, seed: int = 0) -> Tensor:
    """Random x, y, heading: (*shape, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(0, n, shape, generator=generator) for n in (*SIZE, 4)], -1)


def windows(level: Level, plans: int = 2, count: int = 6, seed: int = 0) -> tuple[Tensor, Tensor | None]:
    """What a level learns from: moments below it (P, n, 4, ...), and the actions between them."""
    generator = torch.Generator().manual_seed(seed)
    below = torch.randn(plans, count, MOMENTS, BELOW_DIM, generator=generator)
    if level.settings.encoder == "agent":
        below = agents(plans, count, MOMENTS, seed=seed)
    kind = level.settings.macro_action
    if kind == "outcome":
        return below, None
    shape = (plans, count, MOMENTS - 1) + ((STRIDE,) if kind in CONTINUOUS else ())
    return below, torch.eye(BELOW_ACTIONS)[torch.randint(0, BELOW_ACTIONS, shape, generator=generator)]


@pytest.fixture(scope="session")
def toys() -> SimpleNamespace:
    """The helpers above, by name."""
    sizes = {
        "SIZE": SIZE,
        "WORLD": WORLD,
        "BELOW_ACTIONS": BELOW_ACTIONS,
        "STRIDE": STRIDE,
        "MOMENTS": MOMENTS,
    }
    return SimpleNamespace(make_level=make_level, grids=grids, agents=agents, windows=windows, **sizes)
