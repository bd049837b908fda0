"""How the cost of planning grows: exponents of processor time, beside the growth that is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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
CANDIDATES = (64, 128, 256)
HORIZONS = (4, 8, 16)
"""Steps of level 1 alone."""
SIDES = (9, 17, 33)
"""Places along a picture's side; the work is in their square."""
PLENTY = 10.0
"""TFLOP an episode: candidates and horizons are paid for, whatever there are."""


def rows(options: Options) -> Iterator[Row]:
    """In episodes, the budget, candidates, levels, the horizon, and the places of a picture that is read."""
    few, clock = options.scale < 1, clock_of(options.device)
    for name, values, work in _kinds(options):
        asked = values[:2] if few else values
        jobs = [work(value) for value in asked]
        for job in jobs:
            job()
        seconds = [[timed(clock, job)[0] for job in jobs] for _ in range(options.repeats)]
        found = [(exponent(asked, each), PREDICTED) for each in seconds]
        points = [(float(value), float(np.median(took))) for value, took in zip(asked, zip(*seconds))]
        measured = row(
            f"growth of processor time in {name}",
            "growth in proportion",
            "exponent",
            found,
            FLOOR,
            f"hjepa bench growth --checkpoint {options.checkpoint}",
        )
        yield replace(measured, points=tuple(points))


def _kinds(options: Options) -> list[tuple[str, Sequence[float], Callable[[Any], Callable[[], Any]]]]:
    """What costs may grow in: its name, amounts, and what makes the work of an amount.

    Of candidates, levels and horizons, decisions at the start are timed, whatever becomes of episodes later.
    """
    stack, spec = opened(options)
    some = sample_episodes(spec.id, episodes=max(EPISODES))

    def of_episodes(count: int) -> Callable[[], Any]:
        agent = make_agent(stack, spec)
        return lambda: replans(agent, spec, [some.select(np.arange(count))])

    def of_budget(tflops: float) -> Callable[[], Any]:
        agent = make_agent(stack, spec, AgentOptions(budget_tflops=tflops))
        return lambda: replans(agent, spec, [some.select(np.arange(min(EPISODES)))])

    def once(levels: int, candidates: int, horizon: int | None = None) -> Callable[[], Any]:
        usual = make_agent(stack, spec, AgentOptions(levels=levels)).settings
        changed = usual if horizon is None else replace(usual, horizon=(horizon, *usual.horizon[1:]))
        changed = replace(changed, max_candidates=candidates, flat={}, deep={})
        agent = make_agent(stack, spec, AgentOptions(levels=levels, settings=changed, budget_tflops=PLENTY))
        part = some.select(np.arange(min(EPISODES)))
        keys = torch.arange(len(part.start))
        episodes = agent.begin(part.start_observation, part.goal_observation, keys)
        rows = torch.arange(len(keys), device=options.device)

        def decide() -> None:
            for _ in range(4):
                agent.planner.plan_anew(episodes.plan, rows)
                agent.act(episodes, part.start_observation)

        return decide

    def of_places(places: int) -> Callable[[], Any]:
        side = round(places**0.5)
        pictures = torch.zeros(1, 64, side, side, 3, dtype=torch.uint8, device=options.device)
        level = stack.level(0)
        return lambda: [level.encode(pictures, None) for _ in range(4)]

    levels, usual = range(1, stack.depth + 1), CANDIDATES[0]
    return [
        ("episodes planned at once", EPISODES, of_episodes),
        ("the budget of compute", BUDGETS, of_budget),
        ("candidates of a plan", CANDIDATES, lambda count: once(stack.depth, count)),
        ("levels of a plan", levels, lambda count: once(count, usual)),
        ("the horizon of a plan of level 1 alone", HORIZONS, lambda steps: once(1, usual, steps)),
        ("the places of a picture that is seen", [side**2 for side in SIDES], of_places),
    ]


def exponent(amounts: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log seconds in log amounts, by least squares."""
    return float(np.polyfit(np.log(amounts), np.log(seconds), 1)[0])
