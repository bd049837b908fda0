"""Figures of pooled results: success by levels in small multiples, differences, compute, diagnostics.

They take what `hjepa.evaluation.comparison` computes and a width in CSS pixels: a desk's width makes one row of
panels, a phone's
makes them stand below one another. Font sizes are in the same pixels, so that text is as large on the page as here.
Level k has its colour and its marker in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from hjepa.evaluation.comparison import Measured
from hjepa.figures.groups import MARKERS
from hjepa.figures.style import INK, MUTED, REFERENCE, level_colour, plain_axes

TEXT, NOTE = 13.0, 11.5
"""Font sizes in CSS pixels: titles, and everything else."""

NARROW = 500
"""Widths below this are a phone's."""


@dataclass(frozen=True)
class Panel:
    """Success against levels in one panel.

    Attributes:
        title, note: above it; the note is small, such as the number of episodes.
        series: kind of depth -> number of levels -> success. A number of levels that two kinds share is
            drawn once.
        floor, ceiling: success of the random policy and of a shortest path; None: not drawn.
    """

    title: str
    note: str
    series: dict[str, dict[int, Measured]]
    floor: float | None = None
    ceiling: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of `rows_figure`: its name, its group's name and (level that gives the colour, number) pairs."""

    name: str
    points: Sequence[tuple[int, Measured]]
    group: str = ""


@dataclass(frozen=True)
class Cost:
    """Agents that differ only in their budget: (TFLOP per episode, success), joined by a line."""

    levels: int
    depth: str
    points: list[tuple[float, Measured]] = field(default_factory=list)
    faint: bool = False


def settled(figure: Figure) -> Figure:
    """The figure with its layout solved once, rounded, and kept.

    The solver's last digits depend on where objects lie in memory, and every rendering would solve it again:
    settled, equal numbers give equal files, in every format and sooner.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(tuple(round(number, 4) for number in axes.get_position().bounds))
    return figure


def page_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in CSS pixels."""
    return Figure(figsize=(width / 72, height / 72), layout="constrained", facecolor="white")


def level_panels(panels: Sequence[Panel], width: float = 960, lead: bool = False) -> Figure:
    """Success against the number of levels, one panel each.

    Args:
        panels: at least one.
        width: CSS pixels.
        lead: the first panel is the main one: larger, with its numbers written beside the points.
    """
    narrow = width < NARROW
    if narrow:
        columns = 1 if len(panels) == 1 else 2 if len(panels) - lead in (2, 4) or not lead else 3
        rows = ceil((len(panels) - lead) / columns)
        heights = [1.45] * lead + [1.0] * rows
        figure = page_figure(width, 165 * sum(heights) + 20)
        grid = GridSpec(len(heights), columns, figure, height_ratios=heights)
        places = [grid[0, :]] if lead else []
        places += [grid[lead + i // columns, i % columns] for i in range(len(panels) - lead)]
        firsts = {0, *range(lead, len(panels), columns)}
    else:
        columns = len(panels) if lead or len(panels) <= 4 else 4
        rows = ceil(len(panels) / columns)
        share = [1.9 if lead and i == 0 and columns > 1 else 1.0 for i in range(columns)]
        figure = page_figure(width, 250 * rows + 20)
        grid = GridSpec(rows, columns, figure, width_ratios=share)
        places = [grid[i // columns, i % columns] for i in range(len(panels))]
        firsts = set(range(0, len(panels), columns))
    kinds = {kind for panel in panels for kind in panel.series}
    for number, (panel, place) in enumerate(zip(panels, places)):
        axes = figure.add_subplot(place)
        _level_panel(axes, panel, number in firsts, lead and number == 0)
    if len(kinds) > 1:
        _depth_legend(figure)
    return settled(figure)


def rows_figure(
    rows: Sequence[Row],
    width: float,
    label: str,
    zero: bool = False,
    marks: dict[str, float] | None = None,
    title: str = "",
) -> Figure:
    """Numbers with their intervals from top to bottom: differences, or the rungs of a ladder.

    Args:
        rows: from the top; a row that opens a group gets the group's name above it.
        width: CSS pixels.
        label: of the horizontal axis, which is in percent or, around zero, in percentage points.
        zero: differences: a line at zero, symmetric signs.
        marks: name -> place of a vertical reference line.
        title: above everything; a page has captions instead.
    """
    lines, places, heads, y = [], [], [], 0.0
    for number, row in enumerate(rows):
        if row.group and (number == 0 or rows[number - 1].group != row.group):
            heads.append((y + 0.1, row.group))
            y -= 0.8
        places.append(y)
        lines.append(row.name)
        y -= 0.55 + 0.45 * max(len(row.points), 1)
    figure = page_figure(width, 30 * -y + 75 + (30 if title else 0))
    if title:
        figure.suptitle(title, fontsize=TEXT, fontweight="bold", color=INK)
    axes = figure.add_subplot()
    plain_axes(axes, "x")
    for place, row in zip(places, rows):
        for number, (level, point) in enumerate(row.points):
            _interval(axes, point, place - 0.45 * number, level, True, horizontal=True)
    for name, at in (marks or {}).items():
        axes.axvline(at, color=REFERENCE, linestyle=":", linewidth=1.5, zorder=1)
        axes.annotate(
            name, (at, 1), (3, -3), xycoords=("data", "axes fraction"), textcoords="offset points",
            fontsize=NOTE, color=MUTED, va="top",
        )  # fmt: skip
    for at, head in heads:
        axes.annotate(
            head, (0.01, at), xycoords=("figure fraction", "data"), fontsize=NOTE, color=MUTED, va="center",
            ha="left", style="italic", zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    centres = [place - 0.225 * (max(len(row.points), 1) - 1) for place, row in zip(places, rows)]
    axes.set_yticks(centres, lines, fontsize=NOTE)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(y + 0.2, 1.0 if marks else 0.6)
    if zero:
        axes.axvline(0, color=INK, linewidth=1)
        ends = [v for row in rows for _, p in row.points for v in (p.value, p.lo, p.hi) if v is not None]
        low, high = min([*ends, -0.05]), max([*ends, 0.05])
        axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axes.xaxis.set_major_locator(MaxNLocator(5 if width < NARROW else 9, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(
            lambda value, _: f"{100 * value:+.0f}".replace("-", "−") if abs(value) > 1e-9 else "0"
        )
    else:
        axes.set_xlim(-0.02, 1.02)
        axes.set_xticks(np.linspace(0, 1, 6), [f"{p}" for p in range(0, 101, 20)])
    axes.tick_params(axis="x", labelsize=NOTE)
    axes.set_xlabel(label, fontsize=NOTE, color=INK)
    return settled(figure)


def compute_figure(
    costs: Sequence[Cost], width: float, floor: float | None = None, ceiling: float | None = None
) -> Figure:
    """Success against the compute spent per episode, logarithmic where all of it is positive."""
    figure = page_figure(width, 330 if width < NARROW else 360)
    axes = figure.add_subplot()
    plain_axes(axes)
    for cost in sorted(costs, key=lambda one: not one.faint):
        points = sorted(cost.points, key=lambda point: point[0])
        line = [(x, point.value) for x, point in points]
        faded = 0.35 if cost.faint else 1.0
        style = "-" if cost.depth == "trained" else "--"
        axes.plot(*zip(*line), color=level_colour(cost.levels), linewidth=1.3, linestyle=style, alpha=faded)
        for x, point in points:
            _interval(axes, point, x, cost.levels, cost.depth == "trained", alpha=faded)
    _bounds(axes, floor, ceiling, True)
    _success_axis(axes, True)
    spent = [x for cost in costs for x, _ in cost.points]
    if min(spent) > 0:
        axes.set_xscale("log")
        wide = max(spent) / min(spent) > 200
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(min(spent) / 1.5, max(spent) * 1.5)
    axes.tick_params(labelsize=NOTE)
    axes.set_xlabel("TFLOP per episode", fontsize=NOTE, color=INK)
    _level_legend(figure, sorted({cost.levels for cost in costs}), {cost.depth for cost in costs})
    return settled(figure)


def diagnostics_figure(
    values: dict[str, dict[str, list[float | None]]], width: float, columns: int | None = None
) -> Figure:
    """One panel per diagnostic: its value at every level.

    Args:
        values: name of the diagnostic -> name of a series -> value per level from 1 up, None where unknown.
        width: CSS pixels.
        columns: panels side by side.
    """
    columns = columns or (2 if width < NARROW else 4)
    rows = ceil(len(values) / columns)
    figure = page_figure(width, 190 * rows + 20)
    for number, (name, series) in enumerate(values.items()):
        axes = figure.add_subplot(rows, columns, number + 1)
        plain_axes(axes)
        deepest = max(len(numbers) for numbers in series.values())
        for place, numbers in enumerate(series.values()):
            shift = 0.16 * (place - (len(series) - 1) / 2)
            known = [(level, n) for level, n in enumerate(numbers, 1) if n is not None]
            axes.plot([x + shift for x, _ in known], [y for _, y in known], color=REFERENCE, linewidth=1)
            for level, value in known:
                axes.plot(
                    level + shift, value, MARKERS[(level - 1) % len(MARKERS)], color=level_colour(level),
                    markersize=8, gid=f"level-{level}",
                )  # fmt: skip
        axes.set_xticks(range(1, deepest + 1))
        axes.set_xlim(0.5, deepest + 0.5)
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.0), high if high > 1.02 else max(high, 1.05))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(labelsize=NOTE)
        axes.set_title(name.replace("_", " "), fontsize=NOTE, color=INK, loc="left")
        if number >= len(values) - columns:
            axes.set_xlabel("level", fontsize=NOTE)
    return settled(figure)


def _level_panel(axes: Axes, panel: Panel, first: bool, lead: bool) -> None:
    plain_axes(axes)
    counts = sorted({levels for series in panel.series.values() for levels in series})
    drawn: set[int] = set()
    kinds = [kind for kind in ("trained", "truncated") if panel.series.get(kind)]
    shared = set.intersection(*({id(point) for point in panel.series[kind].values()} for kind in kinds))
    for number, kind in enumerate(kinds):
        shift = 0.0 if len(kinds) == 1 else 0.22 * number - 0.11
        series = panel.series[kind]
        style = "-" if kind == "trained" or len(kinds) == 1 else "--"
        # What two kinds share stands between them.
        places = {levels: levels + shift * (id(point) not in shared) for levels, point in series.items()}
        line = [(places[levels], point.value) for levels, point in series.items()]
        axes.plot(*zip(*line), color=REFERENCE, linestyle=style, linewidth=1.3, zorder=2)
        for levels, point in series.items():
            if id(point) in drawn:
                continue
            drawn.add(id(point))
            _interval(axes, point, places[levels], levels, kind == "trained" or len(kinds) == 1)
    _bounds(axes, panel.floor, panel.ceiling, lead)
    _success_axis(axes, first)
    # The main panel says its numbers below the axis, where no line runs through them.
    told = panel.series[kinds[0]] if lead else {}
    axes.set_xticks(counts, [f"{n}\n{_percent(told[n].value)}" if n in told else f"{n}" for n in counts])
    axes.set_xlim(counts[0] - 0.6, counts[-1] + 0.6)
    axes.tick_params(labelsize=NOTE)
    axes.tick_params(axis="x", labelsize=TEXT if lead else NOTE)
    axes.set_xlabel("levels", fontsize=NOTE, color=INK)
    axes.set_title(panel.title, fontsize=TEXT if lead else NOTE, color=INK, loc="left", fontweight="bold",
                   pad=19)  # fmt: skip
    axes.annotate(panel.note, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
                  fontsize=NOTE - 0.5, color=MUTED)  # fmt: skip


def _interval(
    axes: Axes,
    point: Measured,
    place: float,
    level: int,
    filled: bool,
    horizontal: bool = False,
    alpha: float = 1.0,
) -> None:
    colour = level_colour(level)
    lo, hi = (point.value if end is None else end for end in (point.lo, point.hi))
    ends = [[max(point.value - lo, 0.0)], [max(hi - point.value, 0.0)]]
    axes.errorbar(
        point.value if horizontal else place,
        place if horizontal else point.value,
        xerr=ends if horizontal else None,
        yerr=None if horizontal else ends,
        color=colour,
        linewidth=2.2,
        marker=MARKERS[(level - 1) % len(MARKERS)],
        markersize=8.5,
        markerfacecolor=colour if filled else "white",
        markeredgecolor=colour,
        markeredgewidth=1.8,
        zorder=4,
        alpha=alpha,
    ).lines[0].set_gid(f"level-{level}")


def _bounds(axes: Axes, floor: float | None, ceiling: float | None, named: bool) -> None:
    for value, style, name in ((floor, ":", "random policy"), (ceiling, "--", "shortest path")):
        if value is None:
            continue
        axes.axhline(value, color=REFERENCE, linestyle=style, linewidth=1.4, zorder=1)
        if named:
            # Above the markers of those who reach the ceiling.
            above = (0, 3 if value < 1 else 7)
            axes.annotate(
                name, (1, value), above, xycoords=("axes fraction", "data"), textcoords="offset points",
                fontsize=NOTE, color=MUTED, ha="right",
            )  # fmt: skip


def _success_axis(axes: Axes, labelled: bool) -> None:
    axes.set_ylim(-0.03, 1.09)
    ticks = [0, 0.25, 0.5, 0.75, 1.0]
    axes.set_yticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks] if labelled else [""] * 5)
    axes.spines["left"].set_visible(labelled)
    axes.tick_params(axis="y", length=0)


def _percent(value: float) -> str:
    return f"{int(100 * value + 0.5 + 1e-9)} %"


def _depth_legend(figure: Figure) -> None:
    trained = Line2D([], [], color=MUTED, marker="o", markersize=8, label="trained with so many levels")
    cut = Line2D([], [], color=MUTED, marker="o", markersize=8, markerfacecolor="white", linestyle="--",
                 label="cut out of a deeper stack")  # fmt: skip
    narrow = figure.get_size_inches()[0] * 72 < NARROW
    figure.legend(handles=[trained, cut], loc="outside lower center", ncols=1 if narrow else 2, fontsize=NOTE,
                  frameon=False)  # fmt: skip


def _level_legend(figure: Figure, counts: list[int], kinds: set[str]) -> None:
    handles = [
        Line2D([], [], linestyle="", color=level_colour(n), marker=MARKERS[(n - 1) % len(MARKERS)],
               markersize=8, label=f"{n} level{'s' if n > 1 else ''}")
        for n in counts
    ]  # fmt: skip
    if kinds == {"trained", "truncated"}:
        handles += [
            Line2D([], [], color=MUTED, marker="o", markersize=8, label="trained"),
            Line2D([], [], color=MUTED, marker="o", markersize=8, markerfacecolor="white", linestyle="--",
                   label="cut"),
        ]  # fmt: skip
    narrow = figure.get_size_inches()[0] * 72 < NARROW
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3 if narrow else 6),
                  fontsize=NOTE, frameon=False)  # fmt: skip
