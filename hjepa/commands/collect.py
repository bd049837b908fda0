"""Collect unlabelled trajectories for a preset into a trajectory store.

A killed run continues where it stopped; a finished store with the same arguments is kept as it is.
"""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import add_preset, known_task, progress_bar
from hjepa.places import output_folder


def add_arguments(parser: Any) -> None:
    add_preset(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="the trajectory store")


def continues(_: Any) -> bool:
    """Whether the same command goes on where an interrupted one stopped."""
    return True


def run(options: Any) -> None:
    from hjepa.config import load_preset
    from hjepa.sweeps.sweep import collect_store

    config = load_preset(options.preset, options.overrides)
    known_task(config.task)
    out = output_folder(options.out)
    with progress_bar("collect", "episode") as progress:
        collect_store(config, out, progress)
    print(options.out)
