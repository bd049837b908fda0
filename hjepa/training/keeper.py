"""Keeps what a training needs to go on, every so many steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from hjepa.training.module import TrainStack
from hjepa.training.progress import METRICS_FILE, RESUME, append_metrics


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
            # Metrics first: rows beyond the checkpoint are dropped when the run goes on.
            self._keep_metrics(trainer, module)
            new = self.folder / f"{RESUME}.new"
            # All devices together, the first writes. Whole: with the optimiser; it is read back as plain tensors alone.
            trainer.save_checkpoint(new, weights_only=False)
            if trainer.is_global_zero:
                new.replace(self.folder / RESUME)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The last rows, while the process that has them is still there."""
        assert isinstance(module, TrainStack)
        self._keep_metrics(trainer, module)

    def _keep_metrics(self, trainer: L.Trainer, module: TrainStack) -> None:
        module.refuse_broken()
        if trainer.is_global_zero:
            append_metrics(self.folder / METRICS_FILE, module.rows)
            module.rows.clear()
