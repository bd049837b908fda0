"""The goal that an environment shows by itself; of MiniGrid's, the agent on the one goal object as it would be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

from tasks.making import Seen, is_minigrid, wrappers
from tasks.senses import behind
from tasks.worlds import Observation

HEADING = 0
"""Of the agent in a goal; success asks for the cell alone."""


def goal_shown(seen: Seen, first: Observation, info: Mapping[str, Any]) -> Observation | None:
    """The goal of the episode that was just reset: what ``info["goal"]`` holds, or MiniGrid's picture of it.

    Args:
        seen: the environment.
        first: what was seen after the reset.
        info: of the reset; ``goal`` counts where it looks like the one thing that is seen, or is a dictionary of all.

    Returns:
        An observation, or None where there is no goal to be seen.
    """
    goal = info.get("goal")
    if isinstance(goal, np.ndarray) and len(first) == 1:
        goal = dict.fromkeys(first, goal)
    if isinstance(goal, Mapping) and goal.keys() >= first.keys():
        given = {name: np.asarray(goal[name]) for name in first}
        shown = seen.still({name: behind(each) if each.ndim == 4 else each for name, each in given.items()})
        alike = [
            value.shape == first[name].shape and np.can_cast(value.dtype, first[name].dtype, "same_kind")
            for name, value in shown.items()
        ]
        if all(alike):
            return {name: value.astype(first[name].dtype) for name, value in shown.items()}
    return goal_picture(seen, first)


def goal_picture(seen: Seen, first: Observation) -> Observation | None:
    """What would be seen with the agent on the goal object, everything else as it is after the reset.

    Where one key fits the one locked door, the goal shows what an agent that came through it sees: the door open, and
    the key taken along.

    Args:
        seen: a MiniGrid environment, just reset.
        first: what was seen then.

    Returns:
        The observation; None where the environment is not MiniGrid's, has not exactly one goal object, or is
        wrapped in something that changes observations in a way that cannot be asked for (it overrides ``step``
        instead of ``observation``).
    """
    if not is_minigrid(seen.env):
        return None
    bare: Any = seen.env.unwrapped
    goals = [place for place, what in enumerate(bare.grid.grid) if what is not None and what.type == "goal"]
    if len(goals) == 1:
        y, x = divmod(goals[0], bare.width)
        place: tuple[int, ...] = (x, y, HEADING)
    elif np.shape(getattr(bare, "goal", ())) == (3,) and not getattr(bare, "keys", 0):
        # Our own rooms, where no object stands on it; with a key, doors would have to stand as they do on arrival.
        place = tuple(int(each) for each in bare.goal)
    else:
        return None
    if not _equal(_shown(seen), first):
        return None
    stood = bare.agent_pos, bare.agent_dir
    with _unlocked(bare):
        try:
            bare.agent_pos, bare.agent_dir = np.array(place[:2]), place[2]
            return _shown(seen)
        finally:
            bare.agent_pos, bare.agent_dir = stood


@contextmanager
def _unlocked(bare: Any) -> Iterator[None]:
    """The one locked door open and the one key in hand, where there are both and one fits the other."""
    things = [(place, what) for place, what in enumerate(bare.grid.grid) if what is not None]
    keys = [(place, what) for place, what in things if what.type == "key"]
    doors = [what for _, what in things if what.type == "door" and what.is_locked]
    if len(keys) != 1 or len(doors) != 1 or keys[0][1].color != doors[0].color or bare.carrying is not None:
        yield
        return
    (place, key), door = keys[0], doors[0]
    bare.grid.grid[place], bare.carrying, door.is_open, door.is_locked = None, key, True, False
    try:
        yield
    finally:
        bare.grid.grid[place], bare.carrying, door.is_open, door.is_locked = key, None, False, True


def _shown(seen: Seen) -> dict[str, np.ndarray]:
    bare: Any = seen.env.unwrapped
    raw = bare.gen_obs()
    for wrapper in reversed(list(wrappers(seen.env))):
        if isinstance(wrapper, gymnasium.ObservationWrapper):
            raw = wrapper.observation(raw)
    return seen.still(seen.now(raw))


def _equal(one: Observation, other: Observation) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)
