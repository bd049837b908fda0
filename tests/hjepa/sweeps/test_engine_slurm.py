"""Cells under Slurm: what is asked of submitit and sbatch, with stand-ins for either.

`tests/end_to_end/test_sweep.py` runs them with submitit's local jobs.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hjepa.errors import InputError
from hjepa.sweeps import engines
from hjepa.sweeps import sweep as ablation
from hjepa.sweeps.cell import cell_key
from hjepa.sweeps.engines.jobs import log_path
from hjepa.sweeps.engines.slurm import Cell


class UncompletedJobError(Exception):
    pass


class FailedJobError(UncompletedJobError):
    pass


class FakeJob:
    """Done at the second look."""

    def __init__(self, submitit: FakeSubmitit, function: Any, job: Any) -> None:
        self.submitit, self.function, self.job, self.looks = submitit, function, job, 0
        self.job_id, self.state = "7", "OUT_OF_MEMORY"
        self.paths = SimpleNamespace(stderr="7_log.err")

    def done(self) -> bool:
        self.looks += 1
        return self.looks > 1

    def result(self) -> Any:
        if self.job.spec["train_seed"] in self.submitit.lose:
            raise UncompletedJobError("no result")
        return self.function(self.job)

    def cancel(self, check: bool) -> None:
        self.submitit.cancelled.append(self.job.spec["train_seed"])


class FakeSubmitit(ModuleType):
    def __init__(self) -> None:
        super().__init__("submitit")
        self.core = SimpleNamespace(
            utils=SimpleNamespace(UncompletedJobError=UncompletedJobError, FailedJobError=FailedJobError)
        )
        self.made: list[dict[str, Any]] = []
        self.arrays: list[list[int]] = []
        self.variables: list[str | None] = []
        self.lose: set[int] = set()
        self.cancelled: list[int] = []
        self.refuse = ""

    def AutoExecutor(self, **settings: Any) -> Any:
        self.made.append(settings)

        def map_array(function: Any, jobs: list[Any]) -> list[FakeJob]:
            if self.refuse:
                raise FailedJobError(self.refuse)
            self.arrays.append([job.spec["train_seed"] for job in jobs])
            self.variables.append(os.environ.get("OMP_NUM_THREADS"))
            return [FakeJob(self, function, job) for job in jobs]

        return SimpleNamespace(update_parameters=lambda **given: settings.update(given), map_array=map_array)


@pytest.fixture
def submitit(monkeypatch: pytest.MonkeyPatch) -> FakeSubmitit:
    module = FakeSubmitit()
    monkeypatch.setitem(sys.modules, "submitit", module)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    return module


def test_parameters_reach_submitit(tmp_path: Path, fake: ModuleType, submitit: FakeSubmitit) -> None:
    engine = engines.Slurm(
        partition="fast",
        minutes=30,
        mem_gb=4,
        cpus=2,
        gpus=1,
        workers=5,
        retries=2,
        parameters={"account": "vision"},
        poll=0,
    )
    result = ablation.ablate([fake.make(4), fake.make(5)], tmp_path, engine, fake.run_cell)
    assert len(result.records) == 2 and submitit.arrays == [[4, 5]]
    (made,) = submitit.made
    assert made["cluster"] == "slurm" and made["folder"] == tmp_path / "slurm" / "%j"
    assert made["slurm_max_num_timeout"] == 2 and made["slurm_partition"] == "fast"
    assert (made["timeout_min"], made["mem_gb"], made["cpus_per_task"], made["gpus_per_node"]) == (
        30,
        4,
        2,
        1,
    )
    assert made["slurm_array_parallelism"] == 5
    assert made["slurm_additional_parameters"] == {"account": "vision"}
    assert "export OMP_NUM_THREADS='2'" in made["slurm_setup"] and submitit.variables == ["2"]
    assert log_path(tmp_path, cell_key(fake.make(4))).exists()


def test_what_is_not_given_is_left_to_the_cluster(
    tmp_path: Path, fake: ModuleType, submitit: FakeSubmitit
) -> None:
    ablation.ablate([fake.make(4)], tmp_path, engines.Slurm(poll=0), fake.run_cell)
    assert not {"slurm_partition", "mem_gb", "gpus_per_node"} & set(submitit.made[0])


def test_arrays_are_no_larger_than_asked(tmp_path: Path, fake: ModuleType, submitit: FakeSubmitit) -> None:
    specs = [fake.make(seed) for seed in (4, 5, 6, 7, 8)]
    result = ablation.ablate(specs, tmp_path, engines.Slurm(array_size=2, poll=0), fake.run_cell)
    assert len(result.records) == 5 and submitit.arrays == [[4, 5], [6, 7], [8]]


def test_local_jobs_are_submitted_as_there_is_room(
    tmp_path: Path, fake: ModuleType, submitit: FakeSubmitit
) -> None:
    specs = [fake.make(seed) for seed in (4, 5, 6, 7)]
    engine = engines.Slurm("local", workers=3, poll=0)
    assert len(ablation.ablate(specs, tmp_path, engine, fake.run_cell).records) == 4
    assert submitit.arrays == [[4, 5, 6], [7]]
    assert submitit.made[0]["local_max_num_timeout"] == 3


def test_lost_and_failed_jobs_spare_the_rest(
    tmp_path: Path, fake: ModuleType, submitit: FakeSubmitit
) -> None:
    submitit.lose = {5}
    specs = [fake.make(seed) for seed in (1, 4, 5)]
    result = ablation.ablate(specs, tmp_path, engines.Slurm(poll=0), fake.run_cell)
    assert [record["train_seed"] for record in result.records] == [4]
    assert result.failed == {
        cell_key(specs[0]): "RuntimeError: no luck with this one",
        cell_key(specs[2]): "job 7 ended without a result (OUT_OF_MEMORY); see 7_log.err",
    }


def test_an_interrupt_cancels_what_runs(tmp_path: Path, fake: ModuleType, submitit: FakeSubmitit) -> None:
    def interrupt(outcome: engines.Outcome) -> None:
        raise KeyboardInterrupt

    specs = [fake.make(seed) for seed in (4, 5)]
    with pytest.raises(KeyboardInterrupt):
        ablation.ablate(specs, tmp_path, engines.Slurm(poll=0), fake.run_cell, on_outcome=interrupt)
    assert submitit.cancelled == [5]


def test_a_refusal_of_sbatch_is_one_line(tmp_path: Path, fake: ModuleType, submitit: FakeSubmitit) -> None:
    submitit.refuse = "sbatch failed\nsbatch: error: invalid partition specified: nowhere\n"
    with pytest.raises(InputError, match="invalid partition specified: nowhere; mend the --slurm options"):
        ablation.ablate([fake.make(4)], tmp_path, engines.Slurm(poll=0), fake.run_cell)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gpus": 0.5}, "whole number"),
        ({"mem_gb": 0}, "0 GB"),
        ({"minutes": 0}, "minutes is 0"),
        ({"array_size": 0}, "array_size is 0"),
        ({"cluster": "cloud"}, "choose from slurm, local"),
    ],
)
def test_values_that_cannot_be(submitit: FakeSubmitit, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        engines.Slurm(**wrong)


def test_without_the_extra_or_slurm_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, submitit: FakeSubmitit
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="no Slurm on this machine .*--slurm-cluster local"):
        engines.Slurm()
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r'submitit is not installed; pip install "hjepa\[slurm\]"'):
        engines.Slurm("local")


SBATCH = """#!/bin/sh
cat "$1" > "$(dirname "$0")/submitted.sh"
echo "Submitted batch job 12"
"""


def test_what_the_real_submitit_gives_to_sbatch(
    tmp_path: Path, fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", "#!/bin/sh\n"), ("sacct", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    engine = engines.Slurm(
        partition="fast", minutes=30, mem_gb=4, gpus=1, workers=1, parameters={"account": "vision"}
    )
    jobs = [
        engines.Job(cell_key(fake.make(seed)), fake.make(seed), str(tmp_path), fake.run_cell)
        for seed in (4, 5)
    ]
    handles = engine._submit(engine._executor(str(tmp_path)), Cell(), jobs)
    assert [handle.job_id for handle in handles] == ["12_0", "12_1"]
    script = (programs / "submitted.sh").read_text()
    for line in (
        "#SBATCH --partition=fast",
        "#SBATCH --time=30",
        "#SBATCH --mem=4GB",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --array=0-1%1",
        "#SBATCH --account=vision",
        "export OMP_NUM_THREADS='1'",
    ):
        assert line in script, script
