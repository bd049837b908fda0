"""Ground truth where a door is locked: shortest paths through the key.

With a key the states of doors do multiply those of the agent: whether a way is there depends on what is in hand, and a
lying key is itself in the way. So the search runs over all of it, (x, y, heading, door states, key state), which one
door and one key make six times as many. Like :mod:`tasks.oracles`, for evaluation, data collection and diagnostics.
"""

from __future__ import annotations

import numpy as np

from tasks.breadth_first import UNREACHABLE, breadth_first
from tasks.dynamics import step_agents
from tasks.observations import (
    BARRIER,
    CLOSED,
    DONE,
    FIRST_DOOR,
    FORWARD,
    HEADINGS,
    IN_HAND,
    KEY_SPOT,
    LEFT,
    LOCKED,
    LYING,
    OPEN,
    PICKUP,
    RIGHT,
    TOGGLE,
)

DOOR_STATES, KEY_STATES = 3, 2
_BLOCKED = -2


def key_distances(barriers: np.ndarray, goals: np.ndarray, doors: int = 1) -> np.ndarray:
    """Steps from every state to a goal, turns, toggles and the pickup counted.

    Args:
        barriers: (B, W, H) int8 maps with closed outer borders, see :func:`tasks.observations.grid_to_barriers`.
        goals: (B, 2) cells, to be entered at any heading, or (B, 3) cells and headings, -1 for any. What has become
            of doors and key by then does not matter.
        doors: door slots M.

    Returns:
        (B, 3, .., 3, 2, W, H, 4) int32, with one axis per door slot (open, closed, locked) and one of the key (in
        hand, lying): see :func:`steps_from`. -1 for states that cannot be or have no way.

    Raises:
        ValueError: shapes that do not fit, an open outer border, or a goal in a wall.
    """
    goals = np.asarray(goals, dtype=np.int64)
    batch, width, height = _checked(barriers, goals)
    layers = DOOR_STATES**doors * KEY_STATES
    door_states, key_state = _states_of_layers(doors)
    x, y = goals[:, 0], goals[:, 1]
    # What an agent meets in front of it, for every cell and heading; border cells are walls, where nobody stands.
    ahead = np.stack([np.roll(barriers, (-dx, -dy), (1, 2)) for dx, dy in HEADINGS.tolist()], -1)
    flat_ahead = ahead.reshape(batch, width * height * 4)
    blocked = np.repeat((barriers == BARRIER)[:, None], layers, 1)
    blocked |= (barriers == KEY_SPOT)[:, None] & (key_state == LYING)[:, None, None]
    for slot in range(doors):
        blocked |= (barriers == FIRST_DOOR + slot)[:, None] & (door_states[:, slot] != OPEN)[:, None, None]
    size, plane = layers * width * height * 4, width * height * 4
    steps = np.where(np.repeat(blocked.reshape(-1), 4), np.int32(_BLOCKED), np.int32(UNREACHABLE))
    back = -4 * (HEADINGS[:, 0] * height + HEADINGS[:, 1])
    # Layers one key or door state apart lie so many states apart.
    place = plane * KEY_STATES * DOOR_STATES ** np.arange(doors - 1, -1, -1)

    def before(frontier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heading = frontier & 3
        cell = frontier - heading
        found = [cell + ((heading + 1) & 3), cell + ((heading - 1) & 3), frontier + back[heading]]
        row, layer, what = frontier // size, frontier // plane % layers, frontier % plane
        code = flat_ahead[row, what]
        taken = (code == KEY_SPOT) & (key_state[layer] == IN_HAND)
        found.append(frontier[taken] + plane)
        for slot in range(doors):
            here = code == FIRST_DOOR + slot
            now = door_states[layer, slot]
            opened, closed = frontier[here & (now == OPEN)], frontier[here & (now == CLOSED)]
            unlocked = frontier[here & (now == OPEN) & (key_state[layer] == IN_HAND)]
            found += [opened + CLOSED * place[slot], unlocked + LOCKED * place[slot], closed - place[slot]]
        return np.concatenate(found), frontier[:0]

    headings = np.repeat(np.arange(4)[None], batch, 0)
    if goals.shape[1] == 3:
        headings = np.where(goals[:, 2:] < 0, headings, goals[:, 2:])
    first = ((x * height + y) * 4)[:, None] + headings + (np.arange(batch) * size)[:, None]
    every = (first[:, None] + plane * np.arange(layers)[None, :, None]).reshape(-1)
    breadth_first(steps, np.unique(every[steps[every] == UNREACHABLE]), before)
    steps[steps == _BLOCKED] = UNREACHABLE
    return steps.reshape(batch, *[DOOR_STATES] * doors, KEY_STATES, width, height, 4)


def steps_from(table: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """Steps (B,) of agents (B, 3 + M + 1) by the table of :func:`key_distances`; -1 where there is no way."""
    x, y, heading, *states = np.moveaxis(agent.astype(np.int64), -1, 0)
    return table[(np.arange(len(table)), *states, x, y, heading)]


def key_actions(
    barriers: np.ndarray, table: np.ndarray, agent: np.ndarray, rng: np.random.Generator | None = None
) -> np.ndarray:
    """An optimal action towards the goals that ``table`` was made for.

    Args:
        barriers: (B, W, H) int8.
        table: from :func:`key_distances`.
        agent: (B, 3 + M + 1).
        rng: breaks ties at random; without it ties prefer forward, then left, right, pickup and toggle.

    Returns:
        (B,) uint8; ``done`` at the goal, and where there is no way to it.
    """
    here = steps_from(table, agent)
    best = np.full(len(agent), DONE, dtype=np.uint8)
    preference = np.zeros(len(agent))
    for rank, action in enumerate((TOGGLE, PICKUP, RIGHT, LEFT, FORWARD), start=1):
        after = step_agents(barriers, agent, np.full(len(agent), action))
        good = (here > 0) & (steps_from(table, after) == here - 1)
        weight = np.full(len(agent), float(rank)) if rng is None else rng.random(len(agent))
        better = good & (weight > preference)
        best, preference = np.where(better, np.uint8(action), best), np.where(better, weight, preference)
    return best


def key_arrival(barriers: np.ndarray, start: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk a shortest path.

    Args:
        barriers: (E, W, H) int8.
        start: (E, 3 + M + 1).
        goal: (E, 2 or more), cells.

    Returns:
        steps (E,) int64 to the goal cell at any heading, -1 where there is no way, and the agents (E, 3 + M + 1) as
        they arrive, with what became of doors and key on the way.
    """
    steps, agent = np.empty(len(start), dtype=np.int64), np.array(start, dtype=np.int64)
    for first in range(0, len(start), 128):  # bounds the memory of the search
        part = slice(first, first + 128)
        table = key_distances(barriers[part], goal[part, :2], start.shape[1] - 4)
        steps[part] = steps_from(table, start[part])
        for _ in range(steps[part].max(initial=0)):
            action = key_actions(barriers[part], table, agent[part])
            agent[part] = step_agents(barriers[part], agent[part], action)
    return steps, agent


def _states_of_layers(doors: int) -> tuple[np.ndarray, np.ndarray]:
    """Door states (L, M) and key state (L,) of each layer, in the order of the table's axes."""
    states = np.indices((DOOR_STATES,) * doors + (KEY_STATES,)).reshape(doors + 1, -1).T
    return states[:, :-1], states[:, -1]


def _checked(barriers: np.ndarray, goals: np.ndarray) -> tuple[int, int, int]:
    if barriers.ndim != 3 or goals.ndim != 2 or goals.shape[1] not in (2, 3) or len(goals) != len(barriers):
        raise ValueError(
            f"barriers have shape {barriers.shape} and goals {goals.shape}; pass (B, W, H) and (B, 2) or (B, 3)"
        )
    solid = barriers == BARRIER
    if not (solid[:, [0, -1]].all() and solid[:, :, [0, -1]].all()):
        raise ValueError("barriers leave the outer border open; close it, the search relies on it")
    batch, width, height = barriers.shape
    inside = (goals[:, :2] >= 0).all(-1) & (goals[:, 0] < width) & (goals[:, 1] < height)
    wrong = ~inside | solid[np.arange(batch), *np.where(inside[:, None], goals[:, :2], 0).T]
    if wrong.any():
        raise ValueError(
            f"goal {goals[wrong][0].tolist()} is in a wall or outside of its {width}x{height} plan"
        )
    return batch, width, height
