"""Action spaces: draws follow the prior, relaxed actions are real ones, and fits give back what was drawn."""

from __future__ import annotations

import math

import pytest
import torch

from planners.noise import uniform
from planners.protocols import ActionSpace
from planners.spaces import Box, Simplex


def test_both_are_action_spaces() -> None:
    for space in (Simplex(3), Box(-torch.ones(2), torch.ones(2))):
        assert isinstance(space, ActionSpace)


def test_simplex_draws_follow_the_prior() -> None:
    chances = torch.tensor([0.05, 0.6, 0.0, 0.35])
    drawn = Simplex(4).sample(chances.log().expand(40_000, 4), uniform(torch.tensor([1]), 40_000, 1)[0])
    assert drawn.shape == (40_000, 4) and torch.equal(drawn.sum(-1), torch.ones(40_000))
    assert torch.allclose(drawn.mean(0), chances, atol=0.01)
    assert drawn[:, 2].sum() == 0, "what has no chance is never drawn"


def test_simplex_draws_at_the_ends_of_the_noise() -> None:
    noise = torch.tensor([[1e-9], [1 - 2.0**-24]])
    drawn = Simplex(3).sample(torch.zeros(2, 3), noise)
    assert drawn.argmax(-1).tolist() == [0, 2]


def test_simplex_surprise_is_cross_entropy_less_entropy() -> None:
    space, logits = Simplex(3), torch.tensor([1.0, -2.0, 0.5])
    chances = logits.softmax(-1)
    entropy = -(chances * chances.log()).sum().item()
    for index in range(3):
        expected = -math.log(chances[index].item()) - entropy
        assert math.isclose(space.surprise(logits, torch.eye(3)[index]).item(), expected, rel_tol=1e-5)
    assert math.isclose(space.surprise(logits, chances).item(), 0.0, abs_tol=1e-6), "0 on average"
    certain = torch.tensor([40.0, 0.0, 0.0])
    assert math.isclose(space.surprise(certain, torch.eye(3)[0]).item(), 0.0, abs_tol=1e-6)


def test_simplex_relaxed_actions_are_corners_bit_for_bit() -> None:
    free = torch.randn(200, 7, generator=torch.Generator().manual_seed(0)) * 3
    relaxed = Simplex(7, temperature=0.7).relax(free)
    assert torch.equal(relaxed, torch.nn.functional.one_hot(free.argmax(-1), 7).float())


def test_simplex_gradient_is_that_of_the_softmax() -> None:
    space = Simplex(4, temperature=0.5)
    free = torch.tensor([[0.3, -0.2, 1.0, 0.1]], requires_grad=True)
    weight = torch.tensor([1.0, -2.0, 0.5, 3.0])
    (through,) = torch.autograd.grad((space.relax(free) * weight).sum(), free)
    (soft,) = torch.autograd.grad(((free / 0.5).softmax(-1) * weight).sum(), free)
    assert torch.allclose(through, soft, atol=1e-6) and through.abs().min() > 0


def test_simplex_free_and_harden_are_inverse_and_the_margin_is_kept() -> None:
    space, actions = Simplex(5, margin=1.5), torch.eye(5)
    free = space.free(actions)
    assert torch.equal(space.harden(free), actions)
    assert torch.equal(space.project(free), free)
    top = free.topk(2).values
    assert torch.equal(top[:, 0] - top[:, 1], torch.full((5,), 1.5))


def test_simplex_refit_is_the_weighted_frequency() -> None:
    space = Simplex(3)
    actions = torch.eye(3)[torch.tensor([[[0, 1], [0, 2], [1, 2], [2, 0]]])]
    weights = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    fitted = space.refit(actions, weights).softmax(-1)
    expected = 0.99 * torch.tensor([[[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]]]) + 0.01 / 3
    assert torch.allclose(fitted, expected, atol=1e-6)


@pytest.mark.parametrize(
    "wrong", [(0, 2.0, 1.0), (3, 0.0, 1.0), (3, -1.0, 1.0), (3, 2.0, 0.0), (3, math.nan, 1.0)]
)
def test_simplex_refuses(wrong: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="Simplex of .* must be positive"):
        Simplex(*wrong)


def box() -> Box:
    return Box(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 4.0]))


def test_box_draws_follow_the_prior() -> None:
    space = Box(torch.full((2,), -50.0), torch.full((2,), 50.0))
    mean, std = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    prior = torch.cat([mean, std.log()]).expand(40_000, 4)
    drawn = space.sample(prior, uniform(torch.tensor([2]), 40_000, 2)[0])
    assert torch.allclose(drawn.mean(0), mean, atol=0.05) and torch.allclose(drawn.std(0), std, rtol=0.02)
    # Quantiles of a normal distribution, so that the shape is right as well.
    within = ((drawn - mean).abs() < std).float().mean(0)
    assert torch.allclose(within, torch.full((2,), 0.6827), atol=0.01)
    assert abs(torch.corrcoef(drawn.T)[0, 1].item()) < 0.02


def test_box_draws_stay_within_the_bounds() -> None:
    space = box()
    drawn = space.sample(torch.zeros(5000, 4), uniform(torch.tensor([3]), 5000, 2)[0])
    assert (drawn >= space.low).all() and (drawn <= space.high).all()
    assert (drawn[:, 1] == 0).float().mean() > 0.4, "what falls outside is clamped, not drawn again"
    ends = space.sample(torch.zeros(2, 4), torch.tensor([[2.0**-24] * 2, [1 - 2.0**-24] * 2]))
    assert ends.isfinite().all()


def test_box_surprise_is_that_of_the_gaussian_density() -> None:
    mean, std = torch.tensor([0.5, 2.0]), torch.tensor([0.3, 1.5])
    action = torch.tensor([[0.1, 1.0], [0.9, 3.9]])
    normal = torch.distributions.Normal(mean, std)
    expected = -(normal.log_prob(action) + normal.entropy()).sum(-1)
    found = box().surprise(torch.cat([mean, std.log()]), action)
    assert torch.allclose(found, expected)


def test_box_actions_are_their_own_parameters_and_hard_ones_are_clamped() -> None:
    space, free = box(), torch.tensor([[-3.0, 2.0], [0.5, 9.0]], requires_grad=True)
    assert torch.equal(space.free(free), free) and torch.equal(space.relax(free), free)
    assert torch.autograd.grad(space.relax(free).sum(), free)[0].eq(1).all()
    clamped = torch.tensor([[-1.0, 2.0], [0.5, 4.0]])
    assert torch.equal(space.harden(free), clamped) and torch.equal(space.project(free), clamped)


def test_box_alternatives_are_the_action_shorter_and_shorter_and_back() -> None:
    space, action = box(), torch.tensor([[1.0, 3.0], [-0.5, 4.0]])
    found, middle = space.alternatives(action), torch.tensor([0.0, 2.0])
    assert torch.equal(found[:, 0], action), "the action itself comes first"
    shares = (found - middle) / (action - middle)[:, None]
    assert torch.equal(shares[..., 0], shares[..., 1]), "all lie on one line"
    assert (shares[..., 0].diff() < 0).all() and (shares[:, -1] == -1).all() and (shares == 0).any(1).all()


def test_box_refit_is_weighted_mean_and_deviation() -> None:
    actions = torch.tensor([[[[0.0, 1.0]], [[1.0, 1.0]], [[-1.0, 3.0]]]])
    weights = torch.tensor([[0.5, 0.5, 0.0]])
    mean, log_std = box().refit(actions, weights).chunk(2, -1)
    assert torch.allclose(mean, torch.tensor([[[0.5, 1.0]]]))
    # The second coordinate does not vary: 5 % of the width of 4.
    assert torch.allclose(log_std.exp(), torch.tensor([[[0.5, 0.2]]]))


def test_box_refit_gives_back_what_was_drawn() -> None:
    space = Box(torch.full((1,), -50.0), torch.full((1,), 50.0))
    prior = torch.tensor([3.0, math.log(7.0)])
    drawn = space.sample(prior.expand(1, 20_000, 1, 2), uniform(torch.tensor([4]), 20_000, 1, 1))
    fitted = space.refit(drawn, torch.full((1, 20_000), 1 / 20_000))
    assert torch.allclose(fitted[0, 0], prior, atol=0.15)


def test_box_refuses() -> None:
    with pytest.raises(ValueError, match="shapes"):
        Box(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match="low must not exceed high"):
        Box(torch.ones(2), torch.zeros(2))
    with pytest.raises(ValueError, match="low must not exceed high"):
        Box(torch.zeros(1), torch.full((1,), math.nan))
