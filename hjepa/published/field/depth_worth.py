"""What a level is worth, by task and cost: one figure out of the committed per-episode lists, and its numbers.

    python hjepa/published/field/depth_worth.py --out docs/img/depth-worth.png --json FILE

A point is the paired difference in success of k levels less k - 1, on the same test tasks, with its 95 % interval
(clustered by floor plan where tasks share them). One level is a flat agent, trained for itself or the stack's level 1,
whose planning was tuned for itself, where there is one; where there is none it is an untuned level 1 of the stack, and
the marker of the second level is hollow.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hjepa.evaluation.layouts import clustered_proportions
from hjepa.evaluation.records import read_records
from hjepa.figures.style import BODY, DPI, INK, MUTED, SMALL, level_colour, new_figure, plain_axes

PUBLISHED = Path(__file__).parents[1]

ROWS = (
    ("rooms 2x2, seen", "nested-d2", "results.json", "nested-d2/results.json"),
    ("rooms 2x2, told", "told-nested-d2", "results.json", "told-flat-d2/results.json"),
    ("rooms 2x2, images", "nested-d2-images", "results.json", None),
    ("rooms 4x4, seen", "nested-d3", "results.json", "nested-d3/results.json"),
    ("rooms 4x4, images", "nested-d3-images", "doubt.json", "nested-d3-images/doubt.json"),
    ("rooms 4x4, told", "told-nested-d3", "results.json", "told-flat-d3/results.json"),
    ("rooms 8x8, seen", "nested-d4", "results.json", "nested-d4/results.json"),
    ("rooms 8x8, told", "told-nested-d4", "results.json", "told-flat-d4/results.json"),
    ("demo, seen", "demo", "results.json", "demo/results.json"),
    ("FourRooms, seen", "four-rooms", "results.json", "four-rooms/flat.json"),
    ("FourRooms, told", "told-four-rooms", "results.json", None),
    ("MultiRoom-N6, seen", "multi-room", "results.json", "multi-room/results.json"),
    ("MultiRoom-N6, told", "told-multi-room", "results.json", None),
    ("point 4x4, seen", "nested-point-d3", "results.json", "nested-point-d3/results.json"),
    ("point 4x4, told", "told-nested-point-d3", "results.json", None),
    ("TwoRoom, 25 steps, images", "two-room", "offset-25.json", "two-room/offset-25.json"),
    ("TwoRoom, 50 steps, images", "two-room", "offset-50.json", "two-room/offset-50.json"),
    ("TwoRoom, 100 steps, images", "two-room", "results.json", "two-room/results.json"),
    (
        "FourRoom Distractors, images",
        "four-room-distractors",
        "results.json",
        "four-room-distractors/results.json",
    ),
    ("rooms 2x2, wandering", "nested-d2", "wandering-quasimetric.json", "nested-d2/wandering-quasimetric.json"),
    ("rooms 4x4, wandering", "nested-d3", "wandering.json", "nested-d3/wandering.json"),
    ("2x2, wandering, steps", "nested-d2", "wandering-steps.json", "nested-d2/wandering-steps.json"),
    ("4x4, wandering, steps", "nested-d3", "wandering-steps.json", "nested-d3/wandering-steps.json"),
    ("LavaGapS7, seen", "worlds", "lava-gap.json", None),
    ("diverse mazes, 5 to 8", "diverse-mazes", "5to8.json", "diverse-mazes/5to8.json"),
    ("diverse mazes, 9 to 12", "diverse-mazes", "9to12.json", "diverse-mazes/9to12.json"),
    ("diverse mazes, 13 to 16", "diverse-mazes", "13to16.json", "diverse-mazes/13to16.json"),
    ("maze medium, numbers", "point-mazes", "medium.json", "point-mazes/medium.json"),
    ("maze large, numbers", "point-mazes", "large.json", "point-mazes/large.json"),
    ("maze giant, numbers", "point-mazes", "giant.json", "point-mazes/giant.json"),
    ("Pendulum, seen", "seen", "pendulum.json", None),
)
"""What is shown, the card and the list in it, and the list of the agent of one level whose planning was tuned for
itself; None: level 1 of the stack, untuned."""

COSTS = {"l2": "plain L2", "commute": "commute time", "critic": "critic"}
METRICS = {"l2": ("l2",), "commute": ("imagined", "commute"), "critic": ("critic",)}
"""Commute time is measured on imagined walks where floor plans are new, on trajectories where there is one plan."""
MARKERS = {2: "o", 3: "s", 4: "D"}


def of_cost(file: str, cost: str) -> dict[int, dict[int, dict[str, Any]]]:
    """Levels -> evaluation seed -> record, of what plans by itself on test tasks."""
    found: dict[int, dict[int, dict[str, Any]]] = {}
    for record in read_records(PUBLISHED / file):
        if record["metric"] in METRICS[cost] and record["split"] == "test" and record["oracle"] is None:
            found.setdefault(record["levels"], {})[record["seed"]] = record
    return found


def worth(more: dict[int, dict[str, Any]], fewer: dict[int, dict[str, Any]]) -> dict[str, Any] | None:
    """The paired difference on all evaluation seeds that both have; None where they share none."""
    seeds = sorted(set(more) & set(fewer))
    if not seeds:
        return None
    if any(more[seed]["oracle_steps"] != fewer[seed]["oracle_steps"] for seed in seeds):
        raise ValueError(f"{more[seeds[0]]['task']}: the lists of two numbers of levels hold other tasks")
    upper, lower = (np.concatenate([own[seed]["success"] for seed in seeds]) for own in (more, fewer))
    plans = np.arange(len(upper)).astype(str)
    if all(more[seed].get("layout") for seed in seeds):
        plans = np.concatenate([[str(name) for name in more[seed]["layout"]] for seed in seeds])
    gain = clustered_proportions(upper - lower, plans)
    rates = {"more": float(upper.mean()), "fewer": float(lower.mean())}
    return {"tasks": len(upper), **rates, "gain": [gain.value, gain.lo, gain.hi]}


def all_rows() -> list[dict[str, Any]]:
    """Every difference that the lists hold."""
    rows = []
    for name, card, file, flat in ROWS:
        for cost in COSTS:
            records = of_cost(f"{card}/{file}", cost)
            own_flat = of_cost(flat, cost).get(1) if flat else None
            if own_flat:
                records[1] = own_flat
            for levels in sorted(records):
                found = worth(records[levels], records[levels - 1]) if levels - 1 in records else None
                if found:
                    fair = levels > 2 or bool(own_flat)
                    rows.append(
                        {"row": name, "card": card, "cost": cost, "levels": levels, "flat": fair, **found}
                    )
    return rows


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """The figure: a panel for each cost, a line for each task."""
    names = [name for name, *_ in ROWS if any(row["row"] == name for row in rows)]
    figure = new_figure(11.0, 0.62 * len(names) + 1.9)
    panels = figure.subplots(1, len(COSTS), sharey=True, sharex=True)
    for axes, (cost, title) in zip(panels, COSTS.items()):
        _panel(axes, [row for row in rows if row["cost"] == cost], names)
        axes.set_title(title, fontsize=BODY, color=INK, loc="left")
    panels[0].set_yticks(range(len(names)), names, fontsize=SMALL)
    panels[0].set_ylim(len(names) - 0.45, -0.55)
    panels[1].set_xlabel(
        "points of success that one more level brings, 95 % interval", fontsize=BODY, color=INK
    )
    handles = [
        axes.plot([], [], MARKERS[k], color=level_colour(k), label=f"level {k} less {k - 1}")[0]
        for k in MARKERS
    ]
    handles += axes.plot(
        [], [], "o", color=MUTED, markerfacecolor="white", label="against an untuned level 1 of the stack"
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False)
    figure.savefig(out, dpi=DPI)


def _panel(axes: Axes, rows: list[dict[str, Any]], names: list[str]) -> None:
    plain_axes(axes, "x")
    axes.axvline(0, color=INK, linewidth=0.9)
    for place, name in enumerate(names):
        own = [row for row in rows if row["row"] == name]
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0, linewidth=0)
        if not own:
            # Right of the line at 0, whatever the numbers in the panel.
            axes.text(
                0.72,
                place,
                "no list",
                transform=axes.get_yaxis_transform(),
                color=MUTED,
                fontsize=SMALL,
                va="center",
            )
        for row in own:
            y = place + 0.25 * (row["levels"] - 3)
            value, lo, hi = (100 * number for number in row["gain"])
            colour = level_colour(row["levels"])
            axes.plot([lo, hi], [y, y], color=colour, linewidth=1.8, solid_capstyle="butt")
            fill = colour if row["flat"] else "white"
            axes.plot(
                [value],
                [y],
                MARKERS[row["levels"]],
                color=colour,
                markerfacecolor=fill,
                markersize=6,
                zorder=3,
            )


def shown(rows: list[dict[str, Any]]) -> str:
    """The numbers as a table."""
    lines = ["| task | cost | levels | tasks | success % | gain, points |", "|---" * 6 + "|"]
    for row in rows:
        value, lo, hi = (100 * number for number in row["gain"])
        rates = f"{100 * row['fewer']:.1f} -> {100 * row['more']:.1f}"
        mark = "" if row["flat"] else " (against an untuned level 1)"
        what = f"{row['row']} | {row['cost']} | {row['levels']} less {row['levels'] - 1}{mark}"
        lines.append(f"| {what} | {row['tasks']} | {rates} | {value:+.1f} ({lo:.1f}, {hi:.1f}) |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    parser.add_argument("--json", type=Path, help="the numbers")
    options = parser.parse_args()
    rows = all_rows()
    draw(rows, options.out)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(shown(rows))


if __name__ == "__main__":
    main()
