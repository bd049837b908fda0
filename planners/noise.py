"""Random numbers that are a function of a key: no state, so a plan does not depend on who is planned with it.

Counter-based, in the spirit of Salmon et al. (SC 2011, "Parallel random numbers: as easy as 1, 2, 3"): number
i of key k is a mixing function of (k, i). The mixing function is the finaliser of SplitMix64 (Steele et al.,
OOPSLA 2014). Integer arithmetic only, hence the same bits on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SIGN, _WORD = 1 << 63, (1 << 64) - 1


def _signed(word: int) -> int:
    """The int64 with the bits of a 64-bit word, which is how torch takes it."""
    return (word ^ _SIGN) - _SIGN


def _shift(value: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64, which torch shifts arithmetically."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _words(value: Tensor) -> np.ndarray:
    """The bits of whole numbers on the CPU, as int64, one dimension at least: numpy's single numbers do not wrap."""
    return np.atleast_1d(value.long().numpy()).view(np.uint64)


def _mixed(words: np.ndarray) -> np.ndarray:
    """`mix` of uint64, any shape with dimensions. Of few numbers numpy takes a third of torch's time."""
    words = words + np.uint64(_GOLDEN)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_FIRST)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_SECOND)
    return np.asarray(words ^ (words >> np.uint64(31)))


@lru_cache(256)
def _mixed_number(number: int) -> np.ndarray:
    """`mix` of a whole number, (1,) uint64, never to be changed."""
    return _mixed(np.array([number & _WORD], dtype=np.uint64))


def mix(value: Tensor) -> Tensor:
    """A bijection of int64 that scatters neighbouring values, element by element (any shape)."""
    if value.device.type == "cpu":
        return torch.from_numpy(_mixed(_words(value)).view(np.int64)).view(value.shape)
    return _mixed_elsewhere(value)


def _mixed_elsewhere(value: Tensor) -> Tensor:
    """`mix` on any device."""
    value = value.long() + _signed(_GOLDEN)
    value = (value ^ _shift(value, 30)) * _signed(_FIRST)
    value = (value ^ _shift(value, 27)) * _signed(_SECOND)
    return value ^ _shift(value, 31)


def combine(*parts: Tensor | int) -> Tensor:
    """One int64 key of several: whole numbers and int64 tensors that broadcast; the order matters.

    The key has the broadcast shape and lies where the first of the tensors lies.
    """
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if all(part.device.type == "cpu" for part in tensors):
        words = np.zeros(1, dtype=np.uint64)
        for part in parts:
            own = _mixed(_words(part)) if isinstance(part, Tensor) else _mixed_number(int(part))
            words = _mixed(words ^ own)
        found = torch.from_numpy(words.view(np.int64))
        return found if any(part.ndim for part in tensors) else found.view(())
    return _combined_elsewhere(parts, tensors[0].device)


def _combined_elsewhere(parts: Sequence[Tensor | int], device: torch.device) -> Tensor:
    """`combine` on any device."""
    key = torch.zeros((), dtype=torch.int64, device=device)
    for part in parts:
        # A number is mixed by the host: as a tensor it would have to be copied to where the others lie.
        own = (
            _mixed_elsewhere(part.to(device))
            if isinstance(part, Tensor)
            else _signed(int(_mixed_number(int(part))[0]))
        )
        key = _mixed_elsewhere(key ^ own)
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
