"""Arrays as tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: np.ndarray) -> Tensor:
    """Integers as int64, other numbers as float32."""
    return torch.from_numpy(
        values.astype(np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32)
    )
