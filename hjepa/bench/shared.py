"""What planners share: the first step of all candidates is read once, and plans are the same as without."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import numpy as np

from hjepa.agent.agent import Agent
from hjepa.bench.planning import opened
from hjepa.bench.row import Options, Row, clock_of, row, timed
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from planners.protocols import Model, Problem
from tasks import EpisodeBatch, TaskSpec, sample_episodes

EPISODES = 16
FLOOR = 2.0


def rows(options: Options) -> Iterator[Row]:
    """With three levels.

    Raises:
        RuntimeError: plans differ.
    """
    stack, spec = opened(options)
    batch, clock = sample_episodes(spec.id, episodes=options.amount(EPISODES, 2)), clock_of(options.device)
    agent, pairs = make_agent(stack, spec), []
    walked(agent, spec, batch)
    for _ in range(options.repeats):
        own, path = timed(clock, walked, agent, spec, batch)
        with patch("planners.planner.at_outset", _unshared):
            without, other = timed(clock, walked, agent, spec, batch)
        if not np.array_equal(path, other):
            raise RuntimeError("episodes take other ways where their first step is not shared")
        pairs.append((own / len(path), without / len(path)))
    yield row(
        f"planning {len(batch.start)} episodes at once with {stack.depth} levels of {options.checkpoint}, first step"
        " shared",
        "the same, every candidate by itself; the same ways",
        "s/episode",
        pairs,
        FLOOR,
        f"hjepa bench shared --checkpoint {options.checkpoint}",
    )


def walked(agent: Agent, spec: TaskSpec, batch: EpisodeBatch) -> np.ndarray:
    """Where agents went, (E, ...)."""
    return np.asarray(play(agent, spec, batch, 0, 0).agent)


def _unshared(model: Model, problem: Problem) -> Problem:
    """In place of `planners.rollouts.at_outset`."""
    return problem
