"""Sweeps without gradients leave the numbers of those with gradients, bit by bit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from levels.costs.hindsight import FAR
from levels.costs.sweeps import swept
from levels.grid.critic import Critic


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("sweeps", [0, 1, 3, 60])
@pytest.mark.parametrize("rows", [[0], [0, 1, 2], [0, 1, 0, 0], [0, 0, 0], [1, 1, 0]])
def test_a_field_is_the_same_with_gradients_and_without(
    toys: SimpleNamespace, rows: list[int], sweeps: int, closes: bool
) -> None:
    torch.manual_seed(3)
    critic = Critic(6, toys.WORLD, hidden=8)
    grid, goal = toys.grids(3)[rows], torch.randn(3, 6)[rows]
    closed = None
    if closes:
        closed = torch.zeros(len(rows), *critic.size, dtype=torch.bool)
        closed[-1, 2, 1:] = True
    learned = critic.field(grid, goal, sweeps, closed)
    assert learned.requires_grad
    with torch.no_grad():
        assert critic.field(grid, goal, sweeps, closed).equal(learned)


def test_what_it_is_given_stays_as_it_is() -> None:
    field, moves, turns = torch.full((2, 1, 3, 3), FAR), torch.ones(2, 1, 4, 3, 3), torch.ones(2, 1, 1, 3, 3)
    field[:, :, 0, 0] = 0.0
    given = [part.clone() for part in (field, moves, turns)]
    steps = swept(field, moves, turns, 9)
    assert steps[1, 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert all(part.equal(before) for part, before in zip((field, moves, turns), given))
