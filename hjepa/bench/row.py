"""What one measurement says, and how two pieces of work are measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from hjepa.errors import InputError

T = TypeVar("T")

REPEATS = 3
"""How often everything is measured, by turns, so that what else the machine does meets both alike."""

CPU = torch.device("cpu")


class Missing(InputError):
    """What a row is measured beside is not installed."""


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        checkpoint: shipped weights or a run folder, for planning.
        task: whose world is stepped.
        device: to plan on.
        repeats: how often each piece of work is measured, at least 1.
        scale: share of the usual amount of work; tests take little.
    """

    checkpoint: str = "nested-d3"
    task: str = "hjepa/NestedRooms-d3-v0"
    device: torch.device = CPU
    repeats: int = REPEATS
    scale: float = 1.0

    def amount(self, usual: int, least: int = 1) -> int:
        """So much of the usual amount."""
        return max(round(self.scale * usual), least)


@dataclass(frozen=True)
class Row:
    """One piece of work beside another.

    Attributes:
        work: what was done.
        against: what else one would do, or a limit.
        unit: of ``ours`` and ``theirs``.
        ours, theirs: medians over the repeats.
        ratio: how many times better ours is: above 1 it is, in whatever unit; the median of the repeats' ratios.
        least, most: of those ratios.
        floor: what the ratio should not be below; None: no bar was set.
        command: that measures it anew.
        points: of a growth, amounts and the median seconds that each took; () elsewhere.
    """

    work: str
    against: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    least: float
    most: float
    floor: float | None
    command: str
    points: tuple[tuple[float, float], ...] = ()

    @property
    def met(self) -> bool | None:
        """Whether the ratio is at the floor or above; None without one."""
        return None if self.floor is None else self.ratio >= self.floor

    def plain(self) -> dict[str, Any]:
        """For JSON, with ``met``."""
        return {**asdict(self), "met": self.met}


def row(
    work: str,
    against: str,
    unit: str,
    pairs: list[tuple[float, float]],
    floor: float | None,
    command: str,
    rates: bool = False,
) -> Row:
    """A row of measurements taken by turns.

    Args:
        work, against, unit, floor, command: see `Row`.
        pairs: ours and theirs of every repeat, at least one.
        rates: whether more is better; else less is, as of times.
    """
    ratios = [ours / theirs if rates else theirs / ours for ours, theirs in pairs]
    ours, theirs = (float(np.median(values)) for values in zip(*pairs))
    return Row(
        work, against, unit, ours, theirs, float(np.median(ratios)), min(ratios), max(ratios), floor, command
    )


def clock_of(device: torch.device) -> Callable[[], float]:
    """Processor time where the CPU computes, so that nothing else on the machine counts; else time on the wall."""
    return time.process_time if device.type == "cpu" else time.perf_counter


def unit_of(device: torch.device) -> str:
    """Of milliseconds on `clock_of` a device."""
    return "ms of processor time" if device.type == "cpu" else "ms"


def timed(clock: Callable[[], float], work: Callable[..., T], *arguments: Any) -> tuple[float, T]:
    """Seconds on the clock that work took, and what it returned."""
    begun = clock()
    found = work(*arguments)
    return clock() - begun, found
