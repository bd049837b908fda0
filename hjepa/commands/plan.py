"""Plan evaluation episodes with a checkpoint, and write one record per seed, number of levels, metric, planner,
budget and memory.

The result is a function of the arguments, whatever the episode batch. With --json a killed run continues
where it stopped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hjepa.commands._options import (
    add_allow,
    add_device,
    add_overrides,
    integers,
    known_task,
    numbers,
    progress_bar,
    success_bar,
    usable_cpus,
    whole,
    words,
)
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PERCEPTIONS, SPLITS, TASK_KINDS, PlanRequest, remove_progress
from hjepa.places import output_file, output_folder, plain_name
from hjepa.planner_names import PLANNERS
from levels.metrics_names import METRICS

WEIGHTS = Path(__file__).parents[1] / "weights"


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="NAME_OR_DIR", help="shipped weights, or a run folder")
    add("--task", required=True, metavar="ID", help="`hjepa tasks` lists them")
    add("--levels", type=integers, metavar="1,2,3", help="numbers of levels; default: 1 to all")
    add("--episodes", type=int, default=200, metavar="N", help="default: 200")
    add(
        "--seed",
        type=integers,
        default=(0,),
        metavar="S",
        help="of episodes and planner; several, as 0,1,2, are pooled in the table; default: 0",
    )
    add("--split", choices=list(SPLITS), default="test", help="default: test")
    add(
        "--tasks",
        choices=list(TASK_KINDS),
        help="start and goal; default: the task's first, far on our floor plans",
    )
    add(
        "--goals",
        metavar="world|offset:K",
        help="in worlds that were learned from a store of observations: what the world shows as its goal (default), or"
        " what was seen K steps later in held-out trajectories",
    )
    add("--data", metavar="DIR", help="the held-out trajectories that goals are drawn from")
    add(
        "--success",
        metavar="same|distance:X|world",
        help="when such a goal is reached; default: same, where vectors are seen distance:0.1",
    )
    add("--step-budget", type=whole(1), metavar="N", help="of such a world; default: its own, or 2 K steps")
    add(
        "--metric",
        type=words,
        metavar="M,N",
        help=f"of the goal cost, one or several of {', '.join(METRICS)}; default: the checkpoint's",
    )
    add(
        "--planner",
        type=words,
        metavar="P,Q",
        help=f"one or several of {', '.join(PLANNERS.ours)} (value-map is a control); default: the checkpoint's",
    )
    add("--budget-tflops", type=numbers, metavar="X,Y", help="per episode; default: the task's")
    add(
        "--oracle",
        type=words,
        metavar="none,dynamics,cost,subgoals:2",
        help="parts that the truth takes the place of, for diagnosis; also random-subgoals",
    )
    add("--zones", action="store_true", help="forbid cells across the way of every episode, drawn by seed")
    add(
        "--perception",
        choices=list(PERCEPTIONS),
        default="symbolic",
        help="what the agent sees with: symbols, or pictures of them (taught by `hjepa see`); default: symbolic",
    )
    add("--unguarded", action="store_true", help="keep no guardrail, neither of zones nor of lava")
    add(
        "--mission",
        metavar="KIND|FILE",
        help="what to do instead of reaching the goal: reach, visit, avoid, match, fetch, a YAML file or a line of it",
    )
    add(
        "--memory",
        type=words,
        metavar="map,ring,none",
        help="of what has been seen, where the world is seen in parts; ring:K keeps K views; default: map",
    )
    add("--diagnostics", action="store_true", help="put what is known of every level into the records")
    add("--episode-batch", type=int, metavar="B", help="episodes planned at once; never changes the result")
    add_overrides(parser, "replace a setting of planning, as plan.horizon=3; may be repeated")
    add_device(parser)
    add_allow(parser)
    add(
        "--workers",
        type=int,
        default=usable_cpus(),
        metavar="N",
        help="records made at once; default: one per core",
    )
    add("--json", metavar="FILE", help="where the list of records goes")
    add(
        "--figures",
        metavar="DIR",
        help="where a PNG and a GIF of every episode go, as rendered where a world was learned from a store of"
        " observations; each is played once more for it",
    )


def continues(options: Any) -> bool:
    """Whether the same command goes on where an interrupted one stopped."""
    return options.json is not None


def run(options: Any) -> None:
    file = None if options.json is None else output_file(options.json)
    progress = None if file is None else file.with_name(f"{file.name}.partial")
    fields = PlanRequest.__dataclass_fields__.keys() - {"progress"}
    request = PlanRequest(**{name: getattr(options, name) for name in fields}, progress=progress)

    asked = {name: getattr(options, name) for name in ("goals", "data", "success", "step_budget")}
    if _saw_a_world(request.checkpoint):
        from hjepa.sweeps.plan_worlds import plan_in_world

        if options.figures is not None:
            from hjepa.sweeps.plan_worlds import WorldGoals
            from hjepa.sweeps.world_figures import check_pictured

            check_pictured(request, WorldGoals(**asked))
            output_folder(options.figures, renamed=False)
        with success_bar("plan") as tell:
            records = plan_in_world(request, **asked, tell=tell)
        mixed = False
    else:
        for name, value in asked.items():
            if value is not None:
                where = f"--{name.replace('_', '-')}"
                raise InputError(
                    where, "plan", "it goes with checkpoints of a store of observations; leave it out"
                )
        known_task(request.task)
        if options.figures is not None:
            from hjepa.sweeps.plan_figures import check_drawn

            check_drawn(request)
            output_folder(options.figures, renamed=False)
        from hjepa.sweeps.plan_cells import plan_command
        from tasks import task_spec
        from tasks.layouts import MIXTURES

        with success_bar("plan") as tell:
            records = plan_command(request, tell)
        mixed = task_spec(request.task).layout in MIXTURES and request.mission is None and not request.zones

    from hjepa.evaluation.records import write_json
    from hjepa.evaluation.tables import table

    print(table(records))
    if mixed:
        from hjepa.evaluation.families import family_table

        print(f"\n{family_table(records)}")
    if file is not None and progress is not None:
        write_json(file, records)
        remove_progress(progress)
    if options.figures is not None:
        _draw(request, asked, options.figures)


def _draw(request: PlanRequest, asked: dict[str, Any], folder: str) -> None:
    from hjepa.sweeps.plan_figures import draw_plans
    from hjepa.sweeps.plan_worlds import WorldGoals
    from hjepa.sweeps.world_figures import draw_in_world

    out = output_folder(folder, renamed=False)
    with progress_bar("figures", "episode") as tell:
        if _saw_a_world(request.checkpoint):
            count = draw_in_world(request, WorldGoals(**asked), out, tell)
        else:
            count = draw_plans(request, out, tell)
    print(f"{folder}: {count} episodes, a PNG and a GIF of each")


def _saw_a_world(checkpoint: str) -> bool:
    """Whether a checkpoint was trained on what a world showed, so far as its description can be read: what is wrong
    with one is for those to say who load it."""
    for folder in (Path(checkpoint), WEIGHTS / plain_name(checkpoint)):
        try:
            content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            return isinstance(content, dict) and content.get("played") is not None
        except (OSError, ValueError, RecursionError):
            continue
    return False
