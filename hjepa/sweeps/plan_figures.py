"""Pictures of the episodes of a request: what every level imagined, still and moving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hjepa.devices import fix_threads, torch_device
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent, play
from hjepa.evaluation.held_out import draw
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.figures import plan_animation, save_gif, subgoals
from hjepa.model.checkpoints import load_stack
from hjepa.sweeps.plan_cells import Cell, asked_of, cells_of
from tasks import task_spec

TOGETHER = 10
"""Episodes played at once: what was imagined takes memory."""


def check_drawn(request: PlanRequest) -> None:
    """Whether the pictures can show what the request asks for.

    Raises:
        InputError: they cannot.
    """
    for name, asked in (
        ("zones", request.zones),
        ("mission", request.mission),
        ("memory", request.memory),
        ("oracle", request.oracle not in (None, ("none",), ["none"])),
        ("perception", request.perception != "symbolic"),
    ):
        if asked:
            raise InputError(f"--figures with --{name}", "plan", "leave one of them out")
    spec = task_spec(request.task)
    if spec.continuous or spec.view:
        raise InputError(f"--figures on {spec.id}", "plan", "it draws worlds of cells that are seen whole")


def draw_plans(request: PlanRequest, folder: Path, tell: Callable[[int, int], None] | None = None) -> int:
    """Play every episode of every cell once more, which gives the same bits, and draw it.

    Args:
        request: that `check_drawn` lets pass.
        folder: gets ``L4-imagined-s0-e007.png`` and ``.gif``: levels, metric, seed and episode; with several planners
            or budgets these too. Files of these names are replaced.
        tell: called with the episodes drawn so far and all of them.

    Returns:
        episodes drawn.
    """
    fix_threads()
    stack = load_stack(request.checkpoint, str(torch_device(request.device)))
    cells = list(cells_of(request, stack))
    folder.mkdir(parents=True, exist_ok=True)
    done, every = 0, len(cells) * request.episodes
    if tell is not None:
        tell(0, every)
    for cell in cells:
        asked = asked_of(request, cell, stack)
        agent = make_agent(stack, asked.task, replace(asked.agent, record=True))
        batch = draw(asked).episodes
        for first in range(0, request.episodes, TOGETHER):
            part = batch.select(slice(first, first + TOGETHER))
            trace = play(agent, asked.task, part, first, cell.seed)
            for row in range(len(part)):
                name = file_name(request, cell, first + row)
                subgoals(trace, row, task=asked.task.id).savefig(folder / f"{name}.png", dpi=100)
                save_gif(plan_animation(trace, row, task=asked.task.id), folder / f"{name}.gif", dpi=60)
                done += 1
                if tell is not None:
                    tell(done, every)
    return done


def file_name(request: PlanRequest, cell: Cell, episode: int) -> str:
    """What the pictures of an episode are called, without an ending."""
    parts = [f"L{cell.levels}", cell.metric]
    if request.planner is not None and len(request.planner) > 1:
        parts.append(str(cell.planner))
    if request.budget_tflops is not None and len(request.budget_tflops) > 1:
        parts.append(f"{cell.budget_tflops:g}tflop")
    return "-".join([*parts, f"s{cell.seed}", f"e{episode:03d}"])
