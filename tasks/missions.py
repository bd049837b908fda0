"""Missions: what an agent is asked to do, as data.

A mission is a list of legs, done one after another, and cells to keep out of all the while. Written down it is what
YAML or JSON can hold, so that it needs no code and fits any floor plan:

    do: [{fetch: key}, {open: door}, {reach: goal}]
    avoid: [[3, 4], [5, 1, 7, 2]]

A leg is a verb with a place. ``reach`` a cell; ``match`` a state to the heading (and what doors and keys are like);
``fetch`` the key there; ``open`` the door there. A place is a cell [x, y], or a word that an episode gives a meaning
(`tasks.mission_binding`): ``goal``, ``key``, ``door``, ``somewhere``. What is avoided are cells [x, y] and rectangles
[x, y, x, y], ends included, or the word ``across``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

VERBS = ("reach", "match", "fetch", "open")
WORDS = ("goal", "key", "door", "somewhere")
ACROSS = "across"

MOST_LEGS, MOST_AREAS, FARTHEST = 32, 256, 4096
"""The most legs and areas of a mission, and what the numbers of cells are below."""

Place = str | tuple[int, int]

KINDS: dict[str, dict[str, Any]] = {
    "reach": {"do": [{"reach": "goal"}]},
    "visit": {"do": [{"reach": "somewhere"}, {"reach": "somewhere"}, {"reach": "goal"}]},
    "avoid": {"do": [{"reach": "goal"}], "avoid": ACROSS},
    "match": {"do": [{"match": "goal"}]},
    "fetch": {"do": [{"fetch": "key"}, {"open": "door"}, {"reach": "goal"}]},
}
"""Descriptions by the name of what they ask for."""


@dataclass(frozen=True)
class Mission:
    """A checked description.

    Attributes:
        legs: (verb, place) in the order they are to be done.
        avoid: rectangles (x, y, x, y) to keep out of, ends included.
        across: whether cells across the way are to be avoided, which the episode is to have.
    """

    legs: tuple[tuple[str, Place], ...]
    avoid: tuple[tuple[int, int, int, int], ...] = ()
    across: bool = False


def parse_mission(description: Any) -> Mission:
    """Check a description.

    Args:
        description: see the module; what YAML or JSON made of it.

    Raises:
        ValueError: what is wrong with it, where, and what may stand there.
    """
    if not isinstance(description, Mapping) or not set(description) <= {"do", "avoid"}:
        raise ValueError(
            f"mission {_shown(description)}: write a mapping with do, and avoid if there is something"
        )
    legs = description.get("do")
    if not isinstance(legs, Sequence) or isinstance(legs, str) or not legs:
        raise ValueError(f"mission do: {_shown(legs)}; write a list of legs such as [{{reach: goal}}]")
    if len(legs) > MOST_LEGS:
        raise ValueError(f"mission do: {len(legs)} legs; write at most {MOST_LEGS}")
    avoid = description.get("avoid", ())
    across = avoid == ACROSS
    if not across and (not isinstance(avoid, Sequence) or isinstance(avoid, str)):
        raise ValueError(f"mission avoid: {_shown(avoid)}; write a list of cells and rectangles, or {ACROSS}")
    if not across and len(avoid) > MOST_AREAS:
        raise ValueError(f"mission avoid: {len(avoid)} areas; write at most {MOST_AREAS}")
    return Mission(
        tuple(_leg(number, leg) for number, leg in enumerate(legs, 1)),
        () if across else tuple(_rectangle(area) for area in avoid),
        across,
    )


def _shown(value: Any) -> str:
    """A value of a description, short enough for a line."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python prints
        text = "a number of thousands of digits"
    return text if len(text) <= 120 else f"{text[:117]}..."


def _leg(number: int, leg: Any) -> tuple[str, Place]:
    where = f"mission, leg {number}"
    if not isinstance(leg, Mapping) or len(leg) != 1 or next(iter(leg)) not in VERBS:
        raise ValueError(
            f"{where}: {_shown(leg)}; write one of {', '.join(VERBS)} with a place, such as {{reach: goal}}"
        )
    verb, place = next(iter(leg.items()))
    if isinstance(place, str):
        if place not in WORDS:
            raise ValueError(
                f"{where}: place {_shown(place)}; write a cell [x, y], or one of {', '.join(WORDS)}"
            )
        return verb, place
    if verb == "match":
        raise ValueError(f"{where}: match {_shown(place)}; only the word goal names a whole state")
    return verb, _numbers(where, place, 2)  # type: ignore[return-value]


def _rectangle(area: Any) -> tuple[int, int, int, int]:
    size = len(area) if isinstance(area, Sequence) else 0
    numbers = _numbers("mission avoid", area, 4 if size == 4 else 2)
    x, y, right, bottom = numbers if size == 4 else (*numbers, *numbers)
    if right < x or bottom < y:
        raise ValueError(
            f"mission avoid: {_shown(area)} ends before it begins; write [left, top, right, bottom]"
        )
    return x, y, right, bottom


def _numbers(where: str, values: Any, count: int) -> tuple[int, ...]:
    fits = isinstance(values, Sequence) and not isinstance(values, str) and len(values) == count
    if not fits or not all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value < FARTHEST for value in values
    ):
        raise ValueError(f"{where}: {_shown(values)}; write {count} integers, counted in cells from 0")
    return tuple(values)


@dataclass(frozen=True, eq=False)
class MissionBatch:
    """The missions of E episodes, every word given its meaning.

    Attributes:
        verb: (E, L) int64, numbers in `VERBS`.
        place: (E, L, A) int64, agent vectors: where legs lead. Of ``match`` all counts, of the others the cell.
        slot: (E, L) int64, of ``fetch`` and ``open`` the number in the agent vector that becomes 0 when it is done,
            of the others 0.
        avoid: (E, W, H) bool.
    """

    verb: np.ndarray
    place: np.ndarray
    slot: np.ndarray
    avoid: np.ndarray

    def __len__(self) -> int:
        return len(self.verb)

    @property
    def legs(self) -> int:
        """L, the number of legs, the same in all episodes."""
        return self.verb.shape[1]

    def select(self, rows: np.ndarray | slice) -> MissionBatch:
        """Those of some episodes."""
        return MissionBatch(self.verb[rows], self.place[rows], self.slot[rows], self.avoid[rows])

    def advance(self, leg: np.ndarray, agent: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """How many legs are done, (N,), once agents are where they are.

        Args:
            leg: (N,) int64, legs done before.
            agent: (N, A) agent vectors.
            rows: (N,) whose missions they are on; None: one each.
        """
        rows = np.arange(len(self)) if rows is None else rows
        for _ in range(self.legs):
            now = np.minimum(leg, self.legs - 1)
            leg = leg + ((leg < self.legs) & self._done(rows, now, agent))
        return leg

    def _done(self, rows: np.ndarray, leg: np.ndarray, agent: np.ndarray) -> np.ndarray:
        verb, place, slot = self.verb[rows, leg], self.place[rows, leg], self.slot[rows, leg]
        same = place == agent
        handled = agent[np.arange(len(agent)), slot] == 0
        at_place, at_state = same[:, :2].all(-1), same.all(-1)
        return np.where(slot > 0, handled, np.where(verb == VERBS.index("match"), at_state, at_place))
