"""The whole agent, part by part: what each experiment under ``hjepa/published/agent`` had to show, and what came of it.

Every row is computed anew from committed per-episode lists; its command makes the list again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hjepa.errors import InputError
from hjepa.json_files import plain, read_json
from hjepa.records import Record
from hjepa.statistics import paired_proportions, wilson

PUBLISHED = Path(__file__).parents[1] / "published" / "agent"

PARTS = ("guardrails", "memory", "critic", "actor", "configurator", "pixels")
"""Parts that rows are of."""


@dataclass(frozen=True)
class Row:
    """One thing that one part had to show.

    Attributes:
        part: one of `PARTS`.
        metric: what was measured, in words.
        value, interval: of the agent with the part, and its 95 % interval [lo, hi].
        control: the same measured without it, or None.
        bar: what had to come out, in words.
        met: whether it did.
        command: what makes the results again.
        results_file: where they are, from the folder of the repository.
    """

    part: str
    metric: str
    value: float
    interval: list[float]
    control: float | None
    bar: str
    met: bool
    command: str
    results_file: str


def agent_rows(folder: Path = PUBLISHED) -> list[dict[str, Any]]:
    """Every row whose results are there, as plain dictionaries.

    Args:
        folder: with the lists.

    Raises:
        InputError: a file that cannot be read.
    """
    rows = [row for part in _OF_PART for row in part(folder)]
    return [plain(asdict(row)) for row in rows]


def agent_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as the table that stands in the card."""
    lines = ["| part | metric | value (95 % interval) | control | bar | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        low, high = row["interval"]
        control = "" if row["control"] is None else f"{row['control']:.3f}"
        lines.append(
            f"| {row['part']} | {row['metric']} | {row['value']:.3f} ({low:.3f}, {high:.3f}) | {control} | {row['bar']}"
            f" | {'yes' if row['met'] else 'no'} |"
        )
    return "\n".join(lines)


GUARDED_LEVELS = 2
"""Levels that the rows on guardrails are about; the lists hold one and three as well."""


def _guardrails(folder: Path) -> Iterator[Row]:
    for kind, task, more in (
        ("lava", "hjepa/NestedLava-d3-v0", ""),
        ("zones", "hjepa/NestedRooms-d3-v0", " --zones"),
    ):
        file, free = folder / f"{kind}.json", folder / f"{kind}-unguarded.json"
        if not (file.exists() and free.exists()):
            continue
        command = (
            f"hjepa plan --checkpoint nested-d3 --task {task}{more} --levels 1,2,3 --episodes 200 --split test"
            f" --seed 0,1,2 --json {kind}.json"
        )
        held, careless = (_of_levels(each, GUARDED_LEVELS) for each in (file, free))
        for name, metric, bar in (
            ("violated", "episodes with a violation", "<= 0.01, control >= 0.5"),
            ("success", "success", ">= 0.9"),
        ):
            (value, interval), (control, _) = _share(held, name), _share(careless, name)
            met = value >= 0.9 if name == "success" else value <= 0.01 and control >= 0.5
            what = f"{metric}, {kind}, {GUARDED_LEVELS} levels"
            yield Row("guardrails", what, value, interval, control, bar, met, command, _name(file))


PIXEL_LEVELS = 3
"""Levels that the rows on pixels are about."""

POINTS = 5.0
"""How far success from pixels may be from success from symbols."""


def _pixels(folder: Path) -> Iterator[Row]:
    for name in ("d2", "d3"):
        file, symbolic = folder / f"pixels-{name}.json", folder.parent / f"nested-{name}" / "results.json"
        if not (file.exists() and symbolic.exists()):
            continue
        seen, told = _of_levels(file, PIXEL_LEVELS), _of_levels(symbolic, PIXEL_LEVELS)
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
            f"hjepa plan --checkpoint nested-{name} --task hjepa/NestedRooms-{name}-v0 --levels 1,2,3 --episodes 200"
            f" --split test --seed 0,1,2 --perception pixels --json pixels-{name}.json",
            _name(file),
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


_OF_PART: tuple[Callable[[Path], Iterator[Row]], ...] = (_guardrails, _pixels)


def _of_levels(file: Path, levels: int) -> list[Record]:
    records = read_json(file)
    return [record for record in records if record["levels"] == levels]


def _share(records: Sequence[Record], name: str) -> tuple[float, list[float]]:
    """Share of the episodes of all records in which something happened, and its interval."""
    happened = np.concatenate([record[name] for record in records])
    return float(happened.mean()), list(wilson(int(happened.sum()), happened.size))


def _name(file: Path) -> str:
    return f"hjepa/published/agent/{file.name}"
