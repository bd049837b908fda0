"""One thing that one part of the agent had to show, and what all of them are computed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hjepa.evaluation.layouts import clustered, clustered_wilson
from hjepa.evaluation.records import Record
from hjepa.json_files import read_json

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


def of_levels(file: Path, levels: int) -> list[Record]:
    """The records of a list that planned with so many levels."""
    records = read_json(file)
    return [record for record in records if record["levels"] == levels]


def share(records: Sequence[Record], name: str) -> tuple[float, list[float]]:
    """Share of the episodes of all records in which something happened, and its interval."""
    happened = np.concatenate([record[name] for record in records])
    plans = layouts_of(records)
    return float(happened.mean()), list(
        clustered_wilson(happened, np.arange(happened.size) if plans is None else plans)
    )


def layouts_of(records: Sequence[Record]) -> np.ndarray | None:
    """The floor plan of each episode of all records; None where some do not tell or nothing is shared."""
    if not all("layout" in record for record in records):
        return None
    plans = np.concatenate([record["layout"] for record in records])
    return plans if clustered(plans) else None


def name_of(file: Path) -> str:
    """A published list from the folder of the repository."""
    return f"hjepa/published/agent/{file.name}"
