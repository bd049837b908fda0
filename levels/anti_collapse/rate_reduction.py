"""Maximal coding rate reduction (MCR², Yu et al., arXiv 2006.08558, equations 7 and 8).

With Z the m latents as columns, D numbers each, centred within their layout:

    R(Z) = 1/2 log det(I + D / (m ε²) Z Zᵀ)                       nats to tell all latents apart within ε,
    R_c(Z) = sum over groups j of  m_j / (2 m) log det(I + D / (m_j ε²) Z_j Z_jᵀ)      the same group by group,

and the term is R_c - R. Groups are two moments in a row of one window, as the paper groups the views of one picture.

The paper fixes the power of the latents. Here a level predicts its latents, and one that shrinks them all is rewarded;
so power is limited to 1 per latent (unit variance per number) from above alone, and below it the rate falls with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from levels.anti_collapse.base import AntiCollapse, centred
from levels.gathering import gathered


class RateReduction(AntiCollapse):
    """See the module.

    Args:
        encoder: of the level.
        precision: ε², the squared error that is allowed, of a latent of power 1.

    Raises:
        ValueError: a precision that is not positive.
    """

    moments = (0, 1)

    def __init__(self, encoder: nn.Module, precision: float = 0.5) -> None:
        super().__init__(encoder)
        if not precision > 0:
            raise ValueError(f"rate_reduction has precision {precision}; give a positive number")
        self.precision = precision

    def forward(self, pairs: Tensor) -> dict[str, Tensor]:
        """``rate_reduction``: R_c - R in nats; at best below -D / 2 log(1 + 1 / ε²) plus what groups cost."""
        whole = gathered(pairs)
        latent, free = centred(whole.flatten(1, 2))
        dim = latent.shape[-1]
        power = latent.square().sum() / (free * dim)
        latent = latent / (dim * power.clamp(min=1.0)).sqrt()
        every = 0.5 * _log_det(latent.T @ latent * (dim / (free * self.precision)))
        groups = latent.unflatten(0, (-1, 2))
        each = 0.5 * _log_det(groups @ groups.mT * (dim / (2 * self.precision))).mean()
        return {"rate_reduction": each - every}


def _log_det(matrix: Tensor) -> Tensor:
    """log det(I + M) of positive semidefinite M, (..., k, k)."""
    return torch.linalg.slogdet(matrix + torch.eye(matrix.shape[-1], device=matrix.device)).logabsdet
