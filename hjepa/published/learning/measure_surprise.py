"""How every level of a trained stack notices broken rules of its world, level by violation.

    python hjepa/published/learning/measure_surprise.py --checkpoint RUN --json FILE [--kinds teleport,door]

Trajectories are collected beside the results, on floor plans that the stack has not been trained on: those of the
validation split calibrate, those of the test split are broken. The file holds the table, and the surprise and p-value
of every trajectory that the table is made of.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from hjepa.evaluation.surprise import ALARM, as_lists, as_row, noticed, score
from hjepa.model.checkpoints import describe, load_stack
from tasks import collect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="a run folder or shipped weights")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--kinds", default="teleport,through-wall")
    parser.add_argument("--windows", type=int, default=512)
    parser.add_argument("--plans", type=int, default=32, help="floor plans of each split")
    parser.add_argument("--explorer", default="mixture")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    stack = load_stack(options.checkpoint)
    calibrating, testing = (
        collect(
            stack.config.task, options.json.with_suffix(f".{split}"), plans=options.plans, episodes_per_plan=8,
            length=64, seed=options.seed, split=split, explorer=options.explorer,
        )
        for split in ("validation", "test")
    )  # fmt: skip
    found = score(
        stack, calibrating, testing, options.kinds.split(","), options.seed, options.windows, options.plans
    )
    facts = {
        "task": stack.config.task, "checkpoint_sha256": describe(options.checkpoint)["sha256"], "seed": options.seed,
        "spans": stack.config.spans, "alarm_at_p": ALARM, "explorer": options.explorer,
        "data_sha256": [store.sha256 for store in (calibrating, testing)],
    }  # fmt: skip
    rows = [as_row(noticed(each, options.seed)) for each in found]
    lists = [as_lists(each) for each in found]
    options.json.write_text(write({**facts, "rows": rows, "trajectories": lists}))


def write(content: dict[str, Any]) -> str:
    """JSON, one line per entry and list."""
    return re.sub(r",\s+(?=[-\d])", ", ", json.dumps(content, indent=1)) + "\n"


if __name__ == "__main__":
    main()
