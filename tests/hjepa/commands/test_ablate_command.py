"""`hjepa ablate`: its options become a grid and an engine."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hjepa.cli import main
from hjepa.sweeps import cell as cells
from hjepa.sweeps import engines
from hjepa.sweeps import sweep as ablation

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the command asks `hjepa.sweeps.sweep.ablate` for; nothing runs."""
    asked = SimpleNamespace()

    def ablate(specs: Sequence[cells.Spec], out: str, engine: Any, **_: Any) -> ablation.Result:
        asked.specs, asked.out, asked.engine = specs, out, engine
        return ablation.Result()

    monkeypatch.setattr(ablation, "ablate", ablate)
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setitem(sys.modules, "submitit", ModuleType("submitit"))
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    return asked


def command(out: Path, *options: str) -> int:
    return main(["ablate", "--preset", TINY, "--out", str(out), *options])


def test_every_list_is_an_axis(tmp_path: Path, asked: SimpleNamespace) -> None:
    options = "--levels 1,3 --depth trained --train-seeds 0,1 --metric l2,commute --planner adam,cem"
    swept = (
        "--set",
        "plan.iterations=1,2",
        "--set",
        "plan.horizon=[3,3,2],[3,2,2]",
        "--budget-tflops",
        "1,2",
    )
    assert command(tmp_path, *options.split(), *swept, "--episodes", "9") == 0
    assert len(asked.specs) == 2**7
    for name, values in {
        "levels": {1, 3},
        "train_seed": {0, 1},
        "metric": {"l2", "commute"},
        "planner": {"adam", "cem"},
        "budget_tflops": {1.0, 2.0},
        "episodes": {9},
    }.items():
        assert {spec[name] for spec in asked.specs} == values
    assert ["plan.horizon=[3,2,2]", "plan.iterations=2"] in [spec["overrides"] for spec in asked.specs]
    assert isinstance(asked.engine, engines.LocalProcesses) and asked.engine.workers == 2


def test_options_choose_the_engine(tmp_path: Path, asked: SimpleNamespace) -> None:
    assert command(tmp_path, "--workers", "3", "--cpus", "2") == 0
    assert asked.engine.workers == 3 and asked.engine.environment["OMP_NUM_THREADS"] == "2"
    options = "--engine ray --ray-address head:6379 --gpus 0.5 --retries 1".split()
    assert command(tmp_path, *options) == 0
    ray = asked.engine
    assert isinstance(ray, engines.RayCluster)
    assert (ray.address, ray.gpus, ray.retries, ray.workers) == ("head:6379", 0.5, 1, None)
    options = "--engine slurm --slurm-partition fast --slurm-time 30 --slurm-mem 4 --slurm-array 100".split()
    more = "--slurm-set account=vision --slurm-set qos=low --gpus 1 --cpus 4".split()
    assert command(tmp_path, *options, *more) == 0
    slurm = asked.engine
    assert isinstance(slurm, engines.Slurm) and (slurm.cluster, slurm.array_size) == ("slurm", 100)
    parameters = slurm.parameters
    assert (parameters["slurm_partition"], parameters["timeout_min"], parameters["mem_gb"]) == ("fast", 30, 4)
    assert (parameters["cpus_per_task"], parameters["gpus_per_node"]) == (4, 1)
    assert parameters["slurm_additional_parameters"] == {"account": "vision", "qos": "low"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--ray-address head:1", "--ray-address with --engine local; add --engine ray"),
        ("--engine ray --slurm-time 3", "--slurm-time with --engine ray; add --engine slurm"),
        ("--slurm-set account=x", "--slurm-set with --engine local; add --engine slurm"),
        ("--workers 0", "--workers: '0' is not a whole number from 1"),
        ("--engine cloud", "cloud"),
        ("--levels 7", "choose from 1 to its 3 levels"),
        ("--task mars", "unknown task 'mars'"),
    ],
)
def test_what_cannot_work_is_one_line(
    tmp_path: Path, asked: SimpleNamespace, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    assert command(tmp_path / "out", *options.split()) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("engine", "extra", "module"), [("ray", "ray", "ray"), ("slurm", "slurm", "submitit")]
)
def test_a_missing_extra_is_one_line(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    engine: str,
    extra: str,
    module: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert command(tmp_path / "out", "--engine", engine) == 2
    error = capsys.readouterr().err
    assert f'{module} is not installed; pip install "hjepa[{extra}]"' in error
    assert len(error.strip().splitlines()) == 1
