"""The demo: collect, train a small stack, plan held-out tasks with 1 to 3 levels, draw.

Every step continues where a killed run stopped. The flat agent's horizon is tuned on validation tasks, at the compute
that all agents get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hjepa import figures
from hjepa.ablation import collect_store
from hjepa.checkpoints import describe
from hjepa.config import METRICS, PlanSettings, load_preset
from hjepa.devices import fix_threads
from hjepa.evaluation import evaluate, watch
from hjepa.json_files import read_json, write_json
from hjepa.records import Record
from hjepa.stack import Stack
from hjepa.training import fit

EPISODES = 200
TUNING_EPISODES = 48
SEED = 0


def run(out: Path, note: Callable[[str], None] = lambda text: None) -> list[Record]:
    """Run the demo into a folder, which is also a checkpoint.

    Args:
        out: run folder; gets ``results.json``, ``tuning.json`` and ``figures/``.
        note: told what is done next, in a line.
    """
    fix_threads()
    config = load_preset("demo")
    data = out.with_name(f"{out.name}.data")
    note(f"collecting trajectories of {config.task}")
    collect_store(config, data)
    note("training three levels, one after another")
    stack = fit(config, data, out, device="cpu")
    facts = {"train_seed": config.train.seed, "checkpoint_sha256": describe(out)["sha256"]}
    records: dict[str, Record] = {}
    finished = out / "results.partial.json"
    if finished.exists():
        content = read_json(finished)
        records = content["records"] if content["checkpoint"] == facts["checkpoint_sha256"] else {}
    for metric in METRICS:
        for levels in range(1, stack.depth + 1):
            cell = f"{levels} levels, {metric}"
            if cell in records:
                continue
            settings = replace(stack.config.plan, metric=metric)
            if levels == 1:
                note(f"tuning the flat agent on validation tasks, {metric}")
                settings = tune_flat(stack, config.task, settings, out / f"tuning-{metric}.json")
            note(f"planning {EPISODES} held-out tasks with {cell}")
            records[cell] = evaluate(
                stack, config.task, levels, EPISODES, SEED, settings=settings, facts=facts
            )
            write_json(finished, {"checkpoint": facts["checkpoint_sha256"], "records": records})
    results = [records[f"{k} levels, {m}"] for k in range(1, stack.depth + 1) for m in METRICS]
    note("drawing figures")
    draw(stack, config.task, results, out)
    write_json(out / "results.json", results)
    finished.unlink()
    return results


def tune_flat(stack: Stack, task: str, settings: PlanSettings, file: Path) -> PlanSettings:
    """The flat agent's best horizon and commitment on validation tasks, at the task's compute budget.

    Args:
        stack: trained levels; only the first is used.
        task: id.
        settings: of planning, otherwise.
        file: gets what was tried.
    """
    longest = stack.config.levels[0].rollout
    tried: list[dict[str, Any]] = []
    flat = stack.truncate(1)
    for horizon in (3, 4, 6, 8):
        for commit in sorted({max(horizon // 2, 1), horizon}):
            if horizon > longest:
                continue
            candidate = replace(settings, horizon=(horizon,), commit=commit, share=settings.share[:1])
            record = evaluate(flat, task, 1, TUNING_EPISODES, SEED, "validation", settings=candidate)
            tried.append(
                {
                    "horizon": horizon,
                    "commit": commit,
                    "success_rate": record["success_rate"],
                    "spl": record["spl"],
                    "tflops_per_episode": record["tflops_per_episode"],
                }
            )
    best = max(tried, key=lambda row: (row["success_rate"], row["spl"]))
    write_json(file, {"split": "validation", "episodes": TUNING_EPISODES, "tried": tried, "chosen": best})
    return replace(settings, horizon=(best["horizon"], *settings.horizon[1:]), commit=best["commit"])


def draw(stack: Stack, task: str, records: list[Record], out: Path) -> None:
    """The demo's figures: subgoals of one episode at every level, success by levels and by distance."""
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    best = max(records, key=lambda record: (record["levels"] > 1, record["success_rate"], record["spl"]))
    settings = replace(stack.config.plan, metric=best["metric"])
    trace = watch(stack, task, stack.depth, episodes=8, seed=SEED, settings=settings)
    solved = np.flatnonzero(trace.results.success)
    episode = int(solved[0]) if len(solved) else 0
    pictures = {
        "subgoals": figures.subgoals(trace, episode=episode),
        "success_by_levels": figures.success_by_levels(records),
        "success_by_distance": figures.success_by_distance(records),
    }
    for name, picture in pictures.items():
        picture.savefig(folder / f"{name}.png", dpi=150)


__all__ = ["draw", "run", "tune_flat"]
