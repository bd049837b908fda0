"""Statistics over the batches of all processes that train together, exact and differentiable; themselves where one
trains alone.

Each process computes the same statistic of everything. The gradient of a shard is summed over processes, and the mean
of gradients that data parallel training takes over them makes it that of one process with the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
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


def mean_of(values: Tensor) -> Tensor:
    """Mean of values (n,) of which every process holds as many as it found: 0 of none.

    Averaged over processes it is the mean of all values.
    """
    if not _together():
        return values.mean() if len(values) else values.sum()
    return values.sum() / averaged(values.new_tensor(float(len(values)))).clamp_min(1 / dist.get_world_size())


def averaged(value: Tensor) -> Tensor:
    """The mean of all processes' values, without a gradient."""
    if not _together():
        return value
    whole = value.detach().clone()
    dist.all_reduce(whole)
    return whole / dist.get_world_size()


def anywhere(found: Tensor) -> bool:
    """Whether a bool () is true in any process, so that all take the same way on."""
    return bool(averaged(found.float()) > 0)


def own_noise(draw: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Noise like a tensor (P, ...): this process's part of what one with the whole batch would draw.

    Args:
        draw: `torch.rand_like` or another; the random state has to be the same in all processes.
    """
    if not _together():
        return draw(like)
    count = dist.get_world_size()
    return draw(like.new_empty(count * len(like), *like.shape[1:])).chunk(count)[dist.get_rank()]


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
