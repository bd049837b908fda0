"""Work in blocks of few sizes, so that a row's bits do not depend on how many others there are.

Blocks have a power of two of rows, up to the size that the caller gives, and at least so many that every tensor over
them fills whole vectors of the processor. Products of matrices treat a row alike in all of these sizes, and what is
left over behind whole vectors, which functions such as exp compute otherwise, is never there. Convolutions do not, so
whoever reads pictures asks for one size alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 4
"""Rows of the smallest block: with `planners.rollouts.ALIGNED` candidates each they fill two vectors of 16 floats, as
many as loops over tensors take at a time."""


def block_size(count: int, size: int, least: int = LEAST) -> int:
    """Rows of the block for ``count`` of them, 1 to ``size``: the next power of two from ``least`` to ``size``."""
    return min(size, max(least, 1 << (count - 1).bit_length()))


def pad(rows: Tensor, size: int, least: int = LEAST) -> tuple[Tensor, int]:
    """At least one row (n, ...), filled up to a `block_size` with copies of the first; and n."""
    more = block_size(len(rows), size, least) - len(rows)
    return torch.cat([rows, rows[:1].expand(more, *rows.shape[1:])]) if more else rows, len(rows)


def blocks(rows: Tensor, size: int, least: int = LEAST) -> list[tuple[Tensor, int]]:
    """Rows (n, ...) in padded blocks of up to ``size``, and how many rows of each are real; none for no rows."""
    return [pad(part, size, least) for part in rows.split(size)] if len(rows) else []
