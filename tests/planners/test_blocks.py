"""Blocks have few sizes, hold every row, and no row of a product can tell in which of them it is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from planners.blocks import LEAST, block_size, blocks, pad
from planners.rollouts import ALIGNED


@pytest.mark.parametrize("size", [1, 3, 4, 8, 12, 16, 128])
@pytest.mark.parametrize("least", [1, LEAST, 8])
def test_sizes_are_few_and_no_larger_than_needed(size: int, least: int) -> None:
    found = [block_size(count, size, least) for count in range(1, size + 1)]
    for count, block in enumerate(found, 1):
        assert count <= block <= size
        assert block == size or block >= least
        assert block < 2 * count or block in (least, size)
    assert all(block == size or block & (block - 1) == 0 for block in found)


def test_rows_are_kept_and_the_rest_are_copies_of_the_first() -> None:
    rows = torch.arange(22.0).view(11, 2)
    parts = blocks(rows, 8)
    assert [(len(padded), kept) for padded, kept in parts] == [(8, 8), (LEAST, 3)]
    assert torch.equal(torch.cat([padded[:kept] for padded, kept in parts]), rows)
    assert torch.equal(parts[1][0][3:], rows[8:9])
    assert blocks(rows[:0], 8) == []
    same, kept = pad(rows[:4], 8)
    assert torch.equal(same, rows[:4]) and kept == 4


@pytest.mark.parametrize(("inputs", "outputs"), [(16, 128), (160, 128), (448, 160), (128, 6), (64, 16)])
def test_no_row_can_tell_the_size_of_its_block(inputs: int, outputs: int) -> None:
    """What the sizes are chosen for, on this processor: a linear layer, a GELU, its gradient, an exponential."""
    generator = torch.Generator().manual_seed(inputs)
    weight, bias = (
        torch.randn(outputs, inputs, generator=generator),
        torch.randn(outputs, generator=generator),
    )
    for candidates in (ALIGNED, 3 * ALIGNED, 13 * ALIGNED):
        states = torch.randn(16, candidates, inputs, generator=generator)

        def seen(rows: torch.Tensor) -> list[torch.Tensor]:
            leaf = rows.clone().requires_grad_()
            hidden = F.gelu(F.linear(leaf, weight, bias))
            cost = hidden.sum(-1).mul(0.01).exp()
            (gradient,) = torch.autograd.grad(cost.sum(), leaf)
            return [hidden.detach(), cost.detach(), gradient]

        whole = seen(states)
        for size in (4, 8):
            for first in (0, 16 - size):
                rows = slice(first, first + size)
                assert all(torch.equal(part, one[rows]) for part, one in zip(seen(states[rows]), whole))
