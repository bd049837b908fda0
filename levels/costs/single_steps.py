"""What single steps say of distances: two moments in a row are at most one step apart, and of all distances that agree
the largest is the way itself (quasimetric reinforcement learning, Wang et al., arXiv 2304.01203).

Nothing is needed of whole ways: steps of one trajectory join with those of another. What is made large is priced
against the excess over single steps, and the price is learned along.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FARTHEST = 100.0
"""Units of a head at which half as much is gained by more distance as between near states."""

SOFTNESS = 0.1
"""Per unit, how soon before `FARTHEST` less is gained."""

VIOLATED = 0.05
"""Root of the mean squared excess over a single step that is put up with, in steps."""

HASTE = 30.0
"""How much faster the price of an excess is learned than the distance."""


def first_price() -> nn.Parameter:
    """What `price_of` turns into a price of 1."""
    return nn.Parameter(torch.tensor(math.log(math.e - 1) / HASTE))


def price_of(learned: Tensor) -> Tensor:
    """The price of an excess, positive, of the number that is learned."""
    return F.softplus(HASTE * learned)


def farthest_apart(far: Tensor, excess: Tensor, learned: Tensor, most: float) -> Tensor:
    """The loss of distances that are as large as single steps allow.

    Args:
        far: (...) distances to be made large, in units.
        excess: (...) by how many steps two moments in a row are further apart than one, 0 where they are not.
        learned: scalar, see `price_of`: the price goes up where the mean squared excess is above what is put up with.
        most: units at which half as much is gained as between near states.

    Returns:
        scalar.
    """
    gained = F.softplus(most - far, beta=SOFTNESS).mean()
    violated = excess.square().mean()
    price = price_of(learned)
    # What ascends the price descends here with its sign turned.
    return gained + price.detach() * violated - price * (violated.detach() - VIOLATED**2)
