"""Actions of a level: where they come from in training, and how likely each is in a state.

``primitive``   what the agent did; level 1.
``outcome``     a code, inferred from the two end latents. The level is a conditional mixture: code c predicts
                one of the next latents that data reaches from here, the prior says how often. What no data
                reaches gets a small prior, so that walls need not be penalised by hand. (A latent-variable
                JEPA, LeCun 2022, section 4.3; the variable holds no more than one of K codes.)
``chunk``       numbers encoded from the actions of the level below within one stride; feasible by
                construction, but a long chunk says little about where a state behind a wall ends up.
``stochastic``  the same, but a chunk gives a mean and a spread, and the level learns from draws (Kingma and
                Welling, arXiv 1312.6114). They are held near the level's prior by their divergence from it, so that
                what planning draws from the prior is what the predictor has been trained on. (After the
                macro-actions of Dual-WM, arXiv 2609.37644.)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.gathering import mean_of, own_noise
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


class StochasticChunkEncoder(ChunkEncoder):
    """The actions of one stride -> a diagonal Gaussian of macro-actions; called, its mean. Arguments as there."""

    def __init__(self, stride: int, below_dim: int, hidden: int, action_dim: int) -> None:
        super().__init__(stride, below_dim, hidden, 2 * action_dim)

    def describe(self, chunk: Tensor) -> Tensor:
        """(..., stride, A_below) -> (..., 2A), for `gaussian_parameters`."""
        described: Tensor = self.layers(chunk.flatten(-2))
        return described

    def forward(self, chunk: Tensor) -> Tensor:
        """(..., stride, A_below) -> (..., A)."""
        return gaussian_parameters(self.describe(chunk))[0]


CHUNK_ENCODERS: dict[str, Callable[[int, int, int, int], nn.Module]] = {
    "chunk": ChunkEncoder,
    "stochastic": StochasticChunkEncoder,
}
"""What makes macro-actions of chunks, by kind; see `levels.settings.CONTINUOUS`."""


def categorical_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of target distributions (..., A) under logits (..., A), of however many there are."""
    return mean_of(-(target * logits.log_softmax(-1)).sum(-1).flatten())


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


def gaussian_draw(described: Tensor) -> Tensor:
    """Draws (..., A) from diagonal Gaussians (..., 2A) by torch's global generator, differentiable in both."""
    mean, log_std = gaussian_parameters(described)
    return mean + log_std.exp() * own_noise(torch.randn_like, mean)


def gaussian_divergence(described: Tensor, prior: Tensor) -> Tensor:
    """Kullback-Leibler divergence (...) in nats of diagonal Gaussians (..., 2A) from others (..., 2A)."""
    mean, log_std = gaussian_parameters(described)
    prior_mean, prior_log_std = gaussian_parameters(prior)
    ratio = 2 * (log_std - prior_log_std)
    away = ((mean - prior_mean) * (-prior_log_std).exp()).square()
    return 0.5 * (ratio.exp() + away - 1 - ratio).sum(-1)


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
    noise = own_noise(torch.rand_like, cumulative[..., :1])
    index = (noise * cumulative[..., -1:] >= cumulative).sum(-1).clamp_max(probabilities.shape[-1] - 1)
    return F.one_hot(index, probabilities.shape[-1]).to(probabilities.dtype)
