"""What attentive probes read from encoders that masked prediction has trained, step by step of their training.

Probes look at the tokens of a clip's last frame and are asked about clips on floor plans that neither they nor the
encoder has learned from. Facts are those of `hjepa.evaluation.facts`, and two that nobody needs to know:

dimming  brightness of the frame, which every place of it shows: it can be predicted from the others
flicker  whether the square in the middle has brightened, which nothing else shows: it cannot
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
from hjepa.evaluation.facts import Fact, commonest, facts_of_states, right
from hjepa.evaluation.frozen import answers, make_probe
from hjepa.training.clips import Clips, draw_clips
from hjepa.training.masked_fit import load_encoder, read_run, snapshots
from levels.frozen_probes import learn_probe
from levels.masked import PatchEncoder, patches_of
from tasks import TrajectoryStore, task_spec
from tasks.randomness import keyed_generator
from tasks.textures import DIMMINGS

BLOCK = 32
"""Clips that are seen at once."""


@dataclass(frozen=True)
class MaskedReading:
    """How well a fact is read from an encoder.

    Attributes:
        step: of its training; 0: an encoder that has learned nothing, the floor.
        fact: its name.
        labels: clips whose facts the probe was told.
        accuracy: share read right on other floor plans.
        chance: the same of always saying what was commonest.
    """

    step: int
    fact: str
    labels: int
    accuracy: float
    chance: float


@torch.no_grad()
def last_tokens(encoder: PatchEncoder, clips: Clips, patch: int) -> Tensor:
    """Features (N, W * H, D) of the last frame of clips, which are seen whole."""
    width, height = encoder.sides
    parts = [
        encoder(patches_of(torch.from_numpy(frames), patch))[:, -width * height :]
        for frames in np.split(clips.frames, range(BLOCK, len(clips.frames), BLOCK))
    ]
    return torch.cat(parts)


def facts_of_clips(store: TrajectoryStore, clips: Clips) -> list[Fact]:
    """Facts of the last frame of every clip."""
    rows = clips.rows[:, -1]
    grid, agent = store.grids[store.grid_index[rows]], np.take(store.agent, rows, axis=0)
    known = facts_of_states(grid, agent, task_spec(store.meta["task"]))
    noise = [("dimming", clips.dimming, len(DIMMINGS)), ("flicker", clips.flicker, 2)]
    return [*known, *(Fact(name, values[:, -1:], (count,)) for name, values, count in noise)]


def read_masked(
    run: str | os.PathLike[str],
    training: str | os.PathLike[str],
    testing: str | os.PathLike[str],
    labels: Sequence[int] = (32, 256, 1024),
    asked: int = 512,
    seed: int = 0,
    steps: int = 300,
    at: Sequence[int] | None = None,
) -> list[MaskedReading]:
    """Facts read from the encoders of a run.

    Args:
        run: a finished run of `hjepa.training.masked_fit`.
        training: trajectories that probes learn from.
        testing: others, on floor plans that nothing has learned from.
        labels: clips that a probe is told the facts of, one probe each.
        asked: clips that probes are asked about.
        seed: of clips and probes, the same for every run that is compared.
        steps: of a probe's training.
        at: steps of the encoders to read; None: all that were kept.

    Raises:
        InputError: no such run or step, no labels, or floor plans that both stores have.
        StoreError: a store cannot be read.
    """
    settings, _ = read_run(run)
    stores = [TrajectoryStore.open(path) for path in (training, testing)]
    both = np.intersect1d(stores[0].plan, stores[1].plan)
    if len(both):
        raise InputError(
            f"shares {len(both)} floor plans with what probes learn from, first {both[0]}",
            str(stores[1].path),
            "collect it with another split",
        )
    if not labels or min(labels) < 1 or asked < 1:
        raise InputError(f"labels {tuple(labels)}, asked {asked}", "masked reading", "give 1 or more of each")
    clips = [
        draw_clips(
            store, keyed_generator("masked reading", name, seed), count, settings.model.frames,
            settings.flicker, settings.drift,
        )
        for store, name, count in zip(stores, ("training", "testing"), (max(labels), asked))
    ]  # fmt: skip
    known, truth = (facts_of_clips(store, own) for store, own in zip(stores, clips))
    told = torch.from_numpy(np.concatenate([fact.labels for fact in known], -1))
    found = []
    for step in snapshots(run) if at is None else at:
        encoder = load_encoder(run, step)
        features = [last_tokens(encoder, own, settings.model.patch) for own in clips]
        for count in labels:
            probe = make_probe(features[0], known, seed)
            learn_probe(probe, features[0][:count], told[:count], steps=steps, seed=seed)
            for fact, own, read in zip(truth, known, answers(probe, features[1], truth)):
                learned = Fact(own.name, own.labels[:count], own.classes, own.joint)
                found.append(
                    MaskedReading(step, fact.name, count, right(fact, read), commonest(learned, fact))
                )
    return found


def reached_at(where: Sequence[float], scores: Sequence[float], bar: float) -> float | None:
    """Where a curve first reaches a bar, between two points on a straight line; None: nowhere.

    Args:
        where: steps or labels, rising.
        scores: at each of them.
        bar: to be reached.
    """
    for i, score in enumerate(scores):
        if score >= bar:
            if not i or score == scores[i - 1]:
                return float(where[i])
            share = (bar - scores[i - 1]) / (score - scores[i - 1])
            return float(where[i - 1] + share * (where[i] - where[i - 1]))
    return None


def against_control(
    masked: Sequence[MaskedReading], control: Sequence[MaskedReading], fact: str
) -> dict[str, Any]:
    """How many times fewer steps, and labels, masked prediction needs for what its control has reached.

    Returns:
        ``bar``, the control's best score with all labels; ``steps``, steps that each of both takes to it, and
        ``steps_ratio``, the control's by those of masked prediction: above 1 it is the quicker one. ``labels`` and
        ``labels_ratio`` likewise, at the last step, for the control's last score. None where it is not reached.
    """
    most = max(r.labels for r in control)
    curves = [
        _curve([r for r in own if r.fact == fact and r.labels == most], "step") for own in (masked, control)
    ]
    last = [
        _curve([r for r in own if r.fact == fact and r.step == _last(own)], "labels")
        for own in (masked, control)
    ]
    bars = max(curves[1][1]), last[1][1][-1]
    steps = [reached_at(*curve, bars[0]) for curve in curves]
    labels = [reached_at(*curve, bars[1]) for curve in last]
    return {
        "fact": fact, "bar": bars[0], "steps": steps, "steps_ratio": _ratio(steps), "bar_labels": bars[1],
        "labels": labels, "labels_ratio": _ratio(labels),
    }  # fmt: skip


def _curve(readings: Sequence[MaskedReading], along: str) -> tuple[list[float], list[float]]:
    ordered = sorted(readings, key=lambda reading: getattr(reading, along))
    return [float(getattr(r, along)) for r in ordered], [r.accuracy for r in ordered]


def _last(readings: Sequence[MaskedReading]) -> int:
    return max(reading.step for reading in readings)


def _ratio(both: Sequence[float | None]) -> float | None:
    """The control's by the other's."""
    mine, theirs = both
    return None if mine is None or theirs is None or not mine else theirs / mine
