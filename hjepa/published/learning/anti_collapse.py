"""Trains level 1 of `nested-d2` or of `two-room` with every way not to collapse, with inverse dynamics and without, and
plans with it.

    hjepa collect --preset nested-d2 --out d2.data
    python hjepa/published/learning/anti_collapse.py --data d2.data --out runs [--seeds 0,1,2] [--steps 3000]

    held="--preset two-room --set collect.plans=1000"
    hjepa collect --preset two-room --out two-room.data
    hjepa collect $held --set collect.split=validation --set collect.seed=2 --out validation.data
    hjepa collect $held --set collect.split=test --set collect.seed=1 --out test.data
    python hjepa/published/learning/anti_collapse.py --preset two-room --data two-room.data \\
           --validation-data validation.data --test-data test.data --out runs

First the weights of each way's own terms are swept, all by the same factors, with inverse dynamics and a training seed
of their own, for as many steps. Of the factors under which the monitor did not warn, by the rule ``success`` the one is
kept that solves most validation tasks, by ``ahead`` the one with the least error of 8 imagined steps; where it warned
of all, of all. ``--factors`` gives them instead.
Then, seed by seed, the ways of ``--kinds`` are trained with inverse dynamics, those of ``--without`` without, and plan
the same test tasks alone, as a flat agent under plain L2. Runs that are there are not trained again, and what was
planned is not planned again.

`anti_collapse.json` beside the runs has one row per run: what level 1 shows in the mean of its last five logged steps,
when the monitor warned, and its record of the tasks. `anti_collapse-sweep.json` has those of the sweep.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

from hjepa.config import RunConfig, override, parse_config, read_preset
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.records import Record, read_records, write_json
from hjepa.model.checkpoints import describe
from hjepa.sweeps.plan_cells import plan_command
from hjepa.sweeps.plan_worlds import plan_in_world
from hjepa.training.collapse import CollapseWarning
from hjepa.training.fit import fit

KINDS = ("none", "vicreg", "sigreg", "rate_reduction", "barlow", "contrastive", "distillation")
TERMS = {"vicreg": ("variance", "covariance"), "rate_reduction": ("rate_reduction",), "barlow": ("barlow",),
         "sigreg": ("sigreg",), "contrastive": ("contrastive",), "distillation": ("similarity",)}  # fmt: skip
"""The weights that are a way's own. Distillation has no term; what pulls against it is the similarity term."""
FACTORS = (0.2, 1.0, 5.0, 25.0, 125.0)
"""Wide, because weights of different ways are not alike: that of SIGReg's paper is 130 times the default here."""
WORLDS = {
    "nested-d2": {"horizon": [8], "share": [1.0], "metric": "l2"},
    "two-room": {"horizon": [16], "commit": 4, "haste": 0.0, "ground": 0, "share": [1.0], "metric": "l2"},
}
"""Of each preset that can be tried, how its level 1 plans alone under plain L2."""
BEYOND = (("sigreg", 625.0), ("sigreg", 3125.0), ("distillation", 0.0))
"""Of the first sweep SIGReg was best at its edge; and nothing need pull against distillation."""
ROLLOUT = 16
OFFSET = 50
"""Steps between start and goal in trajectories of `two-room`."""
SWEEP_SEED = 100
SHOWN = ("loss", "prediction", "inverse", "effective_rank", "spread", "position_error", "ahead_1", "ahead_4",
         "ahead_8")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=sorted(WORLDS), default="nested-d2")
    parser.add_argument("--data", type=Path, required=True)
    for split in ("validation", "test"):
        parser.add_argument(
            f"--{split}-data", type=Path, help="trajectories that goals of two-room are drawn from"
        )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0", help="of training, with commas")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--plans", type=int, default=4, help="floor plans in a batch")
    parser.add_argument("--validation", type=int, default=64, help="tasks that choose a factor")
    parser.add_argument("--episodes", type=int, default=200, help="test tasks of each run")
    parser.add_argument(
        "--factors", default="", help="KIND=FACTOR,...: what a sweep chose; none is swept then"
    )
    parser.add_argument("--rule", choices=("success", "ahead"), default="success")
    parser.add_argument("--sweep", default="", help="KIND=FACTOR,...: sweep these alone, and end")
    parser.add_argument("--kinds", default=",".join(KINDS), help="ways trained with inverse dynamics")
    parser.add_argument(
        "--without", default=",".join(KINDS), help="ways also trained without inverse dynamics"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.preset == "two-room" and None in (options.validation_data, options.test_data):
        parser.error("two-room needs --validation-data and --test-data")
    if options.sweep:
        swept(options, given_factors(options.sweep))
        return
    asked = {1.0: options.kinds.split(","), 0.0: options.without.split(",")}
    pairs = [pair for pair in (*product(TERMS, FACTORS), *BEYOND) if pair[0] in asked[1.0] + asked[0.0]]
    factors = dict(given_factors(options.factors)) or chosen(swept(options, pairs), options.rule)
    rows: list[dict[str, Any]] = []
    for seed, kind, inverse in product(options.seeds.split(","), KINDS, (1.0, 0.0)):
        if kind not in asked[inverse]:
            continue
        row = run(options, kind, inverse, int(seed), factors.get(kind, 1.0))
        rows.append({**row, "record": planned(options, row["run"], "test", options.episodes)})
        write_json(options.out / "anti_collapse.json", rows)


def given_factors(text: str) -> list[tuple[str, float]]:
    """What ``--factors`` or ``--sweep`` says."""
    pairs = (word.partition("=") for word in text.split(",") if word)
    return [(name, float(value)) for name, _, value in pairs]


def swept(options: argparse.Namespace, pairs: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """Rows of trainings with these factors."""
    rows: list[dict[str, Any]] = []
    for kind, factor in pairs:
        row = run(options, kind, 1.0, SWEEP_SEED, factor)
        rows.append({**row, "record": planned(options, row["run"], "validation", options.validation)})
        write_json(options.out / "anti_collapse-sweep.json", rows)
    return rows


def chosen(rows: list[dict[str, Any]], rule: str) -> dict[str, float]:
    """Of every way the factor that is best by the rule, the smaller of two; those that were warned of come last."""
    best: dict[str, tuple[bool, float, float]] = {}
    for row in rows:
        value = float(row["ahead_8"]) if rule == "ahead" else -float(row["record"]["success_rate"])
        score = (row["warned"] is not None, value, float(row["factor"]))
        best[row["anti_collapse"]] = min(best.get(row["anti_collapse"], score), score)
    return {kind: factor for kind, (_, _, factor) in best.items()}


def run(options: argparse.Namespace, kind: str, inverse: float, seed: int, factor: float) -> dict[str, Any]:
    """One training, as a row."""
    content = level_1(options.preset)
    content["levels"][0]["anti_collapse"] = kind
    weights = content["levels"][0]["loss"]
    weights["inverse"] = inverse
    standard = parse_config(content, options.preset).levels[0].loss
    weights |= {term: standard.of(term) * factor for term in TERMS.get(kind, ())}
    config = configured(
        options.preset, content, f"train.seed={seed}", f"train.batch={options.batch}", f"train.plans={options.plans}",
        f"train.steps=[{options.steps}]", "train.log_every=10", "train.metric_trajectories=64",
    )  # fmt: skip
    folder = options.out / f"{kind}-x{factor:g}-{'with' if inverse else 'without'}-{seed}"
    note = folder.with_name(f"{folder.name}.warned.json")
    if not folder.exists():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            fit(config, options.data, folder, device="cpu", progress=False)
        note.write_text(json.dumps([str(w.message) for w in said if w.category is CollapseWarning]))
    warned = json.loads(note.read_text())
    with (folder / "metrics.csv").open(newline="") as stream:
        last = list(csv.DictReader(stream))[-5:]
    return {
        "run": folder.name, "anti_collapse": kind, "factor": factor, "inverse_dynamics": inverse > 0,
        "train_seed": seed, "steps": options.steps, "batch": options.batch, "plans": options.plans,
        "warned": warned[0] if warned else None, "checkpoint_sha256": describe(folder)["sha256"],
        "data_sha256": describe(folder)["data_sha256"],
        **{name: round(sum(float(row[name]) for row in last) / len(last), 4) for name in SHOWN if last[0].get(name)},
    }  # fmt: skip


def planned(options: argparse.Namespace, name: str, split: str, episodes: int) -> Record:
    """The record of a run that plans alone, under plain L2."""
    file = options.out / f"{name}.{split}.json"
    if not file.exists():
        request = PlanRequest(
            checkpoint=str(options.out / name), task=level_1(options.preset)["task"], levels=(1,), episodes=episodes,
            split=split, metric=("l2",), device="cpu",
        )  # fmt: skip
        goals = {"validation": options.validation_data, "test": options.test_data}[split]
        if goals is None:
            write_json(file, plan_command(request))
        else:
            write_json(file, plan_in_world(request, goals=f"offset:{OFFSET}", data=str(goals)))
    (record,) = read_records(file)
    return record


def level_1(preset: str) -> dict[str, Any]:
    """The preset with level 1 alone, the flat agent of plain L2."""
    content, path = read_preset(preset)
    if not isinstance(content, dict):
        raise InputError("holds no preset", str(path), "mend the file")
    content["levels"], content["train"]["steps"] = content["levels"][:1], [1]
    content["levels"][0]["rollout"] = ROLLOUT
    content["plan"] |= WORLDS[preset]
    content.pop("critic", None)
    for name in ("subgoals", "flat"):
        content["plan"].pop(name, None)
    return content


def configured(preset: str, content: dict[str, Any], *changes: str) -> RunConfig:
    """A checked configuration."""
    return parse_config(override(content, changes), preset)


if __name__ == "__main__":
    main()
