"""Work in blocks of one size, so that a row's bits do not depend on how many others there are."""

from __future__ import annotations

import torch
from torch import Tensor


def pad(rows: Tensor, size: int) -> tuple[Tensor, int]:
    """At least one row (n, ...), filled up to ``size`` with copies of the first; and n."""
    return torch.cat([rows, rows[:1].expand(size - len(rows), *rows.shape[1:])]), len(rows)


def blocks(rows: Tensor, size: int) -> list[tuple[Tensor, int]]:
    """Rows (n, ...) in padded blocks, and how many rows of each are real; none for no rows."""
    return [pad(part, size) for part in rows.split(size)] if len(rows) else []
