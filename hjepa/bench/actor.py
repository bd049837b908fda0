"""An actor that was distilled from plans: how long one decision takes.

A decision is a plan of level 1 and all that the agent does until the next one: what it makes of the observation at
every step, and its share of what it does once an episode, which is told apart as well (it reads the floor plan, and
spreads the critic's field from the goal). An actor does not search, but it draws a few candidates, imagines them and
follows the best, and this is in it too. What the world does is not: drawing an episode, stepping it and replaying it in
the environment that the task names takes as long whatever the agent is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.bench.planning import replans
from hjepa.bench.row import Options, Row, clock_of, row, unit_of
from hjepa.bench.stopwatch import Timed
from hjepa.evaluation.evaluate import make_agent
from hjepa.model.checkpoints import describe, load_stack
from tasks import EpisodeBatch, TaskSpec, sample_episodes, task_spec

CHECKPOINT = "told-nested-d3"
"""Shipped with actors."""
LIMITS_MS = {1: 3.0, 3: 6.0}
"""Of processor time for a decision, by number of levels."""
EPISODES = 4


def decision_ms(
    agent: Agent, spec: TaskSpec, parts: list[EpisodeBatch], clock: Callable[[], float]
) -> tuple[float, float, float]:
    """Milliseconds of the agent for a decision, those of them that are its share of what is done once an episode, and
    milliseconds for an action, of which a decision holds several.

    Args:
        agent: plays.
        spec: task.
        parts: episodes, played part by part.
        clock: in seconds.
    """
    watched = Timed(agent, clock)
    count = replans(watched, spec, parts)
    whole = 1e3 * (watched.began + watched.acted)
    return whole / count, 1e3 * watched.began / count, whole / watched.steps


def rows(options: Options) -> Iterator[Row]:
    """One episode at a time, with one level and with three, by an agent whose blocks hold one episode.

    Its search is not padded; who is told is still read in eights, for the bits' sake.
    """
    spec, clock = task_spec(describe(CHECKPOINT)["task"]), clock_of(options.device)
    stack = load_stack(CHECKPOINT, str(options.device))
    batch = sample_episodes(spec.id, episodes=options.amount(EPISODES))
    parts = [batch.select(np.array([i])) for i in range(len(batch.start))]
    unit, command = unit_of(options.device), "hjepa bench actor"
    for levels, limit in LIMITS_MS.items():
        settings = replace(stack.config.plan, planner="actor", block=1)
        agent = make_agent(stack, spec, AgentOptions(levels=levels, settings=settings))
        replans(agent, spec, parts[:1])
        found = [decision_ms(agent, spec, parts, clock) for _ in range(options.repeats)]
        what = f"of the actor of {CHECKPOINT} with {levels} level{'s' if levels > 1 else ''}, one episode"
        limits = [(whole, limit) for whole, _, _ in found]
        yield row(f"a decision {what}", "a limit", unit, limits, 1.0, command)
        shares = [(once, whole) for whole, once, _ in found]
        yield row(f"what is done once an episode, {what}", "the decision", unit, shares, None, command)
        actions = [(action, whole) for whole, _, action in found]
        yield row(f"an action {what}", "the decision, a plan of several", unit, actions, None, command)
