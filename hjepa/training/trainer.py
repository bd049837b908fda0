"""Lightning's trainer as every training here uses it: on one device, without files of its own."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment

from hjepa.devices import accelerator, quiet_lightning


def run_trainer(
    module: L.LightningModule,
    device: str,
    steps: int,
    refresh: int | None,
    callbacks: Sequence[Callback] = (),
    settings: dict[str, Any] | None = None,
    **fit: Any,
) -> None:
    """Train a module.

    A job of Slurm, or of another launcher, is not taken for one of this training's: it runs on one device.

    Args:
        module: trained in place.
        device: ``auto``, ``cpu`` or ``cuda``.
        steps: of the optimiser.
        refresh: steps between two looks of the progress bar; None: there is none.
        callbacks: besides the bar.
        settings: further ones of `lightning.Trainer`.
        fit: arguments of `lightning.Trainer.fit`, such as the data.

    Raises:
        KeyboardInterrupt: as it came; Lightning makes it an exit of the process.
    """
    bar = [] if refresh is None else [TQDMProgressBar(refresh_rate=refresh)]
    with quiet_lightning():
        trainer = L.Trainer(
            accelerator=accelerator(device),
            devices=1,
            plugins=[LightningEnvironment()],
            max_steps=steps,
            callbacks=[*callbacks, *bar],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=refresh is not None,
            **({"logger": False} | (settings or {})),
        )
        handlers = _handlers()
        try:
            trainer.fit(module, **fit)
        except SystemExit:
            if not trainer.interrupted:
                raise
        finally:
            _restore(handlers)
    if trainer.interrupted:
        raise KeyboardInterrupt


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    """Lightning ignores Ctrl-C for ever after the first one."""
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
