"""Frozen evaluation: what probes read from a trained stack that learns nothing more, and from how few labels.

A linear probe reads a level's latent, an attentive one the tokens of its memory (`levels.frozen_probes`). They learn
from the states of one store and are asked about another, whose floor plans nobody has learned from.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hjepa.errors import InputError
from hjepa.evaluation.facts import Fact, commonest, edges_of, facts_of_arrays, facts_of_states, right
from hjepa.model.stack import Stack
from hjepa.tensors import as_tensor
from hjepa.training.sources import SeenSource, Source, StateSource, open_source
from levels.frozen_probes import AttentiveProbe, FrozenProbe, LinearProbe, learn_probe
from tasks import task_spec
from tasks.randomness import keyed_generator

SHARES = (0.01, 0.1, 1.0)
"""Of the labels that probes learn from."""

BLOCK = 128
"""Moments that are seen at once, each with a memory of its own."""


@dataclass(frozen=True)
class Frozen:
    """What a frozen level makes of N moments.

    Attributes:
        latent: (N, D).
        tokens: (N, T, C) of its memory of each moment's own picture; None: it has none, or nobody asked.
    """

    latent: Tensor
    tokens: Tensor | None


@dataclass(frozen=True)
class Reading:
    """How well a fact is read.

    Attributes:
        level: from 1.
        fact: its name, see `hjepa.evaluation.facts`.
        reads: ``latent``, with a linear probe, or ``tokens``, with an attentive one.
        labels: moments whose facts the probe was told.
        accuracy: share of facts read right at moments on other floor plans.
        chance: the same of always saying what was commonest.
    """

    level: int
    fact: str
    reads: str
    labels: int
    accuracy: float
    chance: float


@torch.no_grad()
def freeze(stack: Stack, source: Source, rows: np.ndarray, tokens: bool = True) -> list[Frozen]:
    """What every level makes of the moments at rows (N,) of a store."""
    latents: list[list[Tensor]] = [[] for _ in range(stack.depth)]
    memories: list[list[Tensor]] = [[] for _ in range(stack.depth)]
    device = stack.step_distance.device
    for first in range(0, len(rows), BLOCK):
        own = rows[first : first + BLOCK]
        memory = stack.write(torch.from_numpy(source.layout(own)).to(device))
        seen = source.show(own)
        agent = torch.from_numpy(seen) if stack.sees else as_tensor(seen)
        for k, latent in enumerate(stack.encode(agent.unsqueeze(1).to(device), memory)):
            latents[k].append(latent[:, 0].float().cpu())
            kept = memory[k]
            if tokens and kept is not None:
                memories[k].append(kept.flatten(1, -2).float().cpu())
    return [
        Frozen(torch.cat(latent), torch.cat(memory) if memory else None)
        for latent, memory in zip(latents, memories)
    ]


def facts_at(source: Source, rows: np.ndarray, edges: dict[str, np.ndarray] | None = None) -> list[Fact]:
    """What a simulator knew at rows (N,) of a store.

    Args:
        source: the store.
        rows: moments.
        edges: ranges of numbers, see `hjepa.evaluation.facts.edges_of`; None: of these moments.

    Raises:
        InputError: a store without states.
    """
    if isinstance(source, StateSource):
        store = source.store
        return facts_of_states(
            store.grids[store.grid_index[rows]],
            np.take(store.agent, rows, axis=0),
            task_spec(store.meta["task"]),
        )
    found = facts_of_arrays(_state(source, rows), edges)
    if not found:
        raise InputError(
            "holds no state that a probe could be told",
            str(source.path),
            "collect it anew, state/ may have been deleted",
        )
    return found


def ranges_at(source: Source, rows: np.ndarray) -> dict[str, np.ndarray] | None:
    """Ranges of the numbers that a simulator knew at rows (N,), from whom probes learn; None: a world of cells."""
    return None if isinstance(source, StateSource) else edges_of(_state(source, rows))


def read_facts(
    training: Frozen,
    testing: Frozen,
    learned: Sequence[Fact],
    asked: Sequence[Fact],
    level: int = 1,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    steps: int = 400,
) -> list[Reading]:
    """Every fact, by both probes, at every share of the labels.

    Args:
        training: what probes learn from.
        testing: what they are asked about.
        learned, asked: facts of both, the same ones.
        level: from 1, for the readings.
        shares: of the labels, at least one each.
        seed: of the choice of labels, the probes and their batches.
        steps: of a probe's training.
    """
    labels = torch.from_numpy(np.concatenate([fact.labels for fact in learned], -1))
    order = keyed_generator("labels", seed).permutation(len(labels))
    found = []
    for reads in ("latent", "tokens"):
        features, test = getattr(training, reads), getattr(testing, reads)
        for share in shares if features is not None else ():
            chosen = np.sort(order[: max(round(share * len(labels)), 1)])
            probe = make_probe(features, learned, seed)
            learn_probe(probe, features[chosen], labels[chosen], steps=steps, seed=seed)
            known = [Fact(f.name, f.labels[chosen], f.classes, f.joint) for f in learned]
            scores = zip(asked, known, answers(probe, test, asked))
            found += [
                Reading(level, fact.name, reads, len(chosen), right(fact, read), commonest(own, fact))
                for fact, own, read in scores
            ]
    return found


def make_probe(features: Tensor, facts: Sequence[Fact], seed: int) -> FrozenProbe:
    """A linear probe of features (N, D), an attentive one of (N, T, D), both with weights from a seed."""
    classes = [count for fact in facts for count in fact.classes]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if features.ndim == 2:
            return LinearProbe(features.shape[-1], classes)
        return AttentiveProbe(features.shape[-1], classes, places=features.shape[1])


@torch.no_grad()
def answers(probe: FrozenProbe, features: Tensor, facts: Sequence[Fact]) -> list[np.ndarray]:
    """What a probe says of features, for each fact (N, m)."""
    read = torch.cat([probe(part) for part in features.split(512)]).numpy()
    ends = np.cumsum([len(fact.classes) for fact in facts])
    return np.split(read, ends[:-1], axis=-1)


def label_efficiency(
    stack: Stack,
    training: str | os.PathLike[str],
    testing: str | os.PathLike[str],
    count: int = 4096,
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    tokens: bool = True,
    steps: int = 400,
) -> tuple[list[Reading], dict[str, Any]]:
    """What can be read from every level of a stack, by number of labels.

    Args:
        stack: frozen.
        training: a store of its task, whose states probes are told.
        testing: another, on floor plans that nothing has learned from.
        count: moments of each.
        seed: of moments, labels and probes.
        shares: of the labels.
        tokens: whether tokens are read too.
        steps: of a probe's training.

    Returns:
        the readings, and what they were made from.

    Raises:
        InputError: data of another task, of the same floor plans, or without states; no moments.
        StoreError: a store cannot be read.
    """
    if count < 1 or not shares or not all(0 < share <= 1 for share in shares):
        raise InputError(
            f"{count} moments and shares {tuple(shares)}",
            "frozen evaluation",
            "give 1 or more, and shares above 0 up to 1",
        )
    sources = [open_source(path, stack.config)[0] for path in (training, testing)]
    check_apart(*sources)
    rows = [
        keyed_generator("frozen", name, seed).integers(0, own.observations, count)
        for name, own in zip(("training", "testing"), sources)
    ]
    edges = ranges_at(sources[0], rows[0])
    learned, asked = (facts_at(own, at, edges) for own, at in zip(sources, rows))
    features = [freeze(stack, own, at, tokens) for own, at in zip(sources, rows)]
    found = []
    for k, (known, other) in enumerate(zip(*features)):
        found += read_facts(known, other, learned, asked, k + 1, shares, seed, steps)
    facts = {
        "moments": count, "seed": seed, "probe_steps": steps, "data_sha256": [own.sha256 for own in sources],
        "layouts": [own.layouts for own in sources],
    }  # fmt: skip
    return found, facts


def check_apart(training: Source, testing: Source) -> None:
    """Raise InputError where a probe would be asked about floor plans that it learned from."""
    if isinstance(training, StateSource) and isinstance(testing, StateSource):
        both = np.intersect1d(training.store.plan, testing.store.plan)
    else:
        both = np.array([training.sha256] if training.sha256 == testing.sha256 else [])
    if len(both):
        raise InputError(
            f"shares {len(both)} floor plans with what probes learn from, first {both[0]}",
            str(testing.path),
            "collect it with another split",
        )


def as_row(reading: Reading) -> dict[str, Any]:
    """Plain values, rounded to what they are worth."""
    return {
        name: round(value, 4) if isinstance(value, float) else value for name, value in vars(reading).items()
    }


def _state(source: Source, rows: np.ndarray) -> dict[str, np.ndarray]:
    assert isinstance(source, SeenSource)
    return {name: np.take(array, rows, axis=0) for name, array in source.store.state.items()}
