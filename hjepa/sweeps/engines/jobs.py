"""Jobs, their outcomes, and how one is performed, whatever the engine."""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from hjepa.errors import InputError, one_line
from hjepa.evaluation.plan_request import remove_progress
from hjepa.evaluation.records import Record, check_record, read_records
from hjepa.json_files import read_json, write_json
from hjepa.locks import locked

RunCell = Callable[[dict[str, Any], Path], Record]
"""(specification, folder of the ablation) -> record."""

LOCK = "ablation.lock"
"""File in the folder of an ablation that is there as soon as one runs."""


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


class InProcess:
    """One cell after the other, in this process: for debugging."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        yield from map(perform, jobs)


def cell_path(out: str | os.PathLike[str], key: str) -> Path:
    """The file of a finished cell."""
    return Path(out) / "cells" / f"{key}.json"


def progress_path(out: str | os.PathLike[str], key: str) -> Path:
    """Where a cell keeps what it has finished until its record is written."""
    return Path(out) / "partial" / key


def attempts_path(out: str | os.PathLike[str], key: str) -> Path:
    """When and where a cell ran: a list of {started, ended, host, process, error}, the last attempt last.

    Times are UTC in ISO 8601. ``ended`` is null while it runs, and stays null when it is killed; ``error`` is
    null unless the attempt failed.
    """
    return Path(out) / "attempts" / f"{key}.json"


def log_path(out: str | os.PathLike[str], key: str) -> Path:
    """What a cell prints, all attempts one after the other."""
    return Path(out) / "logs" / f"{key}.txt"


def finished_cell(out: str | os.PathLike[str], key: str, spec: dict[str, Any]) -> Record | None:
    """The record of a finished cell, None when there is none yet.

    Raises:
        InputError: the file holds something else.
    """
    path = cell_path(out, key)
    if not path.exists():
        return None
    record = read_records(path)[0]
    if record.get("spec") != spec:
        raise InputError("this is the record of another cell", str(path), "delete the file")
    return record


def perform(job: Job) -> Outcome:
    """Runs one cell and writes its record; an exception becomes an outcome and spares the other cells.

    Called twice for one cell, as engines do that lost sight of a machine, the second call waits for the first
    and returns its record.
    """
    start = time.perf_counter()
    try:
        if not (Path(job.out) / LOCK).exists():
            raise InputError(
                f"{socket.gethostname()} does not see this folder",
                job.out,
                "put --out on a file system that all machines share",
            )
        with locked(attempts_path(job.out, job.key).with_suffix(".lock")):
            record = finished_cell(job.out, job.key, job.spec) or _attempt(job)
    except Exception as error:
        return Outcome(job.key, None, time.perf_counter() - start, _line(error), traceback.format_exc())
    return Outcome(job.key, record, time.perf_counter() - start)


def perform_logged(job: Job) -> Outcome:
    """`perform` with everything that this process prints appended to `log_path`."""
    with output_to(log_path(job.out, job.key)):
        return perform(job)


def lost(job: Job, error: str, seconds: float = 0.0, details: str = "") -> Outcome:
    """The outcome of a job whose worker is no more: its record, had it been written before, else the error."""
    record = finished_cell(job.out, job.key, job.spec)
    return Outcome(job.key, record, seconds, *(("", "") if record else (one_line(error), details)))


def worker_environment(cpus: int, gpus: float) -> dict[str, str]:
    """Environment variables of a process that performs jobs.

    Numerical libraries read the number of threads when they are loaded, so it has to be there from the start;
    results have the same bits only with the same number. Without GPUs, none is seen: a cell computes on the CPU.
    """
    values = {f"{library}_NUM_THREADS": str(cpus) for library in ("OMP", "MKL", "OPENBLAS")}
    values["TQDM_DISABLE"] = "1"
    return values if gpus else values | {"CUDA_VISIBLE_DEVICES": ""}


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that processes started inside inherit."""
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


@contextmanager
def output_to(file: Path) -> Iterator[None]:
    """Appends what this process prints meanwhile, warnings of libraries and all, to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    before = [os.dup(1), os.dup(2)]
    try:
        _point_output_at(descriptor, descriptor)
        yield
    finally:
        _point_output_at(*before)
        for number in (descriptor, *before):
            os.close(number)


def extra(module: str, name: str) -> ModuleType:
    """An optional module, imported when it is needed.

    Args:
        module: to import.
        name: of the extra that installs it.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(f"{module} is not installed", "", f'pip install "hjepa[{name}]"') from error


def at_least(least: float, **values: float | None) -> None:
    """Raise InputError for a value below ``least``; None passes."""
    for name, value in values.items():
        if value is not None and not value >= least:
            raise InputError(f"{name} is {value}", "ablate", f"give {least} or more")


def _attempt(job: Job) -> Record:
    path = attempts_path(job.out, job.key)
    attempts = read_json(path) if path.exists() else []
    now = {
        "started": _now(),
        "ended": None,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "error": None,
    }
    write_json(path, [*attempts, now])
    try:
        record: Record = {**job.run_cell(job.spec, Path(job.out)), "spec": job.spec}
        check_record(record, where=f"cell {job.key[:12]}")
    except Exception as error:
        write_json(path, [*attempts, now | {"ended": _now(), "error": _line(error)}])
        raise
    write_json(path, [*attempts, now | {"ended": _now()}])
    # The record last: whoever sees it sees a cell about which there is nothing left to write.
    write_json(cell_path(job.out, job.key), record)
    remove_progress(progress_path(job.out, job.key))
    return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _line(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else one_line(f"{type(error).__name__}: {error}")


def _point_output_at(out: int, err: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.dup2(out, 1)
    os.dup2(err, 2)
