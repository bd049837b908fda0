"""Pictures of a world as few bytes, so that a page with many episodes stays small."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from hjepa.explorer.packing import Blobs

BYTES = 1_700_000
"""Of all pictures of a page together, before they become text."""

SIZES = ((192, 65), (160, 60), (128, 55), (112, 50), (96, 50), (80, 45), (64, 40))
"""Pixels a side at most, and quality, from the best to the least."""

SHARE = 0.7
"""Of the bytes that first pictures may take, for later ones can show more."""


class Frames:
    """Pictures that are looked at one after another; the same picture is held once.

    Their size is chosen by the first ones: the largest at which all that may come fit into `BYTES`, and where even the
    least does not fit, only some steps have a picture.

    Args:
        blobs: get the pictures, as WebP.
        count: of pictures that may come.

    Attributes:
        every: steps from one picture to the next.
    """

    def __init__(self, blobs: Blobs, count: int) -> None:
        self.blobs, self.count = blobs, max(count, 1)
        self.every = 1
        self._size: tuple[int, int] | None = None

    def begin(self, pictures: np.ndarray | Sequence[np.ndarray]) -> tuple[int, int]:
        """Choose the size, if it is not, by pictures (N, H, W, 3) uint8: pixels a side, and quality."""
        if self._size is None:
            self._size = self._chosen(pictures)
        return self._size

    def add(self, pictures: np.ndarray | Sequence[np.ndarray]) -> list[str]:
        """The names of pictures (N, H, W, 3) uint8."""
        size = self.begin(pictures)
        return [self.blobs.add(_packed(one, *size)) for one in pictures]

    def _chosen(self, pictures: np.ndarray | Sequence[np.ndarray]) -> tuple[int, int]:
        allowed, most = SHARE * BYTES / self.count, 0
        for size in SIZES:
            most = max(len(_packed(one, *size)) for one in pictures)
            if most <= allowed:
                return size
        self.every = math.ceil(most / allowed)
        return SIZES[-1]


def _packed(picture: np.ndarray, side: int, quality: int) -> np.ndarray:
    """The bytes (B,) uint8 of a picture (H, W, 3), made smaller where a side has more pixels than it may."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    scale = side / max(image.size)
    if scale < 1:
        width, height = (max(1, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "WEBP", quality=quality, method=4)
    return np.frombuffer(written.getvalue(), np.uint8)
