"""Planning: many episodes at once beside one after another, and how long a plan of one episode takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.bench.row import Options, Row, clock_of, row, timed, unit_of
from hjepa.bench.stopwatch import Timed
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.stack import Stack
from hjepa.own_code import check_task
from planners.rollouts import ALIGNED
from tasks import EpisodeBatch, TaskSpec, sample_episodes, task_spec

LEVELS = 3
TOGETHER, ALONE = 64, 4
"""Episodes planned at once, and those planned one after another, at most."""
FLOOR = 8.0
LIMIT_MS = 40.0
"""Of processor time for a plan of one episode with three levels."""


def opened(options: Options) -> tuple[Stack, TaskSpec]:
    """The stack of the options cut to `LEVELS`, and the task that it was trained for."""
    task = describe(options.checkpoint)["task"]
    check_task(task, f"checkpoint {options.checkpoint}")
    stack = load_stack(options.checkpoint, str(options.device))
    return stack.truncate(min(LEVELS, stack.depth)), task_spec(task)


def rows(options: Options) -> Iterator[Row]:
    """See above.

    Episodes alone are planned by an agent whose blocks hold one episode, so that nothing is padded with copies, no
    search and no picture of a stack that sees: that would make the batch look good.
    """
    stack, spec = opened(options)
    clock, episodes = clock_of(options.device), options.amount(TOGETHER, 2)
    batch = sample_episodes(spec.id, episodes=episodes)
    settings = replace(make_agent(stack, spec).settings, folded=stack.sees, block=max(episodes, ALIGNED))
    together = make_agent(stack, spec, AgentOptions(settings=settings))
    alone = make_agent(stack, spec, AgentOptions(settings=replace(settings, block=1)))
    first = [batch.select(np.array([i])) for i in range(min(episodes, ALONE))]
    replans(together, spec, first[:1])  # what is only done once is not the episodes'
    shared, single, plans, worlds = [], [], [], []
    for _ in range(options.repeats):
        watched = Timed(together, clock)
        shared.append(timed(clock, replans, watched, spec, [batch])[0] / episodes)
        worlds.append((shared[-1] - (watched.began + watched.acted) / episodes, shared[-1]))
        seconds, count = timed(clock, replans, alone, spec, first)
        single.append(seconds / len(first))
        plans.append(1e3 * seconds / count)
    command = f"hjepa bench plan --checkpoint {options.checkpoint}"
    what = f"with {stack.depth} levels of {options.checkpoint} in {spec.id}"
    yield row(
        f"planning {episodes} episodes at once {what}",
        "one episode at a time, unpadded",
        "s/episode",
        list(zip(shared, single)),
        FLOOR,
        command,
    )
    yield row(
        f"stepping the world while {episodes} episodes are planned at once {what}",
        "the whole evaluation",
        "s/episode",
        worlds,
        None,
        command,
    )
    yield row(
        f"a plan of one episode {what}",
        "a limit",
        unit_of(options.device),
        [(own, LIMIT_MS) for own in plans],
        1.0,
        command,
    )


def replans(agent: Agent | Timed, spec: TaskSpec, parts: list[EpisodeBatch]) -> int:
    """Play episodes part by part: how often an episode was planned for."""
    found: list[Any] = [play(cast(Agent, agent), spec, part, i, 0).results for i, part in enumerate(parts)]
    return int(sum(results.asked[:, 0].sum() for results in found))
