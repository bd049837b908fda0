"""Many generators side by side against numpy's own, draw by draw."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.randomness import bucket, buckets, keyed_generator
from tasks.streams import Streams, keyed_streams
from tasks.wide_integers import add, multiply, wide

# Bounds with one possibility, few, and so many that Lemire's method rejects almost half of all numbers.
BOUNDS = (2, 5, 100, 1_000_000_000, 2**31 + 5, 2**32 - 1)


@pytest.mark.parametrize("most", BOUNDS)
def test_rows_draw_what_numpy_draws(most: int) -> None:
    rng = np.random.default_rng(most)
    streams = keyed_streams("streams", 1, last=range(60))
    own = [keyed_generator("streams", 1, i) for i in range(60)]
    for _ in range(25):  # odd and even numbers of draws, so that half words stay over
        rows = np.sort(rng.permutation(60)[: rng.integers(1, 60)])
        high = rng.integers(1, most, (len(rows), rng.integers(1, 8)), endpoint=True)
        wanted = [own[row].integers(0, high[i]) for i, row in enumerate(rows)]
        assert np.array_equal(streams.integers(high, rows), wanted)
    for row, generator in enumerate(own):
        assert streams.generator(row).bit_generator.state["state"] == generator.bit_generator.state["state"]
        assert (streams.generator(row).integers(0, 9, 5) == generator.integers(0, 9, 5)).all()


def test_scalars_and_blocks_are_drawn_like_numpys() -> None:
    streams, own = keyed_streams("streams", last=range(8)), [keyed_generator("streams", i) for i in range(8)]
    assert streams.integers(7)[:, 0].tolist() == [int(each.integers(7)) for each in own]
    assert np.array_equal(streams.integers(np.full((1, 4), 3)) - 1, [each.integers(-1, 2, 4) for each in own])
    assert np.array_equal(streams.integers(np.full((1, 2), 4)), [each.integers(0, 4, 2) for each in own])


def test_keys_may_go_on_behind_the_part_that_differs() -> None:
    streams = keyed_streams("a", 2, last=["x", 5, "5"], after=("places", 1))
    wanted = [keyed_generator("a", 2, part, "places", 1).integers(0, 1000) for part in ("x", 5, "5")]
    assert streams.integers(1000)[:, 0].tolist() == wanted and len(streams) == 3


def test_seeds_of_any_size_and_what_numpy_drew_from_a_row() -> None:
    streams, seeds = Streams(np.zeros((4, 4))), [0, 7, 2**127 + 3]
    for given in (seeds, [*seeds[:2], 2**200 + 1]):
        streams.seed(np.array([3, 0, 2]), given)
        wanted = [np.random.default_rng(seed).integers(0, 1000, 5) for seed in given]
        assert np.array_equal(streams.integers(np.full((1, 5), 1000), np.array([3, 0, 2])), wanted)
    generator, twin = streams.generator(1), streams.generator(1)
    generator.integers(0, 10, 3)
    twin.integers(0, 10, 3)
    streams.keep(1, generator)
    assert streams.integers(1000, np.array([1]))[0, 0] == twin.integers(1000)


def test_buckets_are_those_of_each_key() -> None:
    names: list[str | int] = ["a", 3, "0f" * 40, -1]
    assert buckets("layout", 2, last=names).tolist() == [bucket("layout", 2, name) for name in names]


def test_wide_integers_are_added_and_multiplied_modulo_their_size() -> None:
    rng = np.random.default_rng(0)
    a, b = ([int.from_bytes(rng.bytes(16), "big") for _ in range(50)] for _ in range(2))
    whole = 1 << 128
    for made, wanted in (
        (add, [x + y for x, y in zip(a, b, strict=True)]),
        (multiply, [x * y for x, y in zip(a, b, strict=True)]),
    ):
        high, low = made(wide(a), wide(b))
        assert [(int(h) << 64) + int(w) for h, w in zip(high, low, strict=True)] == [
            each % whole for each in wanted
        ]
