"""Write one page that plays what agents imagined and did: every level's plans, subgoals, costs and latents.

The page is one file, needs no network, and opens in any browser. Runs are shipped weights, as told-nested-d4 or
told-flat-d4, or run folders; of several the page shows any two side by side on the same episodes. Of a world that was
learned from a store of observations it shows what the environment renders, and plans in the latents.
"""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import add_allow, add_overrides, integers, progress_bar, whole, words
from hjepa.evaluation.plan_request import SPLITS, TASK_KINDS
from hjepa.places import output_file
from levels.metrics_names import METRICS


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="shipped weights, or run folders")
    add("--out", required=True, metavar="PAGE.html", help="the page")
    add(
        "--goals",
        metavar="world|offset:K",
        help="in worlds that were learned from a store of observations, as for `hjepa plan`: what the world shows as"
        " its goal (default), or what was seen K steps later in held-out trajectories",
    )
    add("--data", metavar="DIR", help="those trajectories")
    add(
        "--success",
        metavar="same|distance:X|world",
        help="when such a goal is reached; default: as `hjepa plan`",
    )
    add("--step-budget", type=whole(1), metavar="N", help="of such a world; default: as `hjepa plan`")
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
    add("--json", metavar="FILE", help="where the data of the page goes as well")


def run(options: Any) -> None:
    out = output_file(options.out)
    data = None if options.json is None else output_file(options.json)
    from hjepa.explorer.page import page
    from hjepa.explorer.recording import record
    from hjepa.explorer.request import ExploreRequest
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
        goals=options.goals,
        data=options.data,
        success=options.success,
        step_budget=options.step_budget,
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
