"""A sweep that trains and plans, through every engine: killed, on machines that are lost, always the same records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hjepa.evaluation.records import Record, without_timing

PRESET = Path(__file__).parent / "tiny.yaml"
GRID = ("--levels", "1,2,3", "--depth", "trained", "--train-seeds", "0,1", "--episodes", "6")
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def sweep(out: Path, *more: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "hjepa.cli", "ablate", "--preset", PRESET, *GRID, "--out", out, *more]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What the command printed; it has to succeed."""
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed


def records(out: Path) -> dict[str, Record]:
    """Name of a cell -> what has to be equal to the last bit."""
    return {file.stem: without_timing(json.loads(file.read_text())) for file in out.glob("cells/*.json")}


def attempts(out: Path) -> dict[str, list[dict[str, Any]]]:
    return {file.stem: json.loads(file.read_text()) for file in out.glob("attempts/*.json")}


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    """What ``condition`` gives as soon as it gives something, while the command runs."""
    while not (found := condition()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """Records of a sweep that nothing disturbed."""
    out = tmp_path_factory.mktemp("sweep") / "reference"
    assert "6 of 6 cells, 0 from earlier runs" in finish(sweep(out))
    found = records(out)
    assert sorted((record["levels"], record["train_seed"]) for record in found.values()) == [
        (levels, seed) for levels in (1, 2, 3) for seed in (0, 1)
    ]
    assert len({record["checkpoint_sha256"] for record in found.values()}) == 6
    assert all(len(tried) == 1 for tried in attempts(out).values())
    return found


def test_killed_and_run_again(tmp_path: Path, reference: dict[str, Record]) -> None:
    out = tmp_path / "killed"
    killed = sweep(out)
    wait_for(lambda: len(records(out)) >= 2 and any(out.glob("train/*.partial")), killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    finished, before = records(out), attempts(out)
    assert 2 <= len(finished) < 6
    assert f"6 of 6 cells, {len(finished)} from earlier runs" in finish(sweep(out))
    assert records(out) == reference
    for key, tried in attempts(out).items():
        if key in finished:
            assert tried == before[key], "a finished cell does not run again"
        else:
            latest = max(attempt["started"] for key in finished for attempt in before[key])
            assert tried[-1]["started"] > latest and tried[-1]["ended"]


@pytest.fixture
def cluster(ray_apart: None) -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, a CPU each; the second is ``cluster.second``."""
    from ray import cluster_utils

    node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 200 * 1024**2}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    cluster.second = cluster.add_node(**node)
    yield cluster
    cluster.shutdown()


def parent_of(process: int) -> int | None:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return None


def test_a_ray_cluster_that_loses_a_node(tmp_path: Path, reference: dict[str, Record], cluster: Any) -> None:
    out = tmp_path / "ray"
    running = sweep(out, "--engine", "ray", "--ray-address", cluster.address)
    raylet = cluster.second.all_processes["raylet"][0].process.pid

    def on_second() -> str | None:
        for key, tried in attempts(out).items():
            if tried[-1]["ended"] is None and parent_of(tried[-1]["process"]) == raylet:
                return key
        return None

    lost = wait_for(on_second, running)
    cluster.remove_node(cluster.second, allow_graceful=False)
    assert "6 of 6 cells" in finish(running)
    assert records(out) == reference
    tried = attempts(out)
    assert [attempt["ended"] is None for attempt in tried.pop(lost)] == [True, False]
    assert all(len(others) == 1 for others in tried.values())


def test_a_ray_that_is_started_for_the_sweep(
    tmp_path: Path, reference: dict[str, Record], ray_apart: None
) -> None:
    out = tmp_path / "own"
    grid = ("--levels", "1", "--workers", "2")
    assert "2 of 2 cells" in finish(sweep(out, *grid, "--engine", "ray"))
    assert records(out).items() <= reference.items()


def test_jobs_of_submitit(tmp_path: Path, reference: dict[str, Record]) -> None:
    pytest.importorskip("submitit")
    out = tmp_path / "slurm"
    assert "6 of 6 cells" in finish(sweep(out, "--engine", "slurm", "--slurm-cluster", "local"))
    assert records(out) == reference
    processes = [attempt["process"] for tried in attempts(out).values() for attempt in tried]
    assert len(set(processes)) == 6, "a process for each cell"
