"""The multilayer perceptron that encoders, heads and probes share."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def mlp(inputs: int, hidden: int, outputs: int, layers: int = 1) -> nn.Sequential:
    """``layers`` hidden layers of GELU units and a linear output: (..., inputs) -> (..., outputs)."""
    widths = [inputs] + [hidden] * layers
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), nn.GELU()]
    return nn.Sequential(*parts, nn.Linear(widths[-1], outputs))
