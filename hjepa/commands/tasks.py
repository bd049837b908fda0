"""List the tasks: size, step budget, default budget of compute."""

from __future__ import annotations

import json
import textwrap
from typing import Any

WIDTH = 100
"""Columns of a terminal that the list fits."""


def add_arguments(parser: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print everything about them as JSON")


def run(options: Any) -> None:
    import tasks
    from hjepa.evaluation.tables import align

    specs = tasks.list_tasks()
    if options.json:
        print(json.dumps(specs, indent=1))
        return
    rows = [["id", "grid", "steps", "TFLOP/episode"]]
    for spec in specs:
        size = f"{spec['width']}x{spec['height']}"
        budget = f"{spec['default_budget_tflops']:g}"
        rows.append([spec["id"], size, str(spec["step_budget"]), budget])
    head, *lines = align(rows).split("\n")
    print(head)
    for line, spec in zip(lines, specs):
        print(line)
        print(textwrap.fill(spec["description"], WIDTH, initial_indent="    ", subsequent_indent="    "))
