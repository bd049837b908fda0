"""The whole agent, part by part: what each experiment under ``hjepa/published/agent`` had to show, and what came of it.

Every row is computed anew from committed per-episode lists; its command makes the list again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hjepa.json_files import plain
from hjepa.report.agent_perceiving import memory_rows, pixel_rows
from hjepa.report.agent_planning import actor_rows, configurator_rows, critic_rows
from hjepa.report.parts import Row, name_of, of_levels, share

PUBLISHED = Path(__file__).parents[1] / "published" / "agent"


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
            f"hjepa plan --checkpoint told-nested-d3 --task {task}{more} --levels 1,2,3 --episodes 200 --split test"
            f" --seed 0,1,2 --json {kind}.json"
        )
        held, careless = (of_levels(each, GUARDED_LEVELS) for each in (file, free))
        for name, metric, bar in (
            ("violated", "episodes with a violation", "<= 0.01, control >= 0.5"),
            ("success", "success", ">= 0.9"),
        ):
            (value, interval), (control, _) = share(held, name), share(careless, name)
            met = value >= 0.9 if name == "success" else value <= 0.01 and control >= 0.5
            what = f"{metric}, {kind}, {GUARDED_LEVELS} levels"
            yield Row("guardrails", what, value, interval, control, bar, met, command, name_of(file))


_OF_PART: tuple[Callable[[Path], Iterator[Row]], ...] = (
    _guardrails,
    memory_rows,
    pixel_rows,
    critic_rows,
    actor_rows,
    configurator_rows,
)
