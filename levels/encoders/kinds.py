"""Encoders by name. Needs no torch until one is made.

A new one of ours is a file and a line here. One of a user's own is a class ``module:Name`` with an attribute ``sees``,
one of `SENSES`; it is made from `levels.encoders.given.Given`, gives a torch Module, and is called with what it sees
(P, N, ...) and the level's memory, as `levels.encoders.vector.VectorEncoder` is.
"""

from __future__ import annotations

from typing import Any

from levels.registry import Registry

SENSES = ("symbols", "image", "vector", "latent")
"""What an encoder may see: what the environment shows, or the latent of the level below."""

_OURS = {
    "agent": ("levels.grid.agent_encoders:make_told", "agent"),
    "symbols": ("levels.encoders.picture:make_picture", "symbols"),
    "image": ("levels.encoders.picture:make_picture", "image"),
    "whole_symbols": ("levels.encoders.whole:make_whole", "symbols"),
    "whole_image": ("levels.encoders.whole:make_whole", "image"),
    "masked": ("levels.encoders.masked_picture:make_masked", "image"),
    "vector": ("levels.encoders.vector:make_vector", "vector"),
    "mlp": ("levels.encoders.latent:make_latent", "latent"),
    "shared": ("levels.encoders.latent:make_shared", "latent"),
}
"""Name -> what makes it of `Given`, and what it sees; ``agent`` is told."""


def _fits(part: Any) -> bool:
    return isinstance(part, type) and getattr(part, "sees", None) in SENSES


KINDS = Registry(
    "level encoder",
    {name: where for name, (where, _) in _OURS.items()},
    f"a class with an attribute sees, one of {', '.join(SENSES)}",
    _fits,
)


def seen_by(name: str) -> str:
    """What the encoder of a name sees: one of `SENSES`, or ``agent`` for one that is told.

    Raises:
        ValueError: no such encoder.
    """
    if name in _OURS:
        return _OURS[name][1]
    sees: str = KINDS.get(name).sees
    return sees
