"""Costs of one level, brought together: what grounding asks the levels below of."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from planners.level_costs import LevelCosts
from planners.objectives import GoalCost
from planners.protocols import Trajectory


@pytest.mark.parametrize("depth", [1, 2])
def test_a_level_in_the_middle_is_grounded_by_its_own_stride(hand: SimpleNamespace, depth: int) -> None:
    """From the middle of block 7 four steps lead to the blocks beside it, whatever the level above strides over."""
    levels = hand.serpent_levels(3)
    levels[1] = replace(levels[1], ground=256, ground_weight=100.0, ground_depth=depth)
    parts = SimpleNamespace(metric=None, field=None, memory=None)
    state: Any = SimpleNamespace(levels=[parts] * 3, zone=None, exact=None)
    places, _ = hand.serpent()
    latents = [places[[30]].float(), torch.tensor([[7.0]]), torch.tensor([[2.0]])]
    target = GoalCost(torch.tensor([[15.0]]), hand.squared)
    costs = LevelCosts(levels, state, 1, torch.arange(1))
    objective, spent = costs.all_of(target, 1, latents, torch.tensor([4]))
    ends = torch.arange(4.0, 11.0).view(1, 7, 1, 1)
    plans = Trajectory(latents[1], torch.zeros(1, 7, 1, 3), ends, torch.zeros(1, 7, 1))
    charged = (objective(plans) - target(plans))[0]
    assert charged.tolist() == [400.0, 100.0, 0.0, 0.0, 0.0, 100.0, 400.0]
    assert spent == 256 * (4 * levels[0].model.flops + levels[0].model.lift_flops)


def test_who_proposes_is_told_where_to_and_how_much_of_the_stride_is_left() -> None:
    own = SimpleNamespace(
        goal=torch.tensor([[1.0], [2.0]]),
        target=torch.tensor([[3.0], [4.0]]),
        walked=torch.tensor([0, 3]),
        field=None,
    )
    level: Any = SimpleNamespace()
    state: Any = SimpleNamespace(levels=[own])
    costs = LevelCosts([level], state, 0, torch.tensor([1]))
    subgoal, goal = costs.aim(4), costs.aim(None)
    assert subgoal.target is not None and subgoal.target.tolist() == [[4.0]] and goal.target is None
    assert subgoal.left.tolist() == [0.25] and subgoal.share == 0.25, "a step is a quarter of the stride"
    assert goal.left.tolist() == [1.0] and goal.share == 1.0 and goal.goal.tolist() == [[2.0]]
