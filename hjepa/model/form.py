"""How observations of a training window are given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """How observations of a window are given.

    Attributes:
        every: environment steps between two of them.
        encoded: whether level 1's latents (P, n, F, D) stand in their place, because it does not change any more.
    """

    every: int = 1
    encoded: bool = False


PLAIN = Form()
"""All of them, as they are."""
