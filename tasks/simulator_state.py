"""What a simulator knows beyond what it shows, for probes, oracles and success alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.making import is_minigrid


def state_of(env: Any) -> dict[str, np.ndarray]:
    """The state of one environment, arrays by name; empty where nothing is known about it.

    MiniGrid: ``agent`` (3,) int64, x, y and heading; ``carried`` (3,) int64, the symbol in hand, 0 for none; ``grid``
    (W, H, 3) uint8, the world without the agent. MuJoCo: ``qpos`` and ``qvel`` float64. Classic control, and whatever
    has an array ``state``: ``state`` float64.
    """
    if is_minigrid(env):
        return minigrid_state(env.unwrapped)
    bare = env.unwrapped
    data = getattr(bare, "data", None)
    if hasattr(data, "qpos") and hasattr(data, "qvel"):
        return {name: np.array(getattr(data, name), dtype=np.float64) for name in ("qpos", "qvel")}
    state = getattr(bare, "state", None)
    if isinstance(state, (np.ndarray, tuple, list)) and np.ndim(state) == 1:
        return {"state": np.array(state, dtype=np.float64)}
    return {}


def minigrid_state(bare: Any) -> dict[str, np.ndarray]:
    """The same of a MiniGrid environment without wrappers."""
    carried = (0, 0, 0) if bare.carrying is None else bare.carrying.encode()
    return {
        "agent": np.array([*bare.agent_pos, bare.agent_dir], dtype=np.int64),
        "carried": np.array(carried, dtype=np.int64),
        "grid": bare.grid.encode(),
    }
