"""A policy that goes where it has been least, by what it sees alone.

It remembers of an episode how often each observation was seen and where each action led from it, and does what leads
to what it has seen least; of what it has not tried it expects what the action did elsewhere. (Counter-based
exploration: Thrun, "The role of exploration in learning control", 1992.)
"""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from tasks.worlds import Actions, Observation

WHIM = 0.5
"""Visits by which the choice between two ways is random."""


class Curious:
    """Acts in E episodes that were just begun; see `tasks.policies.Policy`.

    Args:
        actions: integers.
        episodes: E.
        rng: of what is random.

    Raises:
        ValueError: actions that are vectors, of which none is ever done again.
    """

    def __init__(self, actions: Actions, episodes: int, rng: np.random.Generator) -> None:
        check_countable(actions)
        self._count, self._rng = actions.count, rng
        self._episodes = [_Remembered(actions.count) for _ in range(episodes)]

    def __call__(self, seen: Observation) -> np.ndarray:
        """Observations, arrays (E, ...) by name, to actions (E,)."""
        whim = WHIM * self._rng.random((len(self._episodes), self._count))
        names = sorted(seen)
        chosen = [
            episode.choose(b"".join(seen[name][row].tobytes() for name in names), whim[row])
            for row, episode in enumerate(self._episodes)
        ]
        return np.array(chosen, dtype=np.int64)


def check_countable(actions: Actions) -> None:
    """ValueError for actions that are vectors."""
    if actions.continuous:
        raise ValueError(
            "policy curious counts actions, and these are vectors of numbers; choose persistent or random"
        )


class _Remembered:
    """What is remembered of one episode."""

    def __init__(self, actions: int) -> None:
        self.visits: Counter[bytes] = Counter()
        self.led: dict[tuple[bytes, int], bytes] = {}
        self.done, self.stayed = np.zeros((2, actions))
        self.last: tuple[bytes, int] | None = None

    def choose(self, shown: bytes, whim: np.ndarray) -> int:
        """The action to do now, of A, each with the random number (A,) that its visits are raised by."""
        here = hashlib.blake2b(shown, digest_size=16).digest()
        if self.last is not None:
            self.led[self.last] = here
            self.done[self.last[1]] += 1
            self.stayed[self.last[1]] += here == self.last[0]
        self.visits[here] += 1
        visits = self.visits[here] * self.stayed / (self.done + 1)
        for action in range(len(visits)):
            if (here, action) in self.led:
                visits[action] = self.visits[self.led[here, action]]
        action = int((visits + whim).argmin())
        self.last = here, action
        return action
