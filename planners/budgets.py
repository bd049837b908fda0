"""When one planner call ends early: its time is up, or an episode gains nothing more."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from planners.protocols import Problem

clock = time.monotonic
"""Seconds on a clock that only runs forward; looked up at every use, so that tests can turn its hands."""

GAIN = 0.01
"""Share of its cost that an episode must gain within its patience, or it stops."""


def deadline_in(milliseconds: float) -> float:
    """The time on the clock, in seconds, so many milliseconds from now."""
    return clock() + 1e-3 * milliseconds


def out_of_time(problem: Problem) -> bool:
    """Whether the problem's deadline has passed; never, if it has none."""
    if problem.deadline is None:
        return False
    if problem.start.is_cuda:
        # What has only been queued there has not been done yet.
        torch.cuda.synchronize(problem.start.device)
    return clock() >= problem.deadline


def stalled(costs: list[Tensor], patience: int) -> Tensor | None:
    """Which episodes gained less than `GAIN` in the last ``patience`` iterations.

    Args:
        costs: per iteration so far, (E,) the best cost until then, infinite while there is none.
        patience: iterations, at least 1.

    Returns:
        (E,) bool, or None before there are as many iterations to compare.
    """
    if len(costs) <= patience:
        return None
    before, now = costs[-1 - patience], costs[-1]
    # A cost that is 0 or still infinite gains nothing either; from infinite to finite is a gain.
    return (now == before) | (before.isfinite() & (before - now < GAIN * before.abs()))
