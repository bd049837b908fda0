"""Each loss term trains the parts that it should train, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from levels.anti_collapse.vicreg import variance_covariance
from levels.probes import PositionProbe
from levels.settings import LossWeights


def reached(loss: Tensor, module: nn.Module) -> set[str]:
    """Names of the parameters with a gradient that is not all zero."""
    names, parameters = zip(*module.named_parameters())
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return {
        name for name, gradient in zip(names, gradients) if gradient is not None and gradient.abs().sum() > 0
    }


def parts(names: Iterable[str]) -> set[str]:
    """The first two parts of names in the predictor, the first one of the others."""
    return {".".join(name.split(".")[: 2 if name.startswith("predictor") else 1]) for name in names}


TRUNK = {"predictor.reader", "predictor.trunk"}
STEP = {"predictor.features", "predictor.scale", "predictor.shift", "predictor.outputs"}
KINDS: dict[str, dict[str, Any]] = {
    "primitive": {"encoder": "agent", "macro_action": "primitive", "stride": 1},
    "outcome": {"macro_action": "outcome"},
    "chunk": {"macro_action": "chunk"},
    "stochastic": {"macro_action": "stochastic"},
    "reading": {"macro_action": "outcome", "encoder_reads": True},
}
PREDICTION = {
    "primitive": {"encoder", "writer"} | TRUNK | STEP,
    "outcome": {"encoder", "writer"} | TRUNK | STEP,
    "chunk": {"encoder", "writer", "chunk_encoder"} | TRUNK | STEP,
    "stochastic": {"encoder", "writer", "chunk_encoder"} | TRUNK | STEP,
    "reading": {"encoder", "writer"} | TRUNK | STEP,
}
# The prior is a reader of what the predictor knows, except where codes have no other teacher.
PRIOR = {
    "primitive": {"predictor.prior"},
    "outcome": {"encoder", "writer", "predictor.prior"} | TRUNK | STEP,
    "chunk": {"predictor.prior"},
    "stochastic": {"predictor.prior", "chunk_encoder"},  # each moves towards the other
    "reading": {"encoder", "writer", "predictor.prior"} | TRUNK | STEP,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_term_trains_its_parts(toys: SimpleNamespace, kind: str) -> None:
    level = toys.make_level(expander=8, **KINDS[kind])
    below, actions = toys.windows(level)
    _, terms = level.losses(below, actions, level.write(toys.grids()), progress=0.5)
    encoder = {"encoder", "writer"} if kind == "reading" else {"encoder"}
    expected = {
        "prediction": PREDICTION[kind],
        "prior": PRIOR[kind],
        "kl": PRIOR[kind],
        "similarity": encoder,
        "variance": encoder | {"expander"},
        "covariance": encoder | {"expander"},
        "inverse": encoder | {"inverse"},
    }
    assert ("kl" in terms, "prior" in terms) == (kind == "stochastic", kind != "stochastic")
    for name, term in terms.items():
        assert parts(reached(term, level)) == expected[name], name


def test_every_parameter_is_trained(toys: SimpleNamespace) -> None:
    for kind, settings in KINDS.items():
        level = toys.make_level(expander=8, **settings)
        below, actions = toys.windows(level, count=64)
        total, _ = level.losses(below, actions, level.write(toys.grids()), progress=0.5)
        everything = {name for name, _ in level.named_parameters()}
        assert everything - reached(total, level) == set(), kind


def test_sigreg_trains_the_encoder(toys: SimpleNamespace) -> None:
    level = toys.make_level(anti_collapse="sigreg", expander=8)
    below, actions = toys.windows(level)
    _, terms = level.losses(below, actions, level.write(toys.grids()), progress=0.5)
    assert parts(reached(terms["sigreg"], level)) == {"encoder", "expander"}


@pytest.mark.parametrize("expander", [0, 8])
def test_regularisers_see_the_ends_of_windows(toys: SimpleNamespace, expander: int) -> None:
    level = toys.make_level(expander=expander)
    below, _ = toys.windows(level)
    latent = level.encode(below, None)
    ends = torch.cat([latent[:, :, 0], latent[:, :, -1]], 1)
    seen = ends if level.expander is None else level.expander(ends)
    _, terms = level.losses(below, None, level.write(toys.grids()), progress=0.5)
    for name, value in zip(("variance", "covariance"), variance_covariance(seen)):
        assert torch.allclose(terms[name], value, rtol=1e-4), name
    step = (latent[:, :, 1:] - latent[:, :, :-1]).square().mean()
    assert torch.allclose(terms["similarity"], step), "similarity is of the latent itself, along all moments"


def test_a_shared_latent_is_not_changed(toys: SimpleNamespace) -> None:
    level = toys.make_level(encoder="shared")
    below, _ = toys.windows(level)
    assert level.encode(below, None) is not None and torch.equal(level.encode(below, None), below)
    assert not list(level.encoder.parameters())


def test_gradient_reaches_the_level_below_if_the_caller_lets_it(toys: SimpleNamespace) -> None:
    level = toys.make_level()
    below, _ = toys.windows(level)
    below.requires_grad_()
    total, _ = level.losses(below, None, level.write(toys.grids()), progress=0.5)
    (gradient,) = torch.autograd.grad(total, below)
    assert (gradient.abs().sum((0, 1, 3)) > 0).all(), "every moment matters"


def test_macro_actions_are_no_target_that_gives_way(toys: SimpleNamespace) -> None:
    level = toys.make_level(macro_action="chunk")
    below, actions = toys.windows(level)
    _, terms = level.losses(below, actions, level.write(toys.grids()), progress=0.5)
    assert not any(name.startswith("chunk_encoder") for name in reached(terms["prior"], level))
    assert not any(name.startswith("chunk_encoder") for name in reached(terms["inverse"], level))


def test_a_probe_does_not_train_what_it_looks_at(toys: SimpleNamespace) -> None:
    level, probe = toys.make_level(encoder="agent", macro_action="primitive"), PositionProbe(6, toys.WORLD)
    agents = toys.agents(2, 9)
    loss = probe.loss(level.encode(agents, None), agents)
    assert reached(loss, level) == set()
    assert reached(loss, probe) == {name for name, _ in probe.named_parameters()}


def test_a_term_of_weight_zero_is_left_out(toys: SimpleNamespace) -> None:
    level = toys.make_level(loss=LossWeights(variance=0.0, covariance=0.0, similarity=0.0, prior=0.0))
    below, actions = toys.windows(level)
    total, terms = level.losses(below, actions, level.write(toys.grids()), progress=0.5)
    assert torch.equal(total, terms["prediction"])
    assert not any(name.startswith("predictor.prior") for name in reached(total, level))
    # What is left out may be no number.
    below[0, 0, 0, 0] = torch.inf
    level = toys.make_level(
        encoder="shared", loss=LossWeights(prediction=0.0, prior=0.0, similarity=0.0), memory=None
    )
    assert level.losses(below, None, None, progress=0.5)[0].item() == 0.0


def test_inverse_dynamics_learn_from_steps_that_changed_something(toys: SimpleNamespace) -> None:
    level = toys.make_level(encoder="agent", macro_action="primitive", stride=1, memory=None)
    below, actions = toys.windows(level, count=8)
    assert actions is not None
    below[:, ::2, 1] = below[:, ::2, 0]
    changed = (below[:, :, 0] != below[:, :, 1]).any(-1)
    assert 0 < changed.sum() < changed.numel()
    _, terms = level.losses(below, actions, None, progress=0.5)
    latent = level.encode(below, None)
    assert level.inverse is not None
    guess = level.inverse(torch.cat([latent[:, :, 0], latent[:, :, 1]], -1))[changed]
    labels = actions[:, :, 0][changed].argmax(-1)
    assert torch.allclose(terms["inverse"], torch.nn.functional.cross_entropy(guess, labels))
    # Where nothing changed anywhere there is nothing to learn, and no division by nothing.
    below[:, :, 1] = below[:, :, 0]
    _, terms = level.losses(below, actions, None, progress=0.5)
    assert terms["inverse"].item() == 0.0 and terms["inverse"].requires_grad


def test_half_of_the_windows_are_rolled_out_and_half_start_anew(toys: SimpleNamespace) -> None:
    level = toys.make_level(encoder="shared", macro_action="primitive", memory=None)
    below, actions = toys.windows(level, count=4)
    assert actions is not None
    total, errors = torch.zeros(()), []
    for window in range(4):
        latent = below[:, window, 0]
        for step in range(1, toys.MOMENTS):
            condition = level.condition(latent.unsqueeze(1), None)
            action = actions[:, window, step - 1].unsqueeze(1)
            imagined = level.advance(latent.unsqueeze(1), condition, action).squeeze(1)
            errors.append((imagined - below[:, window, step]).square().mean())
            latent = imagined if window < 2 else below[:, window, step]
    _, terms = level.losses(below, actions, None, progress=0.5)
    assert torch.allclose(terms["prediction"], total + torch.stack(errors).mean(), rtol=1e-5)
