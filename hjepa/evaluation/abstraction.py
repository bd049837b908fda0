"""Abstraction, measured: what each level knows, how fast that changes, and how far ahead it can be said.

Per level, at steps of the level on floor plans that nothing has learned from:

effective_rank   directions that latents make use of (`levels.effective_rank`)
autocorrelation  of latents one stride apart, about the mean of their layout: 1 for what never changes
ahead            squared error of h imagined steps in a row, in that of claiming that nothing changes, h = 1, 2, ...
horizon          steps before that reaches `HALF`; None: it does not, in as many steps as were measured
facts            for each of `hjepa.evaluation.facts`: ``read``, the share a linear probe reads right from the latent;
                 ``imagined``, the same probe on the latent that the level imagined one stride before; ``unchanged``,
                 the share that one stride leaves as it was, which is what copying gets right; ``chance``

A level whose actions are outcome codes is told the code that fits what came, so ``ahead`` and ``imagined`` say what it
can express, not what it knows beforehand.
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
from hjepa.evaluation.facts import Fact, commonest, right, unchanged
from hjepa.evaluation.frozen import answers, check_apart, facts_at, freeze, make_probe, ranges_at
from hjepa.model.form import Form
from hjepa.model.stack import Stack
from hjepa.tensors import as_tensor
from hjepa.training.memories import remember
from hjepa.training.sources import Source, open_source
from levels.effective_rank import effective_rank
from levels.frozen_probes import learn_probe
from tasks.randomness import keyed_generator

HALF = 0.5
"""Share of the error of claiming that nothing changes at which a level does not see ahead any more."""

FARTHEST = 16
"""Steps of a level that are imagined in a row, where trajectories are long enough."""


@dataclass(frozen=True)
class Abstraction:
    """Of one level; see the module.

    Attributes:
        level: from 1.
        span: environment steps in one of its steps.
        own: whether its latent is its own; otherwise it is that of the level below, and what is read from it and its
            rank are the same up to chance.
        effective_rank, autocorrelation, ahead, horizon, facts: see the module.
    """

    level: int
    span: int
    own: bool
    effective_rank: float
    autocorrelation: float
    ahead: list[float]
    horizon: float | None
    facts: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Walked:
    """Windows of a level's own steps, n on each of P layouts.

    Attributes:
        latent: (P, n, F, D).
        action: (P, n, F - 1, A) of the level.
        memory: of the level, see `hjepa.training.memories`; None: it has none.
        rows: (P * n * F,) of the store, one after another.
    """

    latent: Tensor
    action: Tensor
    memory: Tensor | None
    rows: np.ndarray


def measure_abstraction(
    stack: Stack,
    training: str | os.PathLike[str],
    testing: str | os.PathLike[str],
    windows: int = 256,
    layouts: int = 16,
    count: int = 2048,
    seed: int = 0,
    steps: int = 400,
) -> tuple[list[Abstraction], dict[str, Any]]:
    """Of every level of a stack.

    Args:
        stack: trained.
        training: a store of its task, whose states probes are told.
        testing: another, on floor plans that nothing has learned from.
        windows: of each level that are looked at, a multiple of ``layouts``.
        layouts: that they come from.
        count: moments that probes learn from.
        seed: of moments, windows and probes.
        steps: of a probe's training.

    Returns:
        one a level, and what they were made from.

    Raises:
        InputError: data of another task, of the same floor plans, without states, or with trajectories too short;
            numbers that cannot be met.
        StoreError: a store cannot be read.
    """
    sources = [open_source(path, stack.config)[0] for path in (training, testing)]
    check_apart(*sources)
    if count < 1 or layouts < 1 or windows % layouts or windows < 2 * layouts or layouts > sources[1].layouts:
        raise InputError(
            f"{count} moments, {windows} windows from {layouts} of {sources[1].layouts} layouts",
            "abstraction",
            "give at least two windows a layout, equally many on each, and no more layouts than there are",
        )
    if sources[1].clip <= stack.config.spans[-1]:
        raise InputError(
            f"has trajectories of {sources[1].clip}, a step of the top level takes {stack.config.spans[-1] + 1}",
            str(sources[1].path),
            "collect longer ones",
        )
    rows = keyed_generator("abstraction", seed).integers(0, sources[0].observations, count)
    edges = ranges_at(sources[0], rows)
    learned = facts_at(sources[0], rows, edges)
    labels = torch.from_numpy(np.concatenate([fact.labels for fact in learned], -1))
    found = []
    for k, frozen in enumerate(freeze(stack, sources[0], rows, tokens=False)):
        probe = make_probe(frozen.latent, learned, seed)
        learn_probe(probe, frozen.latent, labels, steps=steps, seed=seed)
        walked = walk(stack, k, sources[1], windows, layouts, seed)
        read = _read(stack, k, probe, walked, facts_at(sources[1], walked.rows, edges), learned)
        ahead = look_ahead(stack, k, walked)
        found.append(
            Abstraction(
                k + 1, stack.config.spans[k], k in stack.own_latents(),
                float(effective_rank(walked.latent.flatten(1, 2))), autocorrelation(walked.latent), ahead,
                horizon(ahead), read,
            )
        )  # fmt: skip
    facts = {
        "moments": count, "windows": windows, "layouts": layouts, "seed": seed, "probe_steps": steps,
        "data_sha256": [own.sha256 for own in sources],
    }  # fmt: skip
    return found, facts


@torch.no_grad()
def walk(stack: Stack, k: int, source: Source, windows: int, layouts: int, seed: int) -> Walked:
    """Windows of level k + 1 as long as `FARTHEST` allows; memories as in `hjepa.training.memories`."""
    span, every = stack.config.spans[k], stack.every(k)
    ahead = min(FARTHEST, (source.clip - 1) // span)
    rng = keyed_generator("abstraction", seed, k)
    pieces = source.pieces(rng, windows, ahead * span + 1, layouts)
    rows = pieces.rows.reshape(layouts, windows // layouts, -1)
    device = stack.step_distance.device
    shown = source.show(rows[:, :, ::every])
    agent = (torch.from_numpy(shown) if stack.sees else as_tensor(shown)).to(device)
    action = as_tensor(pieces.action).view(*rows.shape[:2], -1, *pieces.action.shape[2:]).to(device)
    memories = remember(stack, source, rows[:, :, 0])
    latent = stack.encode(agent[:, :, :: span // every], memories, upto=k + 1)[-1]
    taken = stack.window_actions(k, agent, action, memories, Form(every=every))
    return Walked(latent, taken, memories[k], rows[:, :, ::span].reshape(-1))


@torch.no_grad()
def look_ahead(stack: Stack, k: int, walked: Walked) -> list[float]:
    """See the module, ``ahead``; no number where nothing changed."""
    level, latent = stack.level(k), walked.latent
    imagined, found = latent[:, :, 0], []
    for step in range(1, latent.shape[2]):
        condition = level.condition(imagined, walked.memory)
        imagined = level.advance(imagined, condition, walked.action[:, :, step - 1])
        copied = (latent[:, :, 0] - latent[:, :, step]).square().sum()
        found.append(float((imagined - latent[:, :, step]).square().sum() / copied))
    return found


def horizon(ahead: Sequence[float], bar: float = HALF) -> float | None:
    """Steps, and parts of one, after which errors (see the module, ``ahead``) first reach a bar; None: they do not."""
    before = 0.0
    for step, error in enumerate(ahead):
        if not error < bar:
            return step + (bar - before) / (error - before) if np.isfinite(error) else float(step)
        before = error
    return None


def autocorrelation(latent: Tensor) -> float:
    """Of latents (P, n, F, D) one moment apart, about the mean of their layout; no number where they never change."""
    less = latent.double() - latent.double().mean((1, 2), keepdim=True)
    power = (less[:, :, :-1].square().mean() + less[:, :, 1:].square().mean()) / 2
    return float((less[:, :, :-1] * less[:, :, 1:]).mean() / power)


@torch.no_grad()
def _read(
    stack: Stack, k: int, probe: Any, walked: Walked, asked: Sequence[Fact], learned: Sequence[Fact]
) -> dict[str, dict[str, float]]:
    """See the module, ``facts``."""
    level, latent = stack.level(k), walked.latent
    moments = latent.shape[2]
    before = latent[:, :, :-1].flatten(1, 2)
    imagined = level.advance(before, level.condition(before, walked.memory), walked.action.flatten(1, 2))
    reads = answers(probe, latent.flatten(0, 2).float().cpu(), asked)
    claims = answers(probe, imagined.flatten(0, 1).float().cpu(), asked)
    found = {}
    for fact, known, read, claim in zip(asked, learned, reads, claims):
        later = fact.labels.reshape(-1, moments, fact.labels.shape[-1])[:, 1:].reshape(len(claim), -1)
        found[fact.name] = {
            "read": right(fact, read),
            "imagined": right(Fact(fact.name, later, fact.classes, fact.joint), claim),
            "unchanged": unchanged(fact, moments),
            "chance": commonest(known, fact),
        }
    return found
