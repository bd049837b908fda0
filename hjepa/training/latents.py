"""Level 1's latents of all observations of a store, computed once: what upper levels and critics learn from.

Level 1 does not change any more when they train one after another, and a picture takes far longer to see than a latent
to look up.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from hjepa.model.stack import Stack
from hjepa.training.sources import Source

BLOCK = 1024
"""Pictures that are seen at once."""


class LatentTable:
    """Latents by the row of a store; made at the first look.

    Args:
        stack: whose level 1 sees.
        source: of what is seen.
        progress: whether to show how far the first look is; on large worlds it takes minutes.
    """

    def __init__(self, stack: Stack, source: Source, progress: bool = False) -> None:
        self.stack, self.source, self.progress = stack, source, progress
        self._table: Tensor | None = None

    def look_up(self, rows: np.ndarray) -> Tensor:
        """Latents (..., D) of observations with these row numbers (...)."""
        if self._table is None:
            self._table = self._see()
        return self._table[torch.from_numpy(rows)]

    @torch.no_grad()
    def _see(self) -> Tensor:
        """What looks the same is seen once: in small worlds most moments do."""
        level = self.stack.level(0)
        device, count = self.stack.step_distance.device, self.source.observations
        known: dict[bytes, int] = {}
        number = torch.empty(count, dtype=torch.int64)
        latents = []
        bar = tqdm(
            total=count, desc="seeing", unit="picture", leave=False, delay=2, disable=not self.progress
        )
        for first in range(0, count, BLOCK):
            rows = np.arange(first, min(first + BLOCK, count))
            bar.update(len(rows))
            frames = np.ascontiguousarray(self.source.show(rows))
            new = []
            for row, frame in zip(rows, frames):
                mark = blake2b(frame.data, digest_size=16).digest()
                if mark not in known:
                    known[mark] = len(known)
                    new.append(row - first)
                number[row] = known[mark]
            if new:
                latents.append(level.encode(torch.from_numpy(frames[new])[None].to(device), None)[0].cpu())
        bar.close()
        return torch.cat(latents)[number]
