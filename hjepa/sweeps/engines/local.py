"""Cells in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

from hjepa.devices import VISIBLE, visible_gpus
from hjepa.sweeps.engines.jobs import (
    Job,
    Outcome,
    at_least,
    environment,
    lost,
    perform_logged,
    worker_environment,
)
from hjepa.sweeps.main_script import check_guarded, importable_main

GOODBYE = 10.0
"""Seconds that a worker without a job is given to end."""


class LocalProcesses:
    """Worker processes on this machine, each with its own interpreter and a fixed number of threads.

    A worker that dies, killed for memory for example, costs its cell alone. Workers end with this process,
    however it ends.

    Args:
        workers: cells at once, at least 1.
        cpus: threads of torch and numpy in each worker; two workers with two each thrash on two cores.
        gpus: 0 computes on the CPU; otherwise every worker has one of the GPUs that this process sees, and several
            share one where there are more workers than GPUs.

    Raises:
        InputError: fewer than one worker or CPU, a negative number of GPUs, or a script that makes it outside of its
            main guard.
    """

    def __init__(self, workers: int = 2, cpus: int = 1, gpus: float = 0) -> None:
        check_guarded()
        at_least(1, workers=workers, cpus=cpus)
        at_least(0, gpus=gpus)
        self.workers, self.environment = workers, worker_environment(cpus, gpus)
        self.gpus = visible_gpus() if gpus else []

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        waiting = deque(jobs)
        team: list[_Worker] = []
        try:
            while waiting or team:
                while waiting and len(team) < self.workers:
                    team.append(_Worker(self.environment, self._free(team)))
                    team[-1].give(waiting.popleft())
                ready = wait([worker.connection for worker in team])
                for worker in [worker for worker in team if worker.connection in ready]:
                    outcome = worker.take()
                    if worker.alive and waiting:
                        worker.give(waiting.popleft())
                    else:
                        worker.stop()
                        team.remove(worker)
                    yield outcome
        finally:
            for worker in team:
                worker.stop()

    def _free(self, team: Sequence[_Worker]) -> str | None:
        """The GPU that fewest workers of the team have; None without GPUs."""
        held = [worker.gpu for worker in team]
        return min(self.gpus, key=held.count, default=None)


class _Worker:
    """A process that runs the jobs it is given, one at a time, on a GPU of its own if it is given one."""

    def __init__(self, variables: dict[str, str], gpu: str | None = None) -> None:
        self.gpu = gpu
        if gpu is not None:
            variables = variables | {VISIBLE: gpu}
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        with environment(variables), importable_main():
            self.process.start()
        theirs.close()
        self.alive, self.busy = True, False

    def give(self, job: Job) -> None:
        self.job, self.since, self.busy = job, time.perf_counter(), True
        with suppress(BrokenPipeError):  # it died before its first job: take() tells
            self.connection.send(job)

    def take(self) -> Outcome:
        """The outcome of the job; also when the process is no more."""
        self.busy = False
        try:
            outcome: Outcome = self.connection.recv()
            return outcome
        except (EOFError, ConnectionResetError):
            self.alive = False
            self.process.join()
            error = f"the worker process died (exit code {self.process.exitcode})"
            return lost(self.job, error, time.perf_counter() - self.since)

    def stop(self) -> None:
        self.connection.close()
        if not self.busy:
            self.process.join(GOODBYE)  # by itself, so that libraries clean up
        self.process.terminate()
        self.process.join()


def _work(connection: Connection) -> None:
    """What a worker does until nobody gives it jobs any more."""
    # Ctrl-C reaches the whole group of processes; the parent decides and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(perform_logged(job))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
