"""What one planner call may spend besides its number of candidates: time."""

from __future__ import annotations

import time

import torch

from planners.protocols import Problem

clock = time.monotonic
"""Seconds on a clock that only runs forward; looked up at every use, so that tests can turn its hands."""


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
