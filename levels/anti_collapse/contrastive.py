"""Contrastive learning with InfoNCE (van den Oord et al., arXiv 1807.03748, equation 4): the counterexample.

Of n moments of a layout, which one follows? With a and b two moments in a row of a window, and distances as the score:

    - log( exp(-|a_i - b_i|² / τ) / sum over j of exp(-|a_i - b_j|² / τ) ),    both ways, mean over windows i.

It pushes apart what it samples, one pair at a time; how many it samples limits what it can tell apart (log n nats),
where the other ways look at a distribution as a whole. Negatives are of the same layout: those of others would be told
apart by the layout alone.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

from levels.anti_collapse.base import AntiCollapse
from levels.gathering import gathered


class Contrastive(AntiCollapse):
    """See the module.

    Args:
        encoder: of the level.
        temperature: τ, in squared distances.

    Raises:
        ValueError: a temperature that is not positive.
    """

    moments = (0, 1)

    def __init__(self, encoder: nn.Module, temperature: float = 1.0) -> None:
        super().__init__(encoder)
        if not temperature > 0:
            raise ValueError(f"contrastive has temperature {temperature}; give a positive number")
        self.temperature = temperature

    def forward(self, pairs: Tensor) -> dict[str, Tensor]:
        """``contrastive``: nats, log n for latents that are all the same."""
        first, second = gathered(pairs).unbind(2)
        apart = rearrange(first, "p n d -> p n 1 d") - rearrange(second, "p n d -> p 1 n d")
        score = -apart.square().sum(-1) / self.temperature
        both = [-score.log_softmax(axis).diagonal(dim1=1, dim2=2).mean() for axis in (1, 2)]
        return {"contrastive": 0.5 * (both[0] + both[1])}
