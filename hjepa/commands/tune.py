"""Tune an agent's planning on validation tasks, at the compute that all agents get.

For baselines first of all: the flat agent of a comparison should be as good as its planning can be made.
A killed run goes on after the last trial that it finished.
"""

from __future__ import annotations

import sys
from typing import Any

from hjepa.commands._options import add_allow, between, integers, known_task, seeds, usable_cpus, whole, words
from hjepa.evaluation.plan_request import TASK_KINDS, remove_progress
from hjepa.places import output_file


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="NAME_OR_DIR", help="shipped weights, or a run folder")
    add_allow(parser)
    add("--task", required=True, metavar="ID", help="`hjepa tasks` lists them")
    add("--levels", type=whole(1, 32), default=1, metavar="N", help="of the agent; default: 1, the flat one")
    add("--metric", type=words, required=True, metavar="l2,commute", help="each is tuned by itself")
    add(
        "--horizons",
        type=integers,
        metavar="8,12",
        help="of the top level, that are tried; default: all that make sense",
    )
    add(
        "--commits",
        type=integers,
        metavar="4,8",
        help="steps of a plan that the flat agent walks before the next, that are tried; default: as above",
    )
    add(
        "--rounds",
        type=whole(1, 1000),
        default=1,
        metavar="N",
        help="how often the other settings are tried, each time on top of the best so far; default: 1",
    )
    add(
        "--episodes",
        type=whole(1, 1_000_000),
        default=48,
        metavar="N",
        help="validation tasks of a trial; default: 48",
    )
    add("--seed", type=seeds, default=0, metavar="S", help="of episodes and planner; default: 0")
    add(
        "--tasks",
        choices=list(TASK_KINDS),
        help="start and goal; default: the task's first, far on our floor plans",
    )
    add(
        "--budget-tflops",
        type=between(0, 1e6, above=True),
        metavar="X",
        help="per episode; default: the task's",
    )
    add(
        "--workers",
        type=whole(1, 1024),
        default=usable_cpus(),
        metavar="N",
        help="trials at once; default: one per core",
    )
    add("--json", required=True, metavar="FILE", help="where everything that was tried goes")


def continues(_: Any) -> bool:
    """Whether the same command goes on where an interrupted one stopped."""
    return True


def run(options: Any) -> None:
    file = output_file(options.json)
    progress = file.with_name(f"{file.name}.partial")
    known_task(options.task)

    from hjepa.json_files import write_json
    from hjepa.sweeps.tuning import tune

    def note(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    found = tune(
        options.checkpoint,
        options.task,
        options.metric,
        options.levels,
        options.episodes,
        options.seed,
        options.tasks,
        options.budget_tflops,
        options.workers,
        note,
        options.horizons,
        options.commits,
        options.rounds,
        progress,
    )
    write_json(file, found)
    remove_progress(progress)
    for metric, result in found["metrics"].items():
        print(f"{metric}: {result['chosen']}")
