"""Explorers: policies that make unlabelled trajectories, batched over episodes.

An explorer is made for a batch of episodes, ``Explorer(walls, rng)``, and then asked once per step,
``act(agent) -> actions``. It keeps its own state and takes every random number from its generator in a fixed
order, so equal generators give equal trajectories. ``walls`` are bool, or barrier maps where there are doors
(see :func:`tasks.dynamics.step_agents`); agents then carry door states. Explorers of continuous worlds are in
:mod:`tasks.point_explorers`, those of worlds with a key in :mod:`tasks.key_explorers`.

:class:`PersistentRandom` covers a neighbourhood, :class:`NoisyGoalSeeking` crosses the plan, and a
:class:`Mixture` of the two gives data in which both short and long ways occur.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from tasks.dynamics import cell_ahead, step_agents
from tasks.key_explorers import KeySeeking, KeyWander
from tasks.observations import ACTIONS, FIRST_DOOR, FORWARD, FREE, KEY_SPOT, LEFT, RIGHT, TOGGLE
from tasks.oracles import distances, shortest_actions


class Explorer(Protocol):
    """Anything that chooses actions for a batch of agents."""

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions (E,) uint8 for agents (E, 3 + M); (E, 2) float32 for positions (E, 2)."""
        ...


ExplorerFactory = Callable[[np.ndarray, np.random.Generator], Explorer]
"""Makes an explorer from walls (E, W, H) and a generator."""


class PersistentRandom:
    """Walks straight on, turns now and then, and for a while always the same way.

    Before a wall it turns; turning one way persistently it looks around a room and finds its doors. Before
    a door it toggles wherever it would have turned: it mostly opens closed ones, and now and then closes open ones.

    Args:
        walls: (E, W, H).
        rng: source of all draws.
        any_action: probability of a uniformly random action of all seven.
        turn: probability of a turn although the way ahead is free.
        swap: probability, per step, that the preferred turning direction changes.
        bump: probability of walking into a wall or a closed door instead of turning or opening it; a model
            that never saw it imagines a way through, and planning finds that way.
    """

    def __init__(
        self,
        walls: np.ndarray,
        rng: np.random.Generator,
        any_action: float = 0.08,
        turn: float = 0.2,
        swap: float = 0.1,
        bump: float = 0.3,
    ) -> None:
        self.walls = walls
        self.rng = rng
        self.any_action = any_action
        self.turn = turn
        self.swap = swap
        self.bump = bump
        self._side = np.where(rng.random(len(walls)) < 0.5, LEFT, RIGHT).astype(np.uint8)

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions (E,) uint8 for agents (E, 3 + M)."""
        count = len(agent)
        any_action, turn, swap, bump = self.rng.random((4, count))
        anything = self.rng.integers(0, len(ACTIONS), count, dtype=np.uint8)
        self._side = np.where(swap < self.swap, np.uint8(LEFT + RIGHT) - self._side, self._side)
        ahead = step_agents(self.walls, agent, np.full(count, FORWARD))
        blocked = (ahead[:, :2] == agent[:, :2]).all(-1)
        turns = np.where(blocked, bump >= self.bump, turn < self.turn)
        action = np.where(turns, self._side, np.uint8(FORWARD))
        if self.walls.dtype != np.bool_:
            door = cell_ahead(self.walls, agent) >= FIRST_DOOR
            action = np.where(door & turns, np.uint8(TOGGLE), action)
        return np.where(any_action < self.any_action, anything, action)


class NoisyGoalSeeking:
    """Walks to a random cell by a shortest path, with errors, then to the next one.

    With probability eps, drawn once per episode, a step is :class:`PersistentRandom`'s instead of the
    shortest path's.

    Args:
        walls: (E, W, H).
        rng: source of all draws.
        noise: the values eps is drawn from.
        bump: probability of walking into a closed door instead of opening it, see :class:`PersistentRandom`.
    """

    def __init__(
        self,
        walls: np.ndarray,
        rng: np.random.Generator,
        noise: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        bump: float = 0.3,
    ) -> None:
        self.walls = walls
        self.rng = rng
        self.bump = bump
        count, width, height = walls.shape
        self.eps = rng.choice(np.array(noise), count)
        self.goal = np.full((count, 2), -1, dtype=np.int64)
        self._wander = PersistentRandom(walls, rng)
        self._steps = np.zeros((count, width, height, 4), dtype=np.int32)
        self._free = walls.reshape(count, -1) == FREE
        self._ranks = self._free.cumsum(-1)

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions (E,) uint8 for agents (E, 3 + M)."""
        self._choose_goals(agent)
        wander = self._wander.act(agent)
        strays = self.rng.random(len(agent)) < self.eps
        best = shortest_actions(self.walls, self._steps, agent, self.rng)
        if self.walls.dtype != np.bool_:
            bumps = self.rng.random(len(agent)) < self.bump
            best = np.where((best == TOGGLE) & bumps, np.uint8(FORWARD), best)
        return np.where(strays, wander, best)

    def _choose_goals(self, agent: np.ndarray) -> None:
        draws = self.rng.random(len(agent))
        # The first act sees goal (-1, -1), which nobody stands on, so both cases mean "needs one".
        rows = np.flatnonzero((self.goal == agent[:, :2]).all(-1) | (self.goal[:, 0] < 0))
        while len(rows):
            ranks = self._ranks[rows]
            wanted = (draws[rows] * ranks[:, -1]).astype(np.int64)
            cell = (ranks > wanted[:, None]).argmax(-1)
            self.goal[rows] = np.stack(np.divmod(cell, self.walls.shape[2]), -1)
            self._steps[rows] = distances(self.walls[rows], self.goal[rows], agent[rows, 3:])
            rows = rows[(self.goal[rows] == agent[rows, :2]).all(-1)]
            draws = self.rng.random(len(agent))


class Mixture:
    """Different explorers for different episodes of a batch.

    Args:
        walls: (E, W, H).
        rng: source of all draws.
        parts: explorer factories with their shares. Episodes are dealt out evenly, not drawn, so that
            neighbouring episodes (those of one plan) get every part.
        first: index of the first episode in the whole collection, so that dealing goes on from batch to
            batch.
    """

    def __init__(
        self,
        walls: np.ndarray,
        rng: np.random.Generator,
        parts: tuple[tuple[ExplorerFactory, float], ...] = ((PersistentRandom, 0.5), (NoisyGoalSeeking, 0.5)),
        first: int = 0,
    ) -> None:
        shares = np.array([share for _, share in parts], dtype=float)
        if not len(shares) or (shares < 0).any() or shares.sum() <= 0:
            raise ValueError(
                f"mixture shares {shares.tolist()} do not work; give non-negative ones, one above 0"
            )
        index = np.arange(first, first + len(walls))
        # A golden-ratio walk over [0, 1) fills every share evenly along any run of episodes.
        place = (index * 0.6180339887498949 + 0.5) % 1.0
        kind = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], place, side="right")
        self._rows = [np.flatnonzero(kind == part) for part in range(len(parts))]
        self._explorers = [make(walls[rows], rng) for (make, _), rows in zip(parts, self._rows, strict=True)]

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions of the episodes' explorers, see :class:`Explorer`."""
        parts = [
            (rows, explorer.act(agent[rows]))
            for explorer, rows in zip(self._explorers, self._rows, strict=True)
            if len(rows)
        ]
        first = parts[0][1]
        action = np.zeros((len(agent), *first.shape[1:]), dtype=first.dtype)
        for rows, chosen in parts:
            action[rows] = chosen
        return action


EXPLORERS = ("persistent", "goal-seeking", "mixture")
"""Names that :func:`make_explorer` knows."""


def make_explorer(name: str, walls: np.ndarray, rng: np.random.Generator, first: int = 0) -> Explorer:
    """The explorer called ``name`` for a batch of episodes with walls (E, W, H); ValueError for an unknown
    name.

    ``first`` is the index of the batch's first episode in the whole collection (see :class:`Mixture`).
    """
    keys = walls.dtype != np.bool_ and bool((walls == KEY_SPOT).any())
    parts: tuple[ExplorerFactory, ExplorerFactory] = (
        (KeyWander, KeySeeking) if keys else (PersistentRandom, NoisyGoalSeeking)
    )
    if name == "persistent":
        return parts[0](walls, rng)
    if name == "goal-seeking":
        return parts[1](walls, rng)
    if name == "mixture":
        return Mixture(walls, rng, ((parts[0], 0.5), (parts[1], 0.5)), first)
    raise ValueError(f"unknown explorer {name!r}; choose one of {', '.join(EXPLORERS)}")
