"""Trains level 1 of `nested-d2` with every way not to collapse, with inverse dynamics and without.

    hjepa collect --preset nested-d2 --out d2.data
    python hjepa/published/learning/anti_collapse.py --data d2.data --out runs [--seeds 0] [--steps 300]

Runs that are there are not trained again. `anti_collapse.json` beside the runs gets one row per run: what level 1 shows
in the mean of its last five logged steps, and when the monitor warned.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from itertools import product
from pathlib import Path
from typing import Any

from hjepa.config import RunConfig, override, parse_config, read_preset
from hjepa.errors import InputError
from hjepa.model.checkpoints import describe
from hjepa.training.collapse import CollapseWarning
from hjepa.training.fit import fit

KINDS = ("none", "vicreg", "distillation", "rate_reduction", "barlow", "sigreg", "contrastive")
SHOWN = ("loss", "prediction", "inverse", "effective_rank", "spread", "position_error", "ahead_1", "ahead_4",
         "ahead_8")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0", help="of training, with commas")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--plans", type=int, default=4, help="floor plans in a batch")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for seed, kind, inverse in product(options.seeds.split(","), KINDS, (0.0, 1.0)):
        rows.append(run(options, kind, inverse, int(seed)))
        (options.out / "anti_collapse.json").write_text(json.dumps(rows, indent=1) + "\n")


def run(options: argparse.Namespace, kind: str, inverse: float, seed: int) -> dict[str, Any]:
    """One row."""
    config = level_1(
        f"levels.0.anti_collapse={kind}", f"levels.0.loss.inverse={inverse}", f"train.seed={seed}",
        f"train.batch={options.batch}", f"train.plans={options.plans}", f"train.steps=[{options.steps}]",
        "train.log_every=10", "train.metric_trajectories=16",
    )  # fmt: skip
    folder = options.out / f"{kind}-{'with' if inverse else 'without'}-{seed}"
    note = folder.with_suffix(".warned.json")
    if not folder.exists():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            fit(config, options.data, folder, device="cpu", progress=False)
        note.write_text(json.dumps([str(w.message) for w in said if w.category is CollapseWarning]))
    warned = json.loads(note.read_text())
    with (folder / "metrics.csv").open(newline="") as stream:
        last = list(csv.DictReader(stream))[-5:]
    return {
        "anti_collapse": kind, "inverse_dynamics": inverse > 0, "train_seed": seed, "steps": options.steps,
        "batch": options.batch, "plans": options.plans, "warned": warned[0] if warned else None,
        "checkpoint_sha256": describe(folder)["sha256"], "data_sha256": describe(folder)["data_sha256"],
        **{name: round(sum(float(row[name]) for row in last) / len(last), 4) for name in SHOWN if last[0][name]},
    }  # fmt: skip


def level_1(*changes: str) -> RunConfig:
    """The preset with level 1 alone, and changes."""
    content, path = read_preset("nested-d2")
    if not isinstance(content, dict):
        raise InputError("holds no preset", str(path), "mend the file")
    content["levels"], content["train"]["steps"] = content["levels"][:1], [1]
    content["plan"] |= {"horizon": [8], "share": [1.0], "metric": "l2"}
    content.pop("critic")
    return parse_config(override(content, changes), str(path))


if __name__ == "__main__":
    main()
