"""Training curves of a run folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hjepa.errors import InputError
from hjepa.figures.style import BODY, INK, SMALL, TITLE, level_colour, new_figure, plain_axes

METRICS_FILE = "metrics.csv"
KEYS = ("step", "level")
LOGARITHMIC = 20.0
"""A positive term that falls by more than this factor is drawn on a logarithmic axis, and says so."""


def training_curves(run_folder: str | os.PathLike[str], terms: Sequence[str] | None = None) -> Figure:
    """Terms of the loss over training steps: one row of panels per level, the top level first.

    Args:
        run_folder: of ``hjepa fit``; its ``metrics.csv`` is read.
        terms: names of those to draw, in this order; None: all.

    Raises:
        InputError: no such file, one without numbers, or a term that no level has.
    """
    curves = read_metrics(Path(run_folder) / METRICS_FILE)
    levels = sorted({level for level, _ in curves}, reverse=True)
    known = list(dict.fromkeys(term for _, term in curves))
    terms = known if terms is None else list(terms)
    unknown = [term for term in terms if term not in known]
    if unknown or not terms:
        raise InputError(
            f"terms {', '.join(unknown) or 'none'}", "figures", f"choose from {', '.join(known)}"
        )
    figure = new_figure(2.3 * len(terms) + 0.6, 1.9 * len(levels) + 0.9)
    figure.suptitle(f"Training of {Path(run_folder).name}", fontsize=TITLE, fontweight="bold", color=INK)
    grid = figure.add_gridspec(len(levels), len(terms))
    for row, level in enumerate(levels):
        for column, term in enumerate(terms):
            axes = figure.add_subplot(grid[row, column])
            if (level, term) not in curves:
                axes.set_axis_off()
                axes.text(0.5, 0.5, f"level {level}\nhas no {term}", ha="center", va="center", fontsize=SMALL,
                          color="#999999", transform=axes.transAxes)  # fmt: skip
                continue
            steps, values = curves[level, term]
            mark = "o" if len(steps) < 3 else None
            axes.plot(
                steps, values, color=level_colour(level), linewidth=1.6, marker=mark, gid=f"level-{level}"
            )
            plain_axes(axes)
            lowest, highest = float(values.min()), float(values.max())
            note = ""
            if lowest > 0 and highest > LOGARITHMIC * lowest:
                axes.set_yscale("log")
                note = " (log)"
            elif lowest >= 0:
                axes.set_ylim(0, 1.05 * highest if highest > 0 else 1)
            axes.set_title(term + note, fontsize=BODY, color=INK)
            axes.locator_params(axis="x", nbins=4)
            if column == 0:
                axes.set_ylabel(f"level {level}", fontsize=BODY, color=level_colour(level), fontweight="bold")
            if row == len(levels) - 1:
                axes.set_xlabel("training step", fontsize=SMALL)
    return figure


def read_metrics(file: Path) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
    """(level, term) -> steps (N,), values (N,), without terms that a level does not have.

    Raises:
        InputError: no such file, or one without numbers.
    """
    if not file.is_file():
        raise InputError("no such file", str(file), "give the run folder of hjepa fit")
    points: dict[tuple[int, str], list[tuple[int, float]]] = {}
    with file.open(newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                step, level = int(row["step"]), int(row["level"])
                given = {name: float(value) for name, value in row.items() if name not in KEYS and value}
            except (KeyError, TypeError, ValueError):
                raise InputError(
                    f"line {number} holds no numbers", str(file), "train the stack again"
                ) from None
            for name, value in given.items():
                points.setdefault((level, name), []).append((step, value))
    if not points:
        raise InputError("holds no numbers", str(file), "wait for the first logged steps, or train again")
    return {key: tuple(np.array(part) for part in zip(*rows)) for key, rows in points.items()}  # type: ignore[misc]
