"""Pictures of a page: few bytes, the same held once, and still pictures of the same things."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from hjepa.explorer.frames import BYTES, SIZES, Frames
from hjepa.explorer.packing import Blobs


def read(blobs: Blobs, name: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(blobs.texts[name]))).convert("RGB"))


def ramp(side: int, seed: int = 0) -> np.ndarray:
    across = np.linspace(0, 255, side)
    return np.stack([*np.meshgrid(across, across), np.full((side, side), 40.0 * seed)], -1).astype(np.uint8)


def test_few_pictures_are_large_and_true() -> None:
    blobs = Blobs()
    frames = Frames(blobs, 10)
    names = frames.add([ramp(64), ramp(64), ramp(64, 1)])
    assert names[0] == names[1] != names[2] and frames.every == 1
    assert np.abs(read(blobs, names[0]).astype(float) - ramp(64)).mean() < 4, "never made larger nor another"
    big = Frames(blobs, 10).add([ramp(500)])[0]
    assert read(blobs, big).shape == (SIZES[0][0], SIZES[0][0], 3)


def test_a_page_with_twenty_episodes_of_four_levels_stays_small() -> None:
    """Pictures that differ from step to step, and as many as there are, of a world that is hard to pack."""
    rng, blobs = np.random.default_rng(0), Blobs()
    count = 20 * 4 * 51
    frames = Frames(blobs, count)
    noisy = [np.clip(ramp(500) + rng.normal(0, 30, (500, 500, 3)), 0, 255).astype(np.uint8) for _ in range(3)]
    frames.add(noisy[:1])
    mean = np.mean([len(base64.b64decode(blobs.texts[name])) for name in frames.add(noisy)])
    assert mean * count / frames.every <= BYTES
    many = Frames(blobs, 100 * count)
    many.add(noisy[:1])
    assert many.every > 20, "of too many only some are kept"
