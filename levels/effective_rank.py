"""How many directions a latent makes use of, and how far it spreads: what a collapse shows in."""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDING = 1e-9
"""Share of the latents' size below which a singular value is what computing left of 0."""


def effective_rank(latent: Tensor) -> Tensor:
    """The exponential of the entropy of the singular values, as shares of their sum (Roy and Vetterli 2007).

    Singular values are those of the latents about the mean of their layout: a latent that knows the map and has
    forgotten the agent has none. `hjepa.evaluation.diagnostics` takes shares of their squares and so counts fewer.

    Args:
        latent: (P, N, D).

    Returns:
        a scalar, 1 for latents on a line, D for a round cloud; 0 where all are the same, and no number where one of
        them is none.
    """
    less = _about_the_mean(latent)
    if not bool(less.isfinite().all()):
        return torch.full((), torch.nan)
    # Through the (D, D) matrix of products: a hundred times quicker than singular values of many latents.
    values = torch.linalg.eigvalsh(less.T @ less).clamp(min=0).sqrt()
    values = values.where(values > ROUNDING * latent.double().norm(), 0.0)
    total = values.sum()
    if not total > 0:
        return torch.zeros(())
    share = values / total
    return torch.special.entr(share).sum().exp()


def spread(latent: Tensor) -> Tensor:
    """Root mean square of latents (P, N, D) about the mean of their layout, per number."""
    return _about_the_mean(latent).square().mean().sqrt()


def _about_the_mean(latent: Tensor) -> Tensor:
    """(P, N, D) -> (P * N, D) in double precision: what layouts differ in may be a million times as large."""
    exact = latent.double()
    return (exact - exact.mean(1, keepdim=True)).flatten(0, 1)
