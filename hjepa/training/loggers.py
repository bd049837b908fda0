"""Loggers of other programs, through Lightning's own; they get what stands in metrics.csv."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from hjepa.errors import InputError
from hjepa.training.progress import LOG_FOLDERS


def check_logger(name: str | None) -> None:
    """Raise InputError for a logger that is not known, or whose package is not there."""
    if name is None:
        return
    if name not in LOG_FOLDERS:
        raise InputError(f"logger {name!r}", "", f"choose from {', '.join(LOG_FOLDERS)}")
    if find_spec(name) is None:
        raise InputError(f"logger {name} needs the package {name}", "", f"pip install 'hjepa[{name}]'")


def make_logger(name: str | None, folder: Path, run: str) -> Logger | None:
    """A logger that writes into a folder of its own in that of a run.

    Args:
        name: see `check_logger`; None: none is made.
        folder: of the run in progress.
        run: what the run is called. Whether Weights & Biases sends anything is for its own settings to say
            (``WANDB_MODE=offline``).
    """
    check_logger(name)
    if name == "tensorboard":
        return TensorBoardLogger(folder, name=name, version="")
    if name == "wandb":
        return WandbLogger(name=run, save_dir=folder, project="hjepa")
    return None
