"""How far a training is, on stderr: steps, time left, and what the module says of itself."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm


@runtime_checkable
class Tells(Protocol):
    """A module that has something to say beside its steps."""

    def told(self) -> dict[str, str]:
        """What it is at, by name, such as ``level`` and ``loss``; asked for now and then."""
        ...


class Bar(Callback):
    """A bar of all steps of a training; one that goes on begins where it stopped.

    Args:
        every: steps between two looks at what the module tells, which may have to wait for a device.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.bar: tqdm[Any] | None = None
        self.next_look = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self.bar = tqdm(
                total=trainer.max_steps,
                initial=trainer.global_step,
                desc="training",
                unit="step",
                dynamic_ncols=True,
            )

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar is None:
            return
        step = trainer.global_step
        if isinstance(module, Tells) and (step >= self.next_look or step == trainer.max_steps):
            self.bar.set_postfix(module.told(), refresh=False)
            self.next_look = step + self.every
        self.bar.update(step - self.bar.n)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        if self.bar is not None:
            # An error is one line alone; who interrupts wants to see how far it came.
            self.bar.leave = isinstance(exception, KeyboardInterrupt)
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
