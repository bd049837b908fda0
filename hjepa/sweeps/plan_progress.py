"""How far the cells of a request are: each notes it in one small file, wherever it runs; somebody else reads them."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Tell = Callable[[int, int, int], None]
"""Called with the episodes that are over, those of them that were solved, and all of them."""

EVERY = 0.5
"""Seconds between two looks."""


@dataclass(frozen=True)
class Board:
    """What cells note; made by `posted`.

    Attributes:
        file: of int64 numbers, (cells, 2): episodes over, and solved.
        cells: how many.
    """

    file: Path
    cells: int

    def note(self, cell: int, over: int, solved: int) -> None:
        """Cell ``cell`` has come so far."""
        numbers = np.array([over, solved], np.int64).tobytes()
        with self.file.open("r+b") as stream:
            stream.seek(cell * len(numbers))
            stream.write(numbers)

    def read(self) -> tuple[int, int]:
        """Episodes over and solved, of all cells."""
        over, solved = np.fromfile(self.file, np.int64).reshape(self.cells, 2).sum(0)
        return int(over), int(solved)


@contextmanager
def posted(cells: int, episodes: int, tell: Tell | None) -> Iterator[Board | None]:
    """A board while work goes on, read twice a second; None where nobody asks.

    Args:
        cells: how many work.
        episodes: of each.
        tell: see `Tell`.
    """
    if tell is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="hjepa-plan-") as folder:
        board, over = Board(Path(folder) / "board", cells), threading.Event()
        np.zeros((cells, 2), np.int64).tofile(board.file)

        def look() -> None:
            while not over.wait(EVERY):
                tell(*board.read(), cells * episodes)

        reader = threading.Thread(target=look, daemon=True)
        reader.start()
        try:
            yield board
        finally:
            over.set()
            reader.join()
        tell(*board.read(), cells * episodes)
