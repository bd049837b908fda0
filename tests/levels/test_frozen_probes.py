"""Probes of frozen features: what lies open, what has to be looked for, and what is not there."""

from __future__ import annotations

import pytest
import torch

from levels.frozen_probes import UNKNOWN, AttentiveProbe, FrozenProbe, LinearProbe, learn_probe


def _needles(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of which one stands out and shows a class, at a place that is the other label."""
    generator = torch.Generator().manual_seed(seed)
    place, kind = (torch.randint(0, n, (count,), generator=generator) for n in (6, 3))
    tokens = 0.1 * torch.randn(count, 6, 5, generator=generator)
    tokens[torch.arange(count), place, 0] = 1.0
    tokens[torch.arange(count), place, 1 + kind] += 1.0
    return tokens, torch.stack([place, kind], -1)


def test_linear_reads_what_lies_open_and_not_what_is_not_there() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2000, 4, generator=generator)
    labels = torch.stack([(features[:, 0] > 0).long(), (features[:, 1] * features[:, 2] > 0).long()], -1)
    probe = LinearProbe(4, (2, 2))
    learn_probe(probe, features[:1000], labels[:1000], steps=150)
    right = (probe(features[1000:]) == labels[1000:]).float().mean(0)
    assert right[0] > 0.96
    assert right[1] < 0.6  # a product is no linear function


def test_attention_finds_the_token_and_says_where_it_stands() -> None:
    tokens, labels = _needles(1200, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        probe = AttentiveProbe(5, (6, 3), places=6, width=32)
        blind = AttentiveProbe(5, (6, 3), width=32)
    other, truth = _needles(400, 1)
    for each in (probe, blind):
        learn_probe(each, tokens, labels, steps=200)
    right, without = ((each(other) == truth).float().mean(0) for each in (probe, blind))
    assert (right > 0.95).all()
    assert without[1] > 0.95  # what it shows needs no place
    assert without[0] < 0.4  # where it stands does


def test_the_same_arguments_give_the_same_probe() -> None:
    tokens, labels = _needles(300, 0)
    found = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            probe = AttentiveProbe(5, (6, 3), places=6, width=16)
        learn_probe(probe, tokens, labels, steps=5, batch=32, seed=4)
        found.append(torch.cat([p.detach().flatten() for p in probe.parameters()]))
    assert torch.equal(*found)


@pytest.mark.parametrize("probe", [LinearProbe(4, (3,)), AttentiveProbe(4, (3,), width=8, heads=2)])
def test_features_get_no_gradient_and_unknown_labels_do_not_count(probe: FrozenProbe) -> None:
    shape = (6, 4) if isinstance(probe, LinearProbe) else (6, 5, 4)
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([0, 1, 2, UNKNOWN, UNKNOWN, 1])[:, None]
    loss = probe.loss(features, labels)
    loss.backward()
    assert features.grad is None
    known = labels[:, 0] != UNKNOWN
    torch.testing.assert_close(loss, probe.loss(features[known], labels[known]))
    assert probe.loss(features, torch.full_like(labels, UNKNOWN)) == 0


def test_a_label_that_all_moments_share_is_read_and_costs_nothing() -> None:
    probe = LinearProbe(4, (1, 2))
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert (probe(features)[:, 0] == 0).all()
    labels = torch.tensor([[0, UNKNOWN]]).expand(5, 2)
    assert probe.loss(features, labels) == 0


def test_what_cannot_be_a_probe_is_refused() -> None:
    with pytest.raises(ValueError, match="classes"):
        LinearProbe(4, ())
    with pytest.raises(ValueError, match="of 1 class or more"):
        LinearProbe(4, (2, 0))
    with pytest.raises(ValueError, match="heads"):
        AttentiveProbe(4, (2,), width=10, heads=4)
    with pytest.raises(ValueError, match="3 features with 2 labels"):
        learn_probe(LinearProbe(4, (2,)), torch.zeros(3, 4), torch.zeros(2, 1).long())
