"""Ways not to collapse by name: their equations computed a second way, what they share, and users' own."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.anti_collapse.base import AntiCollapse
from levels.anti_collapse.distillation import Distillation
from levels.anti_collapse.kinds import KINDS, make_anti_collapse
from levels.settings import ANTI_COLLAPSE, LevelSettings, LossWeights

WITH_TERMS = [name for name in ANTI_COLLAPSE if name not in ("distillation", "none")]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def close(*shape: int, apart: float = 0.3) -> Tensor:
    """Pairs of moments (P, n, 2, D) that resemble each other."""
    first = normal(*shape)
    return torch.stack([first, first + apart * normal(*shape, seed=1)], 2)


def made(name: str, **numbers: float) -> AntiCollapse:
    return make_anti_collapse(name, nn.Linear(3, 3), numbers)


def cost(name: str, pairs: Tensor, **numbers: float) -> Tensor:
    """The weighted sum of the terms, with the same random directions at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        terms = made(name, **numbers)(pairs)
    return torch.stack([LossWeights().of(term) * value for term, value in terms.items()]).sum()


@pytest.mark.parametrize("name", WITH_TERMS)
def test_what_has_collapsed_costs_more_than_what_has_not(name: str) -> None:
    good = cost(name, close(8, 64, 6))
    line = normal(8, 64, 1, 1).expand(-1, -1, 2, 6)
    maps = (5 * normal(8, 1, 1, 6)).expand(-1, 64, 2, -1)
    for what, bad in {
        "a point": torch.zeros(8, 64, 2, 6),
        "shrunk": 0.05 * close(8, 64, 6),
        "a line": line,
        "the map without the agent": maps,
    }.items():
        if name == "contrastive" and what == "a line":
            continue  # it tells moments apart along one direction as well: nothing asks for more
        assert cost(name, bad) > good + 0.05 * good.abs(), what


@pytest.mark.parametrize("name", WITH_TERMS)
def test_what_layouts_have_in_common_does_not_count(name: str) -> None:
    pairs = close(4, 32, 5)
    moved = pairs + 10 * normal(4, 1, 1, 5, seed=2)
    assert cost(name, moved).item() == pytest.approx(cost(name, pairs).item(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", WITH_TERMS)
def test_small_latents_are_pulled_apart(name: str) -> None:
    pairs = (0.2 * close(4, 32, 5)).requires_grad_()
    (gradient,) = torch.autograd.grad(cost(name, pairs), pairs)
    assert (gradient * pairs).sum() < 0, "a step against the gradient makes them larger"


@pytest.mark.parametrize("name", WITH_TERMS)
def test_layouts_may_come_in_any_order(name: str) -> None:
    pairs = close(4, 16, 5)
    assert cost(name, pairs.flip(0)).item() == pytest.approx(cost(name, pairs).item(), rel=1e-4)


def test_the_coding_rates_of_the_paper() -> None:
    pairs, squared_error = close(3, 10, 4), 0.5
    whole = pairs.flatten(1, 2)
    columns = (whole - whole.mean(1, keepdim=True)).flatten(0, 1).T.double()
    dim, free = 4, 3 * (20 - 1)
    columns = columns / math.sqrt(dim * max(1.0, float(columns.square().sum()) / (free * dim)))

    def rate(z: Tensor, count: int) -> Tensor:
        return 0.5 * torch.logdet(torch.eye(dim).double() + dim / (count * squared_error) * z @ z.T)

    expansion = rate(columns, free)
    groups = [columns[:, 2 * j : 2 * j + 2] for j in range(30)]
    compression = sum((2 / 60 * rate(group, 2) for group in groups), torch.zeros(()).double())
    assert cost("rate_reduction", pairs).item() == pytest.approx(float(compression - expansion), rel=1e-4)


def test_power_beyond_one_brings_no_rate() -> None:
    assert cost("rate_reduction", 3 * close(4, 64, 5)).item() == pytest.approx(
        cost("rate_reduction", 30 * close(4, 64, 5)).item(), rel=1e-4
    )


def test_barlow_by_hand() -> None:
    # Columns of spread 2 and covariance 0, twice the same view: C is the unit matrix.
    column = torch.tensor([[2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]]) * math.sqrt(3 / 4)
    twice = column.view(1, 4, 1, 2).expand(-1, -1, 2, -1)
    assert cost("barlow", twice, floor=0.0).item() == pytest.approx(0.0, abs=1e-6)
    # A quarter of that is a spread of a half: C_ii is 1/4, and with the paper's division 1.
    assert cost("barlow", twice / 4, floor=0.0).item() == pytest.approx(10 * (3 / 4) ** 2)
    assert cost("barlow", twice / 4, floor=0.0, least=0.0).item() == pytest.approx(0.0, abs=1e-6)
    # Two numbers that are the same: C is all ones, of which the two off the diagonal count λ each, per number.
    same = twice[..., :1].expand(-1, -1, -1, 2)
    assert cost("barlow", same, floor=0.0, redundancy=0.3).item() == pytest.approx(10 * 0.3, rel=1e-5)


def test_barlow_is_the_correlation_between_views() -> None:
    pairs = 4 * close(1, 200, 3)
    cross = torch.corrcoef(pairs[0].flatten(1).T)[:3, 3:]
    off = cross - torch.diag(cross.diagonal())
    expected = ((1 - cross.diagonal()).square().sum() + 0.1 * off.square().sum()) / 3
    assert cost("barlow", pairs).item() == pytest.approx(10 * expected.item(), rel=1e-3)


@pytest.mark.parametrize("name", WITH_TERMS)
def test_two_views_are_moments_in_a_row_and_distributions_are_of_the_ends_of_windows(
    toys: SimpleNamespace, name: str
) -> None:
    level = toys.make_level(anti_collapse=name)
    below, _ = toys.windows(level)

    def terms(moments: Tensor) -> dict[str, float]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found = level.losses(moments, None, level.write(toys.grids()), progress=0.5)[1]
        return {term: found[term].item() for term in made(name)(close(1, 4, 3))}

    looked_at = []
    for moment in range(toys.MOMENTS):
        changed = below.clone()
        changed[:, :, moment] += normal(*below[:, :, moment].shape, seed=moment)
        looked_at += [moment] * (terms(changed) != terms(below))
    in_a_row = name in ("rate_reduction", "barlow", "contrastive")
    assert looked_at == ([0, 1] if in_a_row else [0, toys.MOMENTS - 1])


def test_contrastive_pair_by_pair() -> None:
    pairs = close(3, 7, 4)
    losses = []
    for plan in pairs:
        for i in range(7):
            for one, other in ((0, 1), (1, 0)):
                score = -(plan[i, one] - plan[:, other]).square().sum(-1) / 2.0
                losses.append(F.cross_entropy(score[None], torch.tensor([i])))
    expected = torch.stack(losses).mean().item()
    assert cost("contrastive", pairs, temperature=2.0).item() == pytest.approx(expected, rel=1e-4)
    assert cost("contrastive", torch.zeros(3, 7, 2, 4)).item() == pytest.approx(math.log(7))


def test_the_teacher_follows_slowly_and_in_training_alone() -> None:
    torch.manual_seed(0)
    pupil = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    part = Distillation(pupil, momentum=0.75)
    start = part.teacher[0].weight.detach().clone()
    with torch.no_grad():
        pupil[0].weight.add_(1.0)
        pupil[1].running_mean.fill_(7.0)
    latent = pupil(torch.ones(4, 2)).view(1, 2, 2, 2)
    for times in (1, 2, 3):
        aim = part.aim(latent, lambda encoder: encoder[0](torch.ones(1, 2, 2, 2)))
        assert torch.allclose(part.teacher[0].weight, start + 1 - 0.75**times, atol=1e-6)
        assert torch.allclose(aim, part.teacher[0](torch.ones(1, 2, 2, 2))) and not aim.requires_grad
    assert torch.equal(part.teacher[1].running_mean, pupil[1].running_mean), "what is measured is taken over"
    before = part.teacher[0].weight.clone()
    part.eval().aim(latent, lambda encoder: latent)
    assert torch.equal(part.teacher[0].weight, before)
    assert [name for name, p in part.named_parameters() if p.requires_grad] == []


def test_distillation_aims_at_the_teacher_and_starts_from_the_pupil(toys: SimpleNamespace) -> None:
    level = toys.make_level(encoder="agent", macro_action="primitive", stride=1, anti_collapse="distillation")
    below, actions = toys.windows(level, count=4)
    assert isinstance(level.anti_collapse, Distillation) and actions is not None
    with torch.no_grad():
        for weight in level.anti_collapse.teacher.parameters():
            weight.mul_(0.5)
    level.eval()
    memory = level.write(toys.grids())
    latent, errors = level.encode(below, memory), []
    aim = level.anti_collapse.teacher(below.flatten(1, 2), memory).view_as(latent)
    for window in range(4):
        state = latent[:, window, :1]
        for step in range(1, toys.MOMENTS):
            state = level.advance(state, level.condition(state, memory), actions[:, window, step - 1 : step])
            errors.append((state[:, 0] - aim[:, window, step]).square().mean())
            state = state if window < 2 else latent[:, window, step : step + 1]
    _, terms = level.losses(below, actions, memory, progress=0.5)
    assert torch.allclose(terms["prediction"], torch.stack(errors).mean(), rtol=1e-5)
    reached = torch.autograd.grad(terms["prediction"], list(level.encoder.parameters()), allow_unused=True)
    assert any(g is not None and g.abs().sum() > 0 for g in reached), (
        "through what the prediction starts from"
    )


def test_the_teacher_is_kept_with_the_weights_and_others_keep_none(toys: SimpleNamespace) -> None:
    for name in ANTI_COLLAPSE:
        kept = [key for key in toys.make_level(anti_collapse=name).state_dict() if "anti_collapse" in key]
        assert bool(kept) == (name == "distillation"), name


@pytest.mark.parametrize(
    ("name", "numbers", "said"),
    [
        ("distillation", {"momentum": 1.0}, "momentum 1.0; give at least 0 and less than 1"),
        ("rate_reduction", {"precision": 0.0}, "precision 0.0; give a positive number"),
        ("contrastive", {"temperature": float("nan")}, "temperature nan; give a positive number"),
        ("barlow", {"redundancy": -1.0}, "redundancy -1.0"),
        ("sigreg", {"directions": 0.0}, "directions 0.0; give 1 or more"),
        ("none", {"weight": 1.0}, "anti_collapse none with .* cannot be made .*weight"),
    ],
)
def test_numbers_that_cannot_work(name: str, numbers: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        made(name, **numbers)
    assert "\n" not in str(caught.value)


OWN = """
from levels.anti_collapse.base import AntiCollapse

class Spread(AntiCollapse):
    moments = (0, 1)

    def __init__(self, encoder, wanted=2.0):
        super().__init__(encoder)
        self.wanted = wanted

    def forward(self, pairs):
        return {"spread": (pairs.std() - self.wanted).square()}
"""


def test_a_class_of_ones_own(toys: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_ways_here.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_ways_here", raising=False)
    settings: dict[str, Any] = {
        "anti_collapse": "own_ways_here:Spread",
        "anti_collapse_with": {"wanted": 0.0},
        "loss": LossWeights(prediction=0.0, prior=0.0, similarity=0.0, others={"spread": 5.0}),
    }
    level = toys.make_level(**settings)
    below, _ = toys.windows(level)
    total, terms = level.losses(below, None, level.write(toys.grids()), progress=0.5)
    first_two = level.encode(below, None)[:, :, :2]
    assert terms["spread"].item() == pytest.approx(first_two.var().item(), rel=1e-4)
    assert total.item() == pytest.approx(5 * terms["spread"].item())


def test_names_are_known_and_hold_what_they_say() -> None:
    assert all(issubclass(KINDS.get(name), AntiCollapse) for name in ANTI_COLLAPSE)
    assert LevelSettings(anti_collapse="none").anti_collapse == "none"
