"""How many directions latents use: known answers."""

from __future__ import annotations

import math

import pytest
import torch

from levels.effective_rank import effective_rank, spread


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_known_ranks() -> None:
    assert effective_rank(normal(4, 4000, 6)).item() == pytest.approx(6, abs=0.02)
    assert effective_rank(normal(4, 50, 1) * torch.ones(6)).item() == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.zeros(2, 5, 3)).item() == 0.0
    # Two directions with singular values 3 to 1.
    square = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])[None]
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert effective_rank(square).item() == pytest.approx(expected)
    assert spread(square).item() == pytest.approx(math.sqrt(20 / 8))


def test_it_is_the_entropy_of_singular_values() -> None:
    latent = normal(3, 20, 5) * torch.tensor([5.0, 2.0, 1.0, 0.3, 0.1])
    values = torch.linalg.svdvals((latent - latent.mean(1, keepdim=True)).flatten(0, 1).double())
    share = values / values.sum()
    assert effective_rank(latent).item() == pytest.approx(
        float((-(share * share.log()).sum()).exp()), rel=1e-5
    )
    assert effective_rank(1e-3 * latent).item() == pytest.approx(effective_rank(latent).item(), rel=1e-4)


def test_what_layouts_differ_in_is_no_direction() -> None:
    maps = (10 * normal(5, 1, 6)).expand(-1, 30, -1)
    assert effective_rank(maps).item() == 0.0 and spread(maps).item() < 1e-9
    line = normal(5, 30, 1) * torch.ones(6)
    assert effective_rank(line + maps).item() == pytest.approx(1, abs=0.05)


def test_what_is_no_number_gives_none() -> None:
    assert math.isnan(effective_rank(torch.full((1, 3, 2), torch.inf)).item())
