"""Playing episodes: in the environment that the task names, or in its batched twin, which a replay then has to confirm.

Where all code in the named environment is MiniGrid's or ours, its batched twin plays, much faster, and
`TwinStage.confirm` replays every episode in the environment itself: path, success and end have to agree step by step.
Where somebody else's code is in it (a wrapper, a class of one's own), the environment itself is stepped, as many of
them side by side as there are episodes. Either way success is what the named environment says
(:mod:`tasks.named_episode`).

Agents are told the floor plan and the state that they act on, in the form of the batched twin's observations. In
missions the goal is taken away and the legs are judged on the path, which is the environment's. Forbidden zones are
cells of that path. Pictures for perception from pixels are drawn from floor plan and state, partial views too.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.episode_batches import EpisodeBatch, observation_of
from tasks.named import Registration, has_twin, make_named
from tasks.named_episode import NamedEpisode
from tasks.observations import ACTIONS, IN_HAND, KEY_CELL, compose_image, world_grid
from tasks.randomness import keyed_generator
from tasks.specs import TaskSpec
from tasks.suite import make_batched
from tasks.views import partial_views

Observation = dict[str, np.ndarray]


class Mismatch(ValueError):
    """The batched twin and the environment it stands in for do not agree; names task, episode, step and difference."""


def stage(spec: TaskSpec, episodes: EpisodeBatch, endless: bool = False) -> TwinStage | NamedStage:
    """Where episodes of a task are played.

    Args:
        spec: task.
        episodes: E of them.
        endless: the goals are taken away, because missions may have to go on from there.

    Raises:
        ValueError: an environment that cannot be made, or that does not build the episodes.
    """
    kind = TwinStage if has_twin(spec.id) else NamedStage
    return kind(spec, episodes, endless)


class TwinStage:
    """E episodes in the batched twin.

    Args:
        spec, episodes, endless: as in `stage`.

    Attributes:
        observation: of now, as the twin gives it.
    """

    name = "twin"

    def __init__(self, spec: TaskSpec, episodes: EpisodeBatch, endless: bool = False) -> None:
        self.spec, self.episodes, self.endless = spec, episodes, endless
        self._twin = make_batched(spec, len(episodes), copy=False)
        # No agent ever stands in a corner.
        goals = np.zeros_like(episodes.goal) if endless else episodes.goal
        self.observation, _ = self._twin.reset(options={"episodes": replace(episodes, goal=goals)})
        self._actions: list[np.ndarray] = []
        self._path = [self._twin.agent]
        self._success = np.zeros(len(episodes), dtype=bool)

    @property
    def agent(self) -> np.ndarray:
        """(E, A) agent vectors, a copy."""
        return self._twin.agent

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Act; returns (E,) bool which have succeeded by now, and which are over. These stay as they are."""
        self.observation, reward, terminated, truncated, _ = self._twin.step(action)
        self._actions.append(np.array(action))
        self._path.append(self._twin.agent)
        self._success |= reward > 0
        return self._success.copy(), terminated | truncated

    def confirm(self, steps: np.ndarray, first: int = 0) -> np.ndarray:
        """Replay every episode in the environment itself.

        Args:
            steps: (E,) how many of the actions count.
            first: number of the first episode in its evaluation set, for the message.

        Returns:
            (E,) bool, where the state had to be set after the reset, see :mod:`tasks.named_episode`.

        Raises:
            Mismatch: they do not agree.
        """
        player = _player(Registration(self.spec.id), self.spec)
        placed = np.zeros(len(steps), dtype=bool)
        for i, count in enumerate(steps.tolist()):
            where = f"{self.spec.id}, episode {first + i}"
            try:
                begin(player, self.episodes, i, self.endless)
            except ValueError as error:
                raise Mismatch(f"{where}, step 0: {error}; {_REMEDY}") from None
            placed[i] = player.placed
            self._retrace(player, i, count, where)
        return placed

    def _retrace(self, player: NamedEpisode, i: int, count: int, where: str) -> None:
        success = terminated = truncated = False
        _same(f"{where}, step 0", "agent", player.agent, self._path[0][i])
        for t in range(1, count + 1):
            if terminated or truncated:
                _same(f"{where}, step {t - 1}", "end of the episode", "reached", "not reached")
            success, terminated, truncated = player.step(self._actions[t - 1][i])
            _same(f"{where}, step {t}", "agent", player.agent, self._path[t][i])
        if not self.endless:
            _same(f"{where}, step {count}", "success", success, bool(self._success[i]))


class NamedStage:
    """E episodes in as many environments, stepped one after another.

    Args:
        spec, episodes, endless: as in `stage`.

    Attributes:
        observation: of now, in the form of the batched twin's.

    Raises:
        ValueError: an environment that cannot be made, or that does not build the episodes.
    """

    name = "environment"

    def __init__(self, spec: TaskSpec, episodes: EpisodeBatch, endless: bool = False) -> None:
        self.spec, self._floor = spec, episodes.grid
        registration = Registration(spec.id)
        self._players = [_make(registration, spec, True) for _ in range(len(episodes))]
        self.placed = np.zeros(len(episodes), dtype=bool)
        for i, player in enumerate(self._players):
            try:
                begin(player, episodes, i, endless)
            except ValueError as error:
                raise ValueError(f"{spec.id} with seed {episodes.plan_seed[i]}: {error}") from None
            self.placed[i] = player.placed
        self._agent = np.stack([player.agent for player in self._players])
        self._steps = 0
        self._success, self._over = np.zeros((2, len(episodes)), dtype=bool)
        self.observation = self._observe()

    @property
    def agent(self) -> np.ndarray:
        """(E, A) agent vectors, a copy."""
        return self._agent.copy()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Act; returns (E,) bool which have succeeded by now, and which are over. These stay as they are."""
        for i in np.flatnonzero(~self._over).tolist():
            success, terminated, truncated = self._players[i].step(action[i])
            self._success[i], self._over[i] = success, success or terminated or truncated
            self._agent[i] = self._players[i].agent
        self._steps += 1
        self.observation = self._observe()
        return self._success.copy(), self._over | (self._steps >= self.spec.step_budget)

    def confirm(self, steps: np.ndarray, first: int = 0) -> np.ndarray:
        """Close the environments; nothing is to be replayed. See `TwinStage.confirm`."""
        for player in self._players:
            player.env.close()
        return self.placed

    def _observe(self) -> Observation:
        floor, agent, size = self._floor, self._agent, self.spec.view
        if self.spec.continuous or not size:
            shown = floor if self.spec.continuous else compose_image(floor, agent)
            return observation_of(shown, agent.copy())
        image = partial_views(world_grid(floor, agent), agent, size)
        if self.spec.keys:
            image[agent[:, -1] == IN_HAND, size // 2, size - 1] = KEY_CELL
        return {"image": image, "direction": agent[:, 2].copy(), "pose": agent.copy()}


def random_success_named(spec: TaskSpec, episodes: EpisodeBatch, seed: int = 0) -> float:
    """Success rate of uniform random actions in the environment that the task names, stepped itself.

    The actions are those of :func:`tasks.oracles.random_success`.

    Args:
        spec: task.
        episodes: the evaluated episodes.
        seed: key of the random actions.
    """
    played = NamedStage(spec, episodes)
    rng, over = keyed_generator("random success", int(seed)), np.zeros(len(episodes), dtype=bool)
    success = over
    while not over.all():
        success, over = played.step(rng.integers(0, len(ACTIONS), len(episodes)))
    played.confirm(success)
    return float(success.mean())


def begin(player: NamedEpisode, episodes: EpisodeBatch, row: int, endless: bool = False) -> None:
    """Begin one of the episodes, see `NamedEpisode.reset`."""
    player.reset(
        int(episodes.plan_seed[row]), episodes.grid[row], episodes.start[row], episodes.goal[row], endless
    )


def _make(registration: Registration, spec: TaskSpec, seen: bool) -> NamedEpisode:
    ours = {} if spec.family == "minigrid" else spec.make_kwargs()
    return NamedEpisode(make_named(registration, **ours), spec.doors, spec.keys, seen)


@functools.lru_cache(maxsize=8)
def _player(registration: Registration, spec: TaskSpec) -> NamedEpisode:
    """The one environment of a process that episodes of a task are replayed in."""
    return _make(registration, spec, False)


_REMEDY = (
    "no result is counted that the environment does not confirm; wrap it in a module of your own and name it"
    " module:id, then it is stepped itself"
)


def _same(where: str, what: str, theirs: Any, ours: Any) -> None:
    if not np.array_equal(theirs, ours):
        told = [value.tolist() if isinstance(value, np.ndarray) else value for value in (theirs, ours)]
        raise Mismatch(
            f"{where}: {what} is {told[0]} in the environment and {told[1]} in its batched twin; {_REMEDY}"
        )
