"""Measurements of hand-made latents whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hjepa.advice.imagined_error import error_growth, trusted_steps
from hjepa.advice.spectrum import spectrum


def autoregressive(memory: list[float], length: int = 4000, count: int = 8) -> Tensor:
    """Latents (n, L, D): each number forgets at its own rate, with spread 1, mixed by a rotation and stretched."""
    generator = torch.Generator().manual_seed(0)
    keep = torch.tensor(memory)
    state = torch.randn(count, len(memory), generator=generator)
    rows = []
    for _ in range(length):
        rows.append(state)
        state = keep * state + (1 - keep**2).sqrt() * torch.randn(state.shape, generator=generator)
    mixing = torch.linalg.qr(torch.randn(len(memory), len(memory), generator=generator))[0]
    return torch.stack(rows, 1) @ (mixing * torch.linspace(0.5, 3.0, len(memory)))


@pytest.mark.parametrize(("slow", "fast"), [(0.98, 0.7), (0.95, 0.9), (0.9, 0.9)])
@pytest.mark.parametrize("lag", [1, 3])
def test_the_gap_of_known_rates(slow: float, fast: float, lag: int) -> None:
    found = spectrum(autoregressive([slow, slow, fast, fast]), lag)
    assert found.gap == pytest.approx(math.log(fast) / math.log(slow), rel=0.2)
    assert found.slow_steps == pytest.approx(-1 / math.log(slow), rel=0.2)


def test_a_direction_that_never_changes_is_no_mode() -> None:
    moving = autoregressive([0.9, 0.5], length=400)
    still = torch.cat([moving, torch.ones(*moving.shape[:2], 1)], -1)
    assert len(spectrum(still, 1).rates) == 2
    assert spectrum(still, 1).gap == pytest.approx(spectrum(moving, 1).gap, rel=1e-6)


@pytest.mark.parametrize("lag", [0, 10])
def test_a_lag_that_trajectories_do_not_hold(lag: int) -> None:
    with pytest.raises(ValueError, match=f"lag {lag} of trajectories of 10"):
        spectrum(torch.zeros(2, 10, 3), lag)


def test_a_drift_of_known_size_grows_as_its_square() -> None:
    """Who adds a tenth too much at every step is n tenths off after n steps."""
    generator = torch.Generator().manual_seed(1)
    actions = torch.randn(64, 6, 2, generator=generator)
    latents = torch.cat([torch.zeros(64, 1, 2), actions.cumsum(1)], 1)
    spread = float((latents.flatten(0, 1) - latents.flatten(0, 1).mean(0)).square().sum(-1).mean())
    growth = error_growth(lambda latent, action: latent + action + 0.1, latents, actions)
    assert growth == pytest.approx([2 * (0.1 * step) ** 2 / spread for step in range(1, 7)], rel=1e-4)
    assert error_growth(lambda latent, action: latent + action, latents, actions) == pytest.approx([0.0] * 6)


def test_numbers_that_do_not_count_may_be_wrong() -> None:
    latents = torch.randn(32, 4, 2, generator=torch.Generator().manual_seed(2))
    forgets = torch.tensor([1.0, 0.0])
    perfect = iter(latents[:, 1:].transpose(0, 1))

    def advance(_: Tensor, __: Tensor) -> Tensor:
        return (next(perfect) * forgets)[None]

    growth = error_growth(advance, latents, torch.zeros(32, 3, 1), forgets)
    assert growth == [0.0, 0.0, 0.0]


def test_always_the_middle_is_an_error_of_one() -> None:
    latents = torch.randn(4000, 3, 2, generator=torch.Generator().manual_seed(3)) + 5
    middle = latents.flatten(0, 1).mean(0)
    growth = error_growth(lambda _, __: middle.expand(1, 4000, 2), latents, torch.zeros(4000, 2, 1))
    assert growth == pytest.approx([1.0, 1.0], abs=0.05)


def test_trust_ends_where_it_is_first_broken() -> None:
    assert trusted_steps([0.1, 0.2, 0.6, 0.3], 0.5) == 2
    assert trusted_steps([0.1, 0.2], 0.5) == 2
    assert trusted_steps([0.5], 0.5) == 0
    assert trusted_steps([float("nan"), 0.1], 0.5) == 0
