"""Probes of frozen features: what can be read from a representation that learns nothing more.

A linear probe reads one vector. An attentive probe reads tokens: one learned query per label looks at all of them
(attentive pooling, Bardes et al., arXiv 2404.08471, section 4.1). What a linear probe reads lies open; what only an
attentive one reads is there, but has to be looked for. Several labels are read at once, each with classes of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.networks import mlp

UNKNOWN = -1
"""A label that a moment does not have, such as the room of somebody in a doorway."""


class FrozenProbe(nn.Module):
    """Features -> scores of the classes of every label; a base class.

    Args:
        dim: D, numbers in a feature.
        classes: of each of the m labels.

    Raises:
        ValueError: nothing to read, or a label of less than one class.
    """

    rate = 1e-2
    """Of AdamW at its peak, where nobody says otherwise."""

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int, classes: Sequence[int]) -> None:
        super().__init__()
        if not classes or min(classes) < 1:
            raise ValueError(
                f"a probe of classes {tuple(classes)}; give one label or more, of 1 class or more"
            )
        self.classes = tuple(classes)
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def standardise(self, features: Tensor) -> None:
        """Read features (..., D) by their deviation from these, in units of their spread."""
        flat = features.flatten(0, -2)
        self.mean.copy_(flat.mean(0))
        self.scale.copy_(flat.std(0, correction=0).clamp(min=1e-6))

    def scores(self, features: Tensor) -> tuple[Tensor, ...]:
        """Features -> (N, classes) for each label."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """Features -> the likeliest class of each label, (N, m)."""
        return torch.stack([part.argmax(-1) for part in self.scores(features)], -1)

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of labels (N, m), summed over labels; `UNKNOWN` ones do not count. No gradient reaches
        the features."""
        total = features.new_zeros(())
        for part, label in zip(self.scores(features.detach()), labels.unbind(-1)):
            known = (label != UNKNOWN).sum().clamp(min=1)
            total = total + F.cross_entropy(part, label, ignore_index=UNKNOWN, reduction="sum") / known
        return total


class LinearProbe(FrozenProbe):
    """One linear layer over vectors (N, D). See `FrozenProbe`."""

    rate = 0.05

    def __init__(self, dim: int, classes: Sequence[int]) -> None:
        super().__init__(dim, classes)
        self.layer = nn.Linear(dim, sum(classes))

    def scores(self, features: Tensor) -> tuple[Tensor, ...]:
        """See `FrozenProbe`."""
        return self.layer((features - self.mean) / self.scale).split(self.classes, -1)


class AttentiveProbe(FrozenProbe):
    """Queries over tokens (N, T, D), one per label, and a small network behind. See `FrozenProbe`.

    Args:
        dim: D, numbers in a token.
        classes: of each label.
        places: T, if a token's number says where it stands; 0: tokens say so themselves, or it does not matter.
        width: of keys, values and the network.
        heads: places that a query looks at.

    Raises:
        ValueError: a width that heads do not divide.
    """

    def __init__(
        self, dim: int, classes: Sequence[int], places: int = 0, width: int = 64, heads: int = 4
    ) -> None:
        super().__init__(dim, classes)
        if width % heads:
            raise ValueError(f"width {width} is no multiple of {heads} heads; change one of them")
        self.heads = heads
        self.query = nn.Parameter(torch.randn(len(classes), width))
        self.place = nn.Parameter(0.02 * torch.randn(places, width)) if places else None
        self.inputs = nn.Linear(dim, width)
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.rest = mlp(width, 2 * width, width)
        self.norm = nn.LayerNorm(width)
        self.read = nn.ModuleList(nn.Linear(width, count) for count in classes)

    def scores(self, features: Tensor) -> tuple[Tensor, ...]:
        """See `FrozenProbe`."""
        seen = self.inputs((features - self.mean) / self.scale)
        if self.place is not None:
            seen = seen + self.place
        key, value = (
            part(seen).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.key, self.value)
        )
        query = self.query.unflatten(-1, (self.heads, -1)).transpose(0, 1).expand(len(seen), -1, -1, -1)
        found = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        found = self.norm(found + self.rest(found))
        return tuple(layer(found[:, i]) for i, layer in enumerate(self.read))


def learn_probe(
    probe: FrozenProbe,
    features: Tensor,
    labels: Tensor,
    steps: int = 400,
    batch: int = 256,
    rate: float | None = None,
    seed: int = 0,
) -> None:
    """Train a probe on frozen features; the same arguments give the same probe.

    Args:
        probe: trained in place, from wherever it is.
        features: (N, D) or (N, T, D).
        labels: (N, m) int64, `UNKNOWN` where there is none.
        steps: of AdamW, whose rate falls to 0 as a cosine.
        batch: moments a step, drawn with replacement; of fewer moments all.
        rate: at its peak; None: the probe's own.
        seed: of the batches.

    Raises:
        ValueError: features and labels of different numbers, or none.
    """
    if not len(features) or len(features) != len(labels):
        raise ValueError(
            f"{len(features)} features with {len(labels)} labels; give as many of both, 1 or more"
        )
    probe.standardise(features)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(probe.parameters(), probe.rate if rate is None else rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    probe.train()
    with torch.enable_grad():
        for _ in range(steps):
            rows = torch.randint(0, len(features), (batch,), generator=generator)
            if len(features) <= batch:
                rows = torch.arange(len(features))
            optimizer.zero_grad()
            probe.loss(features[rows], labels[rows]).backward()
            optimizer.step()
            schedule.step()
    probe.eval()
