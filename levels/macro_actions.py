"""Actions of a level: where they come from in training, and how likely each is in a state.

``primitive``   what the agent did; level 1.
``outcome``     a code, inferred from the two end latents. The level is a conditional mixture: code c predicts
                one of the next latents that data reaches from here, the prior says how often. What no data
                reaches gets a small prior, so that walls need not be penalised by hand. (A latent-variable
                JEPA, LeCun 2022, section 4.3; the variable holds no more than one of K codes.)
``chunk``       numbers encoded from the actions of the level below within one stride; feasible by
                construction, but a long chunk says little about where a state behind a wall ends up.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.networks import mlp


class ChunkEncoder(nn.Module):
    """The actions of one stride -> a macro-action in [-1, 1]^A.

    Args:
        stride: actions in a chunk.
        below_dim: numbers in an action of the level below.
        hidden: width.
        action_dim: A.
    """

    def __init__(self, stride: int, below_dim: int, hidden: int, action_dim: int) -> None:
        super().__init__()
        self.layers = mlp(stride * below_dim, hidden, action_dim)

    def forward(self, chunk: Tensor) -> Tensor:
        """(..., stride, A_below) -> (..., A)."""
        return torch.tanh(self.layers(chunk.flatten(-2)))


def categorical_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of target distributions (..., A) under logits (..., A)."""
    return -(target * logits.log_softmax(-1)).sum(-1).mean()


def gaussian_parameters(prior: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 2A) -> mean and log standard deviation, (..., A) each; the latter is kept within [-4, 1]."""
    mean, spread = prior.chunk(2, -1)
    return mean, 1.0 - 5.0 * torch.sigmoid(-spread)


def gaussian_loss(prior: Tensor, action: Tensor) -> Tensor:
    """Mean negative log-likelihood per number of actions (..., A) under diagonal Gaussians (..., 2A)."""
    mean, log_std = gaussian_parameters(prior)
    return (0.5 * ((action - mean) * (-log_std).exp()).square() + log_std).mean() + 0.5 * math.log(
        2 * math.pi
    )


def responsibilities(outcomes: Tensor, log_prior: Tensor, target: Tensor, variance: float) -> Tensor:
    """Posterior over codes given where the step ended: the E-step of a Gaussian mixture.

    Args:
        outcomes: (..., K, D), what each code predicts.
        log_prior: (..., K).
        target: (..., D), the next latent.
        variance: of each number of the latent about a code's prediction.

    Returns:
        (..., K), sums to 1.
    """
    error = (outcomes - target.unsqueeze(-2)).square().sum(-1)
    return (log_prior - error / (2 * variance)).softmax(-1)


def one_hot_max(scores: Tensor) -> Tensor:
    """(..., A) -> one-hot of the largest score, same dtype."""
    return F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)


def one_hot_draw(probabilities: Tensor) -> Tensor:
    """(..., A) that sum to 1 -> one-hot draws, by torch's global generator.

    What is not a number draws something all the same, so that it shows in the loss and not as an error here.
    """
    cumulative = probabilities.cumsum(-1)
    noise = torch.rand_like(cumulative[..., :1])
    index = (noise * cumulative[..., -1:] >= cumulative).sum(-1).clamp_max(probabilities.shape[-1] - 1)
    return F.one_hot(index, probabilities.shape[-1]).to(probabilities.dtype)
