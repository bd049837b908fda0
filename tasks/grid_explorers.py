"""The explorer of MiniGrid worlds that have no batched twin: it knows the grid, and walks in it on purpose and astray.

It is the `tasks.explorers.Mixture` of our own rooms, on what the simulator says (`tasks.simulator_state`). What cannot
be walked on is a wall to it, lava too: it steps into that by its strays alone, so that trajectories see the far side,
and that lava ends them. Doors it opens; one locked door with one key it unlocks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tasks.episode_batches import reachable_barriers
from tasks.explorers import make_explorer
from tasks.observations import (
    BARRIER,
    DOOR,
    DROP,
    EMPTY,
    FIRST_DOOR,
    FLOOR,
    GOAL,
    IN_HAND,
    KEY,
    LOCKED,
    LYING,
    TOGGLE,
    WALL,
)
from tasks.worlds import Observation, World

WALKED = (EMPTY, FLOOR, GOAL, DOOR, KEY)
"""What an explorer of ours has ways through or to; anything else is as a wall."""


def grid_explorer(world: World, rng: np.random.Generator) -> Callable[[Observation], np.ndarray]:
    """An explorer for the episodes of a MiniGrid world that were just begun.

    Args:
        world: whose state holds ``grid``, ``agent`` and ``carried``.
        rng: source of all draws.

    Raises:
        ValueError: keys, and not one with one door in every episode; locked doors without a key; an open border.
    """
    begun = world.state()
    grid = begun["grid"]
    lying, doors = grid[..., 0] == KEY, (grid[..., 0] == DOOR).sum((1, 2))
    keys, slots = int(lying.sum((1, 2)).max()), int(doors.max())
    locked = ((grid[..., 0] == DOOR) & (grid[..., 2] == LOCKED)).any((1, 2))
    if not keys and locked.any():
        raise ValueError(
            f"{world.spec.id} has locked doors and no key to be seen, and its explorer cannot open them;"
            " choose policy curious"
        )
    if keys and not (lying.sum((1, 2)) == 1).all() & (doors == 1).all():
        raise ValueError(
            f"{world.spec.id} has {keys} keys and {slots} doors, and its explorer knows one of each;"
            " choose policy curious"
        )
    plain = np.where(np.isin(grid[..., :1], WALKED), grid, np.array([WALL, 0, 0], dtype=np.uint8))
    barriers = reachable_barriers(plain, begun["agent"], slots, keys)
    if any((edge != BARRIER).any() for edge in (barriers[:, [0, -1]], barriers[:, :, [0, -1]])):
        raise ValueError(
            f"{world.spec.id} has a way out at its border, where its explorer does not look; choose policy curious"
        )
    explorer = make_explorer("mixture", barriers, rng)

    def act(_: Observation) -> np.ndarray:
        state = world.state()
        parts = [state["agent"], _door_states(barriers, state["grid"], slots)]
        if keys:
            parts.append(np.where(state["carried"][:, :1] == KEY, IN_HAND, LYING))
        action = explorer.act(np.concatenate(parts, 1))
        # A key that is put down elsewhere is where the explorer does not look for it; anything else is in its way.
        keeps = (action == DROP) & (state["carried"][:, 0] == KEY)
        return np.where(keeps, TOGGLE, action).astype(np.int64)

    return act


def _door_states(barriers: np.ndarray, grid: np.ndarray, slots: int) -> np.ndarray:
    """States (E, M) of the doors that stand in barriers (E, W, H), of grids (E, W, H, 3); 0 for empty slots."""
    states = np.zeros((len(grid), slots), dtype=np.int64)
    for slot in range(slots):
        episode, x, y = np.nonzero(barriers == FIRST_DOOR + slot)
        states[episode, slot] = grid[episode, x, y, 2]
    return states
