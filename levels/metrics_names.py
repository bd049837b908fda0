"""Distances and metrics by name, for configuration without torch.

A new distance of ours is a file and a line in `KINDS`. One of a user's own is ``module:Name``: a function of two
latents (..., D) that broadcast, giving (...), or a torch Module that is made from D, called in the same way, and may
have ``fit(latents)`` of trajectories (T, L, D), called once after training. Distances should grow like squared ones.
"""

from __future__ import annotations

from typing import Any

from levels.registry import Registry

DISTANCES = ("l2", "commute", "imagined")
"""Between any two latents; every stack is calibrated for these."""

METRICS = (*DISTANCES, "critic")
"""What planning measures with: a distance between latents throughout, or the critic to the goal and `commute` to
subgoals."""


def _fits(part: Any) -> bool:
    if not isinstance(part, type):
        return callable(part)
    from torch import nn

    return issubclass(part, nn.Module)


KINDS = Registry(
    "plan.metric",
    {name: f"levels.metrics:{name}" for name in METRICS},
    "a function of two latents, or a class of torch Modules",
    _fits,
)


def distance_of(metric: str) -> str:
    """The distance between latents that a metric measures subgoals with."""
    return "commute" if metric == "critic" else metric
