"""Vectors as an encoder sees them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from levels.encoders.vector import VectorEncoder
from levels.settings import LevelSettings


def fitted(octaves: int) -> float:
    """What is left, of its variance, of an indicator of seven walls across a line after a little training."""
    torch.manual_seed(0)
    where = torch.rand(1, 1024, 1) * 4 - 2
    wall = ((where * 3.5).floor() % 2).float()
    encoder = VectorEncoder(1, 64, 1, octaves)
    encoder.standardise(where[0])
    optimizer = torch.optim.Adam(encoder.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        F.mse_loss(encoder(where), wall).backward()
        optimizer.step()
    return float(F.mse_loss(encoder(where), wall).detach() / wall.var())


def test_octaves_tell_close_places_apart() -> None:
    assert fitted(4) < 0.3 < 0.7 < fitted(0)


def test_each_octave_has_half_the_period_of_the_one_before() -> None:
    encoder = VectorEncoder(2, 8, 4, octaves=3)
    seen: list[torch.Tensor] = []
    encoder.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder(torch.tensor([[[0.25, -1.5]]]))
    (numbers,) = seen
    expected = [0.25, -1.5]
    for octave in range(3):
        angles = [math.pi * 2**octave * 0.25, math.pi * 2**octave * -1.5]
        expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
    assert torch.allclose(numbers.flatten(), torch.tensor(expected), atol=1e-5)


def test_without_octaves_the_weights_have_the_shape_they_had() -> None:
    assert VectorEncoder(3, 8, 4).layers[0].weight.shape == (8, 3)
    assert VectorEncoder(3, 8, 4, octaves=2).layers[0].weight.shape == (8, 15)


@pytest.mark.parametrize("encoder", ["symbols", "image", "mlp"])
def test_other_encoders_have_no_octaves(encoder: str) -> None:
    with pytest.raises(ValueError, match=f"octaves is 2 but encoder is '{encoder}'; choose encoder vector, or set 0"):
        LevelSettings(encoder=encoder, octaves=2)
