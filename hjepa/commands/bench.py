"""Measure speed: `tasks` steps environments and reads windows, `plan` plans with a checkpoint."""

from __future__ import annotations

import json
from typing import Any

from hjepa.commands._options import add_allow, add_device, known_task
from hjepa.errors import InputError


def add_arguments(parser: Any) -> None:
    parser.add_argument("what", choices=["tasks", "plan"], help="what to measure")
    parser.add_argument("--task", metavar="ID", help="for tasks: which one; default: of middle size")
    parser.add_argument("--checkpoint", metavar="NAME_OR_DIR", help="for plan: weights or run folder")
    add_device(parser)
    add_allow(parser)


def run(options: Any) -> None:
    from hjepa.json_files import plain

    if options.what == "tasks":
        from tasks import throughput

        task = {} if options.task is None else {"task_id": known_task(options.task).id}
        measured = throughput.measure(**task)
    else:
        if options.checkpoint is None:
            raise InputError("no checkpoint to plan with", remedy="name one with --checkpoint")
        from hjepa.evaluation.bench import bench

        measured = bench(options.checkpoint, device=options.device, precision=options.precision)
    print(json.dumps(plain(measured), indent=1))
