"""Explorers of worlds with a key: they fetch it, unlock and close the door, and try in vain.

What is in hand changes what actions do, and most of it happens once an episode. So trajectories have to lead to the key
and to the lock on purpose, with the key and without, and have to do there what does not work: walk into a locked door,
toggle it empty-handed, walk into the key, pick up a door. A model that never saw it imagines that it works.
"""

from __future__ import annotations

import numpy as np

from tasks.dynamics import cell_ahead
from tasks.key_oracles import key_actions, key_distances, steps_from
from tasks.observations import (
    BARRIER,
    CLOSED,
    DROP,
    FIRST_DOOR,
    FORWARD,
    FREE,
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

USES = np.array([FORWARD, TOGGLE, PICKUP, FORWARD, TOGGLE, DROP], dtype=np.uint8)
"""What is tried on a door or a key, each as likely as the others."""

STARTS = np.array([(LOCKED, LYING), (LOCKED, IN_HAND), (CLOSED, IN_HAND), (OPEN, IN_HAND)])
STARTS_SHARE = (0.6, 0.1, 0.2, 0.1)
"""States of door and key that walks begin with, and how often. Most begin as episodes do."""

BESIDE = 0.5
"""How often walks begin within a step of the door or the key."""


class KeySeeking:
    """Walks to a goal by a shortest path, through the key if need be, with errors, then to the next one.

    A goal is a random cell, or to face the door or the key, where then anything is tried.

    Args:
        barriers: (E, W, H) int8 with one door and one key.
        rng: source of all draws.
        noise: the values that the probability of a stray step is drawn from, once per episode.
        bump: probability of trying anything instead of toggling or picking up where the path does.
        facing: probability that a goal is to face the door or the key.
    """

    def __init__(
        self,
        barriers: np.ndarray,
        rng: np.random.Generator,
        noise: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        bump: float = 0.3,
        facing: float = 0.4,
    ) -> None:
        self.barriers = barriers
        self.rng = rng
        self.bump = bump
        self.facing = facing
        count, width, height = barriers.shape
        self.eps = rng.choice(np.array(noise), count)
        self.goal = np.full((count, 3), -1, dtype=np.int64)
        self._wander = KeyWander(barriers, rng)
        self._table = np.zeros((count, 3, 2, width, height, 4), dtype=np.int32)
        self._free = barriers.reshape(count, -1) != BARRIER
        self._faces = _faces(barriers).reshape(count, -1)

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions (E,) uint8 for agents (E, 5)."""
        arrived = (self.goal[:, 0] < 0) | self._there(agent)
        tries = arrived & (self.goal[:, 2] >= 0)
        self._choose_goals(agent, arrived)
        strays = self.rng.random(len(agent)) < self.eps
        wander = self._wander.act(agent)
        best = key_actions(self.barriers, self._table, agent, self.rng)
        bumps = self.rng.random(len(agent)) < self.bump
        tries |= np.isin(best, (TOGGLE, PICKUP)) & bumps
        tried = self.rng.choice(USES, len(agent))
        return np.where(tries, tried, np.where(strays, wander, best))

    def _there(self, agent: np.ndarray) -> np.ndarray:
        there = (self.goal[:, :2] == agent[:, :2]).all(-1)
        return there & ((self.goal[:, 2] < 0) | (self.goal[:, 2] == agent[:, 2]))

    def _choose_goals(self, agent: np.ndarray, needed: np.ndarray) -> None:
        height = self.barriers.shape[2]
        while len(rows := np.flatnonzero(needed)):
            faces = self.rng.random(len(rows)) < self.facing
            # Flat over cells and headings; of a cell any heading will do.
            every = np.where(faces[:, None], self._faces[rows], np.repeat(self._free[rows], 4, 1))
            ranks = every.cumsum(-1)
            wanted = (self.rng.random(len(rows)) * ranks[:, -1]).astype(np.int64)
            cell, heading = np.divmod((ranks > wanted[:, None]).argmax(-1), 4)
            self.goal[rows] = np.stack([*np.divmod(cell, height), np.where(faces, heading, -1)], -1)
            self._table[rows] = key_distances(self.barriers[rows], self.goal[rows])
            # Not where it is already, nor behind a lock whose key is on the other side.
            needed = np.zeros_like(needed)
            needed[rows] = steps_from(self._table[rows], agent[rows]) <= 0


class KeyWander:
    """Walks straight on, turns now and then, and tries anything on what it faces.

    Args:
        barriers: (E, W, H) int8.
        rng: source of all draws.
        any_action: probability of a uniformly random action of all seven.
        turn: probability of a turn although the way ahead is free.
        swap: probability, per step, that the preferred turning direction changes.
        bump: probability of walking into a wall instead of turning.
        leave: probability of turning away from a door or a key.
    """

    def __init__(
        self,
        barriers: np.ndarray,
        rng: np.random.Generator,
        any_action: float = 0.25,
        turn: float = 0.2,
        swap: float = 0.1,
        bump: float = 0.3,
        leave: float = 0.3,
    ) -> None:
        self.barriers = barriers
        self.rng = rng
        self.any_action, self.turn, self.swap, self.bump, self.leave = any_action, turn, swap, bump, leave
        self._side = rng.choice(np.array([LEFT, RIGHT], dtype=np.uint8), len(barriers))

    def act(self, agent: np.ndarray) -> np.ndarray:
        """Actions (E,) uint8 for agents (E, 5)."""
        count = len(agent)
        any_action, turn, swap, leave = self.rng.random((4, count))
        anything, tried = self.rng.integers(0, 7, count, dtype=np.uint8), self.rng.choice(USES, count)
        self._side = np.where(swap < self.swap, np.uint8(LEFT + RIGHT) - self._side, self._side)
        ahead = cell_ahead(self.barriers, agent)
        turns = np.where(ahead == BARRIER, turn >= self.bump, turn < self.turn)
        action = np.where(turns, self._side, np.uint8(FORWARD))
        thing = (ahead >= FIRST_DOOR) | ((ahead == KEY_SPOT) & (agent[:, -1] == LYING))
        action = np.where(thing, np.where(leave < self.leave, self._side, tried), action)
        return np.where(any_action < self.any_action, anything, action)


def random_key_states(barriers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random free cell and heading on each plan, with some states of door and key: (E, 5) int64.

    The cell is beside the door or the key more often than chance would have it.
    """
    beside = rng.random(len(barriers)) < BESIDE
    cells = np.where(beside[:, None, None], _faces(barriers).any(-1), barriers == FREE)
    ranks = cells.reshape(len(barriers), -1).cumsum(-1)
    wanted = (rng.random(len(barriers)) * ranks[:, -1]).astype(np.int64)
    cell = (ranks > wanted[:, None]).argmax(-1)
    place = [*np.divmod(cell, barriers.shape[2]), rng.integers(0, 4, len(barriers))]
    return np.concatenate([np.stack(place, -1), rng.choice(STARTS, len(barriers), p=STARTS_SHARE)], -1)


def _faces(barriers: np.ndarray) -> np.ndarray:
    """(E, W, H, 4) bool, the free cells and headings that have the door or the key in front of them."""
    ahead = np.stack([np.roll(barriers, (-dx, -dy), (1, 2)) for dx, dy in HEADINGS.tolist()], -1)
    return ((ahead >= FIRST_DOOR) | (ahead == KEY_SPOT)) & (barriers == FREE)[..., None]
