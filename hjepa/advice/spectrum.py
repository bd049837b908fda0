"""How fast the modes of a latent change: what a level above could keep, and what it could leave out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = 1e-4
"""Share of the largest variance below which a direction of the latent counts as unused."""

SLOWEST, FASTEST = 0.9999, 0.01
"""Autocorrelations are kept between these: a mode slower or faster than that cannot be told from one at the end."""


@dataclass(frozen=True)
class Spectrum:
    """Of one latent along trajectories.

    Attributes:
        rates: (M,) of its modes, slowest first: how much of a mode is forgotten per environment step, 1 / steps.
    """

    rates: Tensor

    @property
    def gap(self) -> float:
        """Mean rate of the faster half of the modes over that of the slower half, both geometric; 1: all the same."""
        half = len(self.rates) // 2
        if not half:
            return 1.0
        logs = self.rates.log()
        return float((logs[-half:].mean() - logs[:half].mean()).exp())

    @property
    def slow_steps(self) -> float:
        """Environment steps in which the slower half forgets, 1 / rate, geometric mean."""
        half = max(len(self.rates) // 2, 1)
        return float((-self.rates[:half].log().mean()).exp())


def spectrum(latents: Tensor, lag: int) -> Spectrum:
    """Rates of the modes of latents.

    Whitens them, takes their symmetrised covariance at ``lag``, and reads from each of its eigenvalues r the rate
    -log(r) / lag; of a mode that decays exponentially this does not depend on the lag.

    Args:
        latents: (n, L, D) along trajectories, one environment step apart.
        lag: steps between the two latents of a pair.

    Raises:
        ValueError: a lag below 1, or trajectories no longer than it.
    """
    if lag < 1 or latents.shape[1] <= lag:
        raise ValueError(
            f"lag {lag} of trajectories of {latents.shape[1]} latents; give 1 to {latents.shape[1] - 1}"
        )
    centred = latents.double() - latents.double().mean((0, 1))
    flat = centred.flatten(0, 1)
    variance, axes = torch.linalg.eigh(flat.T @ flat / len(flat))
    kept = variance > FLOOR * variance.max().clamp_min(1e-12)
    white = centred @ (axes[:, kept] * variance[kept].rsqrt())
    early, late = white[:, :-lag].flatten(0, 1), white[:, lag:].flatten(0, 1)
    lagged = early.T @ late / len(early)
    correlation = torch.linalg.eigvalsh((lagged + lagged.T) / 2).flip(0)
    return Spectrum(-correlation.clamp(FASTEST, SLOWEST).log() / lag)
