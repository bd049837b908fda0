"""How the cost of planning grows: exponents of processor time, beside the growth that is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from hjepa.agent.options import AgentOptions
from hjepa.bench.planning import opened, replans
from hjepa.bench.row import Options, Row, clock_of, row, timed
from hjepa.evaluation.evaluate import make_agent
from tasks import sample_episodes

PREDICTED = 1.0
"""Nothing grows faster than in proportion."""
FLOOR = 1 / 1.05
EPISODES = (4, 8, 16, 32)
BUDGETS = (0.01, 0.02, 0.04, 0.08)
"""TFLOP an episode, which pay for candidates and their gradient steps."""
SIDES = (9, 17, 33)
"""Places along a picture's side; the work is in their square."""


def rows(options: Options) -> Iterator[Row]:
    """In episodes, in candidates (by the budget), and in the places of a picture that is read."""
    stack, spec = opened(options)
    clock = clock_of(options.device)
    some = sample_episodes(spec.id, episodes=max(EPISODES))

    def of_episodes(count: int) -> Callable[[], Any]:
        agent = make_agent(stack, spec)
        return lambda: replans(agent, spec, [some.select(np.arange(count))])

    def of_budget(tflops: float) -> Callable[[], Any]:
        agent = make_agent(stack, spec, AgentOptions(budget_tflops=tflops))
        return lambda: replans(agent, spec, [some.select(np.arange(min(EPISODES)))])

    def of_places(places: int) -> Callable[[], Any]:
        side = round(places**0.5)
        pictures = torch.zeros(1, 64, side, side, 3, dtype=torch.uint8, device=options.device)
        level = stack.level(0)
        return lambda: [level.encode(pictures, None) for _ in range(4)]

    few = options.scale < 1
    kinds: tuple[tuple[str, Sequence[float], Callable[[Any], Callable[[], Any]]], ...] = (
        ("episodes planned at once", EPISODES, of_episodes),
        ("the budget of compute", BUDGETS, of_budget),
        ("the places of a picture that is seen", [side**2 for side in SIDES], of_places),
    )
    for name, values, work in kinds:
        asked = values[:2] if few else values
        jobs = [work(value) for value in asked]
        for job in jobs:
            job()
        found = [
            (exponent(asked, [timed(clock, job)[0] for job in jobs]), PREDICTED)
            for _ in range(options.repeats)
        ]
        yield row(
            f"growth of processor time in {name}",
            "growth in proportion",
            "exponent",
            found,
            FLOOR,
            f"hjepa bench growth --checkpoint {options.checkpoint}",
        )


def exponent(amounts: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log seconds in log amounts, by least squares."""
    return float(np.polyfit(np.log(amounts), np.log(seconds), 1)[0])
