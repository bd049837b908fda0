"""The demo: collect, train a small stack on what it sees, plan held-out tasks with 1 to 3 levels, draw.

Its eyes are those of the shipped ``nested-d2``; how the world moves, and all levels above, it learns here, from
pictures of a world four times as large. Every step continues where a killed run stopped. The flat agent's planning was
tuned on validation tasks, at the compute that all agents get: `PlanSettings.flat` in the preset, card ``demo``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path

import numpy as np

from hjepa import figures
from hjepa.config import load_preset
from hjepa.devices import fix_threads
from hjepa.evaluation.evaluate import evaluate, watch
from hjepa.evaluation.records import Record
from hjepa.figures.style import DPI
from hjepa.json_files import read_json, write_json
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.stack import Stack
from hjepa.places import output_folder
from hjepa.sweeps.sweep import collect_store
from hjepa.sweeps.workers import workers
from hjepa.training.fit import fit

EPISODES = 200
BUDGET = 0.01  # TFLOP an episode
SEED = 0
METRICS = ("l2", "critic")
EYES = "shipped:nested-d2"
WORKERS = 2


def run(out: Path, note: Callable[[str], None] = lambda text: None) -> list[Record]:
    """Run the demo into a folder, which is also a checkpoint.

    Args:
        out: run folder; gets ``results.json`` and ``figures/``.
        note: told what is done next, in a line.
    """
    out = output_folder(out)
    stack = train(out, note)
    cells = [(levels, metric) for levels in range(1, stack.depth + 1) for metric in METRICS]
    sha256 = describe(out)["sha256"]
    finished = out / "results.partial.json"
    records: dict[str, Record] = {}
    if finished.exists():
        content = read_json(finished)
        records = content["records"] if content["checkpoint"] == sha256 else {}
    todo = [cell for cell in cells if _name(cell) not in records]
    note(
        f"planning {EPISODES} held-out tasks with 1 to {stack.depth} levels, both metrics, {WORKERS} at a time"
    )
    with workers(WORKERS) as pool:
        jobs = {
            pool.submit(plan_cell, out, *cell, "test", EPISODES): cell  # (levels, metric)
            for cell in todo
        }
        for job in as_completed(jobs):
            name = _name(jobs[job])
            records[name] = job.result()
            note(f"  {name}: {100 * records[name]['success_rate']:.1f} %")
            write_json(finished, {"checkpoint": sha256, "records": records})
    results = [records[_name(cell)] for cell in cells]
    note("drawing figures")
    draw(stack, stack.config.task, results, out)
    write_json(out / "results.json", results)
    finished.unlink(missing_ok=True)
    return results


def train(out: Path, note: Callable[[str], None] = lambda text: None) -> Stack:
    """Collect and train, or go on where that stopped, or load what is there."""
    fix_threads()
    config = load_preset("shipped:demo")
    data = out.with_name(f"{out.name}.data")
    note(f"collecting trajectories of {config.task}")
    collect_store(config, data)
    note("training three levels, one after another")
    return fit(config, data, out, device="cpu", start=EYES)


def plan_cell(folder: Path, levels: int, metric: str, split: str, episodes: int) -> Record:
    """Evaluate one row of the demo's table, in a process of its own.

    Args:
        folder: checkpoint.
        levels, metric: of the row.
        split, episodes: which tasks.
    """
    fix_threads()
    stack = load_stack(folder)
    settings = replace(stack.config.plan, metric=metric)
    facts = {"train_seed": stack.config.train.seed, "checkpoint_sha256": describe(folder)["sha256"]}
    return evaluate(
        stack,
        stack.config.task,
        levels=levels,
        settings=settings,
        episodes=episodes,
        seed=SEED,
        split=split,
        budget_tflops=BUDGET,
        facts=facts,
    )


def _name(cell: tuple[int, str]) -> str:
    return f"{cell[0]} levels, {cell[1]}"


def draw(stack: Stack, task: str, records: list[Record], out: Path) -> None:
    """The demo's figures: subgoals of one episode at every level, success by levels and by distance."""
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    # Of all levels, under the metric in which the top one plans most, so that every level has something to show.
    best = max(records, key=lambda record: (record["levels"], record["active_share"][-1]))
    settings = replace(stack.config.plan, metric=best["metric"])
    trace = watch(stack, task, episodes=8, seed=SEED, settings=settings, budget_tflops=BUDGET)
    shown = trace.results.success * (1 + (trace.results.planned > 0).sum(1))
    episode = int(np.argmax(shown))
    pictures = {
        "subgoals": figures.subgoals(trace, episode=episode),
        "success_by_levels": figures.success_by_levels(records),
        "success_by_distance": figures.success_by_distance(records),
    }
    for name, picture in pictures.items():
        picture.savefig(folder / f"{name}.png", dpi=DPI)


__all__ = ["draw", "plan_cell", "run", "train"]
