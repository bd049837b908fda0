"""Every combination of settings that makes sense gives tensors of the documented shapes."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch

from levels.settings import ANTI_COLLAPSE, MemorySettings

MEMORY = MemorySettings(channels=4, dilations=(1, 2), heads=2)
READS = {"blind": (None, False), "memory": (MEMORY, False), "encoder reads": (MEMORY, True)}
COMBINATIONS = [
    combination
    for combination in itertools.product(
        ("agent", "mlp", "shared"), ("primitive", "outcome", "chunk"), ("vicreg", "sigreg"), (0, 24), READS
    )
    if combination[4] != "encoder reads" or combination[0] == "mlp"
]


@pytest.mark.parametrize(("encoder", "macro_action", "anti_collapse", "expander", "reads"), COMBINATIONS)
def test_shapes_and_losses(
    toys: SimpleNamespace, encoder: str, macro_action: str, anti_collapse: str, expander: int, reads: str
) -> None:
    memory, encoder_reads = READS[reads]
    level = toys.make_level(
        encoder=encoder,
        macro_action=macro_action,
        anti_collapse=anti_collapse,
        expander=expander,
        memory=memory,
        encoder_reads=encoder_reads,
        stride=toys.STRIDE,
    )
    actions = {"primitive": 4, "outcome": 5, "chunk": 3}[macro_action]
    assert level.action_dim == actions and level.continuous == (macro_action == "chunk")
    written = level.write(toys.grids())
    assert (written is None) == (memory is None)
    if written is not None:
        assert written.shape == (2, *toys.SIZE, 4) and written.is_contiguous()

    below, taken = toys.windows(level)
    latent = level.encode(below, written)
    assert latent.shape == (2, 6, toys.MOMENTS, 6)
    # The encoder does not care how moments are grouped.
    assert torch.allclose(level.encode(below[:, 1, 2], written), latent[:, 1, 2], atol=1e-6)

    now = latent[:, :, 0]
    condition = level.condition(now, written)
    assert condition.shape == (2, 6, 16)
    assert level.prior(condition).shape == (2, 6, 2 * actions if level.continuous else actions)
    assert level.advance(now, condition, torch.rand(2, 6, actions)).shape == now.shape

    total, terms = level.losses(below, taken, written, progress=0.5)
    assert total.shape == () and total.isfinite()
    expected = {"prediction", "prior", "similarity"}
    if encoder != "shared":
        expected |= {"sigreg"} if anti_collapse == "sigreg" else {"variance", "covariance"}
    if macro_action != "outcome":
        expected |= {"inverse"}
    assert set(terms) == expected and all(term.shape == () for term in terms.values())
    weighted = sum(getattr(level.settings.loss, name) * float(term.detach()) for name, term in terms.items())
    assert total.item() == pytest.approx(weighted, rel=1e-5)
    total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in level.parameters())


@pytest.mark.parametrize("anti_collapse", ANTI_COLLAPSE)
@pytest.mark.parametrize("encoder", ["agent", "mlp"])
def test_every_way_not_to_collapse(toys: SimpleNamespace, encoder: str, anti_collapse: str) -> None:
    level = toys.make_level(encoder=encoder, anti_collapse=anti_collapse)
    below, taken = toys.windows(level)
    total, terms = level.losses(below, taken, level.write(toys.grids()), progress=0.5)
    own = {"vicreg": {"variance", "covariance"}, "distillation": set(), "none": set()}
    assert set(terms) == {"prediction", "prior", "similarity"} | own.get(anti_collapse, {anti_collapse})
    assert all(term.shape == () and hasattr(level.settings.loss, name) for name, term in terms.items())
    total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in level.parameters())


def test_shared_latent_of_another_size_is_refused(toys: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="6 numbers at the level below but latent_dim is 8; make them equal"):
        toys.make_level(encoder="shared", latent_dim=8)


def test_one_window_of_one_step(toys: SimpleNamespace) -> None:
    level = toys.make_level(macro_action="chunk", memory=None)
    below, taken = toys.windows(level, plans=1, count=2)
    assert taken is not None
    total, _ = level.losses(below[:, :, :2], taken[:, :, :1], None, progress=1.0)
    assert total.isfinite()


def test_levels_are_reproducible(toys: SimpleNamespace) -> None:
    first, second = toys.make_level(3), toys.make_level(3)
    below, _ = toys.windows(first)
    memory = first.write(toys.grids())
    assert torch.equal(first.encode(below, memory), second.encode(below, second.write(toys.grids())))
    assert not torch.equal(first.encode(below, memory), toys.make_level(4).encode(below, memory))
