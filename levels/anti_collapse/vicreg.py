"""Variance and covariance regularisation (VICReg, Bardes et al., arXiv 2105.04906, equations 1 to 4).

With C the covariance of N latents about the mean of their layout, D numbers each:

    variance    1 / D  sum over i of  max(0, 1 - sqrt(C_ii + floor))
    covariance  1 / D  sum over i != j of  C_ij²

The paper's third term, invariance, is here the prediction (and ``similarity``, of moments in a row). Its expander is
`levels.settings.LevelSettings.expander`: the terms then hold for what a small network makes of the latent, so that the
latent itself need not be decorrelated.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.anti_collapse.base import AntiCollapse, centred
from levels.gathering import gathered


class VICReg(AntiCollapse):
    """See the module.

    Args:
        encoder: of the level.
        floor: added to variances before the square root.
    """

    def __init__(self, encoder: nn.Module, floor: float = 1e-4) -> None:
        super().__init__(encoder)
        self.floor = floor

    def forward(self, pairs: Tensor) -> dict[str, Tensor]:
        """``variance`` and ``covariance``."""
        variance, covariance = variance_covariance(gathered(pairs).flatten(1, 2), self.floor)
        return {"variance": variance, "covariance": covariance}


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
    less, free = centred(latent)
    covariance = less.T @ less / free
    variance = F.relu(1 - (covariance.diagonal() + floor).sqrt()).mean()
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return variance, off_diagonal.square().sum() / less.shape[1]
