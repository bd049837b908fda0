"""Random numbers that are a function of a key: no state, so a plan does not depend on who else is planned with it.

Counter-based, in the spirit of Salmon et al. (SC 2011, "Parallel random numbers: as easy as 1, 2, 3"): number i of key
k is a mixing function of (k, i). The mixing function is the finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
Integer arithmetic only, hence the same bits on every device.
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
    """A bijection of int64 that scatters neighbouring values."""
    value = value + _GOLDEN
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def combine(*parts: Tensor | int) -> Tensor:
    """One int64 key of several: whole numbers and tensors that broadcast; the order matters."""
    key = torch.zeros((), dtype=torch.int64)
    for part in parts:
        part = torch.as_tensor(part, dtype=torch.int64)
        key = mix(key.to(part.device) ^ mix(part))
    return key


def uniform(keys: Tensor, *shape: int) -> Tensor:
    """Uniform float32 numbers strictly between 0 and 1: keys (E,) int64 -> (E, *shape)."""
    count = 1
    for size in shape:
        count *= size
    counter = torch.arange(count, dtype=torch.int64, device=keys.device)
    bits = _shift(mix(mix(keys)[:, None] + counter), 40)  # 24 bits are what float32 holds
    return ((bits.float() + 0.5) / (1 << 24)).view(len(keys), *shape)
