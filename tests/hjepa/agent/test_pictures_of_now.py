"""`levels.N.memory.own`: what was learned in the picture a window begins with is planned in the picture of now."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hjepa
from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from tasks import EpisodeBatch, sample_episodes, task_spec

TASK, BUDGET = "hjepa/NestedRooms-d2-v0", 0.01


def agent_of(own: tuple[bool, ...], **changes: object) -> Agent:
    stack = hjepa.load_stack("nested-d2")
    levels = [
        replace(level, memory=replace(level.memory, own=mine))
        for level, mine in zip(stack.config.levels, own, strict=True)
        if level.memory is not None
    ]
    stack.config = replace(stack.config, levels=tuple(levels))
    settings = replace(stack.config.plan, **changes)
    return make_agent(stack, task_spec(TASK), AgentOptions(settings=settings, budget_tflops=BUDGET))


@pytest.fixture(scope="module")
def batch() -> EpisodeBatch:
    return sample_episodes(TASK, "validation", episodes=11)


def test_levels_read_what_is_seen_where_they_plan(
    batch: EpisodeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = agent_of((True, False, False))
    written: list[tuple[int, np.ndarray]] = []
    write = agent.reader.write_level

    def recorded(k: int, grid: np.ndarray) -> object:
        written.append((k, grid.copy()))
        return write(k, grid)

    monkeypatch.setattr(agent.reader, "write_level", recorded)
    results = play(agent, task_spec(TASK), batch, 0, 0).results
    first, later = written[: agent.depth], written[agent.depth :]
    assert [k for k, _ in first] == [0, 1, 2] and {k for k, _ in later} == {0}
    start = batch.start_observation["image"]
    assert np.array_equal(first[0][1], start)
    assert all(not (grid[0] == start).all((1, 2, 3)).all() for _, grid in later[1:]), "the agent has gone on"
    assert np.mean(results.success) > 0.9
    assert (results.flops <= BUDGET * 1e12).all()


def test_nobody_reads_anew_what_does_not_change(batch: EpisodeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of((False, False, False))
    monkeypatch.setattr(agent, "_read_anew", None)
    assert np.mean(play(agent, task_spec(TASK), batch, 0, 0).results.success) > 0.9


@pytest.mark.parametrize("folded", [False, True])
def test_it_is_paid_for_and_keeps_the_budget(batch: EpisodeBatch, folded: bool) -> None:
    whole, none = agent_of((True, True, True), folded=folded), agent_of((False, False, False), folded=folded)
    assert whole.searches.rewrite_flops[0] > 0 and none.searches.rewrite_flops == [0.0, 0.0, 0.0]
    results = play(whole, task_spec(TASK), batch, 0, 0).results
    assert (results.flops <= BUDGET * 1e12).all() and np.mean(results.success) > 0.9


def test_bits_do_not_depend_on_the_company(batch: EpisodeBatch) -> None:
    agent = agent_of((True, False, True))
    together = play(agent, task_spec(TASK), batch, 0, 0).results
    some = play(agent, task_spec(TASK), batch.select(np.arange(3)), 0, 0).results
    assert (together.steps[:3] == some.steps).all() and (together.flops[:3] == some.flops).all()
