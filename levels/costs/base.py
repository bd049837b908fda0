"""What every head that estimates steps to the goal is to a stack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Ahead = tuple[Tensor, Tensor, float]
"""Latents (P, M, D), where each may be a few steps later (P, M, S, D), and the weight of claims that none bears out."""


class CostHead(nn.Module):
    """Steps to the goal of latents, learned from trajectories.

    What belongs to one goal is computed once, by `field`; what `forward` reads in it for each latent has to be cheap.

    Attributes:
        headings: channels of what `field` gives.
        leads_around: whether ways can be led around closed places.
    """

    headings = 1
    leads_around = True

    def field(self, picture: Tensor, goal: Tensor, sweeps: int, closed: Tensor | None = None) -> Tensor:
        """What belongs to a goal.

        Args:
            picture: (P, ...) what the world shows.
            goal: (P, D) latents.
            sweeps: moves of the longest way that is found, for heads that look for one.
            closed: (P, W, H) bool, places that ways must not lead through; None: none.

        Returns:
            (P, C, W, H), any numbers that `forward` reads.
        """
        raise NotImplementedError

    def forward(self, latent: Tensor, field: Tensor) -> Tensor:
        """Steps to go: latents (P, ..., D), `field` (P, C, W, H) -> (P, ...)."""
        raise NotImplementedError

    def loss(
        self,
        latent: Tensor,
        picture: Tensor,
        goal: tuple[Tensor, Tensor],
        sweeps: int,
        under: float,
        farthest: int | None = None,
        ahead: Ahead | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on whole trajectories of P layouts.

        Args:
            latent: (P, n, L, D), what the gradient must not reach.
            picture: (P, ...).
            goal: number (P,) of the trajectory, and (P,) of the moment in it, whose latent is the goal.
            sweeps: as in `field`.
            under: weight of estimates that are too low, relative to those that are too high.
            farthest: longest time that is learned from; None: any.
            ahead: see `Ahead`; None: no claim is tested.

        Returns:
            scalar, and its terms: ``steps`` is the mean error in steps of what trajectories say, which is logged.
        """
        raise NotImplementedError

    def choose(self, latent: Tensor, later: Tensor) -> None:
        """Once, before training: trajectories (P, n, L, D), and where actions lead (P, M, S, D). Nothing by default."""

    def centre(self, latent: Tensor, mirrored: Tensor) -> None:
        """Once, after `choose`: latents (N, D) of pictures, and those of the same pictures mirrored along both axes,
        for heads to whom it matters where on a picture a latent's places are. Nothing by default."""

    @property
    def chosen(self) -> bool:
        """Whether `choose` is done."""
        return True

    def costs(self, picture: Tensor) -> Tensor:
        """What `field` reads off pictures (P, ...) with networks, so that its operations can be counted."""
        return torch.zeros(len(picture), device=picture.device)

    def field_operations(self, sweeps: int, size: tuple[int, int]) -> float:
        """Operations of one `field` beside those of `costs`."""
        return 0.0
