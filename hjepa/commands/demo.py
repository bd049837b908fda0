"""Collect, train a small stack, plan held-out tasks with 1 to all levels; print the table, draw figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hjepa.commands._options import check_drawing


def add_arguments(parser: Any) -> None:
    parser.add_argument("--out", default="runs/demo", metavar="DIR", help="default: runs/demo")


def continues(_: Any) -> bool:
    """Whether the same command goes on where an interrupted one stopped."""
    return True


def run(options: Any) -> None:
    check_drawing()
    from hjepa.demo import run as run_demo
    from hjepa.evaluation.tables import table

    def note(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    out = Path(options.out)
    records = run_demo(out, note)
    print(table(records))
    print(f"\nrecords, weights and figures: {out}")
