"""A goal that is reached when all looks the same is a state: under a critic, which knows places, that counts too."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from hjepa.agent.agent import Agent
from hjepa.evaluation.worlds import begin_tasks
from tasks.goals import Reached, plain_tasks


class Began:
    """An agent that begins and no more."""

    settings = SimpleNamespace(exact=0.7)

    def begin(self, observation: Any, goal: Any, keys: torch.Tensor) -> Any:
        assert (observation["image"] == 1).all() and (goal["image"] == 2).all()
        return SimpleNamespace(plan=SimpleNamespace(flops=torch.zeros(len(keys)), exact=None))


@pytest.mark.parametrize(
    ("reached", "weight"),
    [(Reached(None, {}), 0.7), (Reached(0.1, {"image": np.ones(1)}), None), (None, None)],
)
def test_the_state_counts_where_all_has_to_be_the_same(reached: Reached | None, weight: float | None) -> None:
    tasks = replace(plain_tasks(np.arange(3)), reached=reached)
    begun = begin_tasks(cast(Agent, Began()), tasks, np.full((3, 1), 1), np.full((3, 1), 2), torch.arange(3))
    found = begun.plan.exact
    assert (found is None) == (weight is None)
    if found is not None:
        assert found.tolist() == pytest.approx([0.7] * 3)
