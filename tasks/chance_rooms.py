"""Nested rooms in which a step may turn out in two ways, as MiniGrid environments; `tasks.chance` has their twins.

All chance comes from the environment's own generator, one uniform number a step, so that a seed repeats an episode.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

from tasks.chance import CLOSES, SLIPS
from tasks.nested_rooms import NestedRooms
from tasks.observations import FORWARD

Stepped = tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]


class ChanceRooms(NestedRooms):
    """Nested rooms with something after every step that happens by chance; arguments of `tasks.nested_rooms`."""

    def step(self, action: int) -> Stepped:  # type: ignore[override]
        """One step, and what chance makes of it."""
        chance = float(self.np_random.random())
        before = self._facts()
        observation, reward, terminated, truncated, info = super().step(action)
        if terminated or not self._happens(action, before, chance):
            return observation, reward, terminated, truncated, info
        if self._on_goal():
            reward, terminated = self._reward(), True
        return self.gen_obs(), float(reward), terminated, truncated, info

    def _facts(self) -> tuple[Any, ...]:
        """What `_happens` has to know of the moment before the step."""
        raise NotImplementedError

    def _happens(self, action: int, before: tuple[Any, ...], chance: float) -> bool:
        """Change the world if chance says so, and say whether."""
        raise NotImplementedError


class SlipperyRooms(ChanceRooms):
    """A floor on which steps forward may slide on by a cell; the goal is told, and drawn only with ``show_goal=True``.

    It happens with probability ``slips``.

    Args:
        slips: probability.
        **arguments: of `tasks.nested_rooms.NestedRooms`.

    Raises:
        ValueError: no probability.
    """

    def __init__(self, slips: float = SLIPS, **arguments: Any) -> None:
        if not 0 <= slips <= 1:
            raise ValueError(f"slips is {slips}; give a probability")
        self.slips = slips
        super().__init__(**arguments)

    def _facts(self) -> tuple[Any, ...]:
        return tuple(self.agent_pos)

    def _happens(self, action: int, before: tuple[Any, ...], chance: float) -> bool:
        if action != FORWARD or tuple(self.agent_pos) == before or chance >= self.slips:
            return False
        ahead = int(self.front_pos[0]), int(self.front_pos[1])
        thing = self.grid.get(*ahead)
        if thing is not None and not thing.can_overlap():
            return False
        self.agent_pos = ahead
        return True


class ClosingDoorRooms(ChanceRooms):
    """A locked door that may close by itself; the goal is told, and drawn only with ``show_goal=True``.

    Once it is open and nobody is in it, it closes with probability ``closes`` a step.

    Args:
        closes: probability.
        **arguments: of `tasks.nested_rooms.NestedRooms`.

    Raises:
        ValueError: no probability.
    """

    def __init__(self, closes: float = CLOSES, **arguments: Any) -> None:
        if not 0 <= closes <= 1:
            raise ValueError(f"closes is {closes}; give a probability")
        self.closes = closes
        super().__init__(**{"keys": 1, **arguments})

    def _door(self) -> Any:
        assert self.plan.lock is not None
        return self.grid.get(*self.plan.lock)

    def _facts(self) -> tuple[Any, ...]:
        return (bool(self._door().is_open),)

    def _happens(self, action: int, before: tuple[Any, ...], chance: float) -> bool:
        door, lock = self._door(), self.plan.lock
        inside = tuple(self.agent_pos) == tuple(lock or ())
        if not before[0] or not door.is_open or inside or chance >= self.closes:
            return False
        door.is_open = False
        return True
