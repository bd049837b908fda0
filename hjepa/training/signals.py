"""What a level in training shows of itself beside its loss, on logging steps alone.

effective_rank  directions that its latents make use of (`levels.effective_rank`)
spread          root mean square of its latents about the mean of their layout, per number
position_error  cells between where the agent is and where the probe reads it, mean; where the state is known
ahead_H         squared error of H imagined steps in a row, in that of claiming that nothing changes; 1: no better

Nothing random is drawn and nothing learns from it, so training is the same bit for bit with it and without.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hjepa.model.stack import Stack
from hjepa.training.batches import Batch
from levels.effective_rank import effective_rank, spread

AHEAD = (1, 4, 8)
"""Steps of the level in a row."""

WINDOWS = 4
"""Of each layout that are looked at: enough for a rank, and a fraction of what a training step costs."""

SIGNALS = ("effective_rank", "spread", "position_error", *(f"ahead_{steps}" for steps in AHEAD))


@torch.no_grad()
def signals(stack: Stack, part: Batch, memories: Sequence[Tensor | None]) -> dict[str, float]:
    """Of the level that a batch is for; what cannot be known is left out.

    Args:
        stack: in training.
        part: the batch.
        memories: from `Stack.write`, of its layouts, or of each of their windows.
    """
    k = part.level
    memories = [None if memory is None else _looked_at(memory, len(part.agent)) for memory in memories]
    level, seen, action = stack.level(k), part.agent[:, :WINDOWS], part.action[:, :WINDOWS]
    moments = seen[:, :, :: stack.config.spans[k] // part.form.every]
    latent = stack.encode(moments, memories, upto=k + 1, form=part.form)[-1]
    flat = latent.flatten(1, 2)
    found = {"effective_rank": effective_rank(flat).item(), "spread": spread(flat).item()}
    state = moments if not stack.sees else None if part.state is None else part.state[:, :WINDOWS]
    if state is not None:
        cell, read = state[..., :2].long(), stack.probe(k)(latent)[..., :2]
        found["position_error"] = (read - cell).float().norm(dim=-1).mean().item()
    actions = stack.window_actions(k, seen, action, memories, part.form)
    imagined = latent[:, :, 0]
    for step in range(1, latent.shape[2]):
        imagined = level.advance(imagined, level.condition(imagined, memories[k]), actions[:, :, step - 1])
        copied = (latent[:, :, 0] - latent[:, :, step]).square().sum()
        if step in AHEAD and copied > 0:
            found[f"ahead_{step}"] = ((imagined - latent[:, :, step]).square().sum() / copied).item()
    return found


def _looked_at(memory: Tensor, plans: int) -> Tensor:
    """Of memories of each window (plans * n, ...) those that are looked at; of layouts (plans, ...) all."""
    each = memory.unflatten(0, (plans, -1))
    return each[:, :WINDOWS].flatten(0, 1)
