"""Memories of windows: written once a layout, or from the picture that every window begins with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hjepa.model.stack import Stack
from hjepa.training.sources import Source


def remember(stack: Stack, source: Source, rows: np.ndarray) -> list[Tensor | None]:
    """What each level remembers of windows that begin at rows (P, n) of a store, see `remember_level`."""
    return [remember_level(stack, source, k, rows) for k in range(stack.depth)]


def remember_level(stack: Stack, source: Source, k: int, rows: np.ndarray) -> Tensor | None:
    """What level k + 1 remembers of windows that begin at rows (P, ...) of a store, those of each of P layouts.

    Returns:
        a memory (P, ...) of each layout's first window, or (P * n, ...) of all windows, in their order, where the level
        reads what was so when it began, see `levels.settings.MemorySettings.own`; None of a level without a memory.
    """
    memory, of_layout = stack.config.levels[k].memory, rows.reshape(len(rows), -1)
    context = of_layout.reshape(-1) if memory is not None and memory.own else of_layout[:, 0]
    return stack.write_level(k, torch.from_numpy(source.layout(context)).to(stack.step_distance.device))
