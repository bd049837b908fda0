"""Tasks of any world are played to their ends and no further, and success is what the world says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from hjepa.agent.agent import Agent
from hjepa.errors import InputError
from hjepa.evaluation.playing import Results
from hjepa.evaluation.worlds import play_world
from tasks import TaskBatch, World
from tasks.goals import plain_tasks
from tasks.worlds import Actions, Observation, Sense, Step, WorldSpec

BUDGET = 6


class Countdown:
    """Episodes whose ends are known: after so many steps they succeed, are terminated, or run out of time."""

    def __init__(self, solved: list[int], lost: list[int], goal: bool = True) -> None:
        sense, actions = Sense("vector", (1,)), Actions(2, (-2.0, -2.0), (2.0, 2.0))
        self.spec = WorldSpec("Countdown-v0", {"vector": sense}, actions, BUDGET)
        self.solved, self.lost, self.shows = np.array(solved), np.array(lost), goal
        self.time, self.acted = 0, list[np.ndarray]()

    def seen(self) -> Observation:
        return {"vector": np.full((len(self.solved), 1), self.time, dtype=np.float32)}

    def reset(self, tasks: TaskBatch) -> Observation:
        return self.seen()

    def goal(self) -> Observation | None:
        return {"vector": np.full((len(self.solved), 1), 9.0, dtype=np.float32)} if self.shows else None

    def step(self, action: np.ndarray) -> Step:
        self.time += 1
        self.acted.append(action)
        late = np.full(len(self.solved), self.time >= BUDGET)
        # What is over goes on claiming things: nobody listens any more.
        return Step(self.seen(), self.time >= self.solved, self.time >= self.lost, late)


class Counting:
    """An agent that keeps what it sees and who still runs."""

    settings = SimpleNamespace(exact=0.0)

    def __init__(self) -> None:
        self.saw, self.active = list[float](), list[list[bool]]()

    def begin(self, observation: Any, goal: Any, keys: torch.Tensor) -> Any:
        count = torch.zeros(len(keys), dtype=torch.int64)
        level = SimpleNamespace(asked=count, planned=count)
        return SimpleNamespace(plan=SimpleNamespace(levels=[level], repaired=count), flops=count)

    def act(self, state: Any, observation: Any, active: torch.Tensor) -> np.ndarray:
        self.saw.append(float(observation["image"][0, 0]))
        self.active.append(active.tolist())
        return np.ones((len(active), 2), dtype=np.float32)


def played(
    world: Countdown, agent: Counting, tell: list[tuple[int, int]] | None = None, watch: Any = None
) -> Results:
    tasks = plain_tasks(np.arange(len(world.solved)))
    told: Any = None if tell is None else (lambda over, solved: tell.append((over, solved)))
    return play_world(cast(Agent, agent), cast(World, world), tasks, 0, 0, "vector", watch, told)


NEVER = 99


def test_episodes_end_when_the_world_says_so_and_play_ends_with_the_last() -> None:
    world, agent, told = Countdown([2, NEVER, 4], [NEVER, 1, 3]), Counting(), list[tuple[int, int]]()
    results = played(world, agent, told)
    assert results.success.tolist() == [1, 0, 0], "what comes after the end does not count"
    assert results.steps.tolist() == [2, 1, 3]
    assert agent.active == [[True, True, True], [True, False, True], [False, False, True]]
    assert told == [(1, 0), (2, 1), (3, 1)]
    assert agent.saw == [0, 1, 2], "it sees what its last action led to"


def test_time_runs_out() -> None:
    results = played(Countdown([NEVER], [NEVER]), Counting())
    assert results.steps.tolist() == [BUDGET] and results.success.tolist() == [0]


def test_actions_are_the_worlds_own_numbers() -> None:
    world = Countdown([1], [NEVER])
    played(world, Counting())
    assert world.acted[0].tolist() == [[2.0, 2.0]], "1 is the upper bound"


def test_who_looks_on_sees_every_moment() -> None:
    seen = list[float]()
    watch = SimpleNamespace(
        begin=lambda state, first: seen.append(first["vector"].item()),
        step=lambda later: seen.append(later["vector"].item()),
    )
    played(Countdown([3], [NEVER]), Counting(), watch=watch)
    assert seen == [0, 1, 2, 3]


def test_a_world_that_shows_no_goal_is_refused() -> None:
    with pytest.raises(InputError, match="Countdown-v0 shows no goal"):
        played(Countdown([1], [1], goal=False), Counting())
