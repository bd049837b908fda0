"""Random numbers that are a function of a key: no state, so a plan does not depend on who is planned with it.

Counter-based, in the spirit of Salmon et al. (SC 2011, "Parallel random numbers: as easy as 1, 2, 3"): number
i of key k is a mixing function of (k, i). The mixing function is the finaliser of SplitMix64 (Steele et al.,
OOPSLA 2014). Integer arithmetic only, hence the same bits on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def _shift(value: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64, which torch shifts arithmetically."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def mix(value: Tensor) -> Tensor:
    """A bijection of int64 that scatters neighbouring values, element by element (any shape)."""
    value = value + _GOLDEN
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def combine(*parts: Tensor | int) -> Tensor:
    """One int64 key of several: whole numbers and int64 tensors that broadcast; the order matters.

    The key has the broadcast shape and lies where the first of the tensors lies.
    """
    device = next((part.device for part in parts if isinstance(part, Tensor)), None)
    key = torch.zeros((), dtype=torch.int64, device=device)
    for part in parts:
        key = mix(key ^ mix(torch.as_tensor(part, dtype=torch.int64, device=device)))
    return key


def uniform(keys: Tensor, *shape: int) -> Tensor:
    """Uniform float32 numbers strictly between 0 and 1: keys (E,) int64 -> (E, *shape).

    They are odd multiples of 2^-24. More numbers of a key begin with the same ones as fewer.
    """
    count = 1
    for size in shape:
        count *= size
    counter = torch.arange(count, dtype=torch.int64, device=keys.device)
    # float32 holds 24 bits: with 23 random ones the half that keeps 0 and 1 out is never rounded away.
    bits = _shift(mix(mix(keys)[:, None] + counter), 41)
    return ((bits.float() + 0.5) / (1 << 23)).view(len(keys), *shape)
