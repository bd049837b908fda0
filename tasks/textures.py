"""Texture that nobody can predict, drawn over pictures: a world whose pixels say more than there is to know.

flicker   squares of `SQUARE` pixels whose brightness is drawn anew in every frame
drift     a random field that moves over the picture by a constant step, another one in every clip
dimming   brightness of the whole frame, one of `DIMMINGS`, drawn anew in every frame
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SQUARE = 4
"""Pixels a side of what flickers."""

DIMMINGS = (-24, -8, 8, 24)
"""Brightness that is added to a whole frame, of 255."""

FASTEST = 2
"""Pixels a frame that the drifting field moves at most, along each axis."""

GRAIN = 6
"""Pixels a side of the drifting field's squares."""


@dataclass(frozen=True)
class Textured:
    """Clips with texture.

    Attributes:
        frames: (N, T, H, W, C) uint8.
        dimming: (N, T) int64, the number of each frame's dimming: what a picture says everywhere and nobody needs to
            know.
        flicker: (N, T) int64, 1 where the square in the middle of a frame has brightened, else 0: what a picture says
            in one place, and no other place or frame does.
    """

    frames: np.ndarray
    dimming: np.ndarray
    flicker: np.ndarray


def textured(
    frames: np.ndarray, rng: np.random.Generator, flicker: float = 32.0, drift: float = 32.0
) -> Textured:
    """Draw texture over clips.

    Args:
        frames: (N, T, H, W, C) uint8.
        rng: source of every draw.
        flicker: largest brightness that a square is changed by, of 255.
        drift: the same of the drifting field; with both 0 nothing is drawn, and no frame dims.

    Raises:
        ValueError: frames of another shape or type, or brightness outside 0 to 255.
    """
    if frames.ndim != 5 or frames.dtype != np.uint8:
        raise ValueError(f"frames are {frames.dtype} {frames.shape}; pass uint8 (N, T, H, W, C)")
    if not (0 <= flicker <= 255 and 0 <= drift <= 255):
        raise ValueError(f"flicker is {flicker} and drift {drift}; give numbers from 0 to 255")
    count, length, height, width = frames.shape[:4]
    if not flicker and not drift:
        none = np.zeros((count, length), dtype=np.int64)
        return Textured(frames, none, none)
    dimming = rng.integers(0, len(DIMMINGS), (count, length))
    noise = np.array(DIMMINGS, dtype=np.float32)[dimming][:, :, None, None]
    squares = rng.uniform(-flicker, flicker, (count, length, -(-height // SQUARE), -(-width // SQUARE)))
    noise = noise + _enlarged(squares, SQUARE)[..., :height, :width]
    noise += _drifting(rng, drift, (count, length, height, width))
    found = frames.astype(np.float32) + noise[..., None]
    middle = squares[:, :, squares.shape[2] // 2, squares.shape[3] // 2]
    return Textured(found.clip(0, 255).astype(np.uint8), dimming, (middle > 0).astype(np.int64))


def _drifting(rng: np.random.Generator, drift: float, shape: tuple[int, int, int, int]) -> np.ndarray:
    """(N, T, H, W) float32: windows of a field that lies still, each a step further than the one before."""
    count, length, height, width = shape
    beyond = FASTEST * (length - 1)
    sides = [-(-(side + 2 * beyond) // GRAIN) for side in (height, width)]
    field = _enlarged(rng.uniform(-drift, drift, (count, *sides)), GRAIN)
    step = rng.integers(-FASTEST, FASTEST + 1, (2, count, 1))
    y, x = beyond + step * np.arange(length)
    rows, columns = y[..., None] + np.arange(height), x[..., None] + np.arange(width)
    which = np.arange(count)[:, None, None, None]
    return np.asarray(field[which, rows[..., :, None], columns[..., None, :]])


def _enlarged(values: np.ndarray, factor: int) -> np.ndarray:
    """(..., H, W) -> (..., factor * H, factor * W) float32."""
    return values.astype(np.float32).repeat(factor, -2).repeat(factor, -1)
