"""Barlow twins (Zbontar et al., arXiv 2103.03230, equations 1 and 2).

With C the cross-correlation between the numbers of two views, each centred (here within its layout):

    sum over i of (1 - C_ii)²  +  λ sum over i != j of C_ij²,    per number of the latent.

Views are two moments in a row. The paper divides by the spread of each number, whatever it is. Here a level predicts
its latents, and one that shrinks them all is rewarded; so a spread below ``least`` is divided by ``least``, and
shrinking lowers C_ii. With ``least`` 0 it is the paper's.
"""

from __future__ import annotations

from torch import Tensor, nn

from levels.anti_collapse.base import AntiCollapse, centred
from levels.gathering import gathered


class BarlowTwins(AntiCollapse):
    """See the module.

    Args:
        encoder: of the level.
        redundancy: λ, the weight of what different numbers have in common.
        least: the spread below which a number counts as shrunk.
        floor: added to variances before the square root.

    Raises:
        ValueError: a number below 0.
    """

    moments = (0, 1)

    def __init__(
        self, encoder: nn.Module, redundancy: float = 0.1, least: float = 1.0, floor: float = 1e-4
    ) -> None:
        super().__init__(encoder)
        if min(redundancy, least, floor) < 0:
            raise ValueError(
                f"barlow has redundancy {redundancy}, least {least}, floor {floor}; give 0 or more of each"
            )
        self.redundancy, self.least, self.floor = redundancy, least, floor

    def forward(self, pairs: Tensor) -> dict[str, Tensor]:
        """``barlow``: 0 for views that agree in numbers that have nothing in common."""
        whole = gathered(pairs)
        first, free = centred(whole[:, :, 0])
        second, _ = centred(whole[:, :, 1])
        cross = first.T @ second / free
        cross = cross / (self._spread(first, free).unsqueeze(1) * self._spread(second, free))
        diagonal = cross.diagonal()
        apart = cross.square().sum() - diagonal.square().sum()
        return {"barlow": ((1 - diagonal).square().sum() + self.redundancy * apart) / len(cross)}

    def _spread(self, latent: Tensor, free: int) -> Tensor:
        return (latent.square().sum(0) / free + self.floor).sqrt().clamp(min=self.least)
