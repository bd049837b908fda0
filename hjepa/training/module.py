"""What Lightning trains: a stack, its losses and its optimiser, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor

from hjepa.errors import InputError
from hjepa.model.stack import Stack
from hjepa.settings import RunConfig
from hjepa.training.batches import Batch, CriticBatch, active_levels, critic_progress
from hjepa.training.collapse import CollapseMonitor
from hjepa.training.signals import signals
from levels.encoders.picture import PictureEncoder


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
        self.last = torch.zeros(())
        self.off: float | None = None

    def on_train_batch_start(self, batch: list[Batch | CriticBatch], batch_idx: int) -> None:
        train = self.config.train
        if train.schedule == "sequential" and self.global_step >= train.steps[0]:
            settle(self.stack)
        # The same on all devices: each takes its part of what is drawn, see `levels.gathering.own_noise`.
        torch.manual_seed(self.config.train.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: list[Batch | CriticBatch], batch_idx: int) -> Tensor:
        """The sum of the losses of what trains at this step."""
        progress = dict(active_levels(self.config, self.global_step))
        total = torch.zeros((), device=self.device)
        logging = self.global_rank == 0 and (self.global_step + 1) % self.config.train.log_every == 0
        for part in batch:
            if isinstance(part, CriticBatch):
                done = critic_progress(self.config, self.global_step) or 0.0
                loss, found = self.stack.critic_loss(part.grid, part.agent, part.goal, done, part.form)
                total = total + loss
                if logging:
                    self._log_critics(loss, found)
                continue
            memories = self.stack.write(part.grid, upto=part.level + 1)
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

    def told(self) -> dict[str, str]:
        """For the bar: what trains, the loss of the last step, by how many cells the probe was off at the last look."""
        levels = [str(k + 1) for k, _ in active_levels(self.config, max(self.global_step - 1, 0))]
        said = {"level": "+".join(levels) or "critic", "loss": f"{self.last.item():.3g}"}
        return said if self.off is None else said | {"probe_off_by": f"{self.off:.2f}"}

    def _watch(self, loss: Tensor, now: bool) -> None:
        """Notice the first step whose loss is no number; where asking would wait for a device, it is asked later."""
        self.last = loss
        step = torch.where(torch.isfinite(loss), math.inf, float(self.global_step + 1))
        self.broken = step if self.broken is None else torch.minimum(self.broken, step)
        if now or loss.device.type == "cpu":
            self.refuse_broken()

    def refuse_broken(self) -> None:
        """Raise InputError if a loss was no number, with the step at which it was."""
        if self.broken is not None and math.isfinite(step := self.broken.item()):
            raise diverged(f"the loss is no number at step {int(step)}")

    def _log_level(
        self, part: Batch, memories: list[Tensor | None], progress: float, terms: dict[str, Tensor]
    ) -> None:
        found, k = signals(self.stack, part, memories), part.level
        self.off = found.get("position_error")
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
            if "move" in terms:
                self.monitor.look_at_moves(self.global_step + 1, k + 1, terms["move"].item())

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


def diverged(what: str) -> InputError:
    """The error of a training whose numbers are none."""
    return InputError(what, "train", "lower train.learning_rate or a loss weight")


def _warm_and_decay(progress: float | None) -> float:
    """The share of the peak rate after a share of the training; 0 outside of it."""
    if progress is None:
        return 0.0
    warm = min(1.0, (progress + 1e-3) / 0.1)
    return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def settle(stack: Stack) -> None:
    """Let level 1 look sharply, which has learned what is to be seen."""
    encoder = stack.level(0).encoder
    if isinstance(encoder, PictureEncoder):
        encoder.settle()
