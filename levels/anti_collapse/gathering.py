"""Statistics over the batches of all processes that train together, exact and differentiable.

Each process computes the same statistic of everything. The gradient of a shard is summed over processes, and the mean
of gradients that data parallel training takes over them makes it that of one process with the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def gathered(latent: Tensor) -> Tensor:
    """(P, ...) of this process -> (W * P, ...) of all W, side by side; itself where it trains alone.

    Every process has to hold the same shape.
    """
    return _Gather.apply(latent) if _together() else latent


def shared(values: Tensor) -> Tensor:
    """The first process's values, so that what is drawn at random is the same everywhere; changed in place."""
    if _together():
        dist.broadcast(values, 0)
    return values


def _together() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _Gather(torch.autograd.Function):
    """All-gather whose gradient is that of all processes."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor) -> Tensor:
        parts = [torch.empty_like(latent) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, latent.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous()
        dist.all_reduce(whole)
        return whole.chunk(dist.get_world_size())[dist.get_rank()]
