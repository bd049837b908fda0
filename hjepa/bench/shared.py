"""What planners share: the first step of all candidates is read once, and tokens are folded for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.bench.planning import opened
from hjepa.bench.row import Options, Row, clock_of, row, timed
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from hjepa.model.stack import Stack
from planners.protocols import Model, Problem
from tasks import EpisodeBatch, TaskSpec, sample_episodes

EPISODES = 16
FLOOR = 2.0


def rows(options: Options) -> Iterator[Row]:
    """With three levels: the first step alone, which changes no bit of a plan, and with folded tokens, which round.

    Raises:
        RuntimeError: plans differ that must not.
    """
    stack, spec = opened(options)
    batch, clock = sample_episodes(spec.id, episodes=options.amount(EPISODES, 2)), clock_of(options.device)
    agent, pairs = unfolded(stack, spec), []
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
    if stack.sees:
        yield folded(options, stack, spec, batch)


def folded(options: Options, stack: Stack, spec: TaskSpec, batch: EpisodeBatch) -> Row:
    """First step shared and tokens folded, beside neither; how many episodes take the same way is said."""
    clock, agent, pairs, same = clock_of(options.device), unfolded(stack, spec), [], []
    quick = make_agent(stack, spec, AgentOptions(settings=replace(agent.settings, folded=True)))
    walked(quick, spec, batch)
    for _ in range(options.repeats):
        own, path = timed(clock, walked, quick, spec, batch)
        with patch("planners.planner.at_outset", _unshared):
            without, other = timed(clock, walked, agent, spec, batch)
        steps = min(path.shape[1], other.shape[1])
        same = (path[:, :steps] == other[:, :steps]).reshape(len(path), -1).all(1)
        pairs.append((own / len(path), without / len(path)))
    return row(
        f"planning {len(batch.start)} episodes at once with {stack.depth} levels of {options.checkpoint}, first step"
        " shared and tokens folded",
        f"neither; {sum(same)} of {len(same)} ways are the same",
        "s/episode",
        pairs,
        FLOOR,
        f"hjepa bench shared --checkpoint {options.checkpoint}",
    )


def unfolded(stack: Stack, spec: TaskSpec) -> Agent:
    """An agent that reads tokens, whatever its settings say."""
    usual = make_agent(stack, spec).settings
    return make_agent(stack, spec, AgentOptions(settings=replace(usual, folded=False)))


def walked(agent: Agent, spec: TaskSpec, batch: EpisodeBatch) -> np.ndarray:
    """Where agents went, (E, ...)."""
    return np.asarray(play(agent, spec, batch, 0, 0).agent)


def _unshared(model: Model, problem: Problem) -> Problem:
    """In place of `planners.rollouts.at_outset`."""
    return problem
