"""Success of agents: by number of levels, by length of the shortest path, by compute.

Bars are Wilson's 95 % intervals over episodes, clustered where episodes share floor plans. A filled marker is a stack
that was trained with that many levels, an open one is the same number of levels cut out of a deeper stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from hjepa.evaluation.records import Record, success_interval
from hjepa.figures.groups import (
    MARKERS,
    draw_bounds,
    draw_rate,
    episodes_name,
    grouped,
    levels_name,
    metric_style,
    panel_title,
    planner_note,
    success_axis,
    varying,
)
from hjepa.figures.style import BODY, INK, MUTED, SMALL, TITLE, level_colour, new_figure, plain_axes

WHERE = ("task", "split", "tasks")
SETTINGS = ("planner", "oracle", "budget_tflops")


def success_by_levels(records: Sequence[Record]) -> Figure:
    """Success against the number of levels, one series per metric and kind of depth, one panel per task.

    Args:
        records: of ``hjepa plan``; several of one series and number of levels stand side by side, the line
            goes through their mean.

    Raises:
        InputError: no records.
    """
    extra = varying(records, SETTINGS) if records else []
    panels = grouped(records, (*WHERE, *extra))
    metrics = sorted({str(record["metric"]) for record in records})
    figure, axes = _panels(len(panels), "Success by number of levels", 5.2)
    for panel, group in zip(axes, panels.values()):
        series = _stacks(group)
        gap = 0.5 / max(len(series), 1)
        shifts = {key: gap * (place - (len(series) - 1) / 2) for place, key in enumerate(series)}
        drawn: set[int] = set()
        for (metric, depth), members in series.items():
            colour, marker = metric_style(metric)
            line = []
            for (levels,), same in grouped(members, ("levels",)).items():
                # What two series share stands between them.
                held = [key for key, others in series.items() if any(other is same[0] for other in others)]
                x = int(str(levels)) + float(np.mean([shifts[key] for key in held]))
                spread = np.linspace(-0.3, 0.3, len(same)) * gap if len(same) > 1 else np.zeros(1)
                for record, offset in zip(same, spread):
                    if id(record) not in drawn:
                        rate, filled = record["success_rate"], record["depth"] == "trained"
                        gid = f"rate-{metric}-{record['depth']}"
                        draw_rate(
                            panel,
                            x + offset,
                            rate,
                            record["episodes"],
                            colour,
                            marker,
                            filled,
                            gid,
                            success_interval(record),
                        )
                        drawn.add(id(record))
                line.append((x, np.mean([record["success_rate"] for record in same])))
            style = "-" if depth == "trained" else "--"
            panel.plot(*zip(*line), color=colour, linestyle=style, linewidth=1.4, alpha=0.7, zorder=3)
        draw_bounds(panel, group)
        success_axis(panel, panel is axes[0])
        counts = sorted({record["levels"] for record in group})
        panel.set_xticks(counts)
        panel.set_xlim(counts[0] - 0.6, counts[-1] + 0.6)
        panel.set_xlabel("levels of the agent", fontsize=BODY)
        panel.set_title(panel_title(group[0], extra), fontsize=BODY, color=INK)
    handles = []
    for metric in metrics:
        own = [record for record in records if record["metric"] == metric]
        text = f"metric: {metric}, {episodes_name(own)}"
        handles.append(_mark(*metric_style(metric), text, own))
    _legend(figure, handles, records, "n: episodes behind a point")
    return figure


def success_by_distance(records: Sequence[Record]) -> Figure:
    """Success by length of the shortest path, one series per number of levels, one panel per task and metric.

    Raises:
        InputError: no records.
    """
    extra = varying(records, ("metric", *SETTINGS)) if records else []
    panels = grouped(records, (*WHERE, *extra))
    figure, axes = _panels(len(panels), "Success by length of the shortest path", 6.2)
    for panel, group in zip(axes, panels.values()):
        bins = sorted({entry["lo"]: entry for record in group for entry in record["by_distance"]}.items())
        held = {lo: _held(group, lo) for lo, _ in bins}
        kept = [entry for lo, entry in bins if held[lo][1] > 0]
        places = {entry["lo"]: place for place, entry in enumerate(kept)}
        series = grouped(group, ("levels", "depth", "train_seed"))
        gap = 0.7 / max(len(series), 1)
        for number, ((levels, depth, _), members) in enumerate(series.items()):
            shift = gap * (number - (len(series) - 1) / 2)
            level = int(str(levels))
            for record in members:
                line = []
                for entry in record["by_distance"]:
                    if entry["episodes"]:
                        x, rate = places[entry["lo"]] + shift, entry["success_rate"]
                        colour, marker = level_colour(level), MARKERS[(level - 1) % len(MARKERS)]
                        filled, gid = depth == "trained", f"rate-levels-{levels}"
                        draw_rate(panel, x, rate, entry["episodes"], colour, marker, filled, gid)
                        line.append((x, rate))
                style = "-" if depth == "trained" else "--"
                panel.plot(*zip(*line), color=level_colour(level), linestyle=style, linewidth=1.2, alpha=0.6)
        success_axis(panel, panel is axes[0])
        panel.set_xticks(range(len(kept)), [_bin_name(entry, held[entry["lo"]]) for entry in kept])
        panel.set_xlim(-0.6, len(kept) - 0.4)
        panel.set_xlabel("steps of the shortest path (n: episodes)", fontsize=BODY)
        panel.set_title(panel_title(group[0], extra), fontsize=BODY, color=INK)
    _legend(figure, _level_handles(records), records)
    return figure


def success_by_compute(records: Sequence[Record]) -> Figure:
    """Success against the compute spent per episode, logarithmic; one panel per task.

    Raises:
        InputError: no records.
    """
    panels = grouped(records, WHERE)
    metrics = sorted({str(record["metric"]) for record in records})
    figure, axes = _panels(len(panels), "Success by compute", 5.8)
    for panel, group in zip(axes, panels.values()):
        for (levels, metric, depth, *_), members in grouped(
            group, ("levels", "metric", "depth", "planner", "train_seed")
        ).items():
            colour, marker = level_colour(int(str(levels))), metric_style(str(metric))[1]
            members = sorted(members, key=lambda record: record["tflops_per_episode"])
            for record in members:
                x, rate = record["tflops_per_episode"], record["success_rate"]
                filled, gid = depth == "trained", f"rate-levels-{levels}"
                draw_rate(
                    panel, x, rate, record["episodes"], colour, marker, filled, gid, success_interval(record)
                )
            panel.plot(
                [record["tflops_per_episode"] for record in members],
                [record["success_rate"] for record in members],
                color=colour,
                linestyle="-" if depth == "trained" else "--",
                linewidth=1.2,
                alpha=0.6,
            )
        draw_bounds(panel, group)
        success_axis(panel, panel is axes[0])
        spent = [record["tflops_per_episode"] for record in group if record["tflops_per_episode"] > 0]
        if len(spent) == len(group):
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.set_xlim(min(spent) / 2, max(spent) * 2)
        panel.tick_params(which="both", axis="x", labelsize=SMALL)
        panel.set_xlabel("TFLOP per episode, perception included", fontsize=BODY)
        panel.set_title(panel_title(group[0], ()), fontsize=BODY, color=INK)
    marks = [
        Line2D([], [], linestyle="", color=MUTED, marker=metric_style(metric)[1], label=f"metric: {metric}")
        for metric in metrics
    ]
    plain = [Line2D([], [], color=handle.get_color(), linewidth=4, label=handle.get_label())
             for handle in _level_handles(records)]  # fmt: skip
    _legend(figure, [*plain, *marks], records)
    return figure


def _panels(count: int, title: str, width: float) -> tuple[Figure, list[Axes]]:
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = new_figure(width * columns + 1.0, 4.0 * rows + 1.4)
    figure.suptitle(title, fontsize=TITLE, fontweight="bold", color=INK)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for panel in axes:
        plain_axes(panel)
    return figure, axes


def _stacks(records: list[Record]) -> dict[tuple[str, str], list[Record]]:
    """Series by metric and kind of depth.

    What was cut out of a stack stands with the whole of that stack, which was trained with so many levels: where
    others were trained with fewer, it ends their series too.
    """
    cut = {record["checkpoint_sha256"] for record in records if record["depth"] == "truncated"}
    series: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        kind = "truncated" if record["checkpoint_sha256"] in cut else "trained"
        series.setdefault((record["metric"], kind), []).append(record)
    for (metric, kind), members in series.items():
        if kind == "trained":
            others = series.get((metric, "truncated"), [])
            members += [record for record in others if record["depth"] == "trained"]
    return dict(sorted(series.items()))


def _held(group: list[Record], lo: int) -> tuple[int, int]:
    """The fewest and the most episodes that a record has in one bin."""
    counts = [entry["episodes"] for record in group for entry in record["by_distance"] if entry["lo"] == lo]
    return min(counts), max(counts)


def _bin_name(entry: dict[str, int | None], held: tuple[int, int]) -> str:
    lo, hi = entry["lo"], entry["hi"]
    name = f"{lo}+" if hi is None else f"{lo}–{hi - 1}"
    return f"{name}\nn={held[0]}" if held[0] == held[1] else f"{name}\nn={held[0]}–{held[1]}"


def _level_handles(records: Sequence[Record]) -> list[Line2D]:
    handles = []
    for n in sorted({record["levels"] for record in records}):
        own = [record for record in records if record["levels"] == n]
        handles.append(_mark(level_colour(n), MARKERS[(n - 1) % len(MARKERS)], levels_name(n), own))
    return handles


def _mark(colour: str, marker: str, text: str, records: Sequence[Record]) -> Line2D:
    """A marker for the legend, open where all of its records are drawn open."""
    face = colour if any(record["depth"] == "trained" for record in records) else "white"
    return Line2D([], [], linestyle="", color=colour, marker=marker, markersize=7, markerfacecolor=face,
                  markeredgewidth=1.5, label=text)  # fmt: skip


def _legend(figure: Figure, handles: list[Line2D], records: Sequence[Record], note: str = "") -> None:
    """What the series are, what filled and open markers say, and what the bars are."""
    kinds = {record["depth"] for record in records}
    names = {"trained": "filled: trained with so many levels", "truncated": "open: cut out of a deeper stack"}
    kinds_shown: tuple[tuple[str, str, Any], ...] = (("trained", MUTED, "-"), ("truncated", "white", "--"))
    for kind, face, style in kinds_shown:
        if kind in kinds:
            handles = [*handles, Line2D([], [], color=MUTED, marker="o", markerfacecolor=face, linestyle=style,
                                        label=names[kind])]  # fmt: skip
    width = figure.get_size_inches()[0]
    columns = max(1, min(len(handles), int(width / 2.7)))
    bars = "bars: 95 % Wilson intervals over episodes"
    notes = [text for text in ("; ".join(filter(None, (bars, note))), planner_note(records)) if text]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False,
                  title="\n".join(notes), title_fontsize=SMALL)  # fmt: skip
