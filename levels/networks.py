"""The multilayer perceptron that encoders, heads and probes share."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Perceptron(nn.Sequential):
    """Linear layers with GELU units between them; `mlp` makes it.

    The same as its parts one after another. For an episode alone calling each of them would take as long as what it
    computes; so hooks of the parts are not called, those of the whole are. A slice of it is an ordinary sequence.
    """

    def __getitem__(self, index: slice | int) -> nn.Sequential | nn.Module:
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    def forward(self, values: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        *hidden, last = list(self._modules.values())[::2]
        for layer in hidden:
            values = F.gelu(F.linear(values, layer.weight, layer.bias))  # type: ignore[arg-type]
        return F.linear(values, last.weight, last.bias)  # type: ignore[arg-type]


def mlp(inputs: int, hidden: int, outputs: int, layers: int = 1) -> Perceptron:
    """``layers`` hidden layers of GELU units and a linear output: (..., inputs) -> (..., outputs)."""
    widths = [inputs] + [hidden] * layers
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), nn.GELU()]
    return Perceptron(*parts, nn.Linear(widths[-1], outputs))


def waves(numbers: Tensor, octaves: int) -> Tensor:
    """Numbers (..., n) beside their sines and cosines, (..., n + 2 n octaves): the first have a period of 2, and each
    octave has half of the one before (arXiv 2003.08934, equation 4)."""
    parts = [numbers]
    for octave in range(octaves):
        angle = math.pi * 2**octave * numbers
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, -1)


def begin_normal(weight: Tensor, std: float = 1.0) -> None:
    """Draw weights from a normal distribution, in place; on torch's ``meta`` device, where nothing is kept, none.

    There torch would load its compiler to draw nothing, which takes longer than to plan an episode.
    """
    if not weight.is_meta:
        nn.init.normal_(weight, std=std)


def begin_nothing(network: Perceptron) -> None:
    """Let a network's outputs begin at 0, in place: what it adds to has its say first."""
    last = network[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
