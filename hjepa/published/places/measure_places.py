"""Trains the eyes of `nested-point-d3` with and without a look into patches, and with and without pictures that move,
and measures how far their places are from where the point is.

    eyes=hjepa/published/nested-point-d3/eyes.yaml
    hjepa collect --preset $eyes --out small.data
    held="--set collect.split=validation --set collect.plans=200 --set collect.episodes_per_plan=1"
    hjepa collect --preset $eyes $held --out small-held.data
    hjepa collect --preset nested-point-d3 $held --out large-held.data
    python hjepa/published/places/measure_places.py --data small.data --small small-held.data --large large-held.data \\
           --out runs [--seeds 0,1] [--steps 600]

All begin with the eyes of `two-room`. Places are read by the linear map of the latent's places that fits best on half
of the layouts of a held-out store, and asked about on the other half: on plans as small as those that were learned
from, and on plans of four times the area. ``results.json`` beside the runs has a row per run and store, with the error
of every moment in cells. Runs that are there are not trained again.
"""

from __future__ import annotations

import argparse
import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hjepa.config import RunConfig, override, parse_config, read_preset
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.training.fit import fit
from hjepa.training.sources import StateSource
from tasks import TrajectoryStore, task_spec

EYES = Path(__file__).parent.parent / "nested-point-d3" / "eyes.yaml"
BEGIN = "two-room"
SHIFT = 10.0
ARMS = {"neither": (False, 0.0), "fine": (True, 0.0), "shift": (False, SHIFT), "both": (True, SHIFT)}
MOMENTS = 2000
"""Of each held-out store, half of them to fit the map."""
BLOCK = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", "small", "large", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1", help="of training, with commas")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed, arm in product(options.seeds.split(","), ARMS):
        folder = options.out / f"{arm}-{seed}"
        # A run that is there is loaded if it was made with the same settings, and refused if not.
        fit(configured(arm, int(seed), options), options.data, folder, device="cpu", start=BEGIN)
        facts = {
            "arm": arm, "train_seed": int(seed), "steps": options.steps, "batch": options.batch,
            "checkpoint_sha256": describe(folder)["sha256"], "data_sha256": describe(folder)["data_sha256"],
        }  # fmt: skip
        for pictures in ("small", "large"):
            errors = off_by(load_stack(folder), getattr(options, pictures))
            quantiles = {f"q{q}": round(float(np.quantile(errors, q / 100)), 4) for q in (50, 90, 99)}
            rows.append({**facts, "pictures": pictures, "moments": len(errors), **quantiles,
                         "errors": [round(float(e), 3) for e in errors]})  # fmt: skip
        text = json.dumps({"rows": rows}, indent=1)
        (options.out / "results.json").write_text(re.sub(r",\s+(?=[-\d])", ", ", text) + "\n")


def configured(arm: str, seed: int, options: argparse.Namespace) -> RunConfig:
    """The eyes of an arm."""
    content, path = read_preset(str(EYES))
    level: dict[str, Any] = content["levels"][0]
    level["fine"], level["loss"]["shift"] = ARMS[arm]
    words = [f"train.seed={seed}", f"train.steps=[{options.steps}]", f"train.batch={options.batch}"]
    return parse_config(override(content, words), str(path))


@torch.no_grad()
def off_by(stack: Stack, data: Path) -> np.ndarray:
    """Errors (n,) of places read off latents, in cells, on layouts that the map was not fitted on."""
    store = TrajectoryStore.open(data)
    source = StateSource(store, world_of(task_spec(store.meta["task"]), "image").sight)
    rows = np.unique(np.linspace(0, len(store.agent) - 1, MOMENTS).astype(np.int64))
    places = stack.level(0).places
    seen = [stack.level(0).encode(torch.from_numpy(source.show(part))[None], None)[0, :, :places].numpy()
            for part in np.array_split(rows, len(rows) // BLOCK)]  # fmt: skip
    read = np.c_[np.concatenate(seen), np.ones(len(rows))]
    true, layout = store.agent[rows, :2], store.grid_index[rows]
    fits = layout < np.median(layout)
    fitted, *_ = np.linalg.lstsq(read[fits], true[fits], rcond=None)
    return np.linalg.norm(read[~fits] @ fitted - true[~fits], axis=-1)


if __name__ == "__main__":
    main()
