"""The table of an ablation that fills in while its cells finish."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, TextIO

from hjepa.cells import Spec, cell_key
from hjepa.engines import Outcome
from hjepa.tables import align

_ROW = ("overrides", "depth", "levels", "metric", "planner", "budget_tflops")


class LiveGrid:
    """Success rates with a row per setting and a column per training seed.

    On a terminal the table is redrawn in place; elsewhere, or when it is higher than the terminal, each
    outcome is one line.

    Args:
        specs: every cell of the ablation.
        stream: where to write.
    """

    def __init__(self, specs: Sequence[Spec], stream: TextIO) -> None:
        self.stream, self.start, self.done, self.failed = stream, time.monotonic(), 0, 0
        self.specs = {cell_key(spec): spec for spec in specs}
        # A setting that all cells share says nothing in the table.
        self.columns = [name for name in _ROW if len({str(spec[name]) for spec in specs}) > 1] or ["levels"]
        self.seeds = sorted({spec["train_seed"] for spec in specs})
        self.cells = {self._place(spec): "..." for spec in specs}
        self.rows = list(dict.fromkeys(row for row, _ in self.cells))
        self.drawn = 0
        height = os.get_terminal_size(stream.fileno()).lines if stream.isatty() else 0
        self.redraws = len(self.rows) + 3 <= height
        self._draw()

    def show(self, outcome: Outcome) -> None:
        """Takes in one outcome and draws."""
        spec = self.specs[outcome.key]
        self.done += 1
        self.failed += outcome.record is None
        rate = "failed" if outcome.record is None else f"{100 * outcome.record['success_rate']:.1f} %"
        self.cells[self._place(spec)] = rate
        if self.redraws:
            self._draw()
        else:
            setting = " ".join(f"{name}={_text(spec[name])}" for name in (*self.columns, "train_seed"))
            why = f": {outcome.error}" if outcome.error else f" ({outcome.seconds:.0f} s)"
            self.stream.write(f"[{self.done}/{len(self.specs)}] {setting} {rate}{why}\n")
            self.stream.flush()

    def close(self) -> None:
        """Writes the whole table where it has not been drawn all the time."""
        if not self.redraws:
            self.stream.write(self.text())
            self.stream.flush()

    def text(self) -> str:
        """The table as it stands."""
        header = [*self.columns, *(f"seed {seed}" for seed in self.seeds)]
        body = [[*row, *(self.cells.get((row, seed), "") for seed in self.seeds)] for row in self.rows]
        minutes = (time.monotonic() - self.start) / 60
        state = f"{self.done} of {len(self.specs)} cells, {self.failed} failed, {minutes:.1f} min"
        return f"{align([header, *body])}\n{state}\n"

    def _draw(self) -> None:
        if self.redraws:
            text = self.text()
            up = f"\x1b[{self.drawn}F\x1b[J" if self.drawn else ""
            self.stream.write(up + text)
            self.stream.flush()
            self.drawn = text.count("\n")

    def _place(self, spec: Spec) -> tuple[tuple[str, ...], int]:
        return tuple(_text(spec[name]) for name in self.columns), spec["train_seed"]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "-"
    return "default" if value is None else str(value)
