"""An episode of a record walked again, with the weights that it was walked with: the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hjepa.devices import fix_threads
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.records import Record, overrides_of

NOT_AGAIN = ("oracle", "perception", "memory", "mission", "guardrails", "observation_sha256")
"""Fields of records that were made with more than weights and settings of planning."""


def can_be_walked(record: Record) -> bool:
    """Whether weights and settings of planning are all that a record depends on."""
    return not any(record.get(name) for name in NOT_AGAIN) and record.get("goals") in (None, "world")


def walked(record: Record, weights: str, episode: int) -> np.ndarray:
    """The way of one episode, (S + 1, 2 or more) of x, y, ...

    Args:
        record: that `can_be_walked`.
        weights: shipped weights or a run folder.
        episode: number in the record.

    Raises:
        InputError: weights that cannot be planned with so.
    """
    # A page without ways needs none of what plans.
    from hjepa.evaluation.evaluate import make_agent, play
    from hjepa.evaluation.held_out import draw
    from hjepa.model.checkpoints import load_stack
    from hjepa.sweeps.plan_cells import asked_of, cells_of

    fix_threads()
    budget = record["budget_tflops"]
    request = PlanRequest(
        checkpoint=weights,
        task=record["task"],
        levels=(record["levels"],),
        episodes=record["episodes"],
        seed=(record["seed"],),
        split=record["split"],
        tasks=record["tasks"],
        metric=(record["metric"],),
        planner=(record["planner"],),
        budget_tflops=None if budget is None else (budget,),
        overrides=[text for text in overrides_of(record) if text.startswith("plan.")],
    )
    stack = load_stack(weights)
    (cell,) = cells_of(request, stack)
    asked = asked_of(request, cell, stack)
    agent = make_agent(stack, asked.task, replace(asked.agent, record=False))
    batch = draw(asked).episodes.select([episode])
    trace = play(agent, asked.task, batch, episode, record["seed"])
    return np.asarray(trace.agent[0, : int(trace.results.steps[0]) + 1])
