"""Train a stack on a trajectory store.

The run folder is also a checkpoint. A killed run continues where it stopped and ends in the same weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hjepa.commands._options import add_allow, add_device, add_preset
from hjepa.errors import InputError
from hjepa.places import output_folder


def add_arguments(parser: Any) -> None:
    add_preset(parser)
    parser.add_argument("--data", required=True, metavar="DIR", help="a trajectory store made by collect")
    parser.add_argument("--out", required=True, metavar="DIR", help="the run folder")
    parser.add_argument(
        "--start", metavar="RUN", help="begin with the weights of another run; levels with 0 steps keep them"
    )
    add_device(parser)
    parser.add_argument(
        "--devices", type=int, default=1, metavar="N",
        help="GPUs that train together, or processes on the CPU, each with its share of every batch; default: 1",
    )  # fmt: skip
    parser.add_argument(
        "--strategy", default="auto", metavar="WORD",
        help="how they train together, one of Lightning's words: ddp forks, ddp_spawn starts new processes and sends"
        " them the data; default: auto, which is ddp for several",
    )  # fmt: skip
    parser.add_argument(
        "--callback", action="append", default=[], metavar="MODULE:NAME",
        help="a Lightning callback of your own, a class that takes no arguments; may be repeated",
    )  # fmt: skip
    add_allow(parser)
    parser.add_argument(
        "--logger", choices=["tensorboard", "wandb"], help="gets what stands in metrics.csv as well"
    )
    parser.add_argument("--fresh", action="store_true", help="start anew; moves an earlier run aside")


def continues(_: Any) -> bool:
    """Whether the same command goes on where an interrupted one stopped."""
    return True


def run(options: Any) -> None:
    from hjepa.config import load_preset, read_preset

    content, path = read_preset(options.preset)
    if isinstance(content, dict) and "weights" in content:
        raise InputError(
            f"plans with the weights {content['weights']} as they are",
            str(path),
            "give it to hjepa ablate, or choose a preset that trains",
        )
    config = load_preset(options.preset, options.overrides)
    out = output_folder(options.out)

    from hjepa.model.checkpoints import checkpoint_folder
    from hjepa.training.fit import fit

    unfinished = out.with_name(f"{out.name}.partial")
    if options.start is not None:
        # Before anything is moved aside, what the run begins with among it.
        begun = checkpoint_folder(options.start).resolve()
        if any(begun.is_relative_to(folder.resolve()) for folder in (out, unfinished)):
            raise InputError(
                f"begin with {options.start}, and write it anew",
                "--start",
                "give another --out, or leave --start out",
            )
    for folder in (out, unfinished):
        if options.fresh and folder.exists():
            print(f"moved the earlier {folder} to {set_aside(folder)}")
    fit(
        config,
        Path(options.data),
        out,
        device=options.device,
        precision=options.precision,
        start=options.start,
        logger=options.logger,
        devices=options.devices,
        strategy=options.strategy,
        callbacks=options.callback,
    )
    print(options.out)


def set_aside(folder: Path) -> Path:
    """Renames ``folder`` to the first free of ``folder.1``, ``folder.2``, ... and returns that."""
    number = 1
    while (moved := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return folder.rename(moved)
