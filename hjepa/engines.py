"""Where the cells of an ablation run.

An engine takes jobs and yields outcomes as they come. Everything that crosses the line between processes or
machines is plain data plus a function that can be imported, and what a job finishes it writes itself, so
that an engine for a cluster has nothing to do but call `perform` somewhere with the same folder.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from hjepa.errors import InputError, one_line
from hjepa.json_files import write_json
from hjepa.records import Record, check_record
from hjepa.requests import remove_progress

RunCell = Callable[[dict[str, Any], Path], Record]
"""(specification, folder of the ablation) -> record."""


@dataclass(frozen=True)
class Job:
    """One cell to run: its name, its specification, the ablation's folder and the function that runs it."""

    key: str
    spec: dict[str, Any]
    out: str
    run_cell: RunCell


@dataclass(frozen=True)
class Outcome:
    """How a job ended: a record, or none and one line of ``error`` with the ``traceback`` behind it."""

    key: str
    record: Record | None
    seconds: float = 0.0
    error: str = ""
    traceback: str = ""


class Engine(Protocol):
    """Runs jobs, in any order and number at once, and yields each one's outcome when it ends."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]: ...


def cell_path(out: str | os.PathLike[str], key: str) -> Path:
    """The file of a finished cell."""
    return Path(out) / "cells" / f"{key}.json"


def progress_path(out: str | os.PathLike[str], key: str) -> Path:
    """Where a cell keeps what it has finished until its record is written."""
    return Path(out) / "partial" / key


def perform(job: Job) -> Outcome:
    """Runs one cell and writes its record; an exception becomes an outcome and spares the other cells."""
    start = time.perf_counter()
    try:
        record = {**job.run_cell(job.spec, Path(job.out)), "spec": job.spec}
        check_record(record, where=f"cell {job.key[:12]}")
        write_json(cell_path(job.out, job.key), record)
        remove_progress(progress_path(job.out, job.key))
    except Exception as error:
        line = str(error) if isinstance(error, InputError) else one_line(f"{type(error).__name__}: {error}")
        return Outcome(job.key, None, time.perf_counter() - start, line, traceback.format_exc())
    return Outcome(job.key, record, time.perf_counter() - start)


class InProcess:
    """One cell after the other, in this process: for debugging."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        yield from map(perform, jobs)


class LocalProcesses:
    """Worker processes on this machine, each with its own interpreter and a fixed number of threads.

    A worker that dies, killed for memory for example, costs its cell alone. Workers end with this process,
    however it ends.

    Args:
        workers: cells at once, at least 1.
        threads: of torch and numpy in each worker; two workers with two threads each thrash on two cores.

    Raises:
        InputError: fewer than one worker or thread.
    """

    def __init__(self, workers: int = 2, threads: int = 1) -> None:
        if workers < 1 or threads < 1:
            raise InputError(f"{workers} workers with {threads} threads", "ablate", "give at least 1 of each")
        self.workers, self.threads = workers, threads

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        waiting = deque(jobs)
        team: list[_Worker] = []
        try:
            while waiting or team:
                while waiting and len(team) < self.workers:
                    team.append(_Worker(self.threads))
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


class _Worker:
    """A process that runs the jobs it is given, one at a time."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        # Numerical libraries read the number of threads when they are loaded, so it has to be there from
        # the start.
        settings = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
        with _environment({**settings, "TQDM_DISABLE": "1"}):
            self.process.start()
        theirs.close()
        self.alive = True

    def give(self, job: Job) -> None:
        self.job, self.since = job, time.perf_counter()
        with suppress(BrokenPipeError):  # it died before its first job: take() tells
            self.connection.send(job)

    def take(self) -> Outcome:
        """The outcome of the job; also when the process is no more."""
        try:
            outcome: Outcome = self.connection.recv()
            return outcome
        except (EOFError, ConnectionResetError):
            self.alive = False
            self.process.join()
            error = f"the worker process died (exit code {self.process.exitcode})"
            return Outcome(self.job.key, None, time.perf_counter() - self.since, error)

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _work(connection: Connection) -> None:
    """What a worker does until nobody gives it jobs any more."""
    # Ctrl-C reaches the whole group of processes; the parent decides and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging = False
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        if not logging:
            _send_output_to(Path(job.out) / "log.txt")
            logging = True
        connection.send(perform(job))


def _send_output_to(file: Path) -> None:
    """Appends what this process prints, warnings and all, to a file instead of the parent's table."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
