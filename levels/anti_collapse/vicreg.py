"""Variance and covariance regularisation (VICReg, Bardes et al., arXiv 2105.04906, equations 1 to 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def variance_covariance(latent: Tensor, floor: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Hinge on the standard deviation below 1, and mean squared off-diagonal covariance per dimension.

    Both are measured about the mean of each floor plan: variance between plans does not count, since a latent
    that encodes the map and forgets the agent (the slow-feature collapse that VICReg cannot see otherwise)
    has plenty.

    Args:
        latent: (P, N, D), N states of each of P floor plans.
        floor: added to the variance before the square root.

    Returns:
        two scalars.
    """
    centred = (latent - latent.mean(1, keepdim=True)).flatten(0, 1)
    count, dim = centred.shape
    covariance = centred.T @ centred / max(count - len(latent), 1)
    variance = F.relu(1 - (covariance.diagonal() + floor).sqrt()).mean()
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return variance, off_diagonal.square().sum() / dim
