"""Several devices that train together, and callbacks of a user's own: what can be known before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from hjepa.devices import accelerator
from hjepa.errors import InputError
from hjepa.settings import RunConfig
from levels.registry import Registry

CALLBACKS = Registry(
    "callback",
    {},
    "a subclass of lightning.pytorch.callbacks.Callback",
    lambda part: isinstance(part, type) and issubclass(part, Callback),
)

STRATEGIES = ("auto", "ddp", "ddp_spawn")
"""Lightning's words for how devices train together, of those that work here: every device has the whole stack.

``auto`` is ``ddp`` for several. ``ddp`` forks this process; ``ddp_spawn`` starts new ones and sends each the data, for
a Python that has used the GPU already and cannot be forked.
"""


def check_strategy(strategy: str) -> None:
    """Raise InputError for a strategy that is none of `STRATEGIES`."""
    if strategy not in STRATEGIES:
        raise InputError(
            f"{strategy!r} is none that trains a stack, which is whole on every device",
            "strategy",
            f"choose {', '.join(STRATEGIES[:-1])} or {STRATEGIES[-1]}",
        )


def check_devices(count: int, device: str, config: RunConfig) -> None:
    """Raise InputError where so many devices are not there, or cannot divide the batches of a run."""
    if count < 1:
        raise InputError(f"{count} devices", "devices", "give 1 or more")
    if accelerator(device) == "gpu" and count > torch.cuda.device_count():
        raise InputError(
            f"{count} devices, but there are {torch.cuda.device_count()} GPUs", "devices", "give fewer"
        )
    batches = {"train.plans": config.train.plans}
    if config.critic is not None:
        batches["critic.plans"] = config.critic.plans
    if count > 1 and any(level.normalize for level in config.levels):
        raise InputError(
            f"{count} devices, but latents are normalised over the batch of one",
            "levels.normalize",
            "set false, or train on one device",
        )
    for key, plans in batches.items():
        if plans % count:
            raise InputError(
                f"{key} {plans} cannot be divided among {count} devices", key, f"give a multiple of {count}"
            )


def own_callbacks(names: Sequence[str]) -> list[Callback]:
    """Callbacks by ``module:Name``; InputError where one is no such class, or cannot be made without arguments."""
    made: list[Any] = []
    for name in names:
        try:
            made.append(CALLBACKS.get(name)())
        except (ValueError, TypeError) as error:
            raise InputError(
                str(error), "callback", "give the class of a callback that takes no arguments"
            ) from None
    return made
