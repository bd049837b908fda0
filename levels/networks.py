"""The multilayer perceptron that encoders, heads and probes share."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


def mlp(inputs: int, hidden: int, outputs: int, layers: int = 1) -> nn.Sequential:
    """``layers`` hidden layers of GELU units and a linear output: (..., inputs) -> (..., outputs)."""
    widths = [inputs] + [hidden] * layers
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), nn.GELU()]
    return nn.Sequential(*parts, nn.Linear(widths[-1], outputs))


def begin_normal(weight: Tensor, std: float = 1.0) -> None:
    """Draw weights from a normal distribution, in place; on torch's ``meta`` device, where nothing is kept, none.

    There torch would load its compiler to draw nothing, which takes longer than to plan an episode.
    """
    if not weight.is_meta:
        nn.init.normal_(weight, std=std)
