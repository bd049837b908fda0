"""List the tasks: size, step budget, default budget of compute."""

from __future__ import annotations

import json
from typing import Any


def add_arguments(parser: Any) -> None:
    parser.add_argument("--json", action="store_true", help="print everything about them as JSON")


def run(options: Any) -> None:
    import tasks
    from hjepa.evaluation.tables import align

    specs = tasks.list_tasks()
    if options.json:
        print(json.dumps(specs, indent=1))
        return
    rows = [["id", "grid", "steps", "TFLOP/episode", "what"]]
    for spec in specs:
        size = f"{spec['width']}x{spec['height']}"
        budget = f"{spec['default_budget_tflops']:g}"
        rows.append([spec["id"], size, str(spec["step_budget"]), budget, spec["description"]])
    print(align(rows))
