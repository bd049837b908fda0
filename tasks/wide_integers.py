"""Sums and products of 128-bit integers, modulo 2^128, as pairs of uint64 arrays (upper half, lower half)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Wide = tuple[np.ndarray, np.ndarray]
"""Upper and lower halves, uint64 arrays of one shape."""

_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def wide(value: int | Sequence[int]) -> Wide:
    """Integers of any size, modulo 2^128, as arrays () or (N,)."""
    values = [value] if isinstance(value, int) else value
    high, low = np.array(
        [[each >> 64 * part & (1 << 64) - 1 for each in values] for part in (1, 0)], np.uint64
    )
    return (high[0], low[0]) if isinstance(value, int) else (high, low)


def add(a: Wide, b: Wide) -> Wide:
    """a + b; shapes broadcast."""
    low = a[1] + b[1]
    return a[0] + b[0] + (low < a[1]), low


def multiply(a: Wide, b: Wide) -> Wide:
    """a * b; shapes broadcast."""
    # Products of 32-bit halves fit into 64 bits; upper * upper lies above 128.
    a_low, a_high, b_low, b_high = a[1] & _LOW, a[1] >> _HALF, b[1] & _LOW, b[1] >> _HALF
    lowest, first, second = a_low * b_low, a_low * b_high, a_high * b_low
    middle = (lowest >> _HALF) + (first & _LOW) + (second & _LOW)
    carried = a_high * b_high + (first >> _HALF) + (second >> _HALF) + (middle >> _HALF)
    return carried + a[0] * b[1] + a[1] * b[0], middle << _HALF | lowest & _LOW
