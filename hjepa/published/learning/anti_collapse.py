"""Trains level 1 of `nested-d2` with every way not to collapse, with inverse dynamics and without, and keeps what shows.

    python hjepa/published/learning/anti_collapse.py --data d2.data --out runs [--seeds 0] [--steps 600] [--batch 256]

Runs that are there are not trained again. `anti_collapse.json` beside the runs gets one row per run.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

KINDS = ("none", "vicreg", "sigreg", "distillation", "rate_reduction", "barlow", "contrastive")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="made by: hjepa collect --preset nested-d2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0", help="of training, with commas")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in options.seeds.split(","):
        for kind in options.kinds.split(","):
            for inverse in (1.0, 0.0):
                rows.append(run(options, kind, inverse, int(seed)))
                (options.out / "anti_collapse.json").write_text(json.dumps(rows, indent=1) + "\n")


def run(options: argparse.Namespace, kind: str, inverse: float, seed: int) -> dict[str, object]:
    """One row: what level 1 shows at the last logged step, and what the monitor said."""
    name = options.out / f"{kind}-{'with' if inverse else 'without'}-{seed}"
    values = {
        "levels.0.anti_collapse": kind, "levels.0.loss.inverse": inverse, "train.seed": seed,
        "train.batch": options.batch, "train.steps": f"[{options.steps}]", "train.log_every": 20,
        "levels": None, "critic": "null",
    }  # fmt: skip
    preset = options.out / "level-1.yaml"
    preset.write_text(level_1())
    settings = [
        word for key, value in values.items() if value is not None for word in ("--set", f"{key}={value}")
    ]
    command = [sys.executable, "-m", "hjepa.cli", "fit", "--preset", str(preset), "--data", str(options.data)]
    said = name.with_suffix(".warnings")
    if not name.exists():
        done = subprocess.run(
            [*command, *settings, "--out", str(name)], capture_output=True, text=True, check=True
        )
        said.write_text("".join(f"{line}\n" for line in done.stderr.splitlines() if "collapse:" in line))
    with (name / "metrics.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    shown = (
        "loss",
        "prediction",
        "inverse",
        "effective_rank",
        "spread",
        "position_error",
        "ahead_1",
        "ahead_4",
        "ahead_8",
    )
    warned = said.read_text().partition("step ")[2].partition(":")[0]
    return {
        "anti_collapse": kind, "inverse_dynamics": inverse > 0, "train_seed": seed, "steps": options.steps,
        "batch": options.batch, "warned_at_step": int(warned) if warned else None,
        "checkpoint_sha256": json.loads((name / "model.json").read_text())["sha256"],
        **{key: round(sum(float(row[key]) for row in table[-5:]) / 5, 4) for key in shown if table[-1][key]},
    }  # fmt: skip


def level_1() -> str:
    """The preset with level 1 alone."""
    import yaml

    content = yaml.safe_load((Path(__file__).parents[2] / "presets" / "nested-d2.yaml").read_text())
    content["levels"], content["train"]["steps"] = content["levels"][:1], [1]
    content["plan"] |= {"horizon": [8], "share": [1.0], "metric": "l2"}
    return str(yaml.safe_dump(content))


if __name__ == "__main__":
    main()
