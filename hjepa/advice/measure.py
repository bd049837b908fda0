"""What is measured of every level, layout by layout, and never by planning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hjepa.advice.descent import descend
from hjepa.advice.distances import goal_distances
from hjepa.advice.graph import FAR
from hjepa.advice.imagined_error import error_growth
from hjepa.advice.spectrum import spectrum
from hjepa.advice.walked import Walked
from hjepa.evaluation.statistics import rank_correlation
from hjepa.model.stack import Stack
from levels.level import Level

HOPS = tuple(2**power for power in range(9))
"""Lengths of hops that the descent test is made with, in environment steps."""

WINDOWS = 256
"""Rows of steps on each layout whose imagined error is measured."""


@dataclass(frozen=True)
class LevelMeasures:
    """What is known of one level; means over layouts.

    Attributes:
        level: its number, from 1.
        stride, span: steps of the level below, and environment steps, in one of its own.
        looks: environment steps that its plans look ahead.
        own_latent: whether its latent is not shared with the level below.
        growth: squared error after 1, 2, ... of its steps in a row, in the spread of its latents.
        gap: frequency gap of the fast and the slow modes of its latent.
        slow_steps: environment steps in which its slow modes forget.
        rank: rank correlation of its distance to goals with the steps to them.
        descent: hop in environment steps -> share of goals that the descent test arrives at.
    """

    level: int
    stride: int
    span: int
    looks: int
    own_latent: bool
    growth: list[float]
    gap: float
    slow_steps: float
    rank: float
    descent: dict[int, float]


def measure(stack: Stack, layouts: Iterable[Walked], metric: str) -> tuple[list[LevelMeasures], int]:
    """Of every level, and the steps of the median way between the starts and goals.

    Args:
        stack: trained.
        layouts: from `hjepa.advice.walked.walk_layouts`.
        metric: that goals are measured by.

    Raises:
        InputError: a metric that the stack has not.
    """
    found: list[list[_Part]] = [[] for _ in range(stack.depth)]
    ways = []
    for walked in layouts:
        ways.append(walked.steps[walked.pairs[:, 0], walked.pairs[:, 1]])
        for k in range(stack.depth):
            found[k].append(_measure_layout(stack, walked, k, metric))
    return [_joined(stack, k, parts, metric) for k, parts in enumerate(found)], int(
        np.median(np.concatenate(ways))
    )


@dataclass(frozen=True)
class _Part:
    """What one layout says of one level."""

    growth: list[float]
    rates: tuple[float, float]
    rank: float
    descent: dict[int, float]


@torch.no_grad()
def _measure_layout(stack: Stack, walked: Walked, k: int, metric: str) -> _Part:
    distance = goal_distances(stack, walked, k, metric)
    start, goal = walked.pairs.T
    to_goal = walked.steps[:, goal].T
    known = (to_goal > 0) & (to_goal < FAR)
    along = walked.along(k)
    modes = spectrum(along, min(stack.config.spans[k], along.shape[1] - 1))
    return _Part(
        _growth(stack, walked, k, metric),
        (modes.gap, modes.slow_steps),
        rank_correlation(distance[known], to_goal[known]),
        {hop: float(descend(walked.steps, distance, start, goal, hop).mean()) for hop in HOPS},
    )


def _growth(stack: Stack, walked: Walked, k: int, metric: str) -> list[float]:
    """Of rows of real steps with their real actions, as far as level k + 1 was trained to imagine or plans."""
    span, level = stack.config.spans[k], stack.level(k)
    moments = walked.along(k)[:, ::span]
    actions = walked.macro_actions(stack, k)
    ahead = min(max(level.settings.rollout, _horizon(stack, k, metric)), actions.shape[1])
    starts = range(0, actions.shape[1] - ahead + 1, ahead)
    windows = torch.cat([moments[:, first : first + ahead + 1] for first in starts])[:WINDOWS]
    taken = torch.cat([actions[:, first : first + ahead] for first in starts])[:WINDOWS]
    weights = torch.ones(moments.shape[-1])
    if level.places:
        # What is no place may count less where the level learned so.
        weights[level.places :] = level.settings.loss.rest
    return error_growth(partial(_advance, level, walked.memories[k]), windows, taken, weights)


def _advance(level: Level, memory: Tensor | None, latent: Tensor, action: Tensor) -> Tensor:
    return level.advance(latent, level.condition(latent, memory), action)


def _horizon(stack: Stack, k: int, metric: str) -> int:
    """Steps of its own that level k + 1 plans as the top one; one level alone may have settings of its own."""
    plan = stack.config.plan
    return plan.horizon[k] if k else replace(plan, metric=metric).alone().horizon[0]


def _joined(stack: Stack, k: int, parts: list[_Part], metric: str) -> LevelMeasures:
    settings, span = stack.level(k).settings, stack.config.spans[k]
    growth = np.mean([part.growth for part in parts], axis=0).tolist()
    gap, slow = np.exp(np.mean(np.log([part.rates for part in parts]), axis=0)).tolist()
    ranks = [part.rank for part in parts if np.isfinite(part.rank)]
    return LevelMeasures(
        k + 1,
        settings.stride,
        span,
        span * _horizon(stack, k, metric),
        k > 0 and settings.encoder != "shared",
        growth,
        gap,
        slow,
        float(np.mean(ranks)) if ranks else float("nan"),
        {hop: float(np.mean([part.descent[hop] for part in parts])) for hop in HOPS},
    )
