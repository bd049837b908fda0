"""Macro-actions with a spread: divergences as torch has them, draws that follow, and a prior that plans can use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from levels.macro_actions import (
    StochasticChunkEncoder,
    gaussian_divergence,
    gaussian_draw,
    gaussian_parameters,
)
from levels.settings import LossWeights


def test_the_divergence_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = 3 * torch.randn(2, 50, 4, 6, generator=generator, dtype=torch.float64)
    found = gaussian_divergence(first, second)
    (mean, log_std), (other, other_log_std) = gaussian_parameters(first), gaussian_parameters(second)
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(other, other_log_std.exp())).sum(-1)
    assert found.shape == (50, 4) and torch.allclose(found, expected)
    assert torch.allclose(gaussian_divergence(first, first), torch.zeros(50, 4, dtype=torch.float64))


def test_draws_follow_mean_and_spread_and_carry_gradients() -> None:
    described = torch.tensor([2.0, -1.0, 1.0, -2.0], requires_grad=True)
    mean, log_std = gaussian_parameters(described)
    torch.manual_seed(0)
    drawn = gaussian_draw(described.expand(20_000, 4))
    assert torch.allclose(drawn.mean(0), mean, atol=0.03)
    assert torch.allclose(drawn.std(0), log_std.exp(), rtol=0.03)
    # The second moment of a Gaussian grows with 2 mean, and with 2 spread^2 times the logarithm of the spread.
    (gradient,) = torch.autograd.grad(drawn.square().mean(0).sum(), described, retain_graph=True)
    expected = torch.autograd.grad((mean.square() + (2 * log_std).exp()).sum(), described)[0]
    assert torch.allclose(gradient, expected, atol=0.06)


def test_shapes_and_a_loss_of_draws(toys: SimpleNamespace) -> None:
    level = toys.make_level(macro_action="stochastic")
    assert level.continuous and level.action_dim == 3
    encoder = level.chunk_encoder
    assert isinstance(encoder, StochasticChunkEncoder)
    below, actions = toys.windows(level)
    assert encoder.describe(actions).shape == (2, 6, 3, 6) and encoder(actions).shape == (2, 6, 3, 3)
    assert torch.equal(encoder(actions), gaussian_parameters(encoder.describe(actions))[0])
    memory, losses = level.write(toys.grids()), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        total, terms = level.losses(below, actions, memory, progress=0.5)
        losses.append(total.item())
        assert total.isfinite() and set(terms) >= {"prediction", "kl"} and terms["kl"] > 0
    assert losses[0] == losses[1] != losses[2], "a function of torch's seed"


@pytest.mark.parametrize("kl", [1.0, 0.001])
def test_a_large_weight_makes_actions_as_the_prior_and_a_small_one_tells_them_apart(
    toys: SimpleNamespace, kl: float
) -> None:
    """The next latent depends on the chunk alone: only a spread-out chunk that is told apart predicts it."""
    weights = LossWeights(prediction=1, kl=kl, variance=0, covariance=0, similarity=0, inverse=0)
    level = toys.make_level(encoder="shared", macro_action="stochastic", memory=None, loss=weights)
    optimizer = torch.optim.Adam(level.parameters(), 0.02)
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    chunks = torch.eye(4)[torch.tensor([[0, 0, 0], [1, 1, 1]])]
    terms = {}
    for _ in range(150):
        which = torch.randint(0, 2, (1, 64), generator=generator)
        ends = 0.5 * (2.0 * which - 1)
        below = torch.stack([torch.zeros_like(ends), ends], -1).unsqueeze(-1).expand(1, 64, 2, 6)
        loss, terms = level.losses(below.contiguous(), chunks[which].unsqueeze(2), None, progress=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if kl == 1.0:
        assert terms["kl"] < 0.1 and terms["prediction"] > 0.15, "nothing is said: the mean is predicted"
    else:
        assert terms["kl"] > 0.5 and terms["prediction"] < 0.05
        here = level.condition(torch.zeros(1, 1, 6), None)
        drawn = gaussian_draw(level.prior(here).expand(1, 200, 6))
        reached = level.advance(torch.zeros(1, 200, 6), here.expand(1, 200, -1), drawn)[..., 0]
        assert (reached > 0.3).any() and (reached < -0.3).any(), "draws from the prior lead both ways"
