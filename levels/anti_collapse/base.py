"""What every way not to collapse is to a level."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class AntiCollapse(nn.Module):
    """A way not to collapse: terms of the loss, what the prediction aims at, or both.

    Terms are unweighted; their weights stand in `levels.settings.LossWeights`. What they measure is measured over the
    moments of all processes that train together (`levels.gathering`).

    Args:
        encoder: of the level; a part that needs one of its own takes a copy.

    Attributes:
        moments: which two moments of a window are looked at. Regularisers of a distribution take its ends, the least
            alike; those of two views two moments in a row.
    """

    moments: tuple[int, int] = (0, -1)

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()

    def aim(self, latent: Tensor, encode: Callable[[nn.Module], Tensor]) -> Tensor:
        """What the prediction aims at.

        Args:
            latent: (P, n, F, D) of the level's own encoder.
            encode: the same moments, through the encoder that it is given.

        Returns:
            (P, n, F, D); the latent itself unless a part says otherwise.
        """
        return latent

    def forward(self, pairs: Tensor) -> dict[str, Tensor]:
        """Terms by name, scalars.

        Args:
            pairs: (P, n, 2, D), two `moments` of n windows of each of P layouts, seen through the expander where the
                level has one.
        """
        raise NotImplementedError


def centred(latent: Tensor) -> tuple[Tensor, int]:
    """Latents less the mean of their layout, and how many of them are free to vary.

    A latent that encodes the layout and forgets the agent varies between layouts alone; nothing of that counts.

    Args:
        latent: (P, N, D).

    Returns:
        (P * N, D), and P * (N - 1), at least 1.
    """
    less = (latent - latent.mean(1, keepdim=True)).flatten(0, 1)
    return less, max(len(less) - len(latent), 1)
