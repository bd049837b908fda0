"""What each level is worth, task by task: paired differences of success with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.evaluation.comparison import Entry, Measured, blocks
from hjepa.evaluation.layouts import clustered_proportions, trials
from hjepa.evaluation.records import Record
from hjepa.figures.groups import MARKERS
from hjepa.figures.style import BODY, INK, MUTED, SMALL, level_colour, plain_axes


@dataclass(frozen=True)
class Worth:
    """What going from fewer levels to more adds to success.

    Attributes:
        fewer, more: numbers of levels.
        difference: paired, a share of the tasks between -1 and 1.
    """

    fewer: int
    more: int
    difference: Measured


@dataclass(frozen=True)
class WorthRow:
    """One task under one cost in `worth_panel`.

    Attributes:
        name: of the row.
        worths: what its levels are worth, lowest first.
        fair: whether the agent of one level was tuned for itself under this cost.
    """

    name: str
    worths: Sequence[Worth]
    fair: bool


def level_worths(records: Sequence[Record]) -> list[Worth]:
    """What each further number of levels adds on the same tasks; intervals as in the cards, clustered by plan.

    Args:
        records: of one task, split and metric, with several numbers of levels; of several evaluation seeds.

    Raises:
        InputError: fewer than two numbers of levels, or agents that differ in more than their levels.
    """
    evaluations = blocks([Entry(record) for record in records])
    if len(evaluations) != 1:
        raise InputError(
            f"records of {len(evaluations)} evaluations", "figures", "give those of one task and split"
        )
    (block,) = evaluations
    agents = {agent.levels: agent for agent in block.agents}
    if len(agents) < 2 or len(agents) < len(block.agents):
        raise InputError(
            f"{len(block.agents)} agents of {len(agents)} numbers of levels",
            "figures",
            "give one agent for each of two or more numbers of levels",
        )
    worths = []
    for fewer, more in pairwise(sorted(agents)):
        gain = agents[more].success - agents[fewer].success
        played = int((~np.isnan(gain)).any(0).sum())
        if not played:
            raise InputError(
                f"{fewer} and {more} levels on other tasks", "figures", "give lists of the same tasks"
            )
        found = clustered_proportions(*trials(gain, block.layouts))
        sources = (*agents[more].sources, *agents[fewer].sources)
        difference = Measured(found.value, found.lo, found.hi, played, len(gain), sources)
        worths.append(Worth(fewer, more, difference))
    return worths


def worth_panel(axes: Axes, groups: Sequence[tuple[str, Sequence[WorthRow]]], named: bool = True) -> None:
    """Rows of differences in percentage points around zero, in groups with a heading.

    The colour and the marker are those of the highest level that comes on top; open: the agent of one level was not
    tuned under that cost, so that what is added to it may be less.

    Args:
        axes: to draw on.
        groups: heading and rows, from the top.
        named: write each number beside its bar.
    """
    plain_axes(axes, "x")
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    y, places, names = 0.0, [], []
    for heading, rows in groups:
        axes.annotate(
            heading, (0, y), (-6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="center", fontsize=BODY, fontweight="bold", color=INK,
        )  # fmt: skip
        y += 0.9
        for row in rows:
            for number, worth in enumerate(row.worths):
                _bar(axes, worth, y + 0.62 * number, row.fair or worth.fewer > 1, named)
            places.append(y + 0.31 * (len(row.worths) - 1))
            names.append(row.name)
            y += 0.62 * len(row.worths) + 0.42
        y += 0.2
    axes.set_yticks(places, names, fontsize=SMALL)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(y - 0.3, -0.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0f}".replace("-", "−") if value else "0")
    axes.set_xlabel(
        "further tasks solved, points of 100 (bars: paired 95 % interval)", fontsize=BODY, color=INK
    )


def worth_legend(rows: Sequence[WorthRow]) -> list[Artist]:
    """The steps from fewer levels to more that there are, and what is open, if anything is."""
    steps = sorted({(worth.more, worth.fewer) for row in rows for worth in row.worths})
    found: list[Artist] = [
        Line2D([], [], color=level_colour(more), marker=MARKERS[more - 1], markersize=7,
               label=f"{more} levels instead of {fewer}")
        for more, fewer in steps
    ]  # fmt: skip
    if not all(row.fair for row in rows):
        found.append(
            Line2D([], [], color=MUTED, marker="o", markersize=7, markerfacecolor="white", markeredgewidth=1.6,
                   label="open: one level not tuned for this")
        )  # fmt: skip
    return found


def _bar(axes: Axes, worth: Worth, y: float, filled: bool, named: bool) -> None:
    one, colour = worth.difference, level_colour(worth.more)
    lo, hi = (one.value if end is None else end for end in (one.lo, one.hi))
    axes.errorbar(
        100 * one.value, y, xerr=[[100 * (one.value - lo)], [100 * (hi - one.value)]], color=colour,
        marker=MARKERS[(worth.more - 1) % len(MARKERS)], markersize=7, linewidth=1.8, capsize=2.5,
        markerfacecolor=colour if filled else "white", markeredgewidth=1.6, zorder=4,
    ).lines[0].set_gid(f"worth-{worth.fewer}-{worth.more}")  # fmt: skip
    if named:
        axes.annotate(
            f"{100 * one.value:+.1f}".replace("-", "−"), (1, y), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=SMALL, color=INK,
        )  # fmt: skip
