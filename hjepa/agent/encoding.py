"""What a stack reads off floor plans, agents and goals, in blocks of fixed size: the same bits in any company."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hjepa.agent.budget import Searches
from hjepa.agent.imagination import imagined_metrics
from hjepa.model.stack import Stack
from hjepa.settings import PlanSettings
from levels.costs.field import FieldCost
from planners.blocks import blocks, pad
from planners.rollouts import ALIGNED

ENCODED = 64
"""Observations per call of the encoder, padded: the same bits whatever the number of episodes. One size alone of
pictures, unlike planners' calls: which kernel a convolution takes, and so its bits, depends on how many there are. Who
is told has no convolutions, only products of whole tiles and vectors, so a block may be smaller there. An agent that
plans for few episodes at a time reads their pictures one by one: of 64, 63 would be read for the bits of one."""

ENCODED_FOLDED = 16
"""The same where `plan.folded` is set, which has other bits anyway: less is read for nobody when few still act."""


class Reader:
    """Memories, latents, and what costs are measured by.

    Args:
        stack: of the levels in use.
        settings: of planning.
        searches: of the levels.

    Attributes:
        size: latents and floor plans per call, padded: the same bits in any company.
        seen: observations per call of level 1's encoder, padded, see `ENCODED`.
    """

    def __init__(self, stack: Stack, settings: PlanSettings, searches: Searches) -> None:
        self.stack, self.settings, self.searches = stack, settings, searches
        # Kernels of convolutions and products treat what is left over behind whole vectors otherwise, and so the last
        # picture of a block, unless its places fill whole vectors.
        self.size = -(-settings.block // ALIGNED) * ALIGNED
        self.seen = ENCODED_FOLDED if settings.folded else ENCODED
        if stack.sees and settings.block < ALIGNED:
            self.size = self.seen = 1

    @torch.no_grad()
    def write(self, grid: np.ndarray) -> list[Tensor | None]:
        """Perceive floor plans (E, W, H, 3): what each level remembers of them, (E, W, H, C) or None.

        Where `plan.folded` is set it is what `levels.level.Level.fold` makes of that.
        """
        return [self.write_level(k, grid) for k in range(self.stack.depth)]

    @torch.no_grad()
    def write_level(self, k: int, grid: np.ndarray) -> Tensor | None:
        """What level k + 1 remembers of floor plans (E, W, H, 3), see `write`."""
        plans = torch.from_numpy(grid).to(self._device)
        level = self.stack.level(k)
        parts = [self.stack.write_level(k, padded) for padded, _ in blocks(plans, self.size, self.size)]
        kept = [part for part in parts if part is not None]
        if self.settings.folded and level.foldable:
            kept = [level.fold(part) for part in kept]
        return torch.cat(kept)[: len(grid)].contiguous() if kept else None

    @torch.no_grad()
    def encode(self, agent: Tensor, active: Tensor | None = None) -> Tensor:
        """Level 1's latents (E, D) of agents (E, A), with zeros for those that are not ``active`` (E,) bool."""
        level = self.stack.level(0)
        if active is not None and self.stack.sees:
            rows = active.to(agent.device).nonzero().squeeze(1)
            if len(rows) < len(agent):
                latent = torch.zeros(len(agent), level.settings.latent_dim, device=self._device)
                if len(rows):
                    latent[rows.to(self._device)] = self.encode(agent[rows])
                return latent
        least = self.seen if self.stack.sees else ALIGNED
        parts = [
            level.encode(padded.unsqueeze(1), None).squeeze(1)[:kept]
            for padded, kept in blocks(agent.to(self._device), self.seen, least)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def encode_all(self, agent: Tensor, memories: list[Tensor | None]) -> list[Tensor]:
        """Every level's latents (E, D_k) of agents (E, A), given its memory."""
        latents = [self.encode(agent)]
        for k in range(1, self.stack.depth):
            level, memory = self.stack.level(k), memories[k]
            parts = []
            for start in range(0, len(latents[-1]), self.size):
                rows = slice(start, start + self.size)
                below, kept = pad(latents[-1][rows], self.size, self.size)
                seen = None if memory is None else pad(memory[rows], self.size, self.size)[0]
                parts.append(level.encode(below.unsqueeze(1), seen).squeeze(1)[:kept])
            latents.append(torch.cat(parts))
        return latents

    def judge(
        self,
        floor: np.ndarray,
        ends: Tensor,
        goals: list[Tensor],
        memories: list[Tensor | None],
        keys: Tensor,
        zone: Tensor | None = None,
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """What costs are measured by in each episode, where that depends on the episode.

        Args:
            floor: (E, W, H, 3).
            ends: (E, 2, D_1) latents of start and goal.
            goals: per level, (E, D_k).
            memories: per level, from `write`.
            keys: (E,) random keys.
            zone: (E, W, H) where nothing may be.

        Returns:
            per level what the critic reads, and the metric, both rows per episode; None where there is none.
        """
        nothing: list[Tensor | None] = [None] * self.stack.depth
        if self.settings.metric == "critic":
            return self.steps_to_go(floor, goals, zone), nothing
        if self.settings.metric == "imagined":
            walks, models = self.settings.walks, self.searches.models
            return nothing, [*imagined_metrics(self.stack, models, ends, memories, keys, walks)]
        return nothing, nothing

    @torch.no_grad()
    def steps_to_go(
        self, floor: np.ndarray, goals: list[Tensor], zone: Tensor | None = None
    ) -> list[Tensor | None]:
        """What each level's critic reads: floor plans (E, W, H, 3), goals per level (E, D) -> fields (E, C, W, H).

        Around forbidden zones (E, W, H), where there are some.
        """
        config = self.stack.config.critic
        assert config is not None
        grid = torch.from_numpy(np.ascontiguousarray(floor)).to(self._device)
        fields: list[Tensor | None] = []
        for k, goal in enumerate(goals):
            critic = self.stack.critic(k)
            if k and critic is self.stack.critic(k - 1):
                fields.append(fields[-1])
                continue
            parts = []
            for rows in torch.arange(len(goal)).split(self.size):
                plans, kept = pad(grid[rows], self.size, self.size)
                ends = pad(goal[rows], self.size, self.size)[0]
                closed = None if zone is None else pad(zone[rows], self.size, self.size)[0] > 0
                parts.append(critic.field(plans, ends, self.searches.sweeps, closed)[:kept])
            fields.append(torch.cat(parts))
        return fields

    @torch.no_grad()
    def layout(self, floor: np.ndarray, k: int = 0) -> Tensor:
        """What the fields of level k + 1's critic spread over, of the pictures (E, ...): moves (E, 4, W, H)."""
        critic = self.stack.critic(k)
        assert isinstance(critic, FieldCost)
        pictures = torch.from_numpy(np.ascontiguousarray(floor)).to(self._device)
        parts = [critic.costs(padded)[:kept] for padded, kept in blocks(pictures, self.size, self.size)]
        return torch.cat(parts)

    @property
    def _device(self) -> torch.device:
        return self.stack.step_distance.device
