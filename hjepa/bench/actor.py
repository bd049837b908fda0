"""An actor that was distilled from plans: how long one decision takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hjepa.agent.options import AgentOptions
from hjepa.bench.planning import replans
from hjepa.bench.row import Options, Row, clock_of, row, timed, unit_of
from hjepa.evaluation.evaluate import make_agent
from hjepa.model.checkpoints import describe, load_stack
from tasks import sample_episodes, task_spec

CHECKPOINT = "told-nested-d3"
"""Shipped with actors."""
LIMITS_MS = {1: 3.0, 3: 6.0}
"""Of processor time for a decision, by number of levels."""
EPISODES = 4


def rows(options: Options) -> Iterator[Row]:
    """One episode at a time, with one level and with three."""
    spec, clock = task_spec(describe(CHECKPOINT)["task"]), clock_of(options.device)
    stack = load_stack(CHECKPOINT, str(options.device))
    batch = sample_episodes(spec.id, episodes=options.amount(EPISODES))
    parts = [batch.select(np.array([i])) for i in range(len(batch.start))]
    for levels, limit in LIMITS_MS.items():
        settings = replace(stack.config.plan, planner="actor", block=1)
        agent = make_agent(stack, spec, AgentOptions(levels=levels, settings=settings))
        replans(agent, spec, parts[:1])
        found = []
        for _ in range(options.repeats):
            seconds, count = timed(clock, replans, agent, spec, parts)
            found.append((1e3 * seconds / count, limit))
        yield row(
            f"a decision of the actor of {CHECKPOINT} with {levels} level{'s' if levels > 1 else ''}, one episode",
            "a limit",
            unit_of(options.device),
            found,
            1.0,
            "hjepa bench actor",
        )
