"""Regularisers: what they punish, what they let pass, and what they must not see."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from levels.anti_collapse.sigreg import sigreg
from levels.anti_collapse.vicreg import variance_covariance


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def statistic(latent: Tensor, **settings: float) -> float:
    """SIGReg with fixed directions."""
    return sigreg(latent, generator=torch.Generator().manual_seed(1), **settings).item()  # type: ignore[arg-type]


def test_variance_and_covariance_by_hand() -> None:
    # One plan; centred columns (1, -1, 0) / 2 and (1, 1, -2) / 4: variances 1/4 and 3/16, covariance 0.
    latent = torch.tensor([[[0.5, 0.25], [-0.5, 0.25], [0.0, -0.5]]])
    variance, covariance = variance_covariance(latent, floor=0.0)
    assert variance.item() == pytest.approx(((1 - 0.5) + (1 - math.sqrt(3 / 16))) / 2)
    assert covariance.item() == pytest.approx(0.0, abs=1e-12)
    # Two equal columns of variance 4: covariance 4 twice off the diagonal, squared, over two dimensions.
    latent = torch.tensor([[2.0, -2.0, 2.0, -2.0, 0.0]]).unsqueeze(-1).expand(1, 5, 2)
    variance, covariance = variance_covariance(latent)
    assert variance.item() == 0.0 and covariance.item() == pytest.approx(16.0)


def test_within_plan_covariance_is_pooled() -> None:
    latent = normal(3, 50, 4)
    pooled = sum(torch.cov(plan.T) for plan in latent) / 3
    _, covariance = variance_covariance(latent)
    off = pooled - torch.diag(pooled.diagonal())
    assert covariance.item() == pytest.approx(off.square().sum().item() / 4, rel=1e-4)


def test_differences_between_plans_do_not_count() -> None:
    latent = 0.3 * normal(4, 32, 5)
    moved = latent + 10 * normal(4, 1, 5, seed=1)
    for before, after in zip(variance_covariance(latent), variance_covariance(moved)):
        assert after.item() == pytest.approx(before.item(), rel=1e-3)
    # A latent that tells plans apart and forgets the agent has collapsed.
    forgetful = (10 * normal(4, 1, 5)).expand(4, 32, 5)
    variance, _ = variance_covariance(forgetful)
    assert variance.item() == pytest.approx(0.99, abs=1e-3)
    assert statistic(latent) == pytest.approx(statistic(moved), rel=1e-3)
    assert statistic(forgetful) == pytest.approx(statistic(torch.zeros(4, 32, 5)), rel=1e-3)


def test_a_good_latent_costs_nothing() -> None:
    variance, covariance = variance_covariance(1.1 * normal(8, 1000, 6))
    assert variance.item() == 0.0 and covariance.item() < 0.01
    assert statistic(normal(8, 1000, 6)) < 5e-4


def test_the_hinge_lets_large_variances_pass_and_pulls_small_ones_up() -> None:
    latent = (normal(2, 100, 3) * torch.tensor([0.1, 1.5, 40.0])).requires_grad_()
    variance, _ = variance_covariance(latent)
    (gradient,) = torch.autograd.grad(variance, latent)
    assert gradient[..., 0].abs().sum() > 0 and gradient[..., 1:].abs().sum() == 0


def test_sigreg_equals_the_statistic_integrated_finely() -> None:
    latent = normal(1, 300, 1).exp()
    points = latent[0, :, 0].double()
    points = points - points.mean()
    frequency = torch.linspace(-5, 5, 2001).double()
    phase = frequency[:, None] * points
    error = (phase.cos().mean(1) - (-0.5 * frequency**2).exp()) ** 2 + phase.sin().mean(1) ** 2
    expected = torch.trapezoid(error * (-0.5 * frequency**2).exp(), frequency)
    assert statistic(latent, knots=101) == pytest.approx(expected.item(), rel=1e-3)
    assert statistic(latent) == pytest.approx(expected.item(), rel=0.05), "17 knots are enough"


def test_sigreg_tells_other_distributions_from_the_normal() -> None:
    uniform = (torch.rand(8, 1000, 1, generator=torch.Generator().manual_seed(0)) - 0.5) * math.sqrt(12)
    good = statistic(normal(8, 1000, 1))
    for name, bad, least in (
        ("collapsed", torch.zeros(8, 1000, 6), 0.3),
        ("uniform", uniform, 0.004),
        ("too narrow", 0.5 * normal(8, 1000, 6), 0.05),
        ("too wide", 2.0 * normal(8, 1000, 6), 0.05),
        ("two points", uniform.sign(), 0.1),
        ("flat", normal(8, 1000, 1).expand(-1, -1, 6), 0.05),
    ):
        assert statistic(bad) > max(least, 10 * good), name


def test_sigreg_of_a_sample_shrinks_as_one_over_its_size() -> None:
    # The variance of the characteristic function, less what centring takes away, integrated by hand.
    expected = math.sqrt(2 * math.pi) - math.sqrt(math.pi / 1.5) - math.sqrt(math.pi) / (2 * 1.5**1.5)
    for count in (64, 1024):
        found = sum(statistic(normal(1, count, 8, seed=seed)) for seed in range(20)) / 20
        assert found == pytest.approx(expected / count, rel=0.1)


def test_sigreg_pulls_towards_the_normal() -> None:
    latent = (3.0 * normal(1, 256, 2)).requires_grad_()
    (gradient,) = torch.autograd.grad(sigreg(latent, generator=torch.Generator().manual_seed(0)), latent)
    assert (gradient * latent).sum() > 0, "a step against the gradient makes it narrower"


def test_directions_come_from_the_generator_that_is_given() -> None:
    latent = normal(2, 32, 4)
    assert statistic(latent) == statistic(latent)
    state = torch.random.get_rng_state()
    statistic(latent)
    assert torch.equal(torch.random.get_rng_state(), state)
    sigreg(latent)
    assert not torch.equal(torch.random.get_rng_state(), state)
    torch.random.set_rng_state(state)
