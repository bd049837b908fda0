"""The table of an ablation: lines without a terminal, redrawn in place on one."""

from __future__ import annotations

import io
import os
import pty
import re
import threading
from pathlib import Path
from types import ModuleType

from hjepa.commands._live import LiveGrid
from hjepa.json_files import write_json
from hjepa.sweeps import engines
from hjepa.sweeps import sweep as ablation
from hjepa.sweeps.cell import cell_key
from hjepa.sweeps.engines.jobs import Outcome, attempts_path


def test_without_a_terminal_each_cell_is_a_line(tmp_path: Path, fake: ModuleType) -> None:
    specs = [fake.make(1), fake.make(4), fake.make(4, levels=2)]
    stream = io.StringIO()
    with LiveGrid(specs, stream, tmp_path) as grid:
        ablation.ablate(specs, tmp_path, engines.InProcess(), fake.run_cell, on_outcome=grid.show)
        lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[1/3] levels=1 train_seed=1 failed: RuntimeError: no luck")
    assert [line.split() for line in grid.text().splitlines()[:3]] == [
        ["levels", "seed", "1", "seed", "4"],
        ["1", "failed", "100.0", "%"],
        ["2", "100.0", "%"],
    ]
    assert "3 of 3 cells, 1 failed" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_finished_cells_say_that_they_are_from_an_earlier_run(tmp_path: Path, fake: ModuleType) -> None:
    specs = [fake.make(4)]
    ablation.ablate(specs, tmp_path, engines.InProcess(), fake.run_cell)
    stream = io.StringIO()
    with LiveGrid(specs, stream, tmp_path) as grid:
        ablation.ablate(specs, tmp_path, engines.InProcess(), fake.run_cell, on_outcome=grid.show)
    assert "[1/1] levels=1 train_seed=4 100.0 % (from an earlier run)" in stream.getvalue()


def test_on_a_terminal_the_table_fills_in(tmp_path: Path, fake: ModuleType) -> None:
    specs = [fake.make(seed, levels=levels) for levels in (1, 2) for seed in (4, 5)]
    ours, theirs = pty.openpty()
    seen = bytearray()

    def read() -> None:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                return
            seen.extend(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    os.set_blocking(ours, True)
    import termios

    termios.tcsetwinsize(theirs, (24, 60))
    with os.fdopen(theirs, "w") as terminal, LiveGrid(specs, terminal, tmp_path, every=60) as grid:
        started = "2999-01-01T00:00:00.000+00:00"
        write_json(attempts_path(tmp_path, cell_key(specs[1])), [{"started": started, "ended": None}])
        grid.look()
        record = fake.run_cell(specs[0], tmp_path)
        grid.show(Outcome(cell_key(specs[0]), record, 2.0))
        grid.show(Outcome(cell_key(specs[3]), None, 2.0, "worker died"))
    reader.join()
    frames = seen.decode().split("\x1b[4F\x1b[J")
    assert len(frames) == 3, "drawn once and redrawn for each outcome"
    assert re.search(r"1 +\.\.\. +\.\.\.", frames[0])
    last = frames[-1].splitlines()
    assert re.match(r"1 +100.0 % +runs ", last[1]) and re.match(r"2 +\.\.\. +failed", last[2])
    assert "2 of 4 cells, 1 failed" in last[3]


def test_what_a_killed_run_left_does_not_run(tmp_path: Path, fake: ModuleType) -> None:
    spec = fake.make(4)
    path = attempts_path(tmp_path, cell_key(spec))
    grid = LiveGrid([spec], io.StringIO(), tmp_path)
    for last, text in (
        ({"started": "2001-01-01T00:00:00.000+00:00", "ended": None}, "..."),
        ({"started": "2999-01-01T00:00:00.000+00:00", "ended": "2999-01-01T00:00:01.000+00:00"}, "..."),
        ({"started": "2999-01-01T00:00:00.000+00:00", "ended": None}, "runs"),
    ):
        write_json(path, [last])
        grid.look()
        assert text in grid.text()
    path.write_text("[")
    grid.look()
    assert "..." in grid.text()
