"""Rows of the parts that perceive: memory and pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hjepa.errors import InputError
from hjepa.evaluation.records import Record
from hjepa.evaluation.statistics import paired_proportions
from hjepa.report.parts import Row, name_of, of_levels, share

REMEMBERED = (("d2", 0.85), ("d3", 0.7))
"""Depth of the floor plans that the rows on memory are about, and what success had to be."""

WORTH = 0.2
"""What success had to fall by without memory."""

_LISTS = {"map": "", "ring": "-ring", "none": "-none"}
"""Ends of the names of the lists, by memory."""


def memory_rows(folder: Path) -> Iterator[Row]:
    """Success in worlds that are seen in parts, with a memory and without."""
    for depth, bar in REMEMBERED:
        lists = {name: folder / f"memory-{depth}{end}.json" for name, end in _LISTS.items()}
        for name, levels in (("map", 1), ("map", 2), ("ring", 1), ("ring", 2)):
            if not (lists[name].exists() and lists["none"].exists()):
                continue
            held = [record for record in of_levels(lists[name], levels) if record["memory"] == name]
            view = [record for record in of_levels(lists["none"], levels) if record["memory"] == "none"]
            if not (held and view):
                continue
            (value, interval), (control, _) = share(held, "success"), share(view, "success")
            met = value >= bar and control <= value - WORTH
            wanted = f">= {bar}, control at least {WORTH} less"
            what = f"success, {depth}, {name}, {levels} level{'s' * (levels > 1)}"
            command = (
                f"hjepa plan --checkpoint told-nested-{depth} --task hjepa/NestedPartial-{depth}-v0 --memory {name}"
                f" --levels {'1,2,3' if name == 'map' else '1,2'} --episodes 200 --split test --seed 0,1,2"
                f" --json {lists[name].name}"
            )
            yield Row("memory", what, value, interval, control, wanted, met, command, name_of(lists[name]))


PIXEL_LEVELS = 3
"""Levels that the rows on pixels are about."""

POINTS = 5.0
"""How far success from pixels may be from success from symbols."""


def pixel_rows(folder: Path) -> Iterator[Row]:
    """Success from pictures less that from symbols, episode by episode."""
    for name in ("d2", "d3"):
        file, symbolic = (
            folder / f"pixels-{name}.json",
            folder.parent / f"told-nested-{name}" / "results.json",
        )
        if not (file.exists() and symbolic.exists()):
            continue
        seen, told = of_levels(file, PIXEL_LEVELS), of_levels(symbolic, PIXEL_LEVELS)
        better, worse, count, control = _paired(seen, told, file)
        points = paired_proportions(better, worse, count)
        interval = [100 * points.lo, 100 * points.hi]
        yield Row(
            "pixels",
            f"success less that from symbols, points, {name}, {PIXEL_LEVELS} levels",
            100 * points.value,
            interval,
            control,
            f"interval within {POINTS:g}",
            interval[0] >= -POINTS and interval[1] <= POINTS,
            f"hjepa plan --checkpoint told-nested-{name} --task hjepa/NestedRooms-{name}-v0 --levels 1,2,3"
            f" --episodes 200 --split test --seed 0,1,2 --perception pixels --json pixels-{name}.json",
            name_of(file),
        )


def _paired(one: Sequence[Record], other: Sequence[Record], file: Path) -> tuple[int, int, int, float]:
    """Episodes that only the first solved, that only the other solved, all of them, and the share the other solved.

    Raises:
        InputError: an evaluation of the first that the other has not.
    """
    same = ("task", "split", "tasks", "seed", "levels", "metric", "planner", "oracle", "budget_tflops",
            "checkpoint_sha256", "oracle_steps")  # fmt: skip
    pairs = [
        (record, match)
        for record in one
        for match in other
        if all(record[name] == match[name] for name in same)
    ]
    if len(pairs) != len(one) or not pairs:
        raise InputError(
            f"{len(one)} records, {len(pairs)} of them with the same episodes from symbols",
            str(file),
            "make it again with the command of its card",
        )
    first, second = (np.concatenate([pair[i]["success"] for pair in pairs]) for i in (0, 1))
    return int((first > second).sum()), int((first < second).sum()), first.size, float(second.mean())
