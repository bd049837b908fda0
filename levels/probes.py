"""Probes: what a latent knows of the agent, read by a small network whose gradient stops at the latent."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.grid.agent_encoders import HEADINGS
from levels.networks import mlp
from levels.settings import World


class PositionProbe(nn.Module):
    """Latent -> x, y, heading, and where there are keys the states of doors and keys.

    It never trains the level it looks at; it draws subgoals on the map and tells whether a level forgot the
    agent, or what became of a door.

    Args:
        latent_dim: D.
        world: size of the grid, and what an agent is.
        hidden: width.
    """

    def __init__(self, latent_dim: int, world: World, hidden: int = 64) -> None:
        super().__init__()
        self.classes = world.size if world.continuous else (*world.size, HEADINGS, *world.slots)
        self.slots = len(world.slots)
        self.layers = mlp(latent_dim, hidden, sum(self.classes))

    def loss(self, latent: Tensor, agent: Tensor) -> Tensor:
        """Mean cross-entropy of agents (..., 2 or more) given (..., D) latents, summed over what is read."""
        scores = self.layers(latent.detach()).split(self.classes, -1)
        return torch.stack(
            [F.cross_entropy(s.flatten(0, -2), agent[..., i].flatten().long()) for i, s in enumerate(scores)]
        ).sum()

    def forward(self, latent: Tensor) -> Tensor:
        """(..., D) -> most likely agent: integers x, y, heading (..., 3), with the states of doors and keys behind them
        where there are keys; (..., 2) of a continuous agent's cell."""
        return torch.stack([s.argmax(-1) for s in self.layers(latent).split(self.classes, -1)], -1)

    def inside(self, latent: Tensor, cells: Tensor) -> Tensor:
        """The belief (E, ...) that latents (E, ..., D) are in one of some cells, (E, W, H) 0 or 1."""
        flat = latent.flatten(1, -2)
        along_x, along_y = (scores.softmax(-1) for scores in self.layers(flat).split(self.classes, -1)[:2])
        return (torch.bmm(along_x, cells) * along_y).sum(-1).view(latent.shape[:-1])

    def states(self, latent: Tensor, slot: int) -> Tensor:
        """The belief (..., S) in each of the states of a door or a key, of latents (..., D).

        Args:
            latent: also imagined ones; the belief is differentiable in them.
            slot: doors first, then keys; S is 3 (open, closed, locked) or 2 (in hand, lying).

        Raises:
            ValueError: a slot that the world does not have.
        """
        if not 0 <= slot < self.slots:
            raise ValueError(f"slot {slot} of {self.slots} that the probe reads; a world with keys has some")
        scores = self.layers(latent).split(self.classes, -1)
        return scores[len(self.classes) - self.slots + slot].softmax(-1)

    def expected(self, latent: Tensor) -> Tensor:
        """(..., D) -> mean (x, y), (..., 2): where an uncertain latent is, between cells."""
        scores = self.layers(latent).split(self.classes, -1)[:2]
        return torch.stack(
            [(s.softmax(-1) * torch.arange(s.shape[-1], device=s.device)).sum(-1) for s in scores], -1
        )
