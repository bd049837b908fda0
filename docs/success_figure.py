"""Make the README's figure of results out of published per-episode lists: ``python docs/success_figure.py``.

Every point is a number of levels on test tasks, with its 95 % interval; `PANELS` says which lists a panel is made of.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from hjepa.evaluation.records import pooled, read_records, success_interval
from hjepa.figures.groups import metric_style
from hjepa.figures.style import BODY, DPI, INK, MUTED, SMALL, new_figure, plain_axes

HERE = Path(__file__).parent
PUBLISHED = HERE.parent / "hjepa" / "published"

DISTANCES = (("#222222", "o"), ("#777777", "s"), ("#AAAAAA", "^"))
"""Of goals, from far to near: lightness, for hues are costs and levels."""

Points = list[tuple[str, dict[str, Any]]]
"""What stands under a point, and its record, pooled over evaluation seeds."""


@dataclass(frozen=True)
class Series:
    """Points of one kind.

    Attributes:
        apart: whether the first is another agent, which no line joins to the rest.
    """

    name: str
    colour: str
    marker: str
    points: Points
    apart: bool = False


def find(card: str, file: str = "results.json", **wanted: Any) -> dict[str, Any]:
    """The pooled record of a card's list that has these fields.

    Raises:
        SystemExit: none has.
    """
    records = read_records(PUBLISHED / card / file)
    found = [each for each in records if all(each[name] == value for name, value in wanted.items())]
    if not found:
        raise SystemExit(f"{card}/{file} has no record of {wanted}")
    return dict(pooled(found))


def seen_rooms() -> list[Series]:
    """2x2 rooms from symbols: the flat agent and more levels, under three costs."""
    series = []
    for metric in ("l2", "imagined", "critic"):
        points = [(str(n), find("nested-d2", levels=n, metric=metric)) for n in (1, 2, 3)]
        name = "critic, learned" if metric == "critic" else metric
        series.append(Series(name, *metric_style(metric), points))
    return series


def two_room() -> list[Series]:
    """The field's two rooms, from images: one level, two and three, by how far away the goal is."""
    files = {100: "results.json", 50: "offset-50.json", 25: "offset-25.json"}
    return [
        Series(
            f"{steps} steps away",
            colour,
            marker,
            [(str(n), find("two-room", file, levels=n)) for n in (1, 2, 3)],
        )
        for (steps, file), (colour, marker) in zip(files.items(), DISTANCES)
    ]


def told_rooms() -> list[Series]:
    """8x8 rooms, told: the flat agent made for itself, and the stack cut to 2, 3 and 4 levels."""
    series = []
    for metric, name in (("imagined", "imagined"), ("critic", "value map of the true grid")):
        points = [("flat", find("told-flat-d4", levels=1, metric=metric, budget_tflops=0.04))]
        points += [(str(n), find("told-nested-d4", levels=n, metric=metric)) for n in (2, 3, 4)]
        series.append(Series(name, *metric_style(metric), points, apart=True))
    return series


PANELS = (
    ("2x2 rooms, seen from symbols", "levels (1: flat)", "cost", 0.07, seen_rooms),
    ("TwoRoom, seen from images", "levels (1: flat)", "goal", 0.07, two_room),
    ("8x8 rooms, told coordinates", "levels (flat: trained for itself)", "cost", 0.52, told_rooms),
)
"""Title, words below, words above the legend, its height, and what makes the series."""


def draw(panel: Axes, series: list[Series], where: str, what: str, height: float) -> None:
    """Points with intervals, side by side where they would cover one another, and the random floor."""
    gap = 0.2
    for place, each in enumerate(series):
        shift = gap * (place - (len(series) - 1) / 2)
        across = [number + shift for number in range(len(each.points))]
        rates = [100 * record["success_rate"] for _, record in each.points]
        bounds = [success_interval(record) for _, record in each.points]
        low = [max(0.0, rate - 100 * bound[0]) for rate, bound in zip(rates, bounds)]
        high = [max(0.0, 100 * bound[1] - rate) for rate, bound in zip(rates, bounds)]
        panel.errorbar(
            across,
            rates,
            yerr=[low, high],
            color=each.colour,
            marker=each.marker,
            markersize=6,
            linestyle="none",
            elinewidth=1.6,
            capsize=2.5,
            label=each.name,
        )
        first = 1 if each.apart else 0
        panel.plot(across[first:], rates[first:], color=each.colour, linewidth=1.2)
    names = [name for name, _ in series[0].points]
    floors = {each.points[0][1]["random_success_rate"] for each in series}
    which = f", {series[0].name}" if len(floors) > 1 and what == "goal" else ""
    floor = [100 * series[0].points[number][1]["random_success_rate"] for number in range(len(names))]
    panel.plot(
        range(len(names)),
        floor,
        "_",
        color=INK,
        markersize=18,
        markeredgewidth=1.6,
        label=f"random actions{which}",
    )
    panel.set_xticks(range(len(names)), names, fontsize=BODY)
    panel.set_xlim(-0.5, len(names) - 0.5)
    panel.set_ylim(-4, 104)
    panel.set_xlabel(where, fontsize=BODY, color=INK)
    plain_axes(panel)
    panel.tick_params(axis="x", labelsize=BODY)
    handles, texts = panel.get_legend_handles_labels()
    panel.legend(
        [*handles[1:], handles[0]],
        [*texts[1:], texts[0]],
        title=what,
        title_fontsize=SMALL,
        alignment="left",
        frameon=False,
        fontsize=SMALL,
        loc="lower left",
        bbox_to_anchor=(0.0, height),
        labelcolor=INK,
    )


def main(out: Path = HERE / "img" / "success.png") -> None:
    """Draw the panels and say what each point is."""
    figure = new_figure(9.4, 3.3)
    axes = figure.subplots(1, len(PANELS), sharey=True)
    for panel, (title, where, what, height, make) in zip(axes, PANELS):
        series = make()
        draw(panel, series, where, what, height)
        panel.set_title(title, fontsize=BODY + 1, color=INK)
        for each in series:
            for name, record in each.points:
                low, high = (100 * bound for bound in success_interval(record))
                tasks, rate = record["episodes"], 100 * record["success_rate"]
                sys.stdout.write(
                    f"{title}, {each.name}, {name}: {rate:.1f} % ({low:.1f}, {high:.1f}) of {tasks} tasks\n"
                )
    axes[0].set_ylabel("test tasks solved (%)", fontsize=BODY, color=INK)
    figure.text(
        0.5,
        -0.045,
        "bars: 95 % intervals, clustered by floor plan (2x2 rooms: only 8 of them)",
        ha="center",
        fontsize=SMALL,
        color=MUTED,
    )
    out.parent.mkdir(exist_ok=True)
    figure.savefig(out, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    sys.stdout.write(f"{out}: {out.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
