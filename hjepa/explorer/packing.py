"""Numbers as few characters: bytes as base64, each held once, and coordinates as whole numbers."""

from __future__ import annotations

import base64

import numpy as np


class Blobs:
    """Bytes by name; the same bytes get the same name.

    Attributes:
        texts: name -> base64.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(self, values: np.ndarray) -> str:
        """The name of an array's bytes, which are uint8 or little-endian uint16."""
        if values.dtype not in (np.dtype("uint8"), np.dtype("uint16")):
            raise ValueError(f"a blob of {values.dtype}; give uint8 or uint16")
        raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        text = base64.b64encode(raw).decode()
        if text not in self._names:
            self._names[text] = f"b{len(self.texts)}"
            self.texts[self._names[text]] = text
        return self._names[text]


def tenths(positions: np.ndarray) -> list[int]:
    """Positions (..., 2) in cells as one list of tenths of a cell."""
    return [int(value) for value in np.rint(10 * np.asarray(positions, float)).reshape(-1)]


def whole(values: np.ndarray) -> list[int]:
    """Any numbers, rounded, as one list."""
    return [int(value) for value in np.rint(np.asarray(values, float)).reshape(-1)]


def bytes_between(values: np.ndarray, low: float, high: float, most: int) -> np.ndarray:
    """Values between low and high as uint8 from 0 to ``most``; NaN becomes 255."""
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0.0, 1.0) * most
    return np.where(np.isnan(values), 255, np.rint(np.nan_to_num(scaled))).astype(np.uint8)
