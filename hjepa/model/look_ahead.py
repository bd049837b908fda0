"""What critics are tested with: where level 1 imagines that actions lead."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from levels.costs.hindsight import LOOK_AHEAD
from levels.level import Level
from levels.settings import World

DIRECTIONS = 16
"""Of a continuous action, that critics are tested with."""


def look_ahead(
    levels: Sequence[Level], world: World, states: int, latent: Tensor, memories: Sequence[Tensor | None]
) -> list[tuple[Tensor, Tensor]]:
    """Latents of some moments, and where level 1 imagines that any actions lead from them.

    Args:
        levels: of a stack, level 1 first.
        world: what they see and do.
        states: M, how many moments.
        latent: (P, n, L, D) of level 1.
        memories: from `hjepa.model.stack.Stack.write`.

    Returns:
        per level (P, M, D) and (P, M, S, D).
    """
    level, flat = levels[0], latent.flatten(1, 2)
    chosen = torch.randperm(flat.shape[1], device=flat.device)[:states]
    now = flat[:, chosen]
    plans, count, _ = now.shape
    ways = _ways(world, now.device)
    later = now.unsqueeze(2).expand(-1, -1, len(ways), -1).flatten(1, 2)
    for step in range(LOOK_AHEAD):
        action = ways[:, step].expand(plans, count, -1, -1).flatten(1, 2)
        later = level.advance(later, level.condition(later, memories[0]), action)
    found = []
    for k, above in enumerate(levels):
        if k:
            now, later = (above.encode(part, memories[k]) for part in (now, later))
        found.append((now, later.unflatten(1, (count, -1))))
    return found


def _ways(world: World, device: torch.device) -> Tensor:
    """(S, LOOK_AHEAD, A) sequences of actions: all of them, or straight on in many directions."""
    if world.continuous:
        angle = torch.arange(DIRECTIONS, device=device) * (2 * torch.pi / DIRECTIONS)
        straight = torch.stack([angle.cos(), angle.sin()], -1)
        return straight.unsqueeze(1).expand(-1, LOOK_AHEAD, -1)
    every = torch.eye(world.actions, device=device)
    numbers = torch.cartesian_prod(*[torch.arange(len(every), device=device)] * LOOK_AHEAD)
    return every[numbers]
