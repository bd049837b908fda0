"""On another device the host runs ahead of the work, unless something asks for a result: planning asks seldom.

Counted are operations that have to know a tensor's contents: reading a number, finding where a mask is true, comparing.
On the CPU none of them costs anything, so that the counts hold there what would be waiting elsewhere.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import hjepa
from hjepa.agent.options import AgentOptions
from hjepa.evaluation.evaluate import make_agent
from planners.planner import Planner
from tasks import sample_episodes, task_spec

TASK = "hjepa/NestedRooms-d2-v0"
ASKING = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "is_nonzero")
INDEXING = ("index", "index_put", "index_put_")


class Asked(TorchDispatchMode):
    """Counts what asks, by the line of ours that does."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.__name__.split(".")[0]
        masks = name in INDEXING and any(part is not None and part.dtype == torch.bool for part in args[1])
        if name in ASKING or masks:
            self.lines[f"{name} in {_ours()}"] += 1
        return function(*args, **(kwargs or {}))


def _ours() -> str:
    frame = sys._getframe(2)
    while frame.f_back is not None and not any(
        part in frame.f_code.co_filename for part in ("/planners/", "/levels/", "/hjepa/")
    ):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """As on another device, where sweeps are not asked whether they have settled."""
    with monkeypatch.context() as patch, Asked() as asked:
        for place in ("field", "sweeps"):
            patch.setattr(f"levels.costs.{place}.settled", lambda after, before: False)
        yield asked


@pytest.mark.parametrize("planner", ["adam", "cem", "categorical-cem", "icem", "mppi", "sampling"])
def test_a_search_never_asks(planner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From proposals to the best plan, whatever is tried and refined."""
    stack, searched = hjepa.load_stack("nested-d2"), []
    settings = replace(stack.config.plan, planner=planner, flat={}, folded=planner == "adam")
    agent = make_agent(stack, task_spec(TASK), AgentOptions(settings=settings, budget_tflops=0.02, levels=2))
    batch = sample_episodes(TASK, "validation", episodes=3, seed=0)
    episodes = agent.begin(batch.start_observation, batch.goal_observation, torch.arange(3))
    search = Planner.__call__

    def watched(self: Planner, model: Any, problem: Any) -> Any:
        with Asked() as asked:
            plan = search(self, model, problem)
        searched.append(asked.lines)
        return plan

    monkeypatch.setattr(Planner, "__call__", watched)
    agent.act(episodes, batch.start_observation)
    assert len(searched) >= 2 and not sum(searched, Counter())


def test_what_a_decision_asks_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with episodes that fit into a call, candidates, sweeps or horizon; a few times a level."""
    stack, counts = hjepa.load_stack("nested-d2"), []
    for episodes, tflops, horizon in ((4, 0.01, 8), (16, 0.01, 8), (16, 0.04, 16)):
        settings = replace(stack.config.plan, horizon=(horizon, 4, 3), block=16)
        agent = make_agent(stack, task_spec(TASK), AgentOptions(settings=settings, budget_tflops=tflops))
        batch = sample_episodes(TASK, "validation", episodes=episodes, seed=0)
        begun = agent.begin(batch.start_observation, batch.goal_observation, torch.arange(episodes))
        with elsewhere(monkeypatch) as asked:
            agent.act(begun, batch.start_observation)
        counts.append(sum(asked.lines.values()))
        assert counts[-1] <= 7 * stack.depth, asked.lines
    assert max(counts) - min(counts) <= 2, counts  # what fills a call needs no rows taken out


def test_a_field_is_the_same_where_nobody_asks_whether_it_has_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = hjepa.load_stack("nested-d2")
    critic: Any = stack.critic(0)
    batch = sample_episodes(TASK, "validation", episodes=3, seed=0)
    picture = torch.from_numpy(batch.start_observation["image"])
    goal = stack.encode(picture.unsqueeze(1), stack.write(picture), upto=1)[0][:, 0]
    with torch.no_grad():
        stopped = critic.field(picture, goal, 60)
        with elsewhere(monkeypatch) as asked:
            whole = critic.field(picture, goal, 60)
    assert torch.equal(stopped, whole) and not any(line.startswith("equal") for line in asked.lines)
