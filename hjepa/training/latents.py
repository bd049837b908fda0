"""Level 1's latents of all observations of a store, computed once: what upper levels and critics learn from.

Level 1 does not change any more when they train one after another, and a picture takes far longer to see than a latent
to look up.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hjepa.model.stack import Stack
from hjepa.training.sources import Source

BLOCK = 1024
"""Pictures that are seen at once."""


class LatentTable:
    """Latents by the row of a store; made at the first look.

    Args:
        stack: whose level 1 sees.
        source: of what is seen.
    """

    def __init__(self, stack: Stack, source: Source) -> None:
        self.stack, self.source = stack, source
        self._table: Tensor | None = None

    def look_up(self, rows: np.ndarray) -> Tensor:
        """Latents (..., D) of observations with these row numbers (...)."""
        if self._table is None:
            self._table = self._see()
        return self._table[torch.from_numpy(rows)]

    @torch.no_grad()
    def _see(self) -> Tensor:
        level = self.stack.level(0)
        device, count = self.stack.step_distance.device, self.source.observations
        table = torch.empty(count, level.settings.latent_dim)
        for first in range(0, count, BLOCK):
            rows = np.arange(first, min(first + BLOCK, count))
            frames = self.source.show(rows)
            table[rows[0] : rows[-1] + 1] = level.encode(torch.from_numpy(frames)[None].to(device), None)[
                0
            ].cpu()
        return table
