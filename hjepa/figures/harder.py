"""Success of each number of levels from task to task: a line for each, the easiest task first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from hjepa.errors import InputError
from hjepa.evaluation.records import Record, success_interval
from hjepa.figures.groups import MARKERS
from hjepa.figures.style import BODY, INK, MUTED, SMALL, level_colour, plain_axes


def success_from_task_to_task(
    axes: Axes, tasks: Sequence[str], records: Mapping[int, Sequence[Record]], one_level: str = "flat"
) -> None:
    """Draw success in percent with 95 % intervals; names and the numbers of the last task stand beside the lines.

    Args:
        axes: to draw on.
        tasks: what stands below each task.
        records: number of levels -> one pooled record for each task.
        one_level: what the agent of one level is called.

    Raises:
        InputError: another number of records than of tasks.
    """
    plain_axes(axes)
    places = np.arange(len(tasks))
    gap, last = 0.07, []
    for number, (levels, own) in enumerate(sorted(records.items())):
        if len(own) != len(tasks):
            raise InputError(
                f"{len(own)} records of {levels} levels", "figures", f"give {len(tasks)}, one a task"
            )
        colour, shift = level_colour(levels), gap * (number - (len(records) - 1) / 2)
        rates = np.array([100 * record["success_rate"] for record in own])
        bounds = 100 * np.array([success_interval(record) for record in own])
        reach = np.clip(np.abs(bounds.T - rates), 0, None)
        name = one_level if levels == 1 else f"{levels} levels"
        axes.errorbar(
            places + shift, rates, reach, color=colour, marker=MARKERS[(levels - 1) % len(MARKERS)], markersize=7,
            linewidth=1.8, capsize=3,
        ).lines[0].set_gid(f"levels-{levels}")  # fmt: skip
        last.append((float(rates[-1]), f"{name} {rates[-1]:.1f} %", colour))
    for height, (_, text, colour) in zip(_apart([rate for rate, *_ in last]), last):
        axes.annotate(text, (places[-1] + 0.27, height), va="center", fontsize=BODY, color=colour)
    floors = [100 * (own[0]["random_success_rate"] or 0.0) for own in zip(*records.values())]
    axes.plot(places, floors, "_", color=MUTED, markersize=16)
    axes.annotate("random actions", (places[-1] + 0.27, floors[-1]), va="center", fontsize=SMALL, color=MUTED)
    axes.set_xticks(places, tasks, fontsize=BODY)
    axes.set_xlim(-0.4, len(tasks) - 0.2)
    axes.set_ylim(-3, 103)
    axes.set_ylabel("test tasks solved, %", fontsize=BODY, color=INK)


def _apart(rates: Sequence[float], least: float = 5.0) -> list[float]:
    """Heights for texts beside rates in percent: those that are nearer than that to the one below move up."""
    heights, below = [0.0] * len(rates), -np.inf
    for number in np.argsort(rates, kind="stable"):
        heights[number] = below = max(rates[number], below + least)
    return heights
