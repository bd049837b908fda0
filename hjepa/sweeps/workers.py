"""Processes that work side by side on this machine, and end with the one that started them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process

from hjepa.sweeps.main_script import check_guarded, importable_main


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes; what they still do is given up when the block is left by an error or an interrupt.

    Spawned, not forked: a forked copy of a process that has used torch can hang.

    Args:
        count: of processes, at least 1.

    Raises:
        InputError: the call stands outside of the main guard of a script.
    """
    check_guarded()
    with importable_main():
        yield from _pool(count)


def _pool(count: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_end_with_parent)
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


def _end_with_parent() -> None:
    """End this process as soon as its parent has, even if that was killed and could not say so."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
