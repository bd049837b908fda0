"""An outcome level finds the branches of a process, how likely they are, and which one was taken."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from levels.level import Level
from levels.settings import LossWeights

BRANCHES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
CHANCES = torch.tensor([0.6, 0.3, 0.1])


def test_infer_returns_the_code_that_was_taken(toys: SimpleNamespace) -> None:
    level = toys.make_level(sigma=0.01, codes=7)
    generator = torch.Generator().manual_seed(0)
    latent, memory = torch.randn(2, 50, 6, generator=generator), level.write(toys.grids())
    codes = torch.eye(7)[torch.randint(0, 7, (2, 50), generator=generator)]
    following = level.advance(latent, level.condition(latent, memory), codes)
    inferred = level.infer(latent, following, memory)
    assert torch.equal(inferred, codes)


def test_infer_weighs_distance_by_sigma_against_the_prior(toys: SimpleNamespace) -> None:
    """Half way between two outcomes and a little nearer to the rare one."""
    chosen = {}
    for sigma in (0.05, 5.0):
        level = toys.make_level(sigma=sigma, codes=2, memory=None)
        with torch.no_grad():
            level.predictor.prior.weight.zero_()
            level.predictor.prior.bias.copy_(torch.tensor([2.0, -2.0]))
        latent = torch.zeros(1, 1, 6)
        outcomes = level.predictor.branch(latent, level.condition(latent, None))[0, 0]
        target = torch.lerp(outcomes[0], outcomes[1], 0.6).view(1, 1, 6)
        difference = (outcomes - target[0, 0]).square().sum(-1)
        # Bayes by hand: log prior odds against the difference of the distances.
        odds = 4.0 - (difference[0] - difference[1]) / (2 * sigma**2)
        chosen[sigma] = level.infer(latent, target, None)[0, 0].argmax().item()
        assert chosen[sigma] == (0 if odds > 0 else 1)
    assert chosen == {0.05: 1, 5.0: 0}


def branching(generator: torch.Generator, count: int, moments: int) -> Tensor:
    """Windows (1, n, F, 2): from anywhere in a square, every step follows one of the branches."""
    start = torch.rand(count, 1, 2, generator=generator) * 2 - 1
    taken = torch.multinomial(CHANCES, count * (moments - 1), True, generator=generator)
    steps = BRANCHES[taken].view(count, moments - 1, 2)
    return torch.cat([start, start + steps.cumsum(1)], 1)[None]


@pytest.fixture(scope="module")
def trained(toys: SimpleNamespace) -> Level:
    """A level on a given latent, trained on the branching process for a second or two."""
    weights = LossWeights(prediction=5, prior=1, variance=0, covariance=0, similarity=0)
    level = toys.make_level(
        below_dim=2, latent_dim=2, hidden=32, head=32, codes=8, encoder="shared", memory=None, loss=weights
    )
    optimizer = torch.optim.Adam(level.parameters(), 5e-3)
    generator, steps = torch.Generator().manual_seed(0), 400
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    for step in range(steps):
        loss, _ = level.losses(branching(generator, 128, 3), None, None, progress=step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.random.set_rng_state(state)
    return level.eval().requires_grad_(False)


def test_the_branches_are_found(trained: Level) -> None:
    here = branching(torch.Generator().manual_seed(1), 200, 2)[:, :, 0]
    for branch in BRANCHES:
        condition = trained.condition(here, None)
        following = trained.advance(here, condition, trained.infer(here, here + branch, None))
        error = (following - here - branch).norm(dim=-1)
        assert error.mean() < 0.15, branch


def test_the_prior_knows_how_often_each_branch_is_taken(trained: Level) -> None:
    here = branching(torch.Generator().manual_seed(1), 200, 2)[:, :, 0]
    condition = trained.condition(here, None)
    outcomes = trained.predictor.branch(here, condition)[0]
    chances = trained.prior(condition)[0].softmax(-1)
    nearest = (outcomes.unsqueeze(2) - here[0, :, None, None] - BRANCHES).norm(dim=-1).min(-1)
    found = torch.zeros(3).index_add(0, nearest.indices.flatten(), chances.flatten()) / 200
    assert torch.allclose(found, CHANCES, atol=0.05)
    # What no data reaches has hardly any chance.
    astray = chances[nearest.values > 0.5].sum() / 200
    assert astray < 0.02


def test_different_branches_have_different_codes(trained: Level) -> None:
    here = branching(torch.Generator().manual_seed(1), 100, 2)[:, :, 0]
    codes = [trained.infer(here, here + branch, None).argmax(-1) for branch in BRANCHES]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (codes[first] != codes[second]).all()


def test_rollouts_by_inferred_codes_stay_close(trained: Level) -> None:
    window = branching(torch.Generator().manual_seed(2), 100, 3)
    imagined = window[:, :, 0]
    for step in (1, 2):
        codes = trained.infer(window[:, :, step - 1], window[:, :, step], None)
        imagined = trained.advance(imagined, trained.condition(imagined, None), codes)
    assert (imagined - window[:, :, 2]).norm(dim=-1).mean() < 0.3


def test_losses_draw_codes_by_the_global_generator_alone(toys: SimpleNamespace) -> None:
    level = toys.make_level()
    below, _ = toys.windows(level)
    memory = level.write(toys.grids())
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(level.losses(below, None, memory, progress=0.0)[0].item())
    assert found[0] == found[1] != found[2]


def test_latents_that_are_no_numbers_show_in_the_loss(toys: SimpleNamespace) -> None:
    level = toys.make_level()
    below, _ = toys.windows(level)
    below[0, 0, 1, 0] = torch.nan
    total, _ = level.losses(below, None, level.write(toys.grids()), progress=0.5)
    assert total.isnan()


def placed_level(toys: SimpleNamespace, rest: float) -> Level:
    """A level whose latent begins with two places; the other four numbers count for so much."""
    level = toys.make_level(sigma=0.01, codes=7, memory=None, loss=LossWeights(rest=rest))
    level.places = 2
    return level


def test_codes_are_inferred_by_where_they_lead(toys: SimpleNamespace) -> None:
    """One code leads to the place, another to the rest of what followed."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 1, 6, generator=generator)
    chosen = {}
    for rest in (0.0, 1.0):
        level = placed_level(toys, rest)
        outcomes = level.predictor.branch(latent, level.condition(latent, None))[0, 0]
        following = torch.cat([outcomes[2, :2], outcomes[5, 2:]]).view(1, 1, 6)
        far = (outcomes - following[0, 0]).square()
        assert far[2].sum() > far[5].sum(), "of all numbers alike, the other code is nearer"
        chosen[rest] = level.infer(latent, following, None).argmax(-1).item()
    assert chosen == {0.0: 2, 1.0: 5}


def test_what_counts_for_nothing_is_not_predicted(toys: SimpleNamespace) -> None:
    level = placed_level(toys, rest=0.0)
    below, _ = toys.windows(level)
    torch.manual_seed(0)
    _, terms = level.losses(below[:, :, :2], None, None, progress=0.5)
    terms["prediction"].backward()
    grad = level.predictor.outputs.bias.grad
    assert grad is not None and grad[:2].abs().min() > 0 and torch.equal(grad[2:], torch.zeros(4))
