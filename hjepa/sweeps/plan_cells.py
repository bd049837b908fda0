"""``hjepa plan``: the cells of a request, side by side, each continuing where a killed run stopped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from functools import partial

from hjepa.config import with_plan
from hjepa.devices import fix_threads, torch_device, visible_gpus
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent
from hjepa.evaluation.held_out import Evaluation
from hjepa.evaluation.plan_request import SUBGOALS, PlanRequest
from hjepa.evaluation.records import Record
from hjepa.gridworld.guardrails import sample_zones
from hjepa.gridworld.missions import mission_text, read_mission, sample_missions
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.stack import Stack
from hjepa.settings import PlanSettings, RunConfig
from hjepa.sweeps.cell import check_episodes
from hjepa.sweeps.kept import Kept, request_identity
from hjepa.sweeps.plan_progress import Board, Tell, posted
from hjepa.sweeps.workers import workers
from tasks import task_spec


@dataclass(frozen=True)
class Cell:
    """One record of a request.

    Attributes:
        seed: of the episodes.
        oracle: None for the agent as it is.
        levels, metric, planner, budget_tflops, memory: as named on the command line; planner None: the settings' own,
            budget and memory None: the task's.
    """

    seed: int
    oracle: str | None
    levels: int
    metric: str
    planner: str | None
    budget_tflops: float | None = None
    memory: str | None = None


def plan_command(request: PlanRequest, tell: Tell | None = None) -> list[Record]:
    """One record per seed, oracle, number of levels, metric, planner, budget and memory; see `PlanRequest`.

    Everything that cannot work is refused before the first episode.

    Args:
        request: what to plan.
        tell: how far it is, see `hjepa.sweeps.plan_progress`.

    Raises:
        InputError: a checkpoint, task or setting that cannot work.
    """
    fix_threads()
    if request.mission is not None:
        # A file may change while work goes on.
        request = replace(request, mission=mission_text(request.mission))
    device = torch_device(request.device)
    stack = load_stack(request.checkpoint, str(device))
    cells = list(cells_of(request, stack))
    spec = task_spec(request.task)
    for seed in request.seed:
        check_episodes(request.task, request.split, request.tasks, request.episodes, seed)
    for cell in cells:
        asked = asked_of(request, cell, stack)
        make_agent(stack, spec, asked.agent, asked.oracle)
    if request.mission is not None:
        sample_missions(
            request.task, read_mission(request.mission), request.split, request.tasks, 1, request.seed[0]
        )
    if request.zones:
        sample_zones(request.task, request.split, request.tasks, 1, request.seed[0])
    gpus = visible_gpus() if device.type == "cuda" else []
    # A GPU plans many episodes at once, so that a second process on it would only take its memory.
    count = min(request.workers, len(cells), len(gpus) if device.type == "cuda" else len(cells))
    with posted(len(cells), request.episodes, tell) as board:
        if count <= 1:
            return [plan_cell(request, cell, board, row) for row, cell in enumerate(cells)]
        # A worker that finds no GPU says so, instead of making its records on the CPU.
        request = replace(request, device=device.type)
        with workers(count, gpus) as pool:
            jobs = {pool.submit(plan_cell, request, cell, board, row): cell for row, cell in enumerate(cells)}
            records = {jobs[job]: job.result() for job in as_completed(jobs)}
        return [records[cell] for cell in cells]


def plan_cell(request: PlanRequest, cell: Cell, board: Board | None = None, row: int = 0) -> Record:
    """One cell of a request, which notes in its row of a board how far it is."""
    fix_threads()
    described = describe(request.checkpoint)
    stack = load_stack(request.checkpoint, str(torch_device(request.device)))
    config = with_plan(stack.config, request.overrides)
    facts = {"train_seed": described.get("train_seed"), "checkpoint_sha256": described["sha256"]}
    identity = {
        **request_identity(request),
        "checkpoint_sha256": described["sha256"],
        "config": repr(config),
    }
    note = None if board is None else partial(board.note, row)
    kept = Kept(request.progress, asdict(cell), identity, note=note)
    if kept.finished is not None:
        kept.tell(request.episodes, round(request.episodes * kept.finished["success_rate"]))
        return kept.finished
    record = evaluate(stack, asked_of(request, cell, stack), facts=facts, progress=kept)
    if request.overrides:
        record["overrides"] = list(request.overrides)
    kept.record(record)
    return record


def asked_of(request: PlanRequest, cell: Cell, stack: Stack) -> Evaluation:
    """What a cell of a request asks of a stack."""
    return Evaluation.of(
        stack,
        request.task,
        levels=cell.levels,
        budget_tflops=cell.budget_tflops,
        settings=_settings(with_plan(stack.config, request.overrides), cell),
        memory=cell.memory,
        perception=request.perception,
        unguarded=request.unguarded,
        episodes=request.episodes,
        seed=cell.seed,
        split=request.split,
        tasks=request.tasks,
        oracle=cell.oracle,
        zones=request.zones,
        mission=request.mission,
        diagnostics=request.diagnostics,
        episode_batch=request.episode_batch,
    )


def cells_of(request: PlanRequest, stack: Stack) -> Iterator[Cell]:
    """The cells of a request, in the order of its records.

    Raises:
        InputError: an oracle that none of the numbers of levels has a part for.
    """
    plan = with_plan(stack.config, request.overrides).plan
    choices = itertools.product(
        request.seed,
        rungs(request, stack.depth),
        request.metric or (plan.metric,),
        request.planner or (None,),
        request.budget_tflops or (None,),
        request.memory or (None,),
    )
    for seed, (oracle, levels), metric, planner, budget, memory in choices:
        yield Cell(seed, oracle, levels, metric, planner, budget, memory)


def rungs(request: PlanRequest, depth: int) -> list[tuple[str | None, int]]:
    """Which oracle is planned with how many levels; an oracle only with numbers of levels that have its part.

    Raises:
        InputError: an oracle that none of the numbers of levels has a part for.
    """
    found: list[tuple[str | None, int]] = []
    for name in request.oracle or ("none",):
        counts = list(request.levels or range(1, depth + 1))
        if name.startswith(SUBGOALS):
            counts = [levels for levels in counts if levels == int(name.removeprefix(SUBGOALS))]
        elif name == "random-subgoals":
            counts = [levels for levels in counts if levels > 1]
        if not counts:
            asked = ",".join(map(str, request.levels or range(1, depth + 1)))
            needed = name.removeprefix(SUBGOALS) if name.startswith(SUBGOALS) else "2 or more"
            raise InputError(f"oracle {name!r} with levels {asked}", "plan", f"give levels {needed}")
        found += [(None if name == "none" else name, levels) for levels in counts]
    return found


def _settings(config: RunConfig, cell: Cell) -> PlanSettings:
    """The plan settings of a configuration with a cell's metric and planner, checked."""
    planner = [] if cell.planner is None else [f"plan.planner={cell.planner}"]
    return with_plan(config, [f"plan.metric={cell.metric}", *planner]).plan
