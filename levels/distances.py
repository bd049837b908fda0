"""Distances beside the linear maps of `levels.metrics`: by name, any function of two latents."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from levels.metrics_names import KINDS


class Function(nn.Module):
    """A distance that is a plain function.

    Args:
        function: of two latents (..., D) that broadcast, giving (...).
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(..., D) and (..., D) that broadcast -> (...)."""
        return self.function(first, second)


def make_distance(name: str, dim: int) -> nn.Module:
    """The distance of a name, see `levels.metrics_names`.

    Args:
        name: ``module:Name``, or one of ours that is no linear map.
        dim: D, numbers in a latent.

    Raises:
        ValueError: no such distance.
    """
    found = KINDS.get(name)
    made: nn.Module = found(dim) if isinstance(found, type) else Function(found)
    return made
