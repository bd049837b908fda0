"""The figures of a page as files of their own, for slides and papers."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from hjepa.errors import InputError
from hjepa.figures.style import DPI


class Pictures:
    """Keeps the wide form of every figure and writes each as PNG and PDF."""

    def __init__(self) -> None:
        self.kept: dict[str, Figure] = {}

    def keep(self, name: str, figure: Figure) -> None:
        """Under this name, without an ending."""
        self.kept[name] = figure

    def write(self, folder: Path) -> list[Path]:
        """``NAME.png`` of 200 dots per inch and ``NAME.pdf``; returns the files.

        Raises:
            InputError: nothing can be written there.
        """
        files = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in self.kept.items():
                for ending in ("png", "pdf"):
                    files.append(folder / f"{name}.{ending}")
                    # No date in the files: equal records give equal bytes.
                    with rc_context({"pdf.fonttype": 42}):
                        metadata = {"CreationDate": None} if ending == "pdf" else None
                        figure.savefig(files[-1], dpi=DPI, metadata=metadata)
        except OSError as error:
            raise InputError(error.strerror or str(error), str(folder), "name another page") from error
        return files
