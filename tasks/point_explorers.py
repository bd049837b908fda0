"""Explorers of the continuous point; see :mod:`tasks.explorers` for what an explorer is."""

from __future__ import annotations

import numpy as np

from tasks.explorers import EXPLORERS, Explorer, Mixture
from tasks.point_dynamics import SPEED
from tasks.point_oracles import at_goal, greedy_point_actions, lattice_distances


class PersistentPoint:
    """Goes on in about the same direction; where a wall stops it, it usually takes a new one.

    Args:
        walls: (E, W, H) bool.
        rng: source of all draws.
        any_action: probability of a uniformly random action.
        slow: probability that an action is shorter than a full one.
        bend: standard deviation of the change of direction per step, in radians.
        bump: probability, per step, of pushing on against a wall.
    """

    def __init__(
        self,
        walls: np.ndarray,
        rng: np.random.Generator,
        any_action: float = 0.08,
        slow: float = 0.3,
        bend: float = 0.25,
        bump: float = 0.6,
    ) -> None:
        self.rng = rng
        self.any_action = any_action
        self.slow = slow
        self.bend = bend
        self.bump = bump
        self._angle = rng.uniform(-np.pi, np.pi, len(walls))
        self._last = np.full((len(walls), 2), np.nan, dtype=np.float32)
        self._wanted = np.zeros(len(walls))

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions (E, 2) float32 for positions (E, 2)."""
        count = len(agent)
        any_action, slow, length, bump, turn = self.rng.random((5, count))
        bend = self.rng.normal(0, self.bend, count)
        anything = self.rng.uniform(-1, 1, (count, 2))
        moved = np.abs(agent - self._last).max(-1)
        hit = (moved < self._wanted - 1e-4) & (
            bump >= self.bump
        )  # not so before the first step: moved is nan
        self._angle = np.where(hit, (2 * turn - 1) * np.pi, self._angle + bend)
        direction = np.stack([np.cos(self._angle), np.sin(self._angle)], -1)
        action = direction / np.abs(direction).max(-1, keepdims=True)
        action = np.where((slow < self.slow)[:, None], action * length[:, None], action)
        action = np.where((any_action < self.any_action)[:, None], anything, action).astype(np.float32)
        self._last, self._wanted = agent.copy(), np.abs(action).max(-1) * SPEED
        return action


class NoisyPointSeeking:
    """Goes to a random cell by a shortest path, with errors, then to the next one.

    With probability eps, drawn once per episode, a step is :class:`PersistentPoint`'s instead of the shortest
    path's; every step is a little off besides.

    Args:
        walls: (E, W, H) bool.
        rng: source of all draws.
        noise: the values eps is drawn from.
        jitter: standard deviation of what is added to every action.
    """

    def __init__(
        self,
        walls: np.ndarray,
        rng: np.random.Generator,
        noise: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        jitter: float = 0.1,
    ) -> None:
        self.walls = walls
        self.rng = rng
        self.jitter = jitter
        count, width, height = walls.shape
        self.eps = rng.choice(np.array(noise), count)
        self.goal = np.full((count, 2), np.nan, dtype=np.float32)
        self._wander = PersistentPoint(walls, rng)
        self._table = np.zeros((count, 4 * width + 1, 4 * height + 1), dtype=np.int32)
        self._ranks = (~walls).reshape(count, -1).cumsum(-1)

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions (E, 2) float32 for positions (E, 2)."""
        self._choose_goals(agent)
        wander = self._wander.act(agent)
        strays = self.rng.random(len(agent)) < self.eps
        off = self.rng.normal(0, self.jitter, agent.shape)
        seek = np.clip(greedy_point_actions(self.walls, self._table, agent) + off, -1, 1)
        return np.where(strays[:, None], wander, seek).astype(np.float32)

    def _choose_goals(self, agent: np.ndarray) -> None:
        draws = self.rng.random(len(agent))
        rows = np.flatnonzero(np.isnan(self.goal[:, 0]) | at_goal(agent, self.goal))
        while len(rows):
            ranks = self._ranks[rows]
            wanted = (draws[rows] * ranks[:, -1]).astype(np.int64)
            cell = np.stack(np.divmod((ranks > wanted[:, None]).argmax(-1), self.walls.shape[2]), -1)
            self.goal[rows] = cell + 0.5
            self._table[rows] = lattice_distances(self.walls[rows], self.goal[rows])
            rows = rows[at_goal(agent[rows], self.goal[rows])]
            draws = self.rng.random(len(agent))


def make_point_explorer(name: str, walls: np.ndarray, rng: np.random.Generator, first: int = 0) -> Explorer:
    """As :func:`tasks.explorers.make_explorer`, with the same names, for points."""
    if name == "persistent":
        return PersistentPoint(walls, rng)
    if name == "goal-seeking":
        return NoisyPointSeeking(walls, rng)
    if name == "mixture":
        return Mixture(walls, rng, ((PersistentPoint, 0.5), (NoisyPointSeeking, 0.5)), first)
    raise ValueError(f"unknown explorer {name!r}; choose one of {', '.join(EXPLORERS)}")
