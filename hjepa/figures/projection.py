"""A plane through latents: the two directions in which they differ most, as a metric sees differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIDE = 1000.0
"""Width and height of a map."""


@dataclass(frozen=True)
class Projection:
    """The two directions in which latents differ most, as a metric sees differences.

    Attributes:
        axes: (D, 2).
        origin: (2,), and
        scale: where a latent is: ``(latent @ axes - origin) * scale``.
        shown: share of the variance that two dimensions hold.
    """

    axes: np.ndarray
    origin: np.ndarray
    scale: float
    shown: float

    @staticmethod
    def of(latents: Tensor, metric: Tensor | None) -> Projection:
        """Of latents (N, D), which fill the map from 0 to `SIDE`; metric (D, M), None: plain L2."""
        flat = latents.double().cpu()
        mapped = torch.eye(flat.shape[-1]).double() if metric is None else metric.double().cpu()
        spread, directions = torch.linalg.eigh(torch.cov((flat @ mapped).T))
        axes = (mapped @ directions[:, -2:].flip(-1)).numpy()
        # Of an axis and its opposite, which are as good, the one whose largest part is positive.
        largest = axes[np.abs(axes).argmax(0), np.arange(2)]
        axes = axes * np.where(largest < 0, -1.0, 1.0)
        found = flat.numpy() @ axes
        low, high = found.min(0), found.max(0)
        side = max(float((high - low).max()), 1e-12)
        shown = float(spread[-2:].sum() / spread.sum().clamp_min(1e-12))
        return Projection(axes, (low + high - side) / 2, SIDE / side, shown)

    def place(self, latents: Tensor) -> np.ndarray:
        """Where latents (..., D) are, (..., 2)."""
        return np.asarray((latents.double().cpu().numpy() @ self.axes - self.origin) * self.scale)
