"""What levels are worth and success from task to task: the published numbers, and what is drawn of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from hjepa.errors import InputError
from hjepa.evaluation.records import Record, pooled, read_records
from hjepa.figures.harder import success_from_task_to_task
from hjepa.figures.worth import WorthRow, level_worths, worth_legend, worth_panel

PUBLISHED = Path(__file__).parents[3] / "hjepa" / "published"


def records_of(card: str, file: str, metric: str) -> list[Record]:
    return [record for record in read_records(PUBLISHED / card / file) if record["metric"] == metric]


@pytest.mark.parametrize(
    "row, card, file, metric, cost",
    [
        ("TwoRoom, 100 steps, images", "two-room", "results.json", "commute", "commute"),
        ("TwoRoom, 50 steps, images", "two-room", "offset-50.json", "commute", "commute"),
        ("rooms 2x2, seen", "nested-d2", "results.json", "imagined", "commute"),
        ("FourRooms, seen", "four-rooms", "results.json", "critic", "critic"),
        ("rooms 4x4, images", "nested-d3-images", "doubt.json", "critic", "critic"),
        ("demo, seen", "demo", "results.json", "l2", "l2"),
    ],
)
def test_worths_are_those_that_are_published(row: str, card: str, file: str, metric: str, cost: str) -> None:
    told = json.loads((PUBLISHED / "field" / "depth-worth.json").read_text())
    expected = {
        (one["levels"] - 1, one["levels"]): one["gain"]
        for one in told
        if one["row"] == row and one["cost"] == cost
    }
    records = records_of(card, file, metric)
    # One level that was tuned for itself has a list of its own.
    if file == "results.json" and (PUBLISHED / card / "flat.json").exists():
        flat = records_of(card, "flat.json", metric)
        records = flat + [record for record in records if record["levels"] > 1]
    worths = level_worths(records)
    found = {
        (one.fewer, one.more): [one.difference.value, one.difference.lo, one.difference.hi] for one in worths
    }
    assert found.keys() == expected.keys()
    for key, gain in expected.items():
        np.testing.assert_allclose(found[key], gain, atol=1e-9)


def test_worths_refuse_what_is_no_comparison() -> None:
    rooms = records_of("nested-d2", "results.json", "critic")
    with pytest.raises(InputError, match="records of 2 evaluations"):
        level_worths(rooms + records_of("nested-d3", "results.json", "critic"))
    with pytest.raises(InputError, match="give one agent for each"):
        level_worths(rooms + records_of("nested-d2", "results.json", "l2"))
    with pytest.raises(InputError, match="give one agent for each"):
        level_worths([record for record in rooms if record["levels"] == 1])


def test_only_what_is_added_to_an_untuned_level_is_open() -> None:
    worths = level_worths(records_of("nested-d3", "results.json", "critic"))
    axes = Figure().add_subplot()
    worth_panel(axes, [("a", [WorthRow("fair", worths, True)]), ("b", [WorthRow("unfair", worths, False)])])
    drawn = [line for line in axes.lines if str(line.get_gid()).startswith("worth-")]
    faces = [line.get_markerfacecolor() == "white" for line in drawn]
    assert faces == [False] * 3 + [True, False, False]
    assert [line.get_xdata()[0] for line in drawn[:3]] == [100 * one.difference.value for one in worths]
    fair, unfair = WorthRow("fair", worths, True), WorthRow("unfair", worths, False)
    steps = [f"{n} levels instead of {n - 1}" for n in (2, 3, 4)]
    assert [handle.get_label() for handle in worth_legend([fair])] == steps
    both = [handle.get_label() for handle in worth_legend([fair, unfair])]
    assert both == [*steps, "open: one level not tuned for this"]


def test_success_stands_where_the_records_have_it() -> None:
    found = [records_of("two-room", file, "commute") for file in ("offset-25.json", "results.json")]
    pools = {n: [pooled([one for one in own if one["levels"] == n]) for own in found] for n in (1, 2)}
    axes = Figure().add_subplot()
    success_from_task_to_task(axes, ["25", "100"], pools)
    for levels, own in pools.items():
        (line,) = [one for one in axes.lines if one.get_gid() == f"levels-{levels}"]
        assert line.get_ydata().tolist() == [100 * record["success_rate"] for record in own]
    far = [100 * pools[levels][-1]["success_rate"] for levels in (1, 2)]
    assert {f"flat {far[0]:.1f} %", f"2 levels {far[1]:.1f} %"} <= {text.get_text() for text in axes.texts}
    with pytest.raises(InputError, match="give 1, one a task"):
        success_from_task_to_task(axes, ["25"], pools)
