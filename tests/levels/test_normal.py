"""Normalised latents: prediction cannot shrink them, and who only looks gets what training has measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from levels.effective_rank import spread
from levels.encoders.normal import Normal
from levels.level import Level
from levels.settings import LevelSettings, LossWeights, Sight, World

PREDICTION = LossWeights(prediction=1.0, prior=0.0, similarity=0.0, inverse=0.0)
SYMBOLS = Sight("symbols", (9, 7, 2), (4, 3))


def level_of(toys: SimpleNamespace, **changes: Any) -> Level:
    """A level that nothing but prediction teaches."""
    values: dict[str, Any] = {"encoder": "mlp", "macro_action": "primitive", "stride": 1, "memory": None}
    values |= {"anti_collapse": "none", "loss": PREDICTION, **changes}
    level: Level = toys.make_level(**values)
    return level


def trained(level: Level, below: Tensor, actions: Tensor | None, steps: int = 150) -> float:
    """The spread of its latents of a batch after so many steps on it, as it is in evaluation."""
    optimizer = torch.optim.Adam(level.parameters(), 0.01)
    for _ in range(steps):
        loss, _ = level.losses(below, actions, None, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    level.eval()
    with torch.no_grad():
        return spread(level.encode(below, None).flatten(0, 2)[None]).item()


def test_prediction_alone_shrinks_a_latent_and_not_a_normalised_one(toys: SimpleNamespace) -> None:
    given = toys.windows(level_of(toys), count=16)
    assert trained(level_of(toys), *given) < 0.1
    assert trained(level_of(toys, normalize=True), *given) == pytest.approx(1.0, abs=0.1)


def test_places_of_a_picture_are_normalised_too_and_no_places_any_more() -> None:
    torch.manual_seed(0)
    settings = LevelSettings(
        encoder="symbols", macro_action="primitive", latent_dim=12, hidden=16, channels=8, memory=None,
        anti_collapse="none", loss=PREDICTION, normalize=True,
    )  # fmt: skip
    level = Level(settings, 0, 4, World((9, 7), 4, sight=SYMBOLS))
    picture = torch.stack([torch.randint(0, n, (1, 64, 9, 7)) for n in SYMBOLS.codes], -1).to(torch.uint8)
    latent = level.encode(picture, None)[0]
    assert level.places == 0 and level.encoder.places == 4
    assert latent.mean(0).abs().max() < 1e-3
    assert (latent.std(0, unbiased=False) - 1).abs().max() < 0.05


def test_who_only_looks_moves_nothing_and_sees_each_alike() -> None:
    normal, latent = Normal(3), 5 + 2 * torch.randn(4, 50, 3)
    before = {name: value.clone() for name, value in normal.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(normal(latent), normal(latent))
    normal.eval()
    normal(latent.requires_grad_())
    assert all(torch.equal(value, before[name]) for name, value in normal.state_dict().items())
    normal.train()
    for _ in range(100):
        normal(latent)
    normal.eval()
    flat = latent.flatten(0, 1)
    expected = (flat - flat.mean(0)) / flat.std(0)
    assert torch.allclose(normal(latent).flatten(0, 1), expected, atol=1e-3)
    assert torch.allclose(normal(latent[:1, :1]), normal(latent)[:1, :1]), (
        "what else is in the batch is the same"
    )


def test_levels_begin_the_same_with_it_and_without(toys: SimpleNamespace) -> None:
    plain, normal = level_of(toys).state_dict(), level_of(toys, normalize=True).state_dict()
    assert set(normal) - set(plain) == {"normal.mean", "normal.variance"}
    assert all(torch.equal(value, normal[name]) for name, value in plain.items())
