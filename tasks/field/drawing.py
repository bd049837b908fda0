"""Pictures: what stands is drawn once, what moves is blended in where it is, for E frames at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Share = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From distances in pixels, along x and along y, to the share of the colour, 0 to 1."""

REACH = 4.0
"""Standard deviations up to which a Gaussian dot is drawn: beyond, it changes no byte (255 exp(-8) is below a half)."""


def pixel_centres(pixels: int, side: int) -> np.ndarray:
    """Places (pixels,) of the middles of pixels in a drawing of ``side`` units, whose pixel k has its middle at k."""
    return (np.arange(pixels) + 0.5) * (side / pixels) - 0.5


def to_pixels(place: np.ndarray, pixels: int, side: int) -> np.ndarray:
    """Places in a drawing of ``side`` units in pixels of a picture, where pixel k has its middle at k."""
    return (place + 0.5) * (pixels / side) - 0.5


def gaussian(deviation: float) -> tuple[Share, float]:
    """A dot whose colour fades with this standard deviation, in pixels; and how far it reaches."""
    return lambda dx, dy: np.exp(-(dx**2 + dy**2) / (2 * deviation**2)), REACH * deviation


def disc(radius: float) -> tuple[Share, float]:
    """A disc of this radius, in pixels, whose edge is one pixel soft; and how far it reaches."""
    return lambda dx, dy: np.clip(radius + 0.5 - np.sqrt(dx**2 + dy**2), 0, 1), radius + 0.5


def blend(
    frames: np.ndarray, centre: np.ndarray, shape: tuple[Share, float], colour: tuple[int, int, int]
) -> None:
    """Mix a colour into frames, in place.

    Args:
        frames: (E, H, W, 3) uint8, contiguous.
        centre: (E, 2) x and y in pixels, where pixel k has its middle at k.
        shape: of `gaussian` or `disc`.
        colour: red, green and blue.

    Raises:
        ValueError: frames that are not contiguous, which could not be drawn into.
    """
    if not frames.flags.c_contiguous:
        raise ValueError(f"frames {frames.shape} are not contiguous; pass np.ascontiguousarray of them")
    share, reach = shape
    height, width = frames.shape[1:3]
    span = np.arange(2 * int(np.ceil(reach)) + 2)
    first = np.floor(centre - reach).astype(np.int64)
    # Pixels outside are moved to the edge, where they write again what belongs there.
    columns = np.clip(first[:, :1] + span, 0, width - 1)
    rows = np.clip(first[:, 1:] + span, 0, height - 1)
    across, down = (columns - centre[:, :1]).astype(np.float32), (rows - centre[:, 1:]).astype(np.float32)
    part = share(across[:, None, :], down[:, :, None])
    place = (np.arange(len(frames))[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
    pixels = frames.reshape(-1, 3)  # a view: colour by colour this is many times faster than all at once
    for number, value in enumerate(colour):
        plane = pixels[:, number]
        under = plane[place].astype(np.float32)
        plane[place] = np.rint(under + part * (value - under)).astype(np.uint8)
