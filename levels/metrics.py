"""Distances between latents, as linear maps: the distance is the squared length of the mapped difference.

``l2`` is the identity. ``commute`` weighs the modes of the latent by how slowly they decay along
trajectories, which makes distance approximate the time it takes to get there and back (commute time;
time-lagged independent components: Molgedey and Schuster 1994; kinetic maps: Noe and Clementi, J. Chem.
Theory Comput. 2015). It is a closed form: no training, no reward. ``imagined`` is the same from trajectories that
level 1 imagines on the floor plan at hand, so it needs no data from it; every episode has its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from levels.metrics_names import DISTANCES

__all__ = ["DISTANCES", "commute_metric", "squared_distance"]


def squared_distance(first: Tensor, second: Tensor, metric: Tensor | None = None) -> Tensor:
    """Squared length of the mapped difference.

    Args:
        first, second: (..., D) and (..., D).
        metric: None for plain L2, a map (D, M), or one map per row of the first dimension, (E, D, M).

    Returns:
        (...).
    """
    difference = first - second
    if metric is not None and metric.ndim == 3:
        flat = difference.flatten(1, -2) @ metric
        return flat.square().sum(-1).view(difference.shape[:-1])
    if metric is not None:
        difference = difference @ metric
    return difference.square().sum(-1)


def commute_metric(latents: Tensor, lag: int = 1, largest: float = 0.999, floor: float = 1e-4) -> Tensor:
    """The commute-time map of latents along trajectories.

    Whitens the latents, takes their symmetrised covariance at ``lag``, and weighs each of its modes by
    ``lag * r / (1 - r)``, r its autocorrelation: for slow modes that is the time in which they decay, whatever the
    lag. Single steps hold momentum and noise that die out over a larger lag, so slow modes stand out.

    Args:
        latents: (T, L, D), T trajectories of L successive latents.
        lag: steps between the two latents of a pair.
        largest: autocorrelations are capped here, so that one nearly constant mode cannot drown the others.
        floor: directions with less than this share of the largest variance are left out of the whitening.

    Returns:
        (D, D) map, in the dtype of the latents; ``squared_distance(a, b, map)`` is the metric.

    Raises:
        ValueError: a lag below 1, or trajectories no longer than the lag.
    """
    if lag < 1:
        raise ValueError(f"lag is {lag}; give 1 or more")
    if latents.shape[1] <= lag:
        raise ValueError(
            f"trajectories of {latents.shape[1]} latents are too short for lag {lag}; give longer ones"
        )
    wide = latents.double()
    dim = wide.shape[-1]
    centred = wide - wide.mean((0, 1))
    flat = centred.reshape(-1, dim)
    variance, axes = torch.linalg.eigh(flat.T @ flat / len(flat))
    kept = variance > floor * variance.max()
    whiten = torch.where(kept, variance.clamp_min(1e-12).rsqrt(), 0.0) * axes
    early = (centred[:, :-lag] @ whiten).reshape(-1, dim)
    late = (centred[:, lag:] @ whiten).reshape(-1, dim)
    lagged = early.T @ late / len(early)
    autocorrelation, modes = torch.linalg.eigh((lagged + lagged.T) / 2)
    autocorrelation = autocorrelation.clamp(0.0, largest)
    weight = (lag * autocorrelation / (1 - autocorrelation)).sqrt()
    return (whiten @ modes * weight).to(latents.dtype)
