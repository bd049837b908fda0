"""Write one page that plays what agents imagined and did: every level's plans, subgoals, costs and latents.

The page is one file, needs no network, and opens in any browser. Runs are shipped weights, as told-nested-d4 or
told-flat-d4, or run folders; of several the page shows any two side by side on the same episodes.
"""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import add_allow, add_overrides, integers, known_task, progress_bar, words
from hjepa.evaluation.plan_request import SPLITS, TASK_KINDS
from hjepa.places import output_file
from levels.metrics_names import METRICS


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="shipped weights, or run folders")
    add("--out", required=True, metavar="PAGE.html", help="the page")
    add("--task", metavar="ID", help="`hjepa tasks` lists them; default: what each run was trained for")
    add("--levels", type=integers, metavar="1,2,3", help="numbers of levels; default: 1 to all of each run")
    add(
        "--metric",
        type=words,
        metavar="M,N",
        help=f"of the goal cost: {', '.join(METRICS)}; default: each run's",
    )
    add("--episodes", type=int, default=6, metavar="N", help="the first of the evaluation set; default: 6")
    add("--seed", type=int, default=0, metavar="S", help="of episodes and planner; default: 0")
    add("--split", choices=list(SPLITS), default="test", help="default: test")
    add("--tasks", choices=list(TASK_KINDS), help="start and goal; default: the task's first")
    add("--budget-tflops", type=float, metavar="X", help="per episode; default: the task's")
    add_overrides(parser, "replace a setting of planning, as plan.horizon=3; may be repeated")
    add_allow(parser)
    add("--data", metavar="FILE.json", help="where the data of the page goes as well")


def run(options: Any) -> None:
    out = output_file(options.out)
    data = None if options.data is None else output_file(options.data)
    if options.task is not None:
        known_task(options.task)

    from hjepa.explorer.page import page
    from hjepa.explorer.recording import ExploreRequest, record
    from hjepa.json_files import write_json, write_text

    request = ExploreRequest(
        runs=options.runs if isinstance(options.runs, list) else [options.runs],
        task=options.task,
        levels=options.levels,
        metric=options.metric,
        episodes=options.episodes,
        seed=options.seed,
        split=options.split,
        starts=options.tasks,
        budget_tflops=options.budget_tflops,
        overrides=options.overrides,
    )
    with progress_bar("explore", "episode") as tell:
        content = record(request, tell)
    text = page(content)
    write_text(out, text)
    if data is not None:
        write_json(data, content)
    agents, episodes = len(content["agents"]), request.episodes
    print(
        f"{out}: {agents} agents, {episodes} episodes, {len(text.encode()) / 1e6:.1f} MB; open it in a browser"
    )
