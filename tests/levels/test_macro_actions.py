"""Actions and their priors: Bayes by hand, densities by reference, draws by frequency."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import levels.level
from levels.macro_actions import (
    ChunkEncoder,
    categorical_loss,
    gaussian_loss,
    gaussian_parameters,
    one_hot_draw,
    one_hot_max,
    responsibilities,
)
from levels.settings import LossWeights


def test_responsibilities_are_bayes_rule_by_hand() -> None:
    prior = torch.tensor([0.5, 0.3, 0.2])
    outcomes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    target, variance = torch.tensor([0.5, 0.5]), 0.25
    likelihoods = [
        math.exp(-sum((float(a) - 0.5) ** 2 for a in outcome) / (2 * variance)) / (2 * math.pi * variance)
        for outcome in outcomes
    ]
    joint = [p * q for p, q in zip(prior.tolist(), likelihoods)]
    expected = torch.tensor([part / sum(joint) for part in joint])
    found = responsibilities(outcomes, prior.log(), target, variance)
    assert torch.allclose(found, expected)


def test_responsibilities_at_the_ends_of_the_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    outcomes = torch.randn(4, 3, 6, 2, generator=generator)
    log_prior = torch.randn(4, 3, 6, generator=generator).log_softmax(-1)
    target = torch.randn(4, 3, 2, generator=generator)
    wide = responsibilities(outcomes, log_prior, target, 1e8)
    assert torch.allclose(wide, log_prior.exp(), atol=1e-5), "told apart by nothing but the prior"
    narrow = responsibilities(outcomes, log_prior, target, 1e-6)
    nearest = (outcomes - target.unsqueeze(-2)).square().sum(-1).argmin(-1)
    assert torch.equal(narrow.argmax(-1), nearest) and narrow.amax(-1).min() > 0.99
    assert torch.allclose(wide.sum(-1), torch.ones(4, 3))


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.3, 0.5), (0.6, 1.0), (0.9, 1.0)])
def test_codes_are_told_apart_ever_more_finely(
    toys: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, progress: float, share: float
) -> None:
    seen: list[float] = []

    def spy(*arguments: torch.Tensor | float) -> torch.Tensor:
        seen.append(float(arguments[3]))
        return responsibilities(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(levels.level, "responsibilities", spy)
    level = toys.make_level(sigma=0.1)
    below, _ = toys.windows(level)
    level.losses(below, None, level.write(toys.grids()), progress)
    assert seen == pytest.approx([0.01**share] * 3)


def test_categorical_loss_is_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 7, 4, generator=generator)
    labels = torch.randint(0, 4, (5, 7), generator=generator)
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert torch.allclose(categorical_loss(logits, torch.eye(4)[labels]), expected)
    soft = logits.softmax(-1)
    entropy = torch.distributions.Categorical(soft).entropy().mean()
    assert torch.allclose(categorical_loss(logits, soft), entropy)


def test_gaussian_loss_is_the_negative_log_density() -> None:
    generator = torch.Generator().manual_seed(0)
    prior, action = torch.randn(6, 8, generator=generator), torch.randn(6, 4, generator=generator)
    mean, log_std = gaussian_parameters(prior)
    assert mean.shape == log_std.shape == (6, 4) and torch.equal(mean, prior[:, :4])
    expected = -torch.distributions.Normal(mean, log_std.exp()).log_prob(action).mean()
    assert torch.allclose(gaussian_loss(prior, action), expected, rtol=1e-5)


def test_the_spread_of_a_gaussian_is_bounded() -> None:
    spread = torch.tensor([-1000.0, -3.0, 0.0, 3.0, 1000.0])
    _, log_std = gaussian_parameters(torch.cat([torch.zeros(5), spread]))
    assert log_std[0] == -4 and log_std[-1] == 1
    assert (log_std.diff() > 0).all()


def test_a_chunk_is_bounded_and_knows_the_order_of_its_actions() -> None:
    torch.manual_seed(0)
    encoder = ChunkEncoder(stride=3, below_dim=4, hidden=16, action_dim=2)
    chunks = torch.eye(4)[torch.cartesian_prod(*[torch.arange(4)] * 3)]
    macro = encoder(chunks.view(8, 8, 3, 4))
    assert macro.shape == (8, 8, 2) and macro.abs().max() < 1
    assert len(macro.flatten(0, 1).unique(dim=0)) == 64
    assert encoder(1e6 * chunks).abs().max() <= 1


def test_one_hot_of_the_largest() -> None:
    scores = torch.tensor([[0.1, 0.7, 0.2], [3.0, -1.0, 2.0]], dtype=torch.float64)
    found = one_hot_max(scores)
    assert found.tolist() == [[0, 1, 0], [1, 0, 0]] and found.dtype == torch.float64


def test_one_hot_draws_follow_the_probabilities() -> None:
    torch.manual_seed(0)
    chances = torch.tensor([0.0, 0.2, 0.5, 0.0, 0.3])
    drawn = one_hot_draw(chances.expand(100, 400, 5))
    assert drawn.shape == (100, 400, 5) and torch.equal(drawn.sum(-1), torch.ones(100, 400))
    assert torch.allclose(drawn.mean((0, 1)), chances, atol=0.01)
    assert drawn[..., [0, 3]].sum() == 0
    assert len(drawn[:, 0].unique(dim=0)) == 3, "rows are drawn one by one"


def test_one_hot_draws_of_what_is_no_number_do_not_fail() -> None:
    drawn = one_hot_draw(torch.full((2, 3), torch.nan))
    assert torch.equal(drawn.sum(-1), torch.ones(2))


def test_a_chunk_level_learns_the_prior_of_its_macro_actions(toys: SimpleNamespace) -> None:
    """In one place the same chunk is always taken, in another any: the prior is narrow here, wide there."""
    weights = LossWeights(prediction=0, prior=1, variance=0, covariance=0, similarity=0, inverse=0)
    level = toys.make_level(encoder="shared", macro_action="chunk", memory=None, loss=weights)
    generator = torch.Generator().manual_seed(0)
    usual = torch.eye(4)[torch.tensor([2, 0, 1])]
    optimizer = torch.optim.Adam(level.parameters(), 0.02)
    torch.manual_seed(0)
    for _ in range(150):
        place = torch.randint(0, 2, (1, 64, 1, 1), generator=generator).float() * 2 - 1
        below = place.expand(1, 64, 2, 6).contiguous()
        anything = torch.eye(4)[torch.randint(0, 4, (1, 64, 1, 3), generator=generator)]
        actions = torch.where(place.unsqueeze(-1) > 0, usual, anything)
        loss, _ = level.losses(below, actions, None, progress=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    places = torch.tensor([1.0, -1.0]).view(1, 2, 1).expand(1, 2, 6)
    mean, log_std = gaussian_parameters(level.prior(level.condition(places, None))[0])
    assert level.chunk_encoder is not None
    everything = level.chunk_encoder(torch.eye(4)[torch.cartesian_prod(*[torch.arange(4)] * 3)])
    assert torch.allclose(mean[0], level.chunk_encoder(usual), atol=0.05)
    assert (log_std[0] < -2.5).all()
    assert torch.allclose(mean[1], everything.mean(0), atol=0.1)
    assert torch.allclose(log_std[1].exp(), everything.std(0), rtol=0.4)
