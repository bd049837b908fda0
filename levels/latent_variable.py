"""The part of a step that nothing says beforehand, as a variable of one of K codes.

A level whose actions are its own is told what is done, not what comes of it: the floor may be slippery. Its predictor
then imagines one next latent for each code, and

    prior       p(c | z, w)         how likely each is before the step, from the state and the action alone
    posterior   p(c | z, w, z')     after it, by Bayes' rule: p(c | z, w) exp(-|P(z, w, c) - z'|² / 2 σ²), normalised

as for the codes of outcome levels, which hold the action as well (`levels.macro_actions`). The loss is the error
of the code drawn from the posterior and the divergence of the posterior from the prior, which is what the step told: 0
nats where nothing is uncertain, whatever the prior. Futures are drawn from the prior. (LeCun 2022, section 4.3; Kingma
and Welling, arXiv 1312.6114, for posterior and prior.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.networks import mlp
from levels.settings import LatentVariableSettings


class LatentVariable(nn.Module):
    """The prior over codes.

    Args:
        settings: how many codes, and the scale at which they are told apart.
        condition_dim: numbers in what the predictor makes of a state.
        action_dim: A.
    """

    def __init__(self, settings: LatentVariableSettings, condition_dim: int, action_dim: int) -> None:
        super().__init__()
        self.codes, self.variance = settings.codes, settings.sigma**2
        self.layers = mlp(condition_dim + action_dim, settings.hidden, settings.codes)

    def forward(self, condition: Tensor, action: Tensor) -> Tensor:
        """Logits (P, N, K) of conditions (P, N, hidden) and actions (P, N, A)."""
        logits: Tensor = self.layers(torch.cat([condition, action], -1))
        return logits

    def with_each(self, action: Tensor) -> Tensor:
        """Actions (P, N, A) with every code behind them, (P, N, K, A + K)."""
        every = torch.eye(self.codes, dtype=action.dtype, device=action.device)
        lead = action.shape[:-1]
        repeated = action.unsqueeze(-2).expand(*lead, self.codes, -1)
        return torch.cat([repeated, every.expand(*lead, -1, -1)], -1)


def code_by_chance(logits: Tensor, chance: Tensor) -> Tensor:
    """One-hot codes (..., K) drawn from logits (..., K) by uniform numbers in [0, 1), (...)."""
    cumulative = logits.softmax(-1).cumsum(-1)
    index = (chance.unsqueeze(-1) >= cumulative).sum(-1).clamp_max(logits.shape[-1] - 1)
    return F.one_hot(index, logits.shape[-1]).to(logits.dtype)


def categorical_divergence(posterior: Tensor, logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence (...) in nats of posteriors (..., K) from what logits (..., K) say."""
    known = posterior.clamp_min(torch.finfo(posterior.dtype).tiny).log()
    return (posterior * (known - logits.log_softmax(-1))).sum(-1)
