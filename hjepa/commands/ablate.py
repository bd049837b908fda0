"""Run a grid of cells, each a trained stack planned on the same episodes, in a folder that can be continued.

Finished cells are skipped, a failed one spares the others and is tried again by the next run, and stacks
and trajectories are shared by the cells that need the same. A list of values after --set makes an axis of
the grid.
"""

from __future__ import annotations

import sys
from typing import Any

from hjepa.commands._options import add_preset, integers, known_task, numbers, split_commas, words
from hjepa.requests import DEPTHS, SPLITS, TASK_KINDS


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add_preset(parser)
    add("--out", required=True, metavar="DIR", help="the folder; the same one continues an earlier run")
    add("--levels", type=integers, metavar="1,2,3", help="default: 1 to the preset's")
    add(
        "--depth",
        type=words,
        default=DEPTHS,
        metavar="truncated,trained",
        help="default: both",
    )
    add("--train-seeds", type=integers, default=(0,), metavar="0,1", help="default: 0")
    add("--metric", type=words, metavar="l2,commute", help="default: the checkpoint's")
    add("--planner", type=words, metavar="adam,cem", help="default: the checkpoint's")
    add("--budget-tflops", type=numbers, metavar="X,Y", help="per episode; default: the task's")
    add("--task", metavar="ID", help="evaluate on; default: the preset's")
    add("--split", choices=list(SPLITS), default="test", help="default: test")
    add("--tasks", choices=list(TASK_KINDS), default="far", help="default: far")
    add("--episodes", type=int, default=200, metavar="N", help="default: 200")
    add("--seed", type=int, default=0, metavar="S", help="of the evaluation; default: 0")
    add("--workers", type=int, default=2, metavar="W", help="cells at once, one thread each; default: 2")


def run(options: Any) -> int:
    from hjepa.ablation import ablate
    from hjepa.cells import expand
    from hjepa.commands._live import LiveGrid
    from hjepa.engines import LocalProcesses
    from hjepa.tables import table

    specs = expand(
        options.preset,
        overrides=axes(options.overrides),
        levels=options.levels,
        depths=options.depth,
        train_seeds=options.train_seeds,
        metrics=options.metric or (None,),
        planners=options.planner or (None,),
        budgets=options.budget_tflops or (None,),
        task=options.task,
        split=options.split,
        tasks=options.tasks,
        seed=options.seed,
        episodes=options.episodes,
    )
    for task in sorted({spec["task"] for spec in specs}):
        known_task(task)
    grid = LiveGrid(specs, sys.stderr)
    result = ablate(specs, options.out, LocalProcesses(options.workers), on_outcome=grid.show)
    grid.close()
    if result.records:
        print(table(result.records))
    print(f"\n{options.out}: {len(result.records)} of {len(specs)} cells, {result.skipped} from earlier runs")
    for key, error in result.failed.items():
        print(f"failed: {options.out}/failed/{key}.json: {error}", file=sys.stderr)
    return 1 if result.failed else 0


def axes(overrides: list[str]) -> dict[str, list[str]]:
    """``["a.b=x,y", "c=1"]`` -> ``{"a.b": ["x", "y"], "c": ["1"]}``; the last of a key counts."""
    pairs = [override.partition("=") for override in overrides]
    return {key.strip(): split_commas(values) for key, _, values in pairs}
