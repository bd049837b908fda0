"""Training with Lightning: a stack, level by level or jointly, on a trajectory store.

A run works in ``OUT.partial`` beside its output and becomes ``OUT`` when it is complete; killed at any moment it
continues from its last interval and, on CPU, ends in bit-identical weights. Batches are functions of seed and step,
and so is the random state at every step.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from hjepa.config import to_plain
from hjepa.devices import fix_threads, in_plain_modes, precision_plugin
from hjepa.errors import InputError, one_line
from hjepa.evaluation.records import installed_versions
from hjepa.locks import locked_folder
from hjepa.model.checkpoints import DESCRIPTION, describe, load_stack, save_stack
from hjepa.model.stack import Stack
from hjepa.places import is_empty, output_folder
from hjepa.settings import RunConfig
from hjepa.training.batches import TrajectoryData, total_steps
from hjepa.training.calibration import calibrate
from hjepa.training.devices import check_devices, check_strategy, own_callbacks
from hjepa.training.doubts import warn_of_doors
from hjepa.training.keeper import Keeper
from hjepa.training.loggers import check_logger, make_logger
from hjepa.training.module import TrainStack, diverged, settle
from hjepa.training.progress import (
    METRICS_FILE,
    RESUME,
    append_metrics,
    check_resume,
    claim,
    finish,
    remove_progress_of,
    same_run,
)
from hjepa.training.sources import Source, open_source
from hjepa.training.start import start_from
from hjepa.training.trainer import run_trainer
from levels.encoders.picture import PictureEncoder
from levels.encoders.vector import VectorEncoder
from levels.settings import World


@torch.random.fork_rng(devices=[])  # weights and noise are drawn; the random state is the caller's
@in_plain_modes
def fit(
    config: RunConfig,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    device: str = "auto",
    precision: str = "32",
    progress: bool = True,
    start: str | os.PathLike[str] | None = None,
    logger: str | None = None,
    devices: int = 1,
    callbacks: Sequence[str] = (),
    strategy: str = "auto",
) -> Stack:
    """Train a stack and save it as a checkpoint.

    Several devices divide each batch's floor plans among them and learn what one would with all of them, up to
    rounding, see `levels.gathering`.

    Args:
        config: of the run.
        data: a trajectory store of the same task.
        out: the run folder; a complete run with the same configuration and data is loaded instead.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``32`` or ``bf16``.
        progress: show a bar.
        start: a checkpoint to begin with, see `hjepa.training.start`; levels with 0 steps stay as they are in it.
        logger: ``tensorboard`` or ``wandb``, which get what stands in metrics.csv as well; None: nobody does.
        devices: how many train together, each a process: GPUs, or on the CPU processes that talk by gloo. A multiple
            of them are ``train.plans`` and ``critic.plans``. Metrics are those of the first one's share.
        callbacks: Lightning callbacks of one's own, each ``module:Name`` of a class that takes no arguments.
        strategy: how they train together, one of `hjepa.training.devices.STRATEGIES`; all learn the same bits.

    Raises:
        InputError: the folder holds something else, or data or configuration cannot work.
        StoreError: the store cannot be read.
    """
    fix_threads()
    out = output_folder(out)
    check_logger(logger)
    check_strategy(strategy)
    check_devices(devices, device, config)
    own = own_callbacks(callbacks)
    source, world = open_source(data, config)
    config = replace(config, task=source.facts["task"])
    identity = {"config": to_plain(config), "data_sha256": source.sha256}
    check_source(config, source)
    warn_of_doors(config, world)
    begun = None if start is None else load_stack(start)
    if begun is not None:
        identity["start_sha256"] = describe(str(start))["sha256"]
    elif config.train.keep_encoder:
        raise InputError(
            "train.keep_encoder without a run to begin with",
            "train.keep_encoder",
            "begin with one that sees (--start RUN), or set false",
        )
    elif not all(config.train.steps):
        raise InputError(
            f"train.steps {list(config.train.steps)} leaves a level untrained",
            "train.steps",
            "give 1 or more per level, or begin with a trained one (--start RUN)",
        )
    torch.manual_seed(config.train.seed)
    stack = make_stack(config, world)
    standardise(stack, source)
    if begun is not None:
        start_from(stack, begun, str(start))
        if _moments(begun) < _moments(stack):
            _pace(stack, source)
    folder = out.with_name(f"{out.name}.partial")
    if not is_empty(out):
        return _finished(out, folder, identity)
    with locked_folder(folder, "another hjepa fit works in this folder"):
        if not is_empty(out):  # the other one has just finished
            return _finished(out, folder, identity)
        return _fit(stack, source, out, identity, device, precision, progress, logger, devices, own, strategy)


def _fit(
    stack: Stack,
    source: Source,
    out: Path,
    identity: dict[str, Any],
    device: str,
    precision: str,
    progress: bool,
    logger: str | None,
    devices: int,
    callbacks: list[Callback],
    strategy: str,
) -> Stack:
    """Train in the folder beside ``out``, whose lock is held."""
    config = stack.config
    folder = out.with_name(f"{out.name}.partial")
    claim(folder, config, identity)
    module = TrainStack(stack, config)
    logs = make_logger(logger, folder, out.name)
    _train(module, source, folder, device, precision, progress, logs, devices, callbacks, strategy)
    module.refuse_broken()
    stack = stack.cpu().eval()
    settle(stack)
    append_metrics(folder / METRICS_FILE, module.rows)
    plans = min(config.train.plans, source.layouts)
    if not all(bool(torch.isfinite(value).all()) for value in stack.state_dict().values()):
        raise diverged(f"the weights are no numbers after step {total_steps(config)}")
    try:
        calibrate(stack, source, config.train.seed, config.train.metric_trajectories, plans)
    except torch.linalg.LinAlgError as error:
        raise diverged(f"what was learned has no metric ({one_line(error)[:80]})") from None
    facts = {"data_sha256": source.sha256, "train_seed": config.train.seed, "versions": installed_versions()}
    facts |= source.facts | {key: identity[key] for key in ("start_sha256",) if key in identity}
    finish(folder, out, lambda made: save_stack(stack, made, facts))
    return stack.requires_grad_(False)


def check_source(config: RunConfig, source: Source) -> None:
    """Raise InputError when data cannot train a configuration."""
    needed = config.spans[-1] * config.levels[-1].rollout + 1
    if source.clip < needed:
        raise InputError(
            f"has clips of {source.clip} observations, the top level needs {needed}",
            str(source.path),
            "collect longer clips or shorten strides and rollouts",
        )
    if source.layouts < config.train.plans:
        raise InputError(
            f"has {source.layouts} floor plans, a batch takes {config.train.plans}",
            str(source.path),
            "collect more plans or lower train.plans",
        )


def make_stack(config: RunConfig, world: World) -> Stack:
    """A stack to be trained; InputError where a part of a level does not take what it is given."""
    try:
        return Stack(config, world)
    except ValueError as error:
        raise InputError(str(error), "levels", "mend the settings of the level") from None


def standardise(stack: Stack, source: Source) -> None:
    """Tell an encoder of vectors what its numbers are like in the training data."""
    encoder = stack.level(0).encoder
    if isinstance(encoder, VectorEncoder):
        encoder.standardise(torch.from_numpy(source.show(_some_rows(stack, source, 20_000))).float())


def _pace(stack: Stack, source: Source) -> None:
    """Tell eyes that know how to look how fast things go in the training data."""
    encoder = stack.level(0).encoder
    if isinstance(encoder, PictureEncoder):
        encoder.standardise(torch.from_numpy(source.show(_some_rows(stack, source, 2_000))))


def _some_rows(stack: Stack, source: Source, most: int) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(key=[stack.config.train.seed, 1 << 41]))
    return rng.integers(0, source.observations, min(source.observations, most))


def _moments(stack: Stack) -> int:
    """How many moments an observation shows."""
    return 1 if stack.world.sight is None else stack.world.sight.frames


def _train(
    module: TrainStack,
    source: Source,
    folder: Path,
    device: str,
    precision: str,
    progress: bool,
    logs: Logger | None,
    devices: int,
    callbacks: list[Callback],
    strategy: str,
) -> None:
    config, stack = module.config, module.stack
    lengths = [stack.window_length(k) for k in range(stack.depth)]
    resume = folder / RESUME
    if resume.exists():
        check_resume(resume, module.state_dict())
    run_trainer(
        module,
        device,
        total_steps(config),
        20 if progress else None,
        [Keeper(folder, config.train.checkpoint_every), *callbacks],
        {
            "precision": precision_plugin(precision),
            "gradient_clip_val": config.train.clip,
            "default_root_dir": folder,
            "logger": logs or False,
        },
        processes=devices,
        strategy=strategy,
        datamodule=TrajectoryData(source, config, lengths, stack, progress),
        ckpt_path=resume if resume.exists() else None,
        weights_only=True,
    )


def _finished(out: Path, folder: Path, identity: dict[str, Any]) -> Stack:
    """The stack of a complete run, whose progress is removed if a kill has left some."""
    if not (out / DESCRIPTION).exists():
        raise InputError("exists and is no run folder", str(out), "choose another --out")
    if not same_run(describe(out), identity):
        raise InputError(
            "holds a finished run of another configuration or data",
            str(out),
            "choose another --out, or --fresh to set it aside",
        )
    remove_progress_of(folder, identity)
    return load_stack(out)


__all__ = ["TrainStack", "fit"]
