"""Many numpy generators side by side, as arrays: row i draws what its own `numpy.random.Generator` would.

Making a generator takes numpy some ten microseconds and each draw a few more, which is most of the time of drawing
thousands of small floor plans. Here the same computation is done for all rows at once: the seed sequence, PCG64 and
the bounded integers are those of numpy (`SeedSequence`, `PCG64`, `Generator.integers` by Lemire's method), and tests
compare them row by row. What is rare, a number that Lemire's method rejects, is left to numpy itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np

from tasks.randomness import digests
from tasks.wide_integers import Wide, add, multiply, wide

_LOW = np.uint64(0xFFFFFFFF)
_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
"""Of PCG64's steps."""
_WHOLE = 1 << 128


class Streams:
    """N generators.

    Args:
        entropy: (N, 4) uint32, the seed of each, an integer below 2^128 as four words, lowest first.
    """

    def __init__(self, entropy: np.ndarray) -> None:
        words = _generate_state(_mix_entropy(np.asarray(entropy, dtype=np.uint32)), 8).astype(np.uint64)
        high, low, inc_high, inc_low = (words[:, i] | words[:, i + 1] << np.uint64(32) for i in (0, 2, 4, 6))
        one = np.uint64(1)
        self._inc: Wide = (inc_high << one | inc_low >> np.uint64(63), inc_low << one | one)
        self._state = _stepped(add(self._inc, (high, low)), self._inc)
        self._buffered = np.zeros(len(words), dtype=bool)
        # The upper half of a word whose lower one was used.
        self._buffer = np.zeros(len(words), dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._buffered)

    def seed(self, rows: np.ndarray, seeds: Sequence[int]) -> None:
        """Begin rows (R,) anew with these seeds, integers of at least 0 that may be of any size."""
        small = all(seed < _WHOLE for seed in seeds)
        fresh = Streams(_words_of(seeds) if small else np.zeros((len(seeds), 4)))
        for mine, theirs in zip(self._arrays(), fresh._arrays(), strict=True):
            mine[rows] = theirs
        if not small:
            for row, seed in zip(rows.tolist(), seeds, strict=True):
                self.keep(row, np.random.Generator(np.random.PCG64(seed)))

    def integers(self, high: np.ndarray | int, rows: np.ndarray | None = None) -> np.ndarray:
        """Integers from 0 up to but not including ``high``, one draw after another in every row.

        Args:
            high: broadcasts to (R, K), each from 1 to 2^32 - 1.
            rows: (R,) distinct rows that draw; None: all.

        Returns:
            (R, K) int64, row by row what ``generator.integers(0, high[row])`` returns.
        """
        rows = np.arange(len(self)) if rows is None else rows
        high = np.broadcast_to(high, np.broadcast_shapes(np.shape(high), (len(rows), 1)))
        bound, draws = high.astype(np.uint64), high.shape[1]
        states, words = self._words(rows, (draws + 1) // 2)
        halves = np.empty((len(rows), 2 * words.shape[1] + 1), dtype=np.uint64)
        halves[:, 0] = self._buffer[rows]
        halves[:, 1::2], halves[:, 2::2] = words & _LOW, words >> np.uint64(32)
        begin = np.where(self._buffered[rows], 0, 1)
        product = np.where(self._buffered[rows, None], halves[:, :draws], halves[:, 1 : draws + 1]) * bound
        # numpy draws nothing where there is one possibility, and again where the remainder would favour some.
        rejected = (product & _LOW) < bound
        some = bound[rejected]
        rejected[rejected] = (product & _LOW)[rejected] < (np.uint64(1 << 32) - some) % some
        odd = (rejected | (bound == 1)).any(1)
        found = (product >> np.uint64(32)).astype(np.int64)
        for i in np.flatnonzero(odd):
            generator = self.generator(int(rows[i]))
            found[i] = [generator.integers(0, int(each)) for each in high[i]]
            self.keep(int(rows[i]), generator)
        plain = np.flatnonzero(~odd)
        whole = len(plain) == len(rows)
        states = states if whole else (states[0][plain], states[1][plain])
        self._used(rows[plain], begin[plain] + draws, states, halves if whole else halves[plain])
        return found

    def generator(self, row: int) -> np.random.Generator:
        """numpy's generator of one row as it is now; its draws do not advance the row, see `keep`."""
        bits = np.random.PCG64(0)
        state, inc = ((int(part[0][row]) << 64) + int(part[1][row]) for part in (self._state, self._inc))
        bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": inc},
            "has_uint32": int(self._buffered[row]),
            "uinteger": int(self._buffer[row]) if self._buffered[row] else 0,
        }
        return np.random.Generator(bits)

    def keep(self, row: int, generator: np.random.Generator) -> None:
        """Go on in this row where a generator that draws from PCG64 is now."""
        now = generator.bit_generator.state
        for part, value in ((self._state, now["state"]["state"]), (self._inc, now["state"]["inc"])):
            part[0][row], part[1][row] = value >> 64, value & (1 << 64) - 1
        self._buffered[row], self._buffer[row] = bool(now["has_uint32"]), now["uinteger"]

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return (*self._state, *self._inc, self._buffered, self._buffer)

    def _words(self, rows: np.ndarray, count: int) -> tuple[Wide, np.ndarray]:
        """The next states, and the words (R, count) uint64 that PCG64 makes of them (XSL-RR)."""
        state, inc = ((part[0][rows, None], part[1][rows, None]) for part in (self._state, self._inc))
        powers, sums = _jumps(count)
        high, low = add(multiply(state, powers), multiply(inc, sums))
        mixed, turn = high ^ low, high >> np.uint64(58)
        return (high, low), mixed >> turn | mixed << (-turn & np.uint64(63))

    def _used(self, rows: np.ndarray, end: np.ndarray, states: Wide, halves: np.ndarray) -> None:
        """Put rows behind the first ``end`` of their halves, of which the first is the one that was buffered."""
        at, words = np.arange(len(rows)), end // 2
        some = words > 0
        for mine, after in zip(self._state, states, strict=True):
            mine[rows[some]] = after[at[some], words[some] - 1]
        self._buffered[rows] = left = end % 2 == 0
        self._buffer[rows] = np.where(left, halves[at, np.where(left, end, 0)], np.uint64(0))


def keyed_streams(*key: str | int, last: Iterable[str | int], after: tuple[str | int, ...] = ()) -> Streams:
    """The generators of the keys ``(*key, each of last, *after)``, see :func:`tasks.randomness.keyed_generator`."""
    found = digests(*key, last=last, after=after)
    return Streams(np.ascontiguousarray(found).view(">u4")[:, :3:-1])


def _words_of(seeds: Sequence[int]) -> np.ndarray:
    """(N, 4) uint32 of integers below 2^128, lowest first."""
    data = b"".join(int(seed).to_bytes(16, "little") for seed in seeds)
    return np.frombuffer(data, dtype="<u4").reshape(-1, 4)


@functools.lru_cache(maxsize=64)
def _jumps(count: int) -> tuple[Wide, Wide]:
    """What 1 to ``count`` steps multiply state and increment by: m^n, and 1 + m + ... + m^(n-1)."""
    powers, sums = [_MULTIPLIER], [1]
    for _ in range(count - 1):
        sums.append((sums[-1] + powers[-1]) % _WHOLE)
        powers.append(powers[-1] * _MULTIPLIER % _WHOLE)
    return wide(powers), wide(sums)


def _stepped(state: Wide, inc: Wide) -> Wide:
    return add(multiply(state, wide(_MULTIPLIER)), inc)


_A, _TIMES_A, _B, _TIMES_B = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
_LEFT, _RIGHT, _SHIFT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715), np.uint32(16)


def _hashed(value: np.ndarray, constant: int, times: int) -> tuple[np.ndarray, int]:
    """A hash of words (N,) uint32, and the constant of the next one."""
    following = constant * times & 0xFFFFFFFF
    value = (value ^ np.uint32(constant)) * np.uint32(following)
    return value ^ value >> _SHIFT, following


def _mix_entropy(entropy: np.ndarray) -> list[np.ndarray]:
    """The pool of numpy's SeedSequence, four times (N,) uint32, of entropy (N, 4)."""
    pool, constant = [], _A
    for word in np.ascontiguousarray(entropy.T):
        mixed, constant = _hashed(word, constant, _TIMES_A)
        pool.append(mixed)
    for source in range(4):
        for target in range(4):
            if source != target:
                hashed, constant = _hashed(pool[source], constant, _TIMES_A)
                both: np.ndarray = _LEFT * pool[target] - _RIGHT * hashed
                pool[target] = both ^ both >> _SHIFT
    return pool


def _generate_state(pool: list[np.ndarray], words: int) -> np.ndarray:
    """SeedSequence's (N, words) uint32."""
    made, constant = [], _B
    for i in range(words):
        word, constant = _hashed(pool[i % 4], constant, _TIMES_B)
        made.append(word)
    return np.stack(made, 1)
