"""Cells on Ray: what is asked of it and what becomes of its answers, with a stand-in for Ray itself.

`tests/end_to_end/test_sweep.py` runs them on a real cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hjepa.errors import InputError
from hjepa.sweeps import engines
from hjepa.sweeps import sweep as ablation
from hjepa.sweeps.cell import cell_key


class RayError(Exception):
    pass


@dataclass(frozen=True, eq=False)
class Reference:
    job: Any
    function: Callable[[Any], Any]


class FakeRay(ModuleType):
    """Runs each task when it is waited for, the last submitted one first."""

    def __init__(self, running: bool = True, gpus: int = 0) -> None:
        super().__init__("ray")
        self.running, self.up = running, False
        self.exceptions = SimpleNamespace(RayError=RayError)
        self.machines = [{"Alive": True, "Resources": {"CPU": 2.0, "GPU": float(gpus)}}]
        self.asked: list[dict[str, Any]] = []
        self.inits: list[dict[str, Any]] = []
        self.cancelled: list[Any] = []
        self.most = 0
        self.lose: Callable[[Any], bool] = lambda job: False

    def is_initialized(self) -> bool:
        return self.up

    def init(self, address: str, **settings: Any) -> None:
        self.inits.append({"address": address, **settings})
        if address != "local" and not self.running:
            raise ConnectionError(f"nobody at {address}\nand more")
        self.up = True

    def shutdown(self) -> None:
        self.up = False

    def nodes(self) -> list[dict[str, Any]]:
        return self.machines

    def remote(self, function: Callable[[Any], Any]) -> Any:
        def options(**settings: Any) -> Any:
            self.asked.append(settings)
            return SimpleNamespace(remote=lambda job: Reference(job, function))

        return SimpleNamespace(options=options)

    def wait(self, references: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(references))
        return references[-num_returns:], references[:-num_returns]

    def get(self, reference: Any) -> Any:
        if self.lose(reference.job):
            raise RayError("The worker died unexpectedly\nwhile executing this task.")
        return reference.function(reference.job)

    def cancel(self, reference: Any, force: bool) -> None:
        self.cancelled.append(reference.job.spec["train_seed"])


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return ray


def test_each_cell_is_a_task_with_its_resources(tmp_path: Path, fake: ModuleType, ray: FakeRay) -> None:
    ray.machines[0]["Resources"] = {"CPU": 8.0, "GPU": 1.0}
    specs = [fake.make(seed) for seed in (4, 5, 6)]
    engine = engines.RayCluster("head:6379", cpus=2, gpus=0.5, retries=7)
    result = ablation.ablate(specs, tmp_path, engine, fake.run_cell)
    assert [record["train_seed"] for record in result.records] == [4, 5, 6]
    (asked,) = ray.asked
    assert (asked["num_cpus"], asked["num_gpus"], asked["max_retries"]) == (2, 0.5, 7)
    variables = asked["runtime_env"]["env_vars"]
    assert variables["OMP_NUM_THREADS"] == "2" and "CUDA_VISIBLE_DEVICES" not in variables
    assert [init["address"] for init in ray.inits] == ["head:6379"] and not ray.up
    assert ray.most == 3


def test_at_most_as_many_cells_at_once_as_workers(tmp_path: Path, fake: ModuleType, ray: FakeRay) -> None:
    specs = [fake.make(seed) for seed in (4, 5, 6, 7)]
    result = ablation.ablate(specs, tmp_path, engines.RayCluster(workers=2), fake.run_cell)
    assert len(result.records) == 4 and ray.most == 2
    assert ray.asked[0]["runtime_env"]["env_vars"]["CUDA_VISIBLE_DEVICES"] == "", "no GPU asked, none seen"


def test_lost_and_failed_cells_spare_the_rest(tmp_path: Path, fake: ModuleType, ray: FakeRay) -> None:
    specs = [fake.make(seed) for seed in (1, 4, 5)]
    ray.lose = lambda job: job.spec["train_seed"] == 5
    result = ablation.ablate(specs, tmp_path, engines.RayCluster(), fake.run_cell)
    assert [record["train_seed"] for record in result.records] == [4]
    assert result.failed == {
        cell_key(specs[0]): "RuntimeError: no luck with this one",
        cell_key(specs[2]): "RayError: The worker died unexpectedly",
    }


def test_an_interrupt_cancels_what_runs(tmp_path: Path, fake: ModuleType, ray: FakeRay) -> None:
    def interrupt(outcome: engines.Outcome) -> None:
        raise KeyboardInterrupt

    specs = [fake.make(seed) for seed in (4, 5, 6)]
    with pytest.raises(KeyboardInterrupt):
        ablation.ablate(specs, tmp_path, engines.RayCluster(), fake.run_cell, on_outcome=interrupt)
    assert ray.cancelled == [4, 5] and not ray.up


def test_without_a_cluster_ray_starts_here(
    tmp_path: Path, fake: ModuleType, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.running = False
    result = ablation.ablate([fake.make(4)], tmp_path, engines.RayCluster(), fake.run_cell)
    assert len(result.records) == 1
    assert [init["address"] for init in ray.inits] == ["auto", "local"] and not ray.up
    with pytest.raises(InputError, match=r"head:1: no Ray cluster answers \(nobody at head:1 and more\)"):
        ablation.ablate([fake.make(5)], tmp_path, engines.RayCluster("head:1"), fake.run_cell)
    monkeypatch.setenv("RAY_ADDRESS", "there:2")
    with pytest.raises(InputError, match="there:2: no Ray cluster answers"):
        ablation.ablate([fake.make(5)], tmp_path, engines.RayCluster(), fake.run_cell)


def test_a_ray_of_the_caller_is_used_and_left_running(tmp_path: Path, fake: ModuleType, ray: FakeRay) -> None:
    ray.up = True
    ablation.ablate([fake.make(4)], tmp_path, engines.RayCluster(), fake.run_cell)
    assert ray.inits == [] and ray.up


def test_a_cell_that_fits_no_machine(tmp_path: Path, fake: ModuleType, ray: FakeRay) -> None:
    engine = engines.RayCluster(gpus=1)
    with pytest.warns(UserWarning, match="no machine of the Ray cluster has 1 CPUs and 1 GPUs"):
        ablation.ablate([fake.make(4)], tmp_path, engine, fake.run_cell)
    ray.running = False
    with pytest.raises(InputError, match="lower --cpus or --gpus"):
        ablation.ablate([fake.make(5)], tmp_path, engine, fake.run_cell)


def test_nothing_to_do_starts_nothing(tmp_path: Path, ray: FakeRay) -> None:
    ablation.ablate([], tmp_path, engines.RayCluster())
    assert ray.inits == []


def test_without_the_extra_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'ray is not installed; pip install "hjepa\[ray\]"'):
        engines.RayCluster()


@pytest.mark.parametrize("wrong", [{"cpus": 0}, {"gpus": -1}, {"retries": -1}, {"workers": 0}])
def test_numbers_that_cannot_be(ray: FakeRay, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))} is "):
        engines.RayCluster(**wrong)
