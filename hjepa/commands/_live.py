"""The table of an ablation that fills in while its cells run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self, TextIO

from hjepa.errors import InputError
from hjepa.evaluation.tables import align
from hjepa.json_files import read_json
from hjepa.sweeps.cell import Spec, cell_key
from hjepa.sweeps.engines.jobs import Outcome, attempts_path

_ROW = ("task", "overrides", "depth", "levels", "metric", "planner", "budget_tflops")
WAITING = "..."


class LiveGrid:
    """Success rates with a row per setting and a column per training seed.

    On a terminal the table is redrawn in place, cells that run with their time; elsewhere, or when it is higher than
    the terminal, each outcome is one line. Use it in a ``with`` statement.

    Args:
        specs: every cell of the ablation.
        stream: where to write.
        out: the ablation's folder, in which every engine notes what has started.
        every: seconds between two looks at that.
    """

    def __init__(
        self, specs: Sequence[Spec], stream: TextIO, out: str | os.PathLike[str], every: float = 2.0
    ) -> None:
        self.stream, self.out, self.every = stream, out, every
        self.start, self.begun = time.monotonic(), time.time()
        self.done, self.failed = 0, 0
        self.specs = {cell_key(spec): spec for spec in specs}
        # A setting that all cells share says nothing in the table.
        self.columns = [name for name in _ROW if len({str(spec[name]) for spec in specs}) > 1] or ["levels"]
        self.seeds = sorted({spec["train_seed"] for spec in specs})
        self.cells = {self._place(spec): WAITING for spec in specs}
        self.rows = list(dict.fromkeys(row for row, _ in self.cells))
        self.open = dict.fromkeys(self.specs)
        self.drawn = 0
        height = os.get_terminal_size(stream.fileno()).lines if stream.isatty() else 0
        self.redraws = len(self.rows) + 3 <= height
        self.drawing, self.closing = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        if self.redraws:
            self._draw()
            self.watcher = threading.Thread(target=self._watch, daemon=True)
            self.watcher.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.closing.set()
        if self.redraws:
            self.watcher.join()
        elif error is None:
            self.stream.write(self.text())
            self.stream.flush()

    def show(self, outcome: Outcome) -> None:
        """Takes in one outcome and draws."""
        spec = self.specs[outcome.key]
        rate = "failed" if outcome.record is None else f"{100 * outcome.record['success_rate']:.1f} %"
        with self.drawing:
            self.done += 1
            self.failed += outcome.record is None
            self.open.pop(outcome.key, None)
            self.cells[self._place(spec)] = rate
        if self.redraws:
            self._draw()
        else:
            setting = " ".join(f"{name}={_text(spec[name])}" for name in (*self.columns, "train_seed"))
            took = f" ({outcome.seconds:.0f} s)" if outcome.seconds else " (from an earlier run)"
            why = f": {outcome.error}" if outcome.error else took
            self.stream.write(f"[{self.done}/{len(self.specs)}] {setting} {rate}{why}\n")
            self.stream.flush()

    def text(self) -> str:
        """The table as it stands."""
        header = [*self.columns, *(f"seed {seed}" for seed in self.seeds)]
        body = [[*row, *(self.cells.get((row, seed), "") for seed in self.seeds)] for row in self.rows]
        minutes = (time.monotonic() - self.start) / 60
        state = f"{self.done} of {len(self.specs)} cells, {self.failed} failed, {minutes:.1f} min"
        return f"{align([header, *body])}\n{state}\n"

    def look(self) -> None:
        """Notes which of the cells without an outcome run now, and since when."""
        for key in list(self.open):
            since = self._running_since(key)
            with self.drawing:
                if key in self.open:
                    seconds = max(int(time.time() - since), 0) if since else 0
                    text = f"runs {seconds // 60}:{seconds % 60:02d}" if since else WAITING
                    self.cells[self._place(self.specs[key])] = text

    def _running_since(self, key: str) -> float | None:
        path = attempts_path(self.out, key)
        try:
            last = read_json(path)[-1] if path.exists() else None
        except InputError:  # replaced while it was read, as some network file systems show it
            return None
        if last is None or last["ended"] is not None:
            return None
        started = datetime.fromisoformat(last["started"]).timestamp()
        return started if started >= self.begun - 1 else None  # else it was killed with an earlier run

    def _watch(self) -> None:
        while not self.closing.wait(self.every):
            self.look()
            self._draw()

    def _draw(self) -> None:
        with self.drawing:
            width = os.get_terminal_size(self.stream.fileno()).columns
            lines = [line[: max(width - 1, 1)] for line in self.text().splitlines()]  # a wrapped line is two
            up = f"\x1b[{self.drawn}F\x1b[J" if self.drawn else ""
            self.stream.write(up + "".join(f"{line}\n" for line in lines))
            self.stream.flush()
            self.drawn = len(lines)

    def _place(self, spec: Spec) -> tuple[tuple[str, ...], int]:
        return tuple(_text(spec[name]) for name in self.columns), spec["train_seed"]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "-"
    return "default" if value is None else str(value)
