"""Nothing that keeps latents from collapsing: the control."""

from __future__ import annotations

from torch import Tensor

from levels.anti_collapse.base import AntiCollapse


class Nothing(AntiCollapse):
    """No term. A constant latent predicts itself, and only inverse dynamics speak against it."""

    def forward(self, pairs: Tensor) -> dict[str, Tensor]:
        """See `AntiCollapse`."""
        return {}
