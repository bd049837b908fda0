"""Lightning's trainer as every training here uses it: without files of its own."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import ExitStack
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
    strategy: str = "auto",
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
        strategy: one of `hjepa.training.devices.STRATEGIES`.
        fit: arguments of `lightning.Trainer.fit`, such as the data.

    Raises:
        KeyboardInterrupt: as it came; Lightning makes it an exit of the process.
        InputError: as it came, also from one of several processes.
    """
    bar: list[Callback] = [] if refresh is None else [Bar(refresh)]
    together = processes > 1 or strategy != "auto"
    with quiet_lightning():
        trainer = L.Trainer(
            accelerator=accelerator(device),
            devices=processes,
            strategy=_together(device, strategy) if together else "auto",
            plugins=[LightningEnvironment()],
            max_steps=steps,
            callbacks=[*callbacks, *bar, *([_Mortal()] if together else [])],
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


def _together(device: str, strategy: str) -> DDPStrategy:
    """Data parallel processes, forked so that nothing has to be sent to them: a store may be larger than memory.

    Or spawned, each with a copy. Levels that do not train at a step have no gradients, which is looked up anew at each.
    """
    backend = "gloo" if accelerator(device) == "cpu" else None
    if strategy == "ddp_spawn":
        return _Spawned(start_method="spawn", process_group_backend=backend, find_unused_parameters=True)
    return DDPStrategy(start_method="fork", process_group_backend=backend, find_unused_parameters=True)


class _Mortal(Callback):
    """Has each of several processes end as soon as it is told to.

    Lightning would have them tell one another first, amidst what they exchange of a step; now and then they wait for
    one another for ever, while the process that started them is gone.
    """

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """After Lightning has put up its handlers."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Spawned(DDPStrategy):
    """Processes that begin anew, and so know nothing of what was made quiet."""

    def setup_environment(self) -> None:
        """The first thing in each of them."""
        self._quiet = ExitStack()
        self._quiet.enter_context(quiet_lightning())
        super().setup_environment()


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    """Lightning ignores Ctrl-C for ever after the first one."""
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
