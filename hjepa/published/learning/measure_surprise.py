"""How every level of a trained stack notices broken rules of its world, level by violation.

    python hjepa/published/learning/measure_surprise.py --checkpoint RUN --json FILE [--kinds teleport,door]

Trajectories are collected beside the results, on floor plans that the stack has not been trained on: those of the
validation split calibrate, those of the test split are broken.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hjepa.evaluation.surprise import ALARM, as_row, notice
from hjepa.model.checkpoints import describe, load_stack
from tasks import collect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="a run folder or shipped weights")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--kinds", default="teleport,through-wall")
    parser.add_argument("--windows", type=int, default=1024)
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
    found = notice(
        stack, calibrating, testing, options.kinds.split(","), options.seed, options.windows, options.plans
    )
    facts = {
        "task": stack.config.task, "checkpoint_sha256": describe(options.checkpoint)["sha256"], "seed": options.seed,
        "spans": stack.config.spans, "alarm_at_p": ALARM, "explorer": options.explorer,
        "data_sha256": [store.sha256 for store in (calibrating, testing)],
    }  # fmt: skip
    options.json.write_text(json.dumps({**facts, "rows": [as_row(row) for row in found]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
