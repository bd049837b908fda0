"""Keyed noise: the right numbers, evenly spread, and a function of the key alone."""

from __future__ import annotations

import pytest
import torch

from planners import noise
from planners.noise import combine, mix, uniform

WORD = (1 << 64) - 1


def splitmix(state: int) -> int:
    """SplitMix64's output for a state, in Python's own whole numbers."""
    value = (state + 0x9E3779B97F4A7C15) & WORD
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & WORD
    return value ^ (value >> 31)


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def test_mix_is_splitmix64() -> None:
    states = [0, 1, 2, 12345, (1 << 63) - 1, 1 << 63, WORD]
    mixed = mix(torch.tensor([signed(state) for state in states]))
    assert mixed.tolist() == [signed(splitmix(state)) for state in states]
    # The first output of the published generator for seed 0.
    assert mixed[0].item() & WORD == 0xE220A8397B1DCDAF


def test_numbers_are_the_same_on_every_device() -> None:
    """On the CPU numpy computes them, elsewhere torch: here both on the CPU."""
    keys = torch.tensor([0, -1, 7, signed(1 << 63), (1 << 62) + 5])
    for value in (keys, keys.view(5, 1).expand(5, 3), keys[::2], keys[3], keys[:0]):
        assert mix(value).shape == value.shape and mix(value).equal(noise._mixed_elsewhere(value))
    for dtype in (torch.int32, torch.uint8):
        few = torch.arange(5, dtype=dtype)
        assert mix(few).equal(mix(few.long())) and noise._mixed_elsewhere(few).equal(mix(few))
        assert combine(few, 1).equal(combine(few.long(), 1)) and combine(1, few).shape == (5,)
    for parts in ((keys, 2, keys.flip(0)), (keys[:, None], keys), (3, keys), (keys[1], -4), (5, 6)):
        there = noise._combined_elsewhere(parts, keys.device)
        assert combine(*parts).shape == there.shape and combine(*parts).equal(there)


def test_mix_has_no_collisions() -> None:
    assert len(mix(torch.arange(-50_000, 50_000)).unique()) == 100_000


def test_uniform_golden_values() -> None:
    def expected(key: int, number: int) -> float:
        bits = splitmix((splitmix(key) + number) & WORD) >> 41
        return (bits + 0.5) / (1 << 23)

    drawn = uniform(torch.tensor([0, 7]), 2, 3)
    assert drawn.shape == (2, 2, 3) and drawn.dtype == torch.float32
    assert drawn.flatten().tolist() == [expected(key, number) for key in (0, 7) for number in range(6)]


def test_uniform_excludes_both_ends() -> None:
    # The largest and the smallest number there are; rounding must not carry them to 1 or 0.
    bits = torch.tensor([0, (1 << 23) - 1])
    ends = (bits.float() + 0.5) / (1 << 23)
    assert ends[0] > 0 and ends[1] < 1
    drawn = uniform(torch.arange(64), 1 << 15)
    assert drawn.min() > 0 and drawn.max() < 1
    assert ((drawn.double() * (1 << 24)) % 2 == 1).all(), "every number keeps its half"


def test_uniform_is_uniform() -> None:
    drawn = uniform(torch.arange(100), 10_000).double()
    shares = torch.histc(drawn, 100, 0, 1) / drawn.numel()
    # A share has standard deviation 1e-4 over a million draws.
    assert (shares - 0.01).abs().max() < 5e-4
    assert abs(drawn.mean().item() - 0.5) < 1.5e-3
    assert abs(drawn.var().item() - 1 / 12) < 1e-3


@pytest.mark.parametrize("apart", [1, 2, 1000])
def test_neighbouring_keys_and_numbers_are_unrelated(apart: int) -> None:
    drawn = uniform(torch.arange(0, 300 * apart, apart), 300) - 0.5
    for first, second in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])):
        correlation = (first * second).mean() * 12
        assert abs(correlation.item()) < 0.015


def test_noise_depends_on_nothing_but_the_key() -> None:
    keys = torch.tensor([5, -3, 99, 5])
    together = uniform(keys, 4, 2)
    assert torch.equal(together[0], together[3])
    for row, key in enumerate(keys):
        assert torch.equal(uniform(key[None], 4, 2)[0], together[row])
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    assert torch.equal(uniform(keys, 4, 2), together)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_more_numbers_begin_with_the_same() -> None:
    keys = torch.arange(3)
    assert torch.equal(uniform(keys, 10, 2)[:, :4], uniform(keys, 4, 2))


def test_combine_tells_order_and_number_of_parts_apart() -> None:
    keys = {combine(*parts).item() for parts in ((), (0,), (0, 0), (1,), (1, 2), (2, 1), (1, 2, 0), (3,))}
    assert len(keys) == 8


def test_combine_broadcasts_like_its_scalars() -> None:
    first, second = torch.tensor([1, 2, 3]), torch.tensor([9, 8, 7])
    expected = [combine(a, 4, b).item() for a, b in zip(first.tolist(), second.tolist())]
    assert combine(first, 4, second).tolist() == expected
    grid = combine(torch.arange(50)[:, None], torch.arange(50))
    assert grid.shape == (50, 50) and len(grid.unique()) == 2500


def test_combine_golden_value() -> None:
    expected = splitmix(splitmix(splitmix(0 ^ splitmix(3)) ^ splitmix(5)) ^ splitmix(WORD))
    assert combine(3, torch.tensor(5), -1).item() == signed(expected)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_combine_stays_on_the_device_of_its_tensors(place: int) -> None:
    # A whole number behind a tensor must not pull the key back to the processor.
    parts: list[torch.Tensor | int] = [1, 2, 3]
    parts[place] = torch.zeros(4, dtype=torch.int64, device="meta")
    assert combine(*parts).device.type == "meta"
    assert uniform(combine(*parts), 2).device.type == "meta"
