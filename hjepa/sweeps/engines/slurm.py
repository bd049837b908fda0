"""Cells as jobs of a Slurm cluster, submitted by submitit in arrays.

The compute nodes see the ablation's folder and this Python environment under the same paths, as is usual on such
clusters. Submitted jobs outlive the command: after a kill, the same command waits for those that still run, by the
locks in the folder, and takes what they finished.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hjepa.errors import InputError
from hjepa.sweeps.engines.jobs import (
    Job,
    Outcome,
    at_least,
    environment,
    extra,
    lost,
    perform_logged,
    worker_environment,
)

CLUSTERS = ("slurm", "local")
LOCAL_WORKERS = 2


class Slurm:
    """Slurm jobs, one per cell, submitted as arrays.

    A job that is preempted or reaches its time limit is put back into the queue and continues.

    Args:
        cluster: ``slurm``; or ``local``, the same jobs as processes of this machine, to try things out.
        partition: of Slurm; None: the cluster's default.
        minutes: time limit of a job.
        mem_gb: memory of a job in GB; None: the cluster's default.
        cpus: of a job, and its threads; the bits of its record depend on the threads.
        gpus: of a job, a whole number; 0 computes on the CPU.
        array_size: most jobs of one array; clusters refuse more than their MaxArraySize, often 1001.
        workers: most jobs of an array that run at once; None: as many as the cluster lets, with ``local`` 2.
        retries: how often a job is put back into the queue after reaching its time limit.
        parameters: further options of sbatch, as ``{"account": "vision"}``.
        poll: seconds between two looks at the jobs.

    Raises:
        InputError: submitit or Slurm is not installed, or a number that cannot be.
    """

    def __init__(
        self,
        cluster: str = "slurm",
        partition: str | None = None,
        minutes: int = 240,
        mem_gb: float | None = None,
        cpus: int = 1,
        gpus: float = 0,
        array_size: int = 1000,
        workers: int | None = None,
        retries: int = 3,
        parameters: Mapping[str, str] | None = None,
        poll: float = 1.0,
    ) -> None:
        at_least(1, cpus=cpus, workers=workers, array_size=array_size, minutes=minutes)
        at_least(0, gpus=gpus, retries=retries)
        if gpus != int(gpus):
            raise InputError(f"{gpus} GPUs", "ablate", "give a whole number to --engine slurm")
        if mem_gb is not None and not mem_gb > 0:
            raise InputError(f"{mem_gb} GB of memory", "ablate", "give a positive number")
        if cluster not in CLUSTERS:
            raise InputError(f"cluster {cluster!r}", "ablate", f"choose from {', '.join(CLUSTERS)}")
        self.submitit = extra("submitit", "slurm")
        if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
            raise InputError(
                "no Slurm on this machine (sbatch and srun are not there)",
                "ablate",
                "run this on a login node, or add --slurm-cluster local to try it without Slurm",
            )
        self.cluster, self.array_size, self.retries, self.poll = cluster, array_size, retries, poll
        # submitit's local jobs all start at once, so that the limit is kept here.
        self.at_once = (workers or LOCAL_WORKERS) if cluster == "local" else None
        self.environment = worker_environment(cpus, gpus)
        self.parameters: dict[str, Any] = {
            "name": "hjepa",
            "timeout_min": minutes,
            "cpus_per_task": cpus,
            "gpus_per_node": int(gpus),
            "mem_gb": mem_gb,
            "slurm_partition": partition,
            "slurm_array_parallelism": workers or array_size,
            "slurm_additional_parameters": dict(parameters or {}),
            # Some clusters hand a job none of the environment it was submitted in.
            "slurm_setup": [f"export {name}={value!r}" for name, value in self.environment.items()],
        }

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        if not jobs:
            return
        executor = self._executor(jobs[0].out)
        waiting, cell = deque(jobs), Cell()
        running: dict[Any, tuple[Job, float]] = {}
        try:
            while waiting or running:
                room = len(waiting) if self.at_once is None else self.at_once - len(running)
                while waiting and room > 0:
                    batch = [waiting.popleft() for _ in range(min(room, self.array_size, len(waiting)))]
                    room -= len(batch)
                    with environment(self.environment):
                        handles = self._submit(executor, cell, batch)
                    running |= {handle: (job, time.perf_counter()) for handle, job in zip(handles, batch)}
                ended = [handle for handle in running if handle.done()]
                for handle in ended:
                    yield self._outcome(handle, *running.pop(handle))
                if not ended:
                    time.sleep(self.poll)
        finally:
            for handle in running:
                with suppress(Exception):
                    handle.cancel(check=False)

    def _executor(self, out: str) -> Any:
        executor = self.submitit.AutoExecutor(
            folder=Path(out) / "slurm" / "%j",
            cluster=self.cluster,
            **{f"{self.cluster}_max_num_timeout": self.retries},
        )
        # What is not given is the cluster's choice; a request for no GPUs is refused where there are none.
        executor.update_parameters(
            **{name: v for name, v in self.parameters.items() if v not in (None, {}, 0)}
        )
        return executor

    def _submit(self, executor: Any, cell: Cell, batch: list[Job]) -> list[Any]:
        try:
            return list(executor.map_array(cell, batch))
        except self.submitit.core.utils.FailedJobError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise InputError(
                f"sbatch refused the jobs: {lines[-1] if lines else error}",
                "ablate",
                "mend the --slurm options",
            ) from error

    def _outcome(self, handle: Any, job: Job, since: float) -> Outcome:
        try:
            outcome: Outcome = handle.result()
            return outcome
        except (
            self.submitit.core.utils.UncompletedJobError,
            self.submitit.core.utils.FailedJobError,
        ) as error:
            reason = f"job {handle.job_id} ended without a result ({handle.state}); see {handle.paths.stderr}"
            return lost(job, reason, time.perf_counter() - since, str(error))


class Cell:
    """What submitit calls in a job; one with ``checkpoint`` is put back into the queue when it is preempted."""

    def __call__(self, job: Job) -> Outcome:
        return perform_logged(job)

    def checkpoint(self, job: Job) -> Any:
        """The same again: a cell finds in the folder what it had finished."""
        return extra("submitit", "slurm").helpers.DelayedSubmission(self, job)
