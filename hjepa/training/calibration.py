"""What a trained stack measures on training trajectories: metrics, typical distances, bounds of macro-actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hjepa.model.stack import QUANTILES, Stack
from hjepa.tensors import as_tensor
from hjepa.training.memories import remember
from hjepa.training.sources import Source
from levels.macro_actions import StochasticChunkEncoder, gaussian_parameters
from levels.metrics import commute_metric, squared_distance


@torch.no_grad()
def calibrate(stack: Stack, source: Source, seed: int, trajectories: int, plans: int) -> None:
    """Fill the buffers of a stack from random trajectories of its training data.

    Args:
        stack: changed in place.
        source: training trajectories.
        seed: which ones are drawn.
        trajectories: how many.
        plans: from how many floor plans.
    """
    length = source.clip
    length = (length - 1) // stack.config.spans[-1] * stack.config.spans[-1] + 1
    rng = np.random.Generator(np.random.Philox(key=[seed, 1 << 40]))
    each = max(trajectories // plans, 1)
    pieces = source.pieces(rng, each * plans, length, plans)
    device = stack.step_distance.device
    moments = pieces.rows.reshape(plans, each, length)
    shown = source.show(moments)
    agent = (torch.from_numpy(shown) if stack.sees else as_tensor(shown)).to(device)
    action = as_tensor(pieces.action)
    action = action.view(plans, each, length - 1, *action.shape[2:]).to(device)
    memories = remember(stack, source, moments[:, :, 0])
    latents = _encode(stack, agent, memories)
    walks = stack.config.plan.walks
    lag = walks.lag * stack.config.spans[min(walks.level, stack.depth) - 1]
    lag = min(lag, (length - 1) // 2)
    for k, latent in enumerate(latents):
        _fill(stack, f"commute_{k}", commute_metric(latent.flatten(0, 1)))
        own = torch.stack([commute_metric(plan, lag) for plan in latent])
        for m, name in enumerate(stack.distances):
            measure = stack.distance(name, k)
            if name == "imagined":
                measure = partial(squared_distance, metric=own)
            elif hasattr(measure, "fit"):
                measure.fit(latent.flatten(0, 1))
            distance = _stride_distance(latent, stack.config.spans[k], measure)
            stack.stride_distance[m, k] = torch.quantile(distance, torch.tensor(QUANTILES, device=device))
        chunks = stack.level(k).chunk_encoder
        if chunks is not None:
            if isinstance(chunks, StochasticChunkEncoder):
                macro = _drawn(stack, k, latent, memories[k], seed)
            else:
                macro = stack.window_actions(k, agent, action, memories).flatten(0, 2)
            _fill(stack, f"action_low_{k}", _quantile(macro, 0.02))
            _fill(stack, f"action_high_{k}", _quantile(macro, 0.98))
    changed = (agent[:, :, 1:] != agent[:, :, :-1]).flatten(3).any(-1)
    step = squared_distance(latents[0][:, :, 1:], latents[0][:, :, :-1])[changed]
    stack.step_distance.copy_(_quantile(step.unsqueeze(1), 0.1)[0])


def _encode(stack: Stack, agent: Tensor, memories: Sequence[Tensor | None]) -> list[Tensor]:
    """Latents per level (P, n, L, D), one layout after another: pictures take room."""
    own = [None if memory is None else memory.unflatten(0, (len(agent), -1)) for memory in memories]
    parts = [
        stack.encode(agent[p : p + 1], [None if memory is None else memory[p] for memory in own])
        for p in range(len(agent))
    ]
    return [torch.cat(level) for level in zip(*parts)]


def _drawn(stack: Stack, k: int, latent: Tensor, memory: Tensor | None, seed: int) -> Tensor:
    """Macro-actions (n, A) drawn from level k + 1's prior along latents (P, n, L, D): what its plans are made of."""
    level = stack.level(k)
    here = latent[:, :, :: stack.config.spans[k]].flatten(1, 2)
    mean, log_std = gaussian_parameters(level.prior(level.condition(here, memory)))
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed)).to(mean)
    return (mean + log_std.exp() * noise).flatten(0, 1)


def _fill(stack: Stack, buffer: str, value: Tensor) -> None:
    place = getattr(stack, buffer)
    assert isinstance(place, Tensor)
    place.copy_(value)


def _stride_distance(
    latent: Tensor, span: int, measure: Callable[..., Tensor], most: int = 100_000
) -> Tensor:
    """Distances between latents one stride apart, at most so many of them."""
    return measure(latent[:, :, span:], latent[:, :, :-span]).flatten()[:most]


def _quantile(values: Tensor, share: float, most: int = 100_000) -> Tensor:
    """Quantile of each column of (n, A)."""
    return torch.quantile(values[:most], share, dim=0)
