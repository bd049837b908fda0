"""Levels of a stack as the models that planners ask for, with their cost in floating point operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hjepa.model.stack import Stack
from levels.level import Level
from levels.macro_actions import gaussian_parameters
from planners.protocols import ActionSpace
from planners.spaces import Box, Simplex

PROBED = 64
"""Candidates that operations are counted over; what depends on the episode alone averages out."""


class OneLevel:
    """A level by itself as the model that planners ask for, without a stack around it.

    Args:
        level: trained or not.
        space: of its actions; None: a simplex of discrete ones, a box of numbers between -1 and 1 of others.
        flops: operations of one step, which count against no budget unless they are told.

    Attributes:
        level, space, flops: see above.
    """

    def __init__(self, level: Level, space: ActionSpace | None = None, flops: float = 0.0) -> None:
        self.level, self.flops = level, flops
        if space is None:
            bound = torch.ones(level.action_dim)
            space = Box(-bound, bound) if level.continuous else Simplex(level.action_dim)
        self.space = space

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        """See `levels.level.Level.condition`."""
        return self.level.condition(latent, memory)

    def prior(self, condition: Tensor) -> Tensor:
        """Logits, or mean and log standard deviation, of the actions."""
        described = self.level.prior(condition)
        return torch.cat(gaussian_parameters(described), -1) if self.level.continuous else described

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        """See `levels.level.Level.advance`."""
        return self.level.advance(latent, condition, action)


class LevelModel(OneLevel):
    """One level of a stack, seen by a planner.

    Args:
        stack: the whole.
        k: which level, from 0.
        margin: how far a proposed discrete action starts ahead, see `planners.spaces.Simplex`.

    Attributes:
        space: its actions.
        flops, lift_flops: operations of one step, and of encoding one latent into the level above.
    """

    def __init__(self, stack: Stack, k: int, margin: float) -> None:
        level: Level = stack.level(k)
        space: ActionSpace = (
            Box(getattr(stack, f"action_low_{k}"), getattr(stack, f"action_high_{k}"))
            if level.continuous
            else Simplex(level.action_dim, margin)
        )
        super().__init__(level, space)
        self.above: Level | None = stack.level(k + 1) if k + 1 < stack.depth else None
        self.flops, self.lift_flops = self._count(stack, k)

    def advance_by_chance(self, latent: Tensor, condition: Tensor, action: Tensor, chance: Tensor) -> Tensor:
        """See `levels.level.Level.advance_by_chance`."""
        return self.level.advance_by_chance(latent, condition, action, chance)

    def lift(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        """Latents in the space of the level above; ValueError at the top."""
        if self.above is None:
            raise ValueError("the top level has no level above to lift to")
        return self.above.encode(latent, memory)

    def _count(self, stack: Stack, k: int) -> tuple[float, float]:
        device = stack.step_distance.device
        grid = stack.blank()
        latent = torch.zeros(1, PROBED, self.level.settings.latent_dim, device=device)
        action = torch.zeros(1, PROBED, self.space.action_dim, device=device)
        memory, above = self.level.write(grid), None if self.above is None else self.above.write(grid)

        def step() -> None:
            condition = self.condition(latent, memory)
            self.prior(condition)
            self.advance(latent, condition, action)

        lift = 0.0 if self.above is None else count_flops(lambda: self.lift(latent, above)) / PROBED
        return count_flops(step) / PROBED, lift


def count_flops(compute: Callable[[], object]) -> float:
    """Floating point operations of the matrix products and convolutions in a computation."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        compute()
    return float(counter.get_total_flops())


def perception_flops(stack: Stack) -> tuple[float, float]:
    """Operations of writing one floor plan for all levels, and of encoding one observation at level 1."""
    grid = stack.blank()
    agent = stack.blank_moments(PROBED)
    memories: Sequence[Tensor | None] = stack.write(grid)
    encode = count_flops(lambda: stack.encode(agent, memories, upto=1)) / PROBED
    return count_flops(lambda: stack.write(grid)), encode


def write_flops(stack: Stack) -> list[float]:
    """Operations of writing one floor plan, per level."""
    grid = stack.blank()
    return [count_flops(partial(stack.write_level, k, grid)) for k in range(stack.depth)]


def probe_flops(stack: Stack) -> list[float]:
    """Operations of asking per level whether one latent is in a forbidden cell."""
    device, found = stack.step_distance.device, []
    zone = torch.zeros(1, *stack.world.size, device=device)
    for k in range(stack.depth):
        latent = torch.zeros(1, PROBED, stack.level(k).settings.latent_dim, device=device)
        found.append(count_flops(partial(stack.probe(k).inside, latent, zone)) / PROBED)
    return found


def critic_flops(stack: Stack, sweeps: int) -> tuple[float, list[float]]:
    """Operations of making the critics' fields for one episode, and of reading one latent's steps to go, per level."""
    device = stack.step_distance.device
    grid = stack.blank()
    fields, reads = 0.0, []
    for k in range(stack.depth):
        critic = stack.critic(k)
        latent = torch.zeros(1, PROBED, stack.level(k).settings.latent_dim, device=device)
        with torch.no_grad():
            field = critic.field(grid, latent[:, 0], 1)
        reads.append(count_flops(partial(critic, latent, field)) / PROBED)
        if not k or critic is not stack.critic(k - 1):
            fields += count_flops(partial(critic.costs, grid)) + critic.field_operations(
                sweeps, stack.world.size
            )
    return fields, reads
