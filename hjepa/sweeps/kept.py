"""Finished work of one cell of a request, in a file of its own, so that a killed run goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.playing import Results
from hjepa.evaluation.records import Record
from hjepa.json_files import plain, read_json, write_json
from hjepa.sweeps.cell import digest


class Kept:
    """See `hjepa.evaluation.playing.Progress`.

    Args:
        folder: of the run in progress; None: nothing is kept.
        cell: what tells the cell from others of its request.
        identity: all that its results depend on; work of another identity is not gone on with.
        told: called with the results so far after each batch, and with those found.
        note: called after every step with how many episodes are over, and how many of them were solved.

    Attributes:
        parts: results of the batches that are finished.
        finished: the record; None: it is not.
    """

    def __init__(
        self,
        folder: Path | None,
        cell: Mapping[str, Any],
        identity: Mapping[str, Any],
        told: Callable[[list[Results]], None] | None = None,
        note: Callable[[int, int], None] | None = None,
    ) -> None:
        self.note = note
        fields = [field.name for field in dataclasses.fields(Results)]
        self.identity = plain({**identity, "cell": dict(cell), "fields": fields})
        self.file = None if folder is None else folder / f"{digest(dict(cell))[:16]}.json"
        self.told = told
        self.finished: Record | None = None
        self.parts: list[Results] = []
        if self.file is None or not self.file.exists():
            return
        content = read_json(self.file)
        if content.get("identity") == self.identity:
            self.finished = content["record"]
            self.parts = [Results.from_plain(part) for part in content["parts"]]
            if told is not None and self.parts:
                told(self.parts)

    def keep(self, parts: list[Results]) -> None:
        """Keep the results of all batches so far."""
        self._write(parts, None)
        if self.told is not None:
            self.told(parts)

    def tell(self, over: int, solved: int) -> None:
        """See `hjepa.evaluation.playing.Progress`."""
        if self.note is not None:
            self.note(over, solved)

    def record(self, record: Record) -> None:
        """Keep the record in their place."""
        self._write([], record)

    def _write(self, parts: list[Results], record: Record | None) -> None:
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            content = [part.to_plain() for part in parts]
            write_json(self.file, {"identity": self.identity, "parts": content, "record": record})


def request_identity(request: PlanRequest) -> dict[str, Any]:
    """What the results of a request depend on, of what it says itself."""
    asked = dataclasses.replace(request, progress=None, episode_batch=None, workers=1)
    return dataclasses.asdict(asked)
