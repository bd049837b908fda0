"""Cells as tasks of a Ray cluster: several machines, GPUs counted, lost machines made good.

Every machine needs this project installed and sees the ablation's folder under the same path: trajectories,
stacks and records are shared through it, and its locks keep two machines from training one stack twice.
"""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from hjepa.errors import InputError, one_line
from hjepa.sweeps.engines.jobs import Job, Outcome, at_least, extra, lost, perform_logged, worker_environment

OBJECT_STORE = 200 * 1024**2
"""Bytes of shared memory of a Ray that is started here; a record is a few kilobytes."""


class RayCluster:
    """Ray tasks, one per cell.

    A cell whose worker or machine is lost runs again on another one and continues where the shared folder says
    the first one was. An exception within a cell is that cell's outcome and is not retried.

    Args:
        address: of a running cluster, as ``ray start --head`` prints it. None: the one of this process, of
            RAY_ADDRESS or of this machine; failing those, Ray is started on this machine for this run alone.
        cpus: CPUs that a cell is counted as, and its threads; the bits of its record depend on the threads.
        gpus: GPUs that a cell is counted as; 0.5 puts two cells on one, 0 computes on the CPU.
        retries: how often a cell is started again after its worker or machine was lost.
        workers: most cells at once; None: as many as the cluster has room for.

    Raises:
        InputError: Ray is not installed, or a number that cannot be.
    """

    def __init__(
        self,
        address: str | None = None,
        cpus: int = 1,
        gpus: float = 0,
        retries: int = 3,
        workers: int | None = None,
    ) -> None:
        at_least(1, cpus=cpus, workers=workers)
        at_least(0, gpus=gpus, retries=retries)
        self.address, self.cpus, self.gpus = address, cpus, gpus
        self.retries, self.workers = retries, workers
        self.ray = _ray()

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        if not jobs:
            return
        ray = self.ray
        with _connected(ray, self.address) as own:
            self._check_room(own)
            task = ray.remote(perform_logged).options(
                num_cpus=self.cpus,
                num_gpus=self.gpus,
                max_retries=self.retries,
                runtime_env={"env_vars": worker_environment(self.cpus, self.gpus)},
            )
            waiting = deque(jobs)
            running: dict[Any, tuple[Job, float]] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < (self.workers or len(jobs)):
                        job = waiting.popleft()
                        running[task.remote(job)] = job, time.perf_counter()
                    ready, _ = ray.wait(list(running), num_returns=1)
                    for reference in ready:
                        yield _outcome(ray, reference, *running.pop(reference))
            finally:
                for reference in running:
                    with suppress(Exception):
                        ray.cancel(reference, force=True)

    def _check_room(self, own: bool) -> None:
        """Warns, or refuses where nobody else could join, when no machine is large enough for a cell."""
        needed = {"CPU": float(self.cpus), "GPU": float(self.gpus)}
        machines = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if any(all(machine.get(name, 0) >= count for name, count in needed.items()) for machine in machines):
            return
        message = (
            f"no machine of the Ray cluster has {self.cpus} CPUs and {self.gpus:g} GPUs, as a cell needs"
        )
        if own:
            raise InputError(message, "ablate", "lower --cpus or --gpus")
        warnings.warn(f"{message}; cells wait until one joins", stacklevel=2)


def _ray() -> ModuleType:
    # Ray reads this when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return extra("ray", "ray")


@contextmanager
def _connected(ray: ModuleType, address: str | None) -> Iterator[bool]:
    """Connects to Ray; gives whether it was started for this run, and is stopped afterwards."""
    if ray.is_initialized():
        yield False
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    own = False
    try:
        ray.init(address=address or "auto", **quiet)
    except Exception as error:  # also one about tokens, or versions that differ
        named = address or os.environ.get("RAY_ADDRESS")
        if named or not isinstance(error, ConnectionError):
            raise InputError(
                f"no Ray cluster answers ({one_line(error)[:200]})",
                named or "ablate",
                "start one with ray start --head, or leave --ray-address and RAY_ADDRESS out to start one here",
            ) from error
        ray.init(address="local", include_dashboard=False, object_store_memory=OBJECT_STORE, **quiet)
        own = True
    try:
        yield own
    finally:
        ray.shutdown()


def _outcome(ray: ModuleType, reference: Any, job: Job, since: float) -> Outcome:
    try:
        outcome: Outcome = ray.get(reference)
        return outcome
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        return lost(job, reason, time.perf_counter() - since, str(error))
