"""Planners by name. Needs no torch until one is made.

A new one of ours is a file and a line here. One of a user's own is a class ``module:Name`` that refines candidates as
`planners.refiners.Refiner` says, and is made from `hjepa.settings.PlanSettings`; its candidates come from the prior of
the level, as those of ours do.
"""

from __future__ import annotations

from typing import Any

from levels.registry import Registry


def _fits(part: Any) -> bool:
    # Not by getattr: every class can be called, to make one.
    own = {name for base in getattr(part, "__mro__", ()) for name in vars(base)}
    return isinstance(part, type) and {"__call__", "passes", "rollouts"} <= own


ROUNDS = ("cem", "mppi", "icem", "categorical-cem")
"""Those of ours that sample in rounds."""

ACTORS = ("actor", "clone")
"""Those that follow the actors: the best of a few draws, or the likeliest action."""

PLANNERS = Registry(
    "plan.planner",
    {
        "adam": "hjepa.agent.refiners:adam",
        "cem": "hjepa.agent.refiners:cem",
        "mppi": "hjepa.agent.refiners:mppi",
        "icem": "hjepa.agent.refiners:icem",
        "categorical-cem": "hjepa.agent.refiners:categorical_cem",  # of discrete actions alone
        "exhaustive": "hjepa.agent.refiners:adam",  # above level 1
        "sampling": "hjepa.agent.refiners:sampling",
        "actor": "hjepa.agent.refiners:adam",  # never asked: actors do not search
        "clone": "hjepa.agent.refiners:adam",  # nor do they here
        "value-map": "hjepa.agent.refiners:adam",  # nor does it
    },
    "a class with __call__, passes and rollouts, see planners.refiners.Refiner",
    _fits,
)
