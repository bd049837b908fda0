"""Trains and plans `nested-d2` where every symbol has another code: nothing may hang on what MiniGrid's codes mean.

    hjepa collect --preset nested-d2 --out d2.data
    python hjepa/published/nested-d2/permuted_codes.py --data d2.data --out runs --json permuted.json

Codes of every channel are exchanged wherever a network sees a picture, in training and in planning alike. Level 1 is
trained first and kept, as for the weights that are shipped; runs that are there are not trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from hjepa.config import load_preset
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.records import write_json
from hjepa.sweeps.plan_cells import plan_command
from hjepa.training.fit import fit
from levels.pictures import planes
from levels.settings import Sight
from tasks.randomness import keyed_generator

PRESET = "nested-d2"
STAGES = {
    "level-1": ("train.steps=[3000,10,10]", "critic.steps=10"),
    PRESET: ("train.steps=[0,5000,5000]",),
}
"""Runs one after the other, and what they change of the preset."""


@contextmanager
def permuted(seed: int) -> Iterator[None]:
    """Networks see other codes of the same symbols, drawn by the seed; no code stays what it was."""

    def seen(observation: Tensor, sight: Sight) -> Tensor:
        parts = [torch.from_numpy(other_codes(n, seed, i)) for i, n in enumerate(sight.codes)]
        changed = [part.to(observation.device)[observation[..., i].long()] for i, part in enumerate(parts)]
        return planes(torch.stack(changed, -1), sight)

    with patch("levels.pictures.planes", seen):
        yield


def other_codes(count: int, seed: int, channel: int) -> np.ndarray:
    """Codes (count,) in another order, in which none is in its own place, where there are two or more."""
    order = keyed_generator("permuted codes", seed, channel).permutation(count)
    other = np.empty(count, np.int64)
    other[order] = np.roll(order, 1)
    return other


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--codes", type=int, default=1, help="seed of the permutation")
    options = parser.parse_args()
    runs = options.out / f"codes-{options.codes}"
    with permuted(options.codes):
        start = None
        for name, changes in STAGES.items():
            fit(load_preset(PRESET, changes), options.data, runs / name, start=start, device="cpu")
            start = str(runs / name)
        records = plan_command(PlanRequest(
            checkpoint=str(start), task="hjepa/NestedRooms-d2-v0", levels=(1, 2, 3), metric=("critic",), episodes=200,
            seed=(0, 1, 2), budget_tflops=(0.01,), device="cpu", workers=1,
        ))  # fmt: skip
    write_json(options.json, [{**record, "codes": options.codes} for record in records])


if __name__ == "__main__":
    main()
