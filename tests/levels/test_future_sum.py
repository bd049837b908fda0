"""What is still to be paid: sums by hand, and a head that learns them and nothing else."""

from __future__ import annotations

import pytest
import torch

from levels.costs.future_sum import FutureSum, explained, sums_to_come


def test_sums_by_hand() -> None:
    cost = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    assert sums_to_come(cost, 2).tolist() == [[3.0, 6.0, 12.0]]
    assert sums_to_come(cost, 3, 0.5).tolist() == [[1 + 1 + 1, 2 + 2 + 2]]
    assert sums_to_come(cost, 4).tolist() == [[15.0]]
    with pytest.raises(ValueError, match="horizon 5 of 4 steps"):
        sums_to_come(cost, 5)
    with pytest.raises(ValueError, match="discount is 0"):
        sums_to_come(cost, 2, 0.0)


def test_explained_is_1_for_the_truth_and_0_for_its_mean() -> None:
    true = torch.tensor([1.0, 2.0, 6.0])
    assert explained(true, true) == 1.0
    assert explained(torch.full((3,), 3.0), true) == 0.0
    assert explained(-true, true) < 0


def test_it_learns_what_is_still_to_be_paid_and_its_input_does_not_change() -> None:
    """On a line with a dear stretch from 5 to 8, walked to the right: what comes depends on where one is."""
    place = torch.arange(20.0)
    cost = ((place >= 5) & (place < 8)).float() * 3 + 1
    sums = sums_to_come(torch.cat([cost, torch.ones(5)]), 6)[:20]
    state = torch.eye(20).requires_grad_()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = FutureSum(20, 32)
    head.measure(sums)
    assert explained(head(state).detach(), sums) < 0.5
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        head.loss(state, sums).backward()
        optimizer.step()
    assert explained(head(state).detach(), sums) > 0.95
    assert state.grad is None, "its input's gradient stops"
    assert head(state).max().item() == pytest.approx(sums.max().item(), abs=1.5)
