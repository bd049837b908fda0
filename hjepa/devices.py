"""Where a run computes, and in which numbers."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn

from hjepa.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")

THREADS = "OMP_NUM_THREADS"
VISIBLE = "CUDA_VISIBLE_DEVICES"
DETERMINISTIC, CUBLAS = "HJEPA_DETERMINISTIC", "CUBLAS_WORKSPACE_CONFIG"

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's ``mallopt``, from malloc.h."""

KEPT_BYTES = 1 << 30

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}


def torch_device(device: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` -> a device.

    Raises:
        InputError: cuda where there is none, or another word.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device cuda, but torch sees no GPU", "", "choose --device cpu or install a CUDA build"
        )
    if device not in ("cpu", "cuda"):
        raise InputError(f"device {device!r}", "", "choose auto, cpu or cuda")
    return torch.device(device)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; none of them is woken up."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        names = [name.strip() for name in named.split(",") if name.strip()]
        return names[: torch.cuda.device_count()]  # what is no GPU ends the list
    return [str(number) for number in range(torch.cuda.device_count())]


def accelerator(device: str) -> str:
    """Lightning's name of a device."""
    return "gpu" if torch_device(device).type == "cuda" else "cpu"


def precision_plugin(precision: str) -> Any:
    """Lightning's name of a precision; InputError for an unknown one."""
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r}", "", f"choose from {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def fix_threads() -> None:
    """Compute with as many threads as OMP_NUM_THREADS says, or one.

    Results have the same bits only with the same number of threads. One is the default because the models are small:
    a second thread gains little, and costs a factor of ten and more as soon as anything else runs on the machine.

    With HJEPA_DETERMINISTIC=1 it also asks torch for kernels that give the same bits every time, see
    `deterministic_kernels`.

    Raises:
        InputError: OMP_NUM_THREADS is no positive number, or HJEPA_DETERMINISTIC neither 0 nor 1.
    """
    threads = os.environ.get(THREADS) or "1"
    if not threads.isdigit() or int(threads) < 1:
        raise InputError(f"{THREADS} is {threads!r}", "environment", "give a positive number, or unset it")
    torch.set_num_threads(int(threads))
    deterministic_kernels()
    _keep_freed_memory()


def deterministic_kernels() -> None:
    """Have torch use kernels that give the same bits every time, where HJEPA_DETERMINISTIC is 1.

    On the CPU they do so anyway. On a GPU sums are otherwise taken in the order in which threads come by. For what has
    no such kernel torch warns and takes the usual one. A variable, so that processes that are started know of it, too;
    cuBLAS reads its own when it is first used.

    Raises:
        InputError: another word than 0 or 1.
    """
    word = os.environ.get(DETERMINISTIC) or "0"
    if word not in ("0", "1"):
        raise InputError(f"{DETERMINISTIC} is {word!r}", "environment", "give 1 or 0, or unset it")
    if word == "1":
        os.environ.setdefault(CUBLAS, ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def _keep_freed_memory() -> None:
    """Have the C library keep large blocks for reuse instead of giving them back to the system.

    A training step at an upper level makes and frees some 20 MB several times; getting fresh pages for it took
    a third of the step. Other C libraries than glibc are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BYTES - 1)


@contextmanager
def plain_modes() -> Iterator[None]:
    """Torch as it begins: 32-bit floats on the CPU unless said otherwise, gradients possible, no automatic casts.

    The modes that a caller has set are back afterwards.
    """
    default = torch.get_default_dtype()
    with ExitStack() as modes:
        if torch.is_inference_mode_enabled():
            modes.enter_context(torch.inference_mode(False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                modes.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            modes.enter_context(torch.device("cpu"))
        if default != torch.float32:
            torch.set_default_dtype(torch.float32)
            modes.callback(torch.set_default_dtype, default)
        yield


def in_plain_modes(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, run in `plain_modes`."""

    @wraps(function)
    def run(*arguments: P.args, **named: P.kwargs) -> R:
        with plain_modes():
            return function(*arguments, **named)

    return run


def check_floats(module: nn.Module) -> None:
    """Raise InputError for weights that are no 32-bit floats: what is computed with them is."""
    for name, value in module.state_dict().items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise InputError(
                f"weights of {str(value.dtype).removeprefix('torch.')}, first {name}",
                "stack",
                "call stack.float()",
            )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Training without what Lightning says that asks for nothing: which devices there are, tips, workers."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")
        warnings.filterwarnings("ignore", ".*Grad strides do not match bucket view strides.*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
