"""Processes that work side by side on this machine, and end with the one that started them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Any

from hjepa.devices import VISIBLE
from hjepa.sweeps.main_script import check_guarded, importable_main


@contextmanager
def workers(count: int, gpus: Sequence[str] = ()) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes; what they still do is given up when the block is left by an error or an interrupt.

    Spawned, not forked: a forked copy of a process that has used torch can hang.

    Args:
        count: of processes, at least 1.
        gpus: as `hjepa.devices.visible_gpus` names them; every process sees one of them, by turns. None: all see what
            this process does.

    Raises:
        InputError: the call stands outside of the main guard of a script.
    """
    check_guarded()
    with importable_main():
        yield from _pool(count, gpus)


def _pool(count: int, gpus: Sequence[str]) -> Iterator[ProcessPoolExecutor]:
    context = get_context("spawn")
    pool = ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(tuple(gpus), context.Value("i", 0))
    )
    try:
        yield pool
    except BaseException:
        # Asked for first: a pool that is shut down does not know its processes any more.
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        raise
    pool.shutdown()


def _begin(gpus: tuple[str, ...], begun: Any) -> None:
    """First thing in a process: take the next GPU, before anything computes; and end with the parent."""
    if gpus:
        with begun.get_lock():
            os.environ[VISIBLE] = gpus[begun.value % len(gpus)]
            begun.value += 1
    _end_with_parent()


def _end_with_parent() -> None:
    """End this process as soon as its parent has, even if that was killed and could not say so."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
