"""Lightning's trainer as every training here uses it: without files of its own."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch.multiprocessing import ProcessRaisedException

from hjepa.devices import accelerator, quiet_lightning
from hjepa.errors import InputError
from hjepa.training.bar import Bar


def run_trainer(
    module: L.LightningModule,
    device: str,
    steps: int,
    refresh: int | None,
    callbacks: Sequence[Callback] = (),
    settings: dict[str, Any] | None = None,
    processes: int = 1,
    **fit: Any,
) -> None:
    """Train a module.

    A job of Slurm, or of another launcher, is not taken for one of this training's: its processes are those asked for
    here.

    Args:
        module: trained in place.
        device: ``auto``, ``cpu`` or ``cuda``.
        steps: of the optimiser.
        refresh: steps between two looks of the bar (`hjepa.training.bar`) at the module; None: there is no bar.
        callbacks: besides the bar.
        settings: further ones of `lightning.Trainer`.
        processes: that train together, each with a device and an equal share of the data.
        fit: arguments of `lightning.Trainer.fit`, such as the data.

    Raises:
        KeyboardInterrupt: as it came; Lightning makes it an exit of the process.
        InputError: as it came, also from one of several processes.
    """
    bar = [] if refresh is None else [Bar(refresh)]
    with quiet_lightning():
        trainer = L.Trainer(
            accelerator=accelerator(device),
            devices=processes,
            strategy="auto" if processes == 1 else _together(device),
            plugins=[LightningEnvironment()],
            max_steps=steps,
            callbacks=[*callbacks, *bar],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            **({"logger": False} | (settings or {})),
        )
        handlers = _handlers()
        try:
            trainer.fit(module, **fit)
        except SystemExit:
            if not trainer.interrupted:
                raise
        except ProcessRaisedException as error:
            # Of what another process raised only the text comes back, a traceback that ends in it.
            _, mine, text = str(error).rpartition(f"{InputError.__module__}.{InputError.__qualname__}: ")
            if not mine:
                raise
            raise InputError(text) from None
        finally:
            _restore(handlers)
    if trainer.interrupted:
        raise KeyboardInterrupt


def _together(device: str) -> DDPStrategy:
    """Data parallel processes, forked so that nothing has to be sent to them: a store may be larger than memory.

    Levels that do not train at a step have no gradients, which is looked up anew at each.
    """
    backend = "gloo" if accelerator(device) == "cpu" else None
    return DDPStrategy(start_method="fork", process_group_backend=backend, find_unused_parameters=True)


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    """Lightning ignores Ctrl-C for ever after the first one."""
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
