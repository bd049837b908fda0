"""Heads that estimate steps to the goal, by name. Needs no torch until one is made.

A new one of ours is a file and a line here. One of a user's own is a class ``module:Name`` that derives from
`levels.costs.base.CostHead` and is made from `Given`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from levels.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from levels.settings import World


@dataclass(frozen=True)
class Given:
    """What a head is made of.

    Attributes:
        world: what is seen and done.
        latent_dim: D, numbers in a latent.
        places: leading numbers of a latent that are places on the picture, two for each.
        patch: pixels a side of a place of the head's own map, for images.
        hidden: width of its networks.
        unit: steps of the agent that a move to a neighbouring place takes at least.
        begins: places from the goal within which its field begins; None: everywhere.
        scale: places of the head's own map along one of the latent's.
        lag: steps between the two moments of a pair that heads of single steps learn from.
        looks: whether levels look at the picture beside their latents; a critic does if they do.
    """

    world: World
    latent_dim: int
    places: int
    patch: int
    hidden: int
    unit: float = 1.0
    begins: float | None = None
    scale: float = 1.0
    lag: int = 1
    looks: bool = True


def _fits(part: Any) -> bool:
    from levels.costs.base import CostHead

    return isinstance(part, type) and issubclass(part, CostHead)


KINDS = Registry(
    "critic kind",
    {
        "grid": "levels.grid.critic:make_grid_critic",
        "field": "levels.costs.field:make_field",
        "step_field": "levels.costs.step_field:make_step_field",
        "quasimetric": "levels.costs.quasimetric:make_quasimetric",
    },
    "a class that derives from levels.costs.base.CostHead",
    _fits,
)


def make_head(kind: str | None, given: Given) -> nn.Module:
    """The head of a kind; None: ``grid`` for levels that are told, ``field`` for those that see.

    Raises:
        ValueError: no such head, or one that does not fit what it is made of.
    """
    usual = "grid" if given.world.sight is None else "field"
    made: nn.Module = KINDS.get(kind or usual)(given)
    return made
