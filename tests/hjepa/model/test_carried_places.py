"""Places that an own latent carries along from the level below: what they count in its plain distance."""

from __future__ import annotations

import pytest
import torch

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.stack import Stack
from levels.settings import Sight, World


def stack(carried: float) -> Stack:
    """Untrained levels of the demo, the third with a latent of its own that counts places so much."""
    config = load_preset("demo", [f"levels.2.carried={carried}", "critic=null", "plan.metric=l2"])
    torch.manual_seed(0)
    return Stack(config, World((9, 9), 7, sight=Sight("symbols", (9, 9, 3), (11, 6, 4)))).requires_grad_(
        False
    )


@pytest.mark.parametrize("carried", [0.0, 0.25, 1.0])
def test_places_count_as_much_as_is_said(carried: float) -> None:
    made = stack(carried)
    places = made.level(2).places
    assert places == 4
    first, second = torch.randn(2, 3, 5, 16).unbind()
    apart = (first - second).square()
    wanted = carried * apart[..., :places].sum(-1) + apart[..., places:].sum(-1)
    assert torch.allclose(made.distance("l2", 2)(first, second), wanted, rtol=1e-5)
    below = made.distance("l2", 1)(first, second)
    assert torch.allclose(below, apart.sum(-1)), "levels that share level 1's latent measure all of it"


def test_a_shared_latent_carries_nothing() -> None:
    with pytest.raises(InputError, match=r"carried is 0.5 but encoder is 'shared'"):
        load_preset("demo", ["levels.1.carried=0.5"])
