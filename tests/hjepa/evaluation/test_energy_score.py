"""The energy score by hand and by its purpose, and a level that gets a latent variable afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hjepa.errors import InputError
from hjepa.evaluation.energy_score import energy_score, score_level, widened
from levels.level import Level
from levels.settings import LatentVariableSettings, LevelSettings, World

PLAIN = LevelSettings(encoder="vector", macro_action="primitive", latent_dim=3, hidden=8, head=8, memory=None)


def level_of(settings: LevelSettings, seed: int = 0) -> Level:
    from levels.settings import Sight

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Level(settings, 0, 2, World((1, 1), 2, sight=Sight("vector", (4,))))


def test_by_hand() -> None:
    futures = torch.tensor([[[0.0, 0.0], [0.0, 4.0]], [[3.0, 4.0], [3.0, 4.0]]])
    came = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert energy_score(futures, came).tolist() == [(1 + 3) / 2 - 4 / 2, 5.0]
    assert energy_score(futures[:, :1], came).tolist() == [1.0, 5.0]
    with pytest.raises(InputError, match="no futures"):
        energy_score(futures[:, :0], came)


def test_who_draws_from_what_comes_scores_best() -> None:
    """Two places, 0.3 and 0.7; against the mean, the likelier place, and even odds."""
    generator = torch.Generator().manual_seed(0)

    def drawn(share: float, *shape: int) -> torch.Tensor:
        return (torch.rand(*shape, 1, generator=generator) < share).float()

    came = drawn(0.7, 20_000)
    scores = {
        share: energy_score(drawn(share, 20_000, 16), came).mean().item() for share in (0.3, 0.5, 0.7, 1.0)
    }
    mean = energy_score(torch.full((20_000, 1, 1), 0.7), came).mean().item()
    assert min(scores, key=scores.__getitem__) == 0.7
    assert scores[0.7] == pytest.approx(0.21, abs=0.01) and scores[0.7] < mean


def test_a_widened_level_imagines_the_same_where_its_codes_say_nothing() -> None:
    source = level_of(PLAIN)
    level = widened(level_of(replace(PLAIN, latent_variable=LatentVariableSettings(codes=3)), 1), source)
    generator = torch.Generator().manual_seed(0)
    latent, following = torch.randn(2, 2, 5, 3, generator=generator)
    action = torch.eye(2)[torch.randint(0, 2, (2, 5), generator=generator)]
    with torch.no_grad():
        plain = source.advance(latent, source.condition(latent, None), action)
        level.predictor.scale.weight[:, 2:] = level.predictor.shift.weight[:, 2:] = 0
        outcomes, _ = level.outcomes(latent, level.condition(latent, None), action)
    assert torch.allclose(outcomes, plain.unsqueeze(2).expand(-1, -1, 3, -1), atol=1e-6)
    given = {name: value.clone() for name, value in source.state_dict().items()}
    assert all(torch.equal(value, given[name]) for name, value in source.state_dict().items())
    scores = [score_level(each, latent, following, action, None, 8, generator) for each in (source, level)]
    assert torch.allclose(scores[0][0], scores[1][0], atol=1e-5), "all of its futures are one"
    assert (scores[0][1] == 0).all() and scores[1][1].abs().max() < 1e-5
    with pytest.raises(InputError, match="no weights for"):
        widened(level_of(replace(PLAIN, latent_dim=4)), source)
