"""Where a run computes, and in which numbers."""

from __future__ import annotations

from typing import Any

import torch

from hjepa.errors import InputError

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}


def torch_device(device: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` -> a device.

    Raises:
        InputError: cuda where there is none, or another word.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda, but torch sees no GPU", "", "choose --device cpu or install a CUDA build")
    if device not in ("cpu", "cuda"):
        raise InputError(f"device {device!r}", "", "choose auto, cpu or cuda")
    return torch.device(device)


def accelerator(device: str) -> str:
    """Lightning's name of a device."""
    return "gpu" if torch_device(device).type == "cuda" else "cpu"


def precision_plugin(precision: str) -> Any:
    """Lightning's name of a precision; InputError for an unknown one."""
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r}", "", f"choose from {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]
