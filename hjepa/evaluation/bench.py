"""Speed of planning: many episodes at once against one after another, in processor time, several times over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.devices import fix_threads, torch_device
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from hjepa.model.checkpoints import describe, load_stack
from hjepa.own_code import check_task
from tasks import sample_episodes, task_spec

REPEATS = 3
"""How often everything is measured, by turns, so that what else the machine does meets both alike."""

ALONE = 4
"""Episodes that are planned one after another, at most."""

FLOOR = 1.0
"""What episodes planned together have to gain, as a ratio of times: below it they would better be planned alone."""


def bench(
    checkpoint: str, device: str = "auto", precision: str = "32", episodes: int = 32, repeats: int = REPEATS
) -> dict[str, Any]:
    """Speed of planning with a checkpoint.

    Episodes alone are planned by an agent whose blocks hold one episode, so that no search is padded with copies: that
    would make the batch look good. Pictures are read in calls of the same size either way, for their bits' sake.

    Args:
        checkpoint: shipped weights or a run folder.
        device: see `hjepa.devices`; where it is no CPU the time is that of the clock, for it computes elsewhere.
        precision: only ``32`` plans.
        episodes: how many are planned at once.
        repeats: how often, at least 1.

    Returns:
        ``seconds_per_episode`` together, ``seconds_per_episode_alone``, and ``speedup``, their ratio, each with its
        ``median``, ``least`` and ``most`` over the repeats; ``speedup_floor``, what the ratio should not be below;
        ``plan_ms``, milliseconds of one replan by the clock on the wall, in the same form; task, levels, episodes,
        repeats, threads, and which ``clock`` measured.

    Raises:
        InputError: another precision, or no repeats.
    """
    if precision != "32":
        raise InputError(f"precision {precision!r}", "bench plan", "planning computes in 32 bits")
    if repeats < 1 or episodes < 1:
        raise InputError(f"{repeats} repeats of {episodes} episodes", "bench plan", "give 1 or more of both")
    fix_threads()
    where = torch_device(device)
    clock = time.process_time if where.type == "cpu" else time.perf_counter
    stack, task = load_stack(checkpoint, str(where)), describe(checkpoint)["task"]
    check_task(task, f"checkpoint {checkpoint}")
    spec, batch = task_spec(task), sample_episodes(task, episodes=episodes)
    together = make_agent(stack, spec)
    alone = make_agent(stack, spec, AgentOptions(settings=replace(together.settings, block=1)))
    first = [batch.select(np.array([i])) for i in range(min(episodes, ALONE))]

    def plan(agent: Agent, parts: list[Any]) -> float:
        """Median milliseconds of a replan."""
        return float(
            np.median([play(agent, spec, part, i, 0).results.plan_ms for i, part in enumerate(parts)])
        )

    plan(together, first[:1])  # what is only done once is not the episodes'
    times: dict[str, list[float]] = {"together": [], "alone": [], "plan_ms": []}
    for _ in range(repeats):
        spent, milliseconds = timed(clock, lambda: plan(together, [batch]))
        times["together"].append(spent / episodes)
        times["plan_ms"].append(milliseconds)
        times["alone"].append(timed(clock, lambda: plan(alone, first))[0] / len(first))
    ratios = [single / shared for single, shared in zip(times["alone"], times["together"])]
    return {
        "task": task,
        "levels": stack.depth,
        "episodes": episodes,
        "repeats": repeats,
        "clock": "cpu" if where.type == "cpu" else "wall",
        "seconds_per_episode": spread(times["together"]),
        "seconds_per_episode_alone": spread(times["alone"]),
        "speedup": spread(ratios),
        "speedup_floor": FLOOR,
        "plan_ms": spread(times["plan_ms"]),
        "threads": torch.get_num_threads(),
    }


def timed(clock: Callable[[], float], work: Callable[[], float]) -> tuple[float, float]:
    """Seconds on the clock that work took, and what it returned."""
    begun = clock()
    found = work()
    return clock() - begun, found


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most of at least one value."""
    return {"median": float(np.median(values)), "least": min(values), "most": max(values)}
