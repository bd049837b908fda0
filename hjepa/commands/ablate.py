"""Run a grid of cells, each a trained stack planned on the same episodes, in a folder that can be continued.

Every list makes an axis of the grid, also a list behind --set. A preset may hold a grid of its own in its section
`ablate`; options replace its values. Finished cells are skipped, a failed one spares the others and is tried again
by the next run, and stacks and trajectories are shared by the cells that need the same.
"""

from __future__ import annotations

import sys
from typing import Any

from hjepa.commands._engines import add_engine, make_engine
from hjepa.commands._options import add_preset, integers, numbers, split_commas, words
from hjepa.evaluation.plan_request import SPLITS, TASK_KINDS


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add_preset(parser)
    add("--out", required=True, metavar="DIR", help="the folder; the same one continues an earlier run")
    add("--levels", type=integers, metavar="1,2,3", help="default: 1 to the preset's")
    add("--depth", type=words, metavar="truncated,trained", help="default: both")
    add("--train-seeds", type=integers, metavar="0,1", help="default: 0")
    add("--task", type=words, metavar="ID,ID", help="evaluate on; default: the preset's")
    add("--metric", type=words, metavar="l2,commute", help="default: the checkpoint's")
    add("--planner", type=words, metavar="adam,cem", help="default: the checkpoint's")
    add("--budget-tflops", type=numbers, metavar="X,Y", help="per episode; default: the task's")
    add("--split", choices=list(SPLITS), help="default: test")
    add("--tasks", choices=list(TASK_KINDS), help="default: far")
    add("--episodes", type=int, metavar="N", help="default: 200")
    add("--seed", type=int, metavar="S", help="of the evaluation; default: 0")
    add_engine(parser)


def continues(_: Any) -> bool:
    """Whether the same command goes on where an interrupted one stopped."""
    return True


def run(options: Any) -> int:
    from hjepa.commands._live import LiveGrid
    from hjepa.evaluation.tables import table
    from hjepa.sweeps.grid import expand, read_grid
    from hjepa.sweeps.sweep import ablate

    grid = read_grid(
        options.preset,
        levels=options.levels,
        depth=options.depth,
        train_seeds=options.train_seeds,
        task=options.task,
        metric=options.metric,
        planner=options.planner,
        budget_tflops=options.budget_tflops,
        overrides=axes(options.overrides),
        split=options.split,
        tasks=options.tasks,
        seed=options.seed,
        episodes=options.episodes,
    )
    specs = expand(options.preset, grid)
    engine = make_engine(options)
    with LiveGrid(specs, sys.stderr, options.out) as live:
        result = ablate(specs, options.out, engine, on_outcome=live.show)
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
