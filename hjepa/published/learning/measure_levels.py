"""What every level of a trained stack knows: facts that probes read, from how few labels, and how levels differ.

    python hjepa/published/learning/measure_levels.py --checkpoint nested-d2 --data data --json frozen.json
    python hjepa/published/learning/measure_levels.py --checkpoint two-room --data data --layouts 1 --json frozen.json

Probes learn from trajectories of `train` in the data folder and are asked about those of `test`. In worlds of cells
both are collected, unless they are there, on floor plans of two splits; for others `hjepa collect` makes them. One row
per seed, written as soon as it is measured; rows that are there are not measured again.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hjepa.devices import fix_threads
from hjepa.evaluation.abstraction import measure_abstraction
from hjepa.evaluation.frozen import as_row, label_efficiency
from hjepa.evaluation.records import installed_versions
from hjepa.model.checkpoints import describe, load_stack
from tasks import collect
from tasks.field.registry import is_field


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="a run folder or shipped weights")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seeds", default="0", help="of moments, labels and probes, with commas")
    parser.add_argument("--plans", type=int, default=64, help="floor plans of each split")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument(
        "--count", type=int, default=2048, help="moments that probes learn from, and are asked about"
    )
    parser.add_argument("--layouts", type=int, default=16, help="that windows come from")
    parser.add_argument("--windows", type=int, default=256, help="of each level, for what it foresees")
    parser.add_argument("--steps", type=int, default=400, help="of a probe's training")
    parser.add_argument("--shares", default="0.01,0.1,1", help="of the labels, with commas")
    parser.add_argument("--no-tokens", action="store_true", help="read latents alone")
    options = parser.parse_args()
    fix_threads()
    stack = load_stack(options.checkpoint)
    training, testing = (
        options.data / split
        if is_field(stack.config.task)
        else collect(
            stack.config.task, options.data / split, plans=options.plans, episodes_per_plan=8,
            length=options.length, seed=0, split=split,
        ).path
        for split in ("train", "test")
    )  # fmt: skip
    shares = [float(share) for share in options.shares.split(",")]
    rows: list[dict[str, Any]] = json.loads(options.json.read_text()) if options.json.exists() else []
    for seed in map(int, options.seeds.split(",")):
        if any(row["seed"] == seed for row in rows):
            continue
        found, facts = label_efficiency(
            stack, training, testing, options.count, seed, shares, not options.no_tokens, options.steps
        )
        levels, more = measure_abstraction(
            stack, training, testing, options.windows, options.layouts, options.count, seed, options.steps
        )
        rows.append(
            {
                "seed": seed, "task": stack.config.task, "checkpoint_sha256": describe(options.checkpoint)["sha256"],
                "length": options.length, "versions": installed_versions(), "frozen": facts, "abstraction": more,
                "levels": [rounded(asdict(level)) for level in levels],
                "readings": [as_row(reading) for reading in found],
            }
        )  # fmt: skip
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def rounded(values: Any) -> Any:
    """Plain values with numbers rounded to what they are worth."""
    if isinstance(values, dict):
        return {name: rounded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [rounded(value) for value in values]
    if isinstance(values, float):
        return round(values, 4) if math.isfinite(values) else None
    return values


if __name__ == "__main__":
    main()
