"""A latent variable finds what a step has that nothing says beforehand, how likely it is, and nothing else."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from levels.latent_variable import categorical_divergence, code_by_chance
from levels.level import Level
from levels.settings import LatentVariableSettings, LossWeights

SLIDES = 0.3
"""Probability that the second action goes two cells instead of one."""

ACTIONS = torch.eye(4)
"""The first turns to the left, surely; the second goes up; the others are never taken."""


def slippery(generator: torch.Generator, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Windows (1, n, 2, 2), actions (1, n, 1, 4), and (n,) whether it slid."""
    start = torch.rand(count, 2, generator=generator) * 2 - 1
    taken = torch.randint(0, 2, (count,), generator=generator)
    slid = (taken == 1) & (torch.rand(count, generator=generator) < SLIDES)
    step = torch.stack([torch.where(taken == 0, -1.0, 0.0), (taken == 1) + slid.float()], -1)
    return torch.stack([start, start + step], 1)[None], ACTIONS[taken][None, :, None], slid


def primitive(toys: SimpleNamespace, codes: int | None, **changes: object) -> Level:
    weights = LossWeights(prediction=5, prior=1, variance=0, covariance=0, similarity=0, inverse=0, kl=1)
    unsaid = None if codes is None else LatentVariableSettings(codes=codes)
    values = {"macro_action": "primitive", "stride": 1, "memory": None, "loss": weights, **changes}
    return toys.make_level(latent_variable=unsaid, **values)


@pytest.fixture(scope="module")
def trained(toys: SimpleNamespace) -> list[Level]:
    """Two levels on a given latent, with a latent variable and without, trained for a second or two."""
    levels = []
    for codes in (4, None):
        level = primitive(toys, codes, below_dim=2, latent_dim=2, hidden=32, head=32, encoder="shared")
        optimizer = torch.optim.Adam(level.parameters(), 1e-2)
        generator, steps = torch.Generator().manual_seed(0), 300
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for step in range(steps):
                window, action, _ = slippery(generator, 128)
                loss, _ = level.losses(window, action, None, progress=step / steps)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        levels.append(level.eval().requires_grad_(False))
    return levels


def test_bits_are_told_where_chance_is_and_nowhere_else(trained: list[Level]) -> None:
    level = trained[0]
    assert level.variable is not None
    window, action, slid = slippery(torch.Generator().manual_seed(1), 2000)
    here, following, taken = window[:, :, 0], window[:, :, 1], action[:, :, 0]
    condition = level.condition(here, None)
    posterior = level.posterior(here, condition, taken, following)
    bits = categorical_divergence(posterior, level.variable(condition, taken))[0] / math.log(2)
    chance = taken[0, :, 1] == 1
    entropy = -(SLIDES * math.log2(SLIDES) + (1 - SLIDES) * math.log2(1 - SLIDES))
    assert bits[~chance].mean() < 0.02
    assert bits[chance].mean() == pytest.approx(entropy, abs=0.08)
    assert bits[slid].mean() == pytest.approx(-math.log2(SLIDES), abs=0.25)


def test_futures_slide_as_often_as_the_world_does(trained: list[Level]) -> None:
    level = trained[0]
    here = torch.zeros(1, 4000, 2)
    condition, chance = level.condition(here, None), torch.linspace(0, 0.9999, 4000)[None]
    for number, far in ((0, 0.0), (1, SLIDES)):
        action = ACTIONS[number].expand(1, 4000, -1)
        drawn = level.advance_by_chance(here, condition, action, chance)[0]
        assert (drawn[:, 1] > 1.5).float().mean() == pytest.approx(far, abs=0.04)
    likeliest = level.advance(here, condition, ACTIONS[1].expand(1, 4000, -1))[0]
    assert torch.allclose(likeliest, torch.tensor([0.0, 1.0]).expand(4000, 2), atol=0.15)


def test_a_level_without_one_imagines_the_mean_which_never_happens(trained: list[Level]) -> None:
    level, here = trained[1], torch.zeros(1, 1, 2)
    condition, action = level.condition(here, None), ACTIONS[1].view(1, 1, -1)
    imagined = level.advance(here, condition, action)[0, 0, 1]
    assert imagined == pytest.approx(1 + SLIDES, abs=0.1)
    same = level.advance_by_chance(here, condition, action, torch.full((1, 1), 0.99))
    assert torch.equal(same[0, 0, 1], imagined)
    outcomes, logits = level.outcomes(here, condition, action)
    assert outcomes.shape == (1, 1, 1, 2) and logits.shape == (1, 1, 1)


def test_outcomes_are_the_steps_by_each_code(toys: SimpleNamespace) -> None:
    level = primitive(toys, 3)
    assert level.variable is not None
    generator = torch.Generator().manual_seed(0)
    latent, action = torch.randn(2, 5, 6, generator=generator), torch.randn(2, 5, 4, generator=generator)
    condition = level.condition(latent, None)
    outcomes, logits = level.outcomes(latent, condition, action)
    for code in range(3):
        named = torch.cat([action, torch.eye(3)[code].expand(2, 5, -1)], -1)
        assert torch.allclose(level.advance(latent, condition, named), outcomes[:, :, code], atol=1e-6)
    likeliest = outcomes.gather(2, logits.argmax(-1)[..., None, None].expand(-1, -1, 1, 6)).squeeze(2)
    assert torch.allclose(level.advance(latent, condition, action), likeliest, atol=1e-6)


def test_codes_by_chance_and_divergences_by_hand() -> None:
    logits = torch.tensor([0.5, 0.25, 0.25]).log().expand(5, -1)
    drawn = code_by_chance(logits, torch.tensor([0.0, 0.49, 0.51, 0.74, 0.999])).argmax(-1)
    assert drawn.tolist() == [0, 0, 1, 1, 2]
    posterior = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.0, 0.5, 0.5]])
    bits = categorical_divergence(posterior, logits[:3]) / math.log(2)
    assert bits.tolist() == pytest.approx([1.0, 0.0, 1.0], abs=1e-6)


def test_levels_without_one_are_what_they_were(toys: SimpleNamespace) -> None:
    plain, coded = primitive(toys, None), primitive(toys, 4)
    assert not any(name.startswith("variable") for name in plain.state_dict())
    same = {name: value for name, value in plain.encoder.state_dict().items()}
    assert all(torch.equal(value, same[name]) for name, value in coded.encoder.state_dict().items())
    _, terms = plain.losses(*toys.windows(plain), None, 0.5)
    assert "kl" not in terms
    with pytest.raises(ValueError, match="has no latent variable"):
        plain.posterior(*[torch.zeros(1, 1, 6)] * 4)


def test_its_prior_learns_from_the_divergence_alone(toys: SimpleNamespace) -> None:
    level = primitive(toys, 4)
    assert level.variable is not None
    torch.manual_seed(0)
    _, terms = level.losses(*toys.windows(level), None, 0.5)
    part = list(level.variable.parameters())
    through = torch.autograd.grad(terms["prediction"], part, retain_graph=True, allow_unused=True)
    assert all(each is None for each in through)
    assert all(bool(each.abs().sum() > 0) for each in torch.autograd.grad(terms["kl"], part))


def test_what_does_not_fit(toys: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="latent_variable with macro_action 'outcome'; leave it out"):
        toys.make_level(latent_variable=LatentVariableSettings())
    with pytest.raises(ValueError, match=r"latent_variable with loss\.kl 0"):
        primitive(toys, 4, loss=LossWeights(kl=0))
    with pytest.raises(ValueError, match="codes is 1"):
        LatentVariableSettings(codes=1)
