"""Latents of mean 0 and spread 1: what an encoder says passes a batch normalisation that learns nothing.

Methods whose one regulariser is SIGReg end their encoders in batch normalisation (LeJEPA, Balestriero and LeCun, arXiv
2511.08544, and LeWM after it; Ioffe and Szegedy, arXiv 1502.03167): prediction is easy where all latents are the same,
and so they cannot become it. Without a factor and an offset of its own nothing is left by which the spread could
shrink. It holds number by number; that numbers do not all say the same is for the regulariser to see to.

Every number is normalised, places of a picture too. Were those left as they are, the attention behind them could still
fall to one place in all pictures, at which the rest has nothing to tell them apart by. So a normalised latent has no
places: nothing may look at the picture where its numbers say.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOMENTUM = 0.1
"""Share of a batch's mean and variance in the running ones."""


class Normal(nn.Module):
    """Latents (..., D) less their mean, over their spread, number by number.

    Who learns from a latent gets mean and spread of the batch, and moves the running ones; whoever only looks, in
    evaluation or without gradients, gets the running ones and moves nothing. So what a level in training shows of
    itself changes nothing, and levels above one that is trained see what the agent will see.

    Args:
        latent_dim: D.

    Attributes:
        mean, variance: (D,) the running ones; 0 and 1 at first.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("variance", torch.ones(latent_dim))

    def forward(self, latent: Tensor) -> Tensor:
        """(..., D) -> the same; a batch that is learned from has two latents or more."""
        learns = self.training and torch.is_grad_enabled()
        flat = latent.flatten(0, -2)
        return F.batch_norm(flat, self.mean, self.variance, training=learns, momentum=MOMENTUM).view_as(
            latent
        )
