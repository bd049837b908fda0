"""The ways not to collapse, by name. Needs no torch until one is made.

Another one is a class in a user's own module, ``module:Name``, that derives from
`levels.anti_collapse.base.AntiCollapse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from levels.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from levels.anti_collapse.base import AntiCollapse


def _fits(part: Any) -> bool:
    from levels.anti_collapse.base import AntiCollapse

    return isinstance(part, type) and issubclass(part, AntiCollapse)


KINDS = Registry(
    "level anti_collapse",
    {
        "vicreg": "levels.anti_collapse.vicreg:VICReg",
        "sigreg": "levels.anti_collapse.sigreg:SIGReg",
        "distillation": "levels.anti_collapse.distillation:Distillation",
        "rate_reduction": "levels.anti_collapse.rate_reduction:RateReduction",
        "barlow": "levels.anti_collapse.barlow:BarlowTwins",
        "contrastive": "levels.anti_collapse.contrastive:Contrastive",
        "none": "levels.anti_collapse.none:Nothing",
    },
    "a class that derives from levels.anti_collapse.base.AntiCollapse",
    _fits,
)


def make_anti_collapse(name: str, encoder: nn.Module, numbers: Mapping[str, float]) -> AntiCollapse:
    """The one that a name names.

    Args:
        name: of `KINDS`, or ``module:Name``.
        encoder: of the level.
        numbers: arguments of the class, beside the encoder.

    Raises:
        ValueError: no such name, or numbers that the class does not take.
    """
    kind = KINDS.get(name)
    try:
        made: AntiCollapse = kind(encoder, **numbers)
    except TypeError as error:
        raise ValueError(
            f"level anti_collapse {name} with {dict(numbers)} cannot be made ({error}); see the arguments of"
            f" {kind.__name__}"
        ) from None
    return made
