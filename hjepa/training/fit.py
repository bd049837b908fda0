"""Training with Lightning: a stack, level by level or jointly, on a trajectory store.

A run works in ``OUT.partial`` beside its output and becomes ``OUT`` when it is complete; killed at any moment it
continues from its last interval and, on CPU, ends in bit-identical weights. Batches are functions of seed and step,
and so is the random state at every step.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from torch import Tensor

from hjepa.config import to_plain
from hjepa.devices import fix_threads, in_plain_modes, precision_plugin
from hjepa.errors import InputError, one_line
from hjepa.evaluation.records import installed_versions
from hjepa.locks import locked_folder
from hjepa.model.checkpoints import DESCRIPTION, describe, load_stack, save_stack
from hjepa.model.stack import Stack
from hjepa.places import is_empty, output_folder
from hjepa.settings import RunConfig
from hjepa.training.batches import (
    Batch,
    CriticBatch,
    TrajectoryData,
    active_levels,
    critic_progress,
    total_steps,
)
from hjepa.training.calibration import calibrate
from hjepa.training.collapse import CollapseMonitor
from hjepa.training.doubts import warn_of_doors
from hjepa.training.loggers import check_logger, make_logger
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
from hjepa.training.signals import signals
from hjepa.training.sources import Source, open_source
from hjepa.training.start import start_from
from hjepa.training.trainer import run_trainer
from levels.encoders.picture import PictureEncoder
from levels.encoders.vector import VectorEncoder
from levels.settings import World


class TrainStack(L.LightningModule):
    """A stack in training.

    Args:
        stack: trained in place.
        config: of the run.
    """

    def __init__(self, stack: Stack, config: RunConfig) -> None:
        super().__init__()
        self.stack = stack
        self.config = config
        self.rows: list[dict[str, Any]] = []
        self.broken: Tensor | None = None
        self.monitor = CollapseMonitor()

    def on_train_batch_start(self, batch: list[Batch | CriticBatch], batch_idx: int) -> None:
        train = self.config.train
        if train.schedule == "sequential" and self.global_step >= train.steps[0]:
            settle(self.stack)
        torch.manual_seed(self.config.train.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: list[Batch | CriticBatch], batch_idx: int) -> Tensor:
        """The sum of the losses of what trains at this step."""
        progress = dict(active_levels(self.config, self.global_step))
        total = torch.zeros((), device=self.device)
        logging = (self.global_step + 1) % self.config.train.log_every == 0
        for part in batch:
            if isinstance(part, CriticBatch):
                done = critic_progress(self.config, self.global_step) or 0.0
                loss, found = self.stack.critic_loss(part.grid, part.agent, part.goal, done, part.form)
                total = total + loss
                if logging:
                    self._log_critics(loss, found)
                continue
            memories = self.stack.write(part.grid)
            loss, terms = self.stack.loss(
                part.level,
                part.agent,
                part.action,
                memories,
                progress[part.level],
                self.config.train.end_to_end,
                part.state,
                part.form,
            )
            total = total + loss
            if logging:
                self._log_level(part, memories, progress[part.level], {"loss": loss, **terms})
        self._watch(total.detach(), logging)
        return total

    def _watch(self, loss: Tensor, now: bool) -> None:
        """Notice the first step whose loss is no number; where asking would wait for a device, it is asked later."""
        step = torch.where(torch.isfinite(loss), math.inf, float(self.global_step + 1))
        self.broken = step if self.broken is None else torch.minimum(self.broken, step)
        if now or loss.device.type == "cpu":
            self.refuse_broken()

    def refuse_broken(self) -> None:
        """Raise InputError if a loss was no number, with the step at which it was."""
        if self.broken is not None and math.isfinite(step := self.broken.item()):
            raise _diverged(f"the loss is no number at step {int(step)}")

    def _log_level(
        self, part: Batch, memories: list[Tensor | None], progress: float, terms: dict[str, Tensor]
    ) -> None:
        found, k = signals(self.stack, part, memories), part.level
        self._log(k, {name: value.item() for name, value in terms.items()} | found)
        if k in self.stack.own_latents():
            latent_dim = self.config.levels[k].latent_dim
            self.monitor.look(self.global_step + 1, k + 1, latent_dim, progress, found)

    def _log(self, k: int, values: dict[str, float]) -> None:
        """A row of the table, and the same for the loggers that were asked for."""
        step = self.global_step + 1
        self.rows.append({"step": step, "level": k + 1, **values})
        for logger in self.loggers:
            logger.log_metrics({f"level_{k + 1}/{name}": value for name, value in values.items()}, step)

    def _log_critics(self, loss: Tensor, found: list[dict[str, Tensor]]) -> None:
        """Mean errors in steps, under the levels whose latents the critics read."""
        for k, terms in zip(self.stack.own_latents(), found):
            self._log(k, {"loss": loss.item(), "critic": terms["steps"].item()})

    def configure_optimizers(self) -> Any:
        """AdamW, a group per level and one of the critics; each one's rate warms up and decays within its own steps."""
        train = self.config.train
        groups = [
            {
                "params": [*self.stack.levels[k].parameters(), *self.stack.probes[k].parameters()],
                "lr": train.upper_learning_rate if k else train.learning_rate,
            }
            for k in range(self.stack.depth)
        ]
        rates = [self._rate(k) for k in range(self.stack.depth)]
        if self.config.critic is not None:
            groups.append(
                {"params": [*self.stack.critics.parameters()], "lr": self.config.critic.learning_rate}
            )
            rates.append(self._critic_rate)
        optimizer = torch.optim.AdamW(groups, weight_decay=train.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rates)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, k: int) -> Callable[[int], float]:
        def rate(step: int) -> float:
            return _warm_and_decay(dict(active_levels(self.config, step)).get(k))

        return rate

    def _critic_rate(self, step: int) -> float:
        return _warm_and_decay(critic_progress(self.config, step))


def _diverged(what: str) -> InputError:
    return InputError(what, "train", "lower train.learning_rate or a loss weight")


def _warm_and_decay(progress: float | None) -> float:
    """The share of the peak rate after a share of the training; 0 outside of it."""
    if progress is None:
        return 0.0
    warm = min(1.0, (progress + 1e-3) / 0.1)
    return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Keeper(Callback):
    """Saves what is needed to go on, and the metrics, every so many steps; never leaves half a file.

    Args:
        folder: of the run in progress.
        every: steps.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainStack)
        if trainer.global_step % self.every == 0:
            module.refuse_broken()
            # Metrics first: rows beyond the checkpoint are dropped when the run goes on.
            append_metrics(self.folder / METRICS_FILE, module.rows)
            module.rows.clear()
            new = self.folder / f"{RESUME}.new"
            trainer.save_checkpoint(new)
            new.replace(self.folder / RESUME)


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
) -> Stack:
    """Train a stack and save it as a checkpoint.

    Args:
        config: of the run.
        data: a trajectory store of the same task.
        out: the run folder; a complete run with the same configuration and data is loaded instead.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``32`` or ``bf16``.
        progress: show a bar.
        start: a checkpoint to begin with, see `hjepa.training.start`; levels with 0 steps stay as they are in it.
        logger: ``tensorboard`` or ``wandb``, which get what stands in metrics.csv as well; None: nobody does.

    Raises:
        InputError: the folder holds something else, or data or configuration cannot work.
        StoreError: the store cannot be read.
    """
    fix_threads()
    out = output_folder(out)
    check_logger(logger)
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
    folder = out.with_name(f"{out.name}.partial")
    if not is_empty(out):
        return _finished(out, folder, identity)
    with locked_folder(folder, "another hjepa fit works in this folder"):
        if not is_empty(out):  # the other one has just finished
            return _finished(out, folder, identity)
        return _fit(stack, source, out, identity, device, precision, progress, logger)


def _fit(
    stack: Stack,
    source: Source,
    out: Path,
    identity: dict[str, Any],
    device: str,
    precision: str,
    progress: bool,
    logger: str | None,
) -> Stack:
    """Train in the folder beside ``out``, whose lock is held."""
    config = stack.config
    folder = out.with_name(f"{out.name}.partial")
    claim(folder, config, identity)
    module = TrainStack(stack, config)
    logs = make_logger(logger, folder, out.name)
    _train(module, source, folder, device, precision, progress, logs)
    module.refuse_broken()
    stack = stack.cpu().eval()
    settle(stack)
    append_metrics(folder / METRICS_FILE, module.rows)
    plans = min(config.train.plans, source.layouts)
    if not all(bool(torch.isfinite(value).all()) for value in stack.state_dict().values()):
        raise _diverged(f"the weights are no numbers after step {total_steps(config)}")
    try:
        calibrate(stack, source, config.train.seed, config.train.metric_trajectories, plans)
    except torch.linalg.LinAlgError as error:
        raise _diverged(f"what was learned has no metric ({one_line(error)[:80]})") from None
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


def settle(stack: Stack) -> None:
    """Let level 1 look sharply, which has learned what is to be seen."""
    encoder = stack.level(0).encoder
    if isinstance(encoder, PictureEncoder):
        encoder.settle()


def standardise(stack: Stack, source: Source) -> None:
    """Tell an encoder of vectors what its numbers are like in the training data."""
    encoder = stack.level(0).encoder
    if isinstance(encoder, VectorEncoder):
        rng = np.random.Generator(np.random.Philox(key=[stack.config.train.seed, 1 << 41]))
        rows = rng.integers(0, source.observations, min(source.observations, 20_000))
        encoder.standardise(torch.from_numpy(source.show(rows)).float())


def _train(
    module: TrainStack,
    source: Source,
    folder: Path,
    device: str,
    precision: str,
    progress: bool,
    logs: Logger | None,
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
        [Keeper(folder, config.train.checkpoint_every)],
        {
            "precision": precision_plugin(precision),
            "gradient_clip_val": config.train.clip,
            "default_root_dir": folder,
            "logger": logs or False,
        },
        datamodule=TrajectoryData(source, config, lengths, stack),
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
