"""Sketched isotropic Gaussian regularisation (SIGReg, Balestriero and LeCun, arXiv 2511.08544).

Latents are projected on random directions, and along each the Epps-Pulley statistic compares their
characteristic function with that of the standard normal distribution. One weight, and cost linear in samples
and dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sigreg(
    latent: Tensor,
    directions: int = 64,
    knots: int = 17,
    reach: float = 5.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean Epps-Pulley statistic over random directions, centred within each floor plan as in VICReg.

    Args:
        latent: (P, N, D).
        directions: number of random unit vectors, drawn anew at each call.
        knots: points of the quadrature over frequencies.
        reach: largest frequency.
        generator: draws the directions; None: torch's global generator, which training seeds at every step.

    Returns:
        a scalar, 0 for an exact standard normal; about 0.6 / (P * N) for as many draws from one.
    """
    centred = (latent - latent.mean(1, keepdim=True)).flatten(0, 1)
    shape = (centred.shape[1], directions)
    unit = torch.randn(shape, dtype=centred.dtype, device=centred.device, generator=generator)
    projected = centred @ (unit / unit.norm(dim=0))
    frequency = torch.linspace(-reach, reach, knots, dtype=centred.dtype, device=centred.device)
    phase = projected.unsqueeze(-1) * frequency
    normal = torch.exp(-0.5 * frequency.square())
    error = (phase.cos().mean(0) - normal).square() + phase.sin().mean(0).square()
    return torch.trapezoid(error * normal, frequency, dim=-1).mean()
