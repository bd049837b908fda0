"""Masked prediction against its control, which reconstructs pixels, seed by seed.

    python hjepa/published/learning/masked_prediction.py --out runs [--seeds 0,1,2] [--set steps=500]

Trajectories of the training split teach encoders and probes, those of the test split ask them. Runs that are there are
not trained again, and a killed one goes on. `masked.json` beside the runs gets one row per seed, target and mask.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from hjepa.builder import build
from hjepa.config import override
from hjepa.evaluation.masked_reading import MaskedReading, against_control, read_masked
from hjepa.evaluation.records import installed_versions
from hjepa.training.masked_fit import MaskedRun, fit_masked, read_run
from hjepa.yaml_files import read_yaml
from tasks import collect

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", type=Path, default=HERE / "masked.yaml")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="key=value")
    parser.add_argument("--task", default="hjepa/NestedRooms-d2-v0")
    parser.add_argument("--plans", type=int, default=256, help="floor plans that are learned from")
    parser.add_argument("--seeds", default="0", help="with commas")
    parser.add_argument("--masks", default="blocks", help="blocks, patches or both, with commas")
    parser.add_argument("--labels", default="32,256,1024", help="that probes are told, with commas")
    parser.add_argument("--asked", type=int, default=512)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    training, testing = (
        collect(options.task, options.out / split, plans, 8, 64, 0, split=split).path
        for split, plans in (("train", options.plans), ("test", 32))
    )
    content = override(read_yaml(options.settings), options.changes)
    run: MaskedRun = build(MaskedRun, content, str(options.settings))
    labels = [int(count) for count in options.labels.split(",")]
    rows: list[dict[str, Any]] = []
    for seed, mask in product(map(int, options.seeds.split(",")), options.masks.split(",")):
        both: list[list[MaskedReading]] = []
        for target in ("latent", "pixels"):
            own = replace(run, seed=seed, model=replace(run.model, target=target, mask=mask))
            folder = fit_masked(own, training, options.out / f"{target}-{mask}-{seed}", "cpu", progress=False)
            both.append(read_masked(folder, training, testing, labels, options.asked, seed))
            rows.append(
                {
                    "seed": seed, "target": target, "mask": mask, "task": options.task, "run": read_run(folder)[1],
                    "versions": installed_versions(), "readings": [vars(reading) for reading in both[-1]],
                }
            )  # fmt: skip
        rows[-1]["against_control"] = [
            against_control(both[0], both[1], fact)
            for fact in dict.fromkeys(reading.fact for reading in both[0])
        ]
        (options.out / "masked.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
