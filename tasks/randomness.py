"""Keyed randomness: every random draw of this package is a function of a key that names it.

There is no global random state. A key is a tuple of strings and integers, for example
``("floor plan", depth, room, seed)``; the same key gives the same generator on every machine, and two
different keys give unrelated ones. Prefix-stable sampling (episode 7 of 10 equals episode 7 of 200) follows
from keying each item by its own index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

BUCKETS = 10
"""Number of hash buckets that held-out content is divided into (see :func:`bucket`)."""


def _text(key: tuple[str | int, ...]) -> str:
    return "\x1f".join(f"{type(part).__name__}:{part}" for part in key)


def _digest(key: tuple[str | int, ...]) -> int:
    return int.from_bytes(hashlib.sha256(_text(key).encode()).digest(), "big")


def digests(*key: str | int, last: Iterable[str | int], after: tuple[str | int, ...] = ()) -> np.ndarray:
    """Hashes (N, 32) uint8, highest byte first, of the N keys ``(*key, each of last, *after)``."""
    head, tail = f"{_text(key)}\x1f", "".join(f"\x1f{_text((part,))}" for part in after)
    texts = (f"{head}{type(each).__name__}:{each}{tail}" for each in last)
    found = b"".join([hashlib.sha256(text.encode()).digest() for text in texts])
    return np.frombuffer(found, dtype=np.uint8).reshape(-1, 32)


def keyed_generator(*key: str | int) -> np.random.Generator:
    """A fresh numpy generator for ``key`` (strings and Python integers)."""
    return np.random.default_rng(_digest(key) % 2**128)


def bucket(*key: str | int) -> int:
    """Hash of ``key`` as a bucket number 0..9; used to hold out content whatever seed made it."""
    return _digest(key) % BUCKETS


def buckets(*key: str | int, last: Iterable[str | int]) -> np.ndarray:
    """(N,) int64, the `bucket` of each of the keys ``(*key, each of last)``."""
    found = digests(*key, last=last)
    # All powers of 256 but the zeroth leave the same remainder as 256, as 6 * 6 ends with 6.
    return (found[:, :-1].sum(1, dtype=np.int64) * 256 + found[:, -1]) % BUCKETS


def fingerprint(*key: str | int) -> str:
    """Hash of ``key`` as 12 hexadecimal digits, for names of what has the same content."""
    return f"{_digest(key) % 16**12:012x}"


def spread(count: int, low: int, high: int, *key: str | int) -> np.ndarray:
    """The first ``count`` elements of a keyed walk through ``range(low, high)`` that never repeats.

    Element i depends on the key and i alone: ``low + (offset + i * stride) mod size`` with a stride that has
    no common divisor with the size. Returns (count,) int64. Raises ValueError when the range is too small.
    """
    size = high - low
    if count > size:
        raise ValueError(
            f"{count} distinct seeds asked for, but the range {low}..{high - 1} holds {size}; ask for fewer"
        )
    rng = keyed_generator("spread", *key)
    offset, stride = int(rng.integers(size)), 0
    while np.gcd(stride, size) != 1:
        stride = int(rng.integers(1, size + 1))
    return np.array([low + (offset + i * stride) % size for i in range(count)], dtype=np.int64)
