"""How the error of what a level imagines grows with its steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Advance = Callable[[Tensor, Tensor], Tensor]
"""Latents (1, N, D), actions (1, N, A) -> latents one step of the level later (1, N, D)."""


def error_growth(
    advance: Advance, latents: Tensor, actions: Tensor, weights: Tensor | None = None
) -> list[float]:
    """Squared error after 1, 2, ... steps in a row, in the spread of the latents.

    0: exact; 1: no better than always expecting the middle of all states.

    Args:
        advance: the level's prediction.
        latents: (n, M + 1, D) of the level, one of its steps apart.
        actions: (n, M, A) of the level between them.
        weights: (D,) what each number counts; None: all the same.

    Returns:
        M numbers.
    """
    counts = torch.ones_like(latents[0, 0]) if weights is None else weights
    flat = latents.flatten(0, 1)
    spread = float((counts * (flat - flat.mean(0)).square()).sum(-1).mean())
    if spread <= 0:
        return [0.0] * actions.shape[1]
    imagined, found = latents[None, :, 0], []
    for step in range(actions.shape[1]):
        imagined = advance(imagined, actions[None, :, step])
        error = (counts * (imagined[0] - latents[:, step + 1]).square()).sum(-1).mean()
        found.append(float(error) / spread)
    return found


def trusted_steps(growth: list[float], most: float) -> int:
    """Steps in a row whose error stays below ``most``; all of them, where none exceeds it."""
    for step, error in enumerate(growth):
        if not error < most:
            return step
    return len(growth)
