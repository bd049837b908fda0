"""Records in groups: which belong in one panel, which are one series, and how both are named."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from matplotlib.axes import Axes

from hjepa.errors import InputError
from hjepa.evaluation.records import Record
from hjepa.evaluation.statistics import wilson
from hjepa.figures.style import INK, MUTED, REFERENCE, SMALL

METRIC_COLOURS = {"l2": "#56B4E9", "commute": "#E69F00", "imagined": "#7B3294", "critic": "#000000"}
"""The colour of a metric in every figure; none is the colour of one of the first four levels, or of the goal."""

METRIC_MARKERS = {"l2": "o", "commute": "s", "imagined": "^", "critic": "D"}

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Of levels, level 1 first."""

AGENT = ("task", "split", "tasks", "levels", "depth", "metric", "train_seed")
"""What tells agents and their tasks apart, apart from how they plan."""


def grouped(records: Sequence[Record], names: Sequence[str]) -> dict[tuple[Hashable, ...], list[Record]]:
    """Records by the values of some fields, in sorted order (null first).

    Raises:
        InputError: no records.
    """
    if not records:
        raise InputError("no records to draw", "figures", "give what hjepa plan or hjepa ablate wrote")
    groups: dict[tuple[Hashable, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[name] for name in names), []).append(record)

    def order(key: tuple[Hashable, ...]) -> list[tuple[bool, Any]]:
        return [(value is not None, value if value is not None else 0) for value in key]

    return dict(sorted(groups.items(), key=lambda item: order(item[0])))


def varying(records: Sequence[Record], names: Sequence[str]) -> list[str]:
    """The fields among ``names`` in which the records differ.

    The planner counts only where agents that are otherwise alike differ in it: a flat agent that was tuned for itself
    belongs beside the others, see `planner_note`.
    """
    agents = grouped(records, (*AGENT, *(name for name in names if name != "planner")))
    return [
        name
        for name in names
        if any(len({record[name] for record in group}) > 1 for group in agents.values())
        or (name != "planner" and len({record[name] for record in records}) > 1)
    ]


def planner_note(records: Sequence[Record]) -> str:
    """Which planner each number of levels used, where that is not the same for all; otherwise nothing."""
    planners = {record["planner"] for record in records}
    if len(planners) < 2 or "planner" in varying(records, ("planner",)):
        return ""
    usual = max(sorted(planners), key=[record["planner"] for record in records].count)
    named = []
    for metric, planner in sorted({(r["metric"], r["planner"]) for r in records if r["planner"] != usual}):
        under = [record for record in records if record["metric"] == metric]
        levels = sorted({record["levels"] for record in under if record["planner"] == planner})
        whose = (
            ""
            if {r["planner"] for r in under} == {planner}
            else f" for {' and '.join(map(levels_name, levels))}"
        )
        named.append(f"{planner}{whose} under {metric}")
    return f"planner: {usual}, but {'; '.join(named)}"


def metric_style(metric: str) -> tuple[str, str]:
    """Colour and marker of a metric; grey crosses for one that is not this project's."""
    return METRIC_COLOURS.get(metric, MUTED), METRIC_MARKERS.get(metric, "X")


def levels_name(count: int) -> str:
    """A number of levels in words: 1 level, 2 levels."""
    return f"{count} level" + ("s" if count != 1 else "")


def episodes_name(records: Sequence[Record]) -> str:
    """How many episodes stand behind a point: ``n = 200``, or from the fewest to the most."""
    counts = {record["episodes"] for record in records}
    return f"n = {min(counts)}" if len(counts) == 1 else f"n = {min(counts)} to {max(counts)}"


def interval(rate: float, episodes: int) -> tuple[float, float]:
    """How far Wilson's 95 % interval reaches below and above a success rate."""
    lo, hi = wilson(round(rate * episodes), episodes)
    return max(rate - lo, 0.0), max(hi - rate, 0.0)


def draw_rate(
    axes: Axes,
    x: float,
    rate: float,
    episodes: int,
    colour: str,
    marker: str,
    filled: bool,
    gid: str,
    bounds: Sequence[float] | None = None,
) -> None:
    """A success rate with its interval, Wilson's unless given; filled: a trained depth, open: a truncated one."""
    below, above = interval(rate, episodes) if bounds is None else (rate - bounds[0], bounds[1] - rate)
    axes.errorbar(
        x,
        rate,
        yerr=[[below], [above]],
        color=colour,
        linewidth=1.4,
        capsize=3,
        marker=marker,
        markersize=8,
        markerfacecolor=colour if filled else "white",
        markeredgecolor=colour,
        markeredgewidth=1.6,
        zorder=4,
    ).lines[0].set_gid(gid)


def draw_bounds(axes: Axes, records: Sequence[Record]) -> None:
    """What the random policy reaches and what a shortest path would: the floor and the ceiling of success.

    Their names stand in the right margin, where no point of the data can be.
    """
    floors = {round(r["random_success_rate"], 6) for r in records if r["random_success_rate"] is not None}
    for floor in sorted(floors):
        axes.axhline(floor, color=REFERENCE, linestyle=":", linewidth=1.5, zorder=1, gid="random")
    if floors:
        lowest, highest = f"{100 * min(floors):.0f}", f"{100 * max(floors):.0f}"
        _name_bound(
            axes, max(floors), "random policy", lowest if lowest == highest else f"{lowest}–{highest}"
        )
    within = [
        sum(steps <= record["step_budget"] for steps in record["oracle_steps"]) / record["episodes"]
        for record in records
    ]
    axes.axhline(min(within), color=REFERENCE, linestyle="--", linewidth=1.5, zorder=1, gid="shortest")
    _name_bound(axes, min(within), "shortest path", f"{100 * min(within):.0f}")


def success_axis(axes: Axes, label: bool) -> None:
    """Success from 0 to 100 %, with room for markers at both ends."""
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0], ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"])
    if label:
        axes.set_ylabel("success rate", fontsize=10, color=INK)


def panel_title(record: Record, names: Sequence[str]) -> str:
    """Names a panel: the task, then the fields in ``names``."""
    rest = ", ".join(f"{name}: {record[name]}" for name in names)
    first = f"{record['task']}, {record['split']} {record['tasks']}"
    return f"{first}\n{rest}" if rest else first


def _name_bound(axes: Axes, rate: float, name: str, percent: str) -> None:
    axes.annotate(
        f"{name}\n{percent} %", (1, rate), (5, 0), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", va="center", fontsize=SMALL, color=MUTED,
    )  # fmt: skip
