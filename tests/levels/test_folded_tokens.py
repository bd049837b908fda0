"""Folded tokens: what a first layer makes of glimpses, read in their place."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from levels.level import Level
from levels.settings import LevelSettings, MemorySettings, Sight, World
from levels.tokens import Glimpse


def level(size: tuple[int, int], **memory: float) -> Level:
    """A level that sees symbols, with random weights."""
    torch.manual_seed(0)
    made_of = LevelSettings(
        encoder="symbols", macro_action="primitive", latent_dim=12, hidden=16, head=8, channels=16,
        memory=MemorySettings(channels=4, dilations=(1,), **memory),
    )  # fmt: skip
    made = Level(made_of, 0, 3, World(size, 3, sight=Sight("symbols", (*size, 2), (4, 3))))
    return made.double()


def looks(level: Level, size: tuple[int, int], seed: int, far: float) -> tuple[Tensor, Tensor]:
    """Latents (2, 5, D) up to far outside the picture, and random tokens (2, W, H, 4)."""
    generator = torch.Generator().manual_seed(seed)
    latent = far * torch.randn(2, 5, 12, generator=generator, dtype=torch.float64)
    return latent, torch.randn(2, *size, 4, generator=generator, dtype=torch.float64)


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    glimpse=st.integers(0, 2),
    apart=st.sampled_from([1.0, 2.0]),
    far=st.sampled_from([0.1, 1.0, 20.0]),
    seed=st.integers(0, 99),
)
def test_folded_tokens_say_the_same_everywhere(
    size: tuple[int, int], glimpse: int, apart: float, far: float, seed: int
) -> None:
    """To the gradient, on pictures of any size, and beyond their edges, where both read the edge."""
    made = level(size, glimpse=glimpse, apart=apart)
    latent, tokens = looks(made, size, seed, far)
    folded = made.fold(tokens)
    found = []
    for memory in (tokens, folded):
        leaf = latent.clone().requires_grad_()
        condition = made.condition(leaf, memory)
        found.append((condition, *torch.autograd.grad(condition.sin().sum(), leaf)))
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_a_row_reads_its_own_picture_whatever_the_company() -> None:
    made = level((6, 5))
    latent, tokens = looks(made, (6, 5), 0, 1.0)
    folded = made.fold(tokens)
    together = made.condition(latent, folded)
    for row in (0, 1):
        alone = made.condition(latent[[row]], folded[[row]])
        torch.testing.assert_close(together[[row]], alone)
    swapped = made.condition(latent, folded.flip(0))
    assert not torch.allclose(swapped, together)


def test_tokens_read_between_places_cannot_be_folded() -> None:
    made = level((5, 5), apart=0.5)
    assert not made.foldable
    with pytest.raises(ValueError, match=r"0\.5 places apart"):
        made.fold(torch.zeros(1, 5, 5, 4, dtype=torch.float64))
    assert not Glimpse(2, MemorySettings(apart=1.25)).foldable


def test_a_level_without_glimpses_is_not_foldable() -> None:
    made_of = LevelSettings(encoder="vector", macro_action="primitive", latent_dim=4, memory=None)
    blind = Level(made_of, 0, 2, World((1, 1), 2, sight=Sight("vector", (3,))))
    assert not blind.foldable
    with pytest.raises(ValueError, match="reads none"):
        blind.fold(torch.zeros(1, 5, 5, 4))


@pytest.mark.parametrize("first", ["inference mode", "another default"])
def test_what_was_read_under_another_mode_does_no_harm(first: str) -> None:
    """What is kept between calls is kept from every mode of torch; a size of its own, so that it is made here."""
    size = {"inference mode": (3, 11), "another default": (3, 12)}[first]
    made = level(size)
    latent, tokens = looks(made, size, 0, 1.0)
    if first == "inference mode":
        with torch.inference_mode():
            made.condition(latent, made.fold(tokens))
    else:
        usual = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            made.condition(latent, made.fold(tokens))
        finally:
            torch.set_default_dtype(usual)
    leaf = latent.float().requires_grad_()
    small = made.float()
    (gradient,) = torch.autograd.grad(small.condition(leaf, small.fold(tokens.float())).sum(), leaf)
    assert gradient.isfinite().all()


def test_a_latent_that_is_no_number_costs_nothing_but_itself() -> None:
    made = level((5, 5))
    latent, tokens = looks(made, (5, 5), 0, 1.0)
    latent[0, 0, 0], latent[1, 4, 1] = torch.nan, torch.inf
    read = made.condition(latent, made.fold(tokens))
    assert not read[0, 0].isfinite().all()
    assert read[0, 1:].isfinite().all() and read[1, :4].isfinite().all()


def test_half_precision_reads_as_it_does_tokens() -> None:
    made = level((5, 5)).bfloat16()
    latent, tokens = (part.bfloat16() for part in looks(made, (5, 5), 0, 1.0))
    folded, plain = made.condition(latent, made.fold(tokens)), made.condition(latent, tokens)
    assert folded.dtype == plain.dtype == torch.bfloat16
    torch.testing.assert_close(folded, plain, atol=0.1, rtol=0.1)


def test_an_encoder_of_ones_own_may_read_tokens_and_is_given_them() -> None:
    made = level((5, 5))
    assert made.foldable
    made.settings = SimpleNamespace(encoder="somewhere:Encoder")  # type: ignore[assignment]
    assert not made.foldable
