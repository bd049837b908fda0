"""Trajectories in which the world breaks its own rules once, and the same without, in worlds of cells.

teleport       the agent is suddenly in another cell, three or more cells away
through-wall   it steps forward into a wall and stands behind it
door           a closed or locked door is open, and nobody has toggled it
vanish         a key that lay somewhere is gone, and nobody has picked it up

What follows obeys the rules again: both trajectories go on with the same actions from where they are. So the control
has the same start, the same actions and bumps into the same wall; only the violation tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hjepa.errors import InputError
from tasks import TrajectoryStore, task_spec
from tasks.dynamics import cell_ahead, step_agents
from tasks.observations import (
    BARRIER,
    CLOSED,
    FIRST_DOOR,
    FORWARD,
    FREE,
    HEADINGS,
    IN_HAND,
    KEY_SPOT,
    LOCKED,
    LYING,
    OPEN,
    PICKUP,
    TOGGLE,
    grid_to_barriers,
    grid_to_walls,
)

FAR = 3
"""Cells that a teleport goes at least, in x and y together."""


@dataclass(frozen=True, eq=False)
class Violated:
    """B windows of L observations, each with one violation.

    Attributes:
        grid: (B, W, H, 3) floor plans; None: ``broken`` and ``control`` are what is seen, (B, L, ...).
        broken: (B, L, A) agents with the violation.
        control: (B, L, A) agents without.
        action: (B, L - 1) of both.
        moment: (B,) the first observation that cannot be.
        plan: (B,) floor-plan seeds.
    """

    grid: np.ndarray | None
    broken: np.ndarray
    control: np.ndarray
    action: np.ndarray
    moment: np.ndarray
    plan: np.ndarray


def violate(
    store: TrajectoryStore, kind: str, rng: np.random.Generator, count: int, span: int, plans: int
) -> Violated:
    """Windows of a store with a violation in their second half.

    Args:
        store: of a world of cells.
        kind: of `VIOLATIONS`.
        rng: source of all draws.
        count: windows to draw; only those where such a violation can happen are kept.
        span: steps of each half.
        plans: floor plans that they come from.

    Raises:
        InputError: another kind, a continuous world, or data where no such violation can happen.
    """
    if kind not in VIOLATIONS:
        raise InputError(f"violation {kind!r}", "", f"choose from {', '.join(VIOLATIONS)}")
    spec = task_spec(store.meta["task"])
    if spec.continuous:
        raise InputError("is no world of cells", spec.id, "give trajectories of one")
    windows = store.windows(rng, count // plans * plans, 2 * span + 1, plans)
    grid = store.grids[windows.grid_index[:, 0]]
    barriers = (
        grid_to_barriers(grid, spec.doors, spec.keys) if spec.doors or spec.keys else grid_to_walls(grid)
    )
    control = windows.agent.astype(np.int64)
    action = windows.action.astype(np.int64)
    # Where in the second half: a moment for each window, among those that the kind can use.
    half = range(span + 1, 2 * span + 1)
    rules = VIOLATIONS[kind]
    possible = np.stack([rules.can(barriers, control[:, t - 1], action[:, t - 1]) for t in half], 1)
    kept = np.flatnonzero(possible.any(1))
    if not len(kept):
        raise InputError(f"no {kind} can happen", str(store.path), "choose another violation or other data")
    grid, barriers, control, action = grid[kept], barriers[kept], control[kept], action[kept]
    moment = span + 1 + (rng.random(possible[kept].shape) * possible[kept]).argmax(1)
    broken, rows = control.copy(), np.arange(len(kept))
    before = control[rows, moment - 1]
    action[rows, moment - 1] = rules.action(action[rows, moment - 1])
    lawful = step_agents(barriers, before, action[rows, moment - 1])
    after = rules.after(rng, barriers, before, lawful)
    for t in half:
        for agents in (control, broken):
            later = step_agents(barriers, agents[:, t - 1], action[:, t - 1])
            agents[:, t] = np.where((t >= moment)[:, None], later, agents[:, t])
        broken[:, t] = np.where((t == moment)[:, None], after, broken[:, t])
    return Violated(grid, broken, control, action, moment, windows.plan[kept])


@dataclass(frozen=True)
class _Kind:
    """A violation.

    Attributes:
        can: (barriers, agents (B, A), actions (B,)) -> (B,) whether it can happen there.
        action: what is done instead, (B,) -> (B,).
        after: (rng, barriers, agents before, agents after by the rules) -> agents after.
    """

    can: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    action: Callable[[np.ndarray], np.ndarray]
    after: Callable[[np.random.Generator, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _same(action: np.ndarray) -> np.ndarray:
    return action


def _forward(action: np.ndarray) -> np.ndarray:
    return np.full_like(action, FORWARD)


def _anywhere(barriers: np.ndarray, agent: np.ndarray, action: np.ndarray) -> np.ndarray:
    return np.ones(len(agent), bool)


def _teleported(
    rng: np.random.Generator, barriers: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    width, height = barriers.shape[1:]
    x, y = np.meshgrid(np.arange(width), np.arange(height), indexing="ij")
    far = np.abs(x - after[:, 0, None, None]) + np.abs(y - after[:, 1, None, None]) >= FAR
    cell = (rng.random(barriers.shape) * ((barriers == FREE) & far)).reshape(len(after), -1).argmax(1)
    return np.concatenate([np.stack([cell // height, cell % height], 1), after[:, 2:]], 1)


def _behind(agent: np.ndarray) -> np.ndarray:
    """The cells (B, 2) two ahead."""
    return np.asarray(agent[:, :2] + 2 * HEADINGS[agent[:, 2]])


def _before_a_thin_wall(barriers: np.ndarray, agent: np.ndarray, action: np.ndarray) -> np.ndarray:
    cell, size = _behind(agent), np.array(barriers.shape[1:])
    within = ((cell >= 0) & (cell < size)).all(1)
    x, y = np.clip(cell, 0, size - 1).T
    return np.asarray(
        within & (cell_ahead(barriers, agent) == BARRIER) & (barriers[np.arange(len(agent)), x, y] == FREE)
    )


def _behind_the_wall(
    rng: np.random.Generator, barriers: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    return np.concatenate([_behind(before), after[:, 2:]], 1)


def _closed_slots(barriers: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """(B, M) which doors are closed; slots without a door are always open, and walls alone have none."""
    doors = int(barriers.max()) - FIRST_DOOR + 1
    return np.isin(agent[:, 3 : 3 + doors], (CLOSED, LOCKED))


def _a_door_is_closed(barriers: np.ndarray, agent: np.ndarray, action: np.ndarray) -> np.ndarray:
    return _closed_slots(barriers, agent).any(1) & (action != TOGGLE)


def _opened(
    rng: np.random.Generator, barriers: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    closed = _closed_slots(barriers, after)
    slot = (rng.random(closed.shape) * closed).argmax(1)
    opened = after.copy()
    opened[np.arange(len(after)), 3 + slot] = OPEN
    return opened


def _keys_lie(barriers: np.ndarray, agent: np.ndarray, action: np.ndarray) -> np.ndarray:
    if not (barriers == KEY_SPOT).any():
        return np.zeros(len(agent), bool)
    return np.asarray((agent[:, -1] == LYING) & (action != PICKUP))


def _gone(
    rng: np.random.Generator, barriers: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """The key is not where it lay, which a picture shows as it shows one in hand."""
    gone = after.copy()
    gone[:, -1] = IN_HAND
    return gone


VIOLATIONS = {
    "teleport": _Kind(_anywhere, _same, _teleported),
    "through-wall": _Kind(_before_a_thin_wall, _forward, _behind_the_wall),
    "door": _Kind(_a_door_is_closed, _same, _opened),
    "vanish": _Kind(_keys_lie, _same, _gone),
}
