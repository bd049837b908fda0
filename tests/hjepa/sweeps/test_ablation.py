"""Ablations: skipping, failures, dead workers, kills, what stands beside the records."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hjepa.errors import InputError
from hjepa.evaluation.records import read_json
from hjepa.locks import locked
from hjepa.sweeps import cell as cells
from hjepa.sweeps import engines
from hjepa.sweeps import sweep as ablation
from hjepa.sweeps.engines.jobs import LOCK, attempts_path, cell_path, log_path, lost, perform


def test_cells_are_written_and_skipped_the_next_time(tmp_path: Path, fake: ModuleType) -> None:
    specs = [fake.make(4), fake.make(5), fake.make(6)]
    outcomes: list[engines.Outcome] = []
    first = ablation.ablate(specs[:2], tmp_path, engines.LocalProcesses(2), fake.run_cell)
    again = ablation.ablate(
        specs, tmp_path, engines.LocalProcesses(2), fake.run_cell, on_outcome=outcomes.append
    )
    assert (first.skipped, again.skipped) == (0, 2)
    assert sorted(fake.seeds_run(tmp_path)) == [4, 5, 6]
    assert [record["train_seed"] for record in again.records] == [4, 5, 6], "in the order asked for"
    assert [outcome.key for outcome in outcomes] == [cells.cell_key(spec) for spec in specs]
    for spec in specs:
        record = read_json(tmp_path / "cells" / f"{cells.cell_key(spec)}.json")
        assert record["spec"] == spec and record["success"] == [1]


def test_workers_are_other_processes_with_one_thread_and_a_log(
    tmp_path: Path, fake: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    ablation.ablate(
        [fake.make(4), fake.make(5), fake.make(6)], tmp_path, engines.LocalProcesses(2), fake.run_cell
    )
    lines = [line.split() for line in (tmp_path / "runs.txt").read_text().splitlines()]
    assert {threads for _, threads, _ in lines} == {"1"}
    processes = {process for *_, process in lines}
    assert str(os.getpid()) not in processes and 1 <= len(processes) <= 2
    logs = [log_path(tmp_path, cells.cell_key(fake.make(seed))) for seed in (4, 5, 6)]
    assert [log.read_text() for log in logs] == ["a word from the cell\n"] * 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_failed_and_killed_cells_spare_the_rest_and_are_retried(
    tmp_path: Path, fake: ModuleType, workers: int
) -> None:
    specs = [fake.make(1), fake.make(2), fake.make(4), fake.make(5)]
    failed_key, killed_key = cells.cell_key(specs[0]), cells.cell_key(specs[1])
    result = ablation.ablate(specs, tmp_path, engines.LocalProcesses(workers), fake.run_cell)
    assert [record["train_seed"] for record in result.records] == [4, 5]
    assert result.failed == {
        failed_key: "RuntimeError: no luck with this one",
        killed_key: "the worker process died (exit code -9)",
    }
    note = read_json(tmp_path / "failed" / f"{failed_key}.json")
    assert note["spec"] == specs[0] and "Traceback" in note["traceback"]

    (tmp_path / "mended").touch()
    again = ablation.ablate(specs, tmp_path, engines.LocalProcesses(workers), fake.run_cell)
    assert not again.failed and len(again.records) == 4 and again.skipped == 2
    assert sorted(fake.seeds_run(tmp_path)) == [1, 1, 2, 2, 4, 5]
    assert list((tmp_path / "failed").iterdir()) == []


def test_a_record_that_breaks_the_contract_is_a_failure(tmp_path: Path, fake: ModuleType) -> None:
    result = ablation.ablate([fake.make()], tmp_path, engines.InProcess(), lambda spec, out: {"task": "x"})
    assert "lacks split" in next(iter(result.failed.values()))
    assert not (tmp_path / "cells").exists()


def wait_for(condition: Any) -> None:
    """However long it takes: a busy machine is no failure, and what hangs meets the limit of every test."""
    while not condition():
        time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # a zombie that nobody has reaped yet runs no more
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


@pytest.mark.parametrize(
    ("engine", "end"),
    [
        ("local", signal.SIGKILL),
        ("local", signal.SIGINT),
        pytest.param("ray", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("ray", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("slurm", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_killed_in_the_middle_only_missing_cells_run_again(
    tmp_path: Path, fake: ModuleType, request: pytest.FixtureRequest, engine: str, end: signal.Signals
) -> None:
    """One worker sits in the cell of seed 3 while the other finishes the rest; then it all is ended."""
    if engine == "ray":
        request.getfixturevalue("ray_apart")
    elif engine == "slurm":
        pytest.importorskip("submitit")
    out = tmp_path / "out"
    sweep = [sys.executable, str(Path(fake.__file__ or "").with_name("fake_sweep.py")), str(out), engine]
    running = subprocess.Popen(sweep, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(lambda: len(list(out.glob("cells/*.json"))) == 4)
    except BaseException:
        os.killpg(running.pid, signal.SIGKILL)
        raise
    workers = {int(line.split()[2]) for line in (out / "runs.txt").read_text().splitlines()}
    if end == signal.SIGINT:
        os.killpg(running.pid, end)  # as Ctrl-C in a terminal reaches the workers too
    else:
        running.send_signal(end)
    try:
        wait_for(lambda: not any(map(is_running, workers)))
    finally:
        for worker in filter(is_running, workers):
            os.kill(worker, signal.SIGKILL)
    _, err = running.communicate()
    assert running.returncode != 0
    printed = "".join(file.read_text() for file in out.glob("logs/*.txt"))
    if end == signal.SIGINT:  # a worker whose parent is killed may find the pipe to it broken, and say so
        assert "Process SpawnProcess" not in err + printed, "workers leave a Ctrl-C to their parent"

    before = {file.name: file.stat().st_mtime_ns for file in out.glob("cells/*.json")}
    (out / "mended").touch()
    again = subprocess.run(sweep, capture_output=True, text=True, check=True)
    assert again.stdout.split() == ["4", "5", "0"]
    assert sorted(fake.seeds_run(out)) == [3, 3, 4, 5, 6, 7]
    after = {file.name: file.stat().st_mtime_ns for file in out.glob("cells/*.json")}
    assert {name: after[name] for name in before} == before
    assert not list(out.rglob("*.tmp"))
    attempts = {file.stem: read_json(file) for file in out.glob("attempts/*.json")}
    hung = attempts.pop(cells.cell_key(fake.make(3)))
    assert [attempt["ended"] is None for attempt in hung] == [True, False]
    assert all(len(tried) == 1 and tried[0]["started"] < hung[1]["started"] for tried in attempts.values())


def test_attempts_say_when_and_where(tmp_path: Path, fake: ModuleType) -> None:
    begun = datetime.now(UTC)
    spec = fake.make(1)
    ablation.ablate([spec], tmp_path, engines.InProcess(), fake.run_cell)
    (tmp_path / "mended").touch()
    ablation.ablate([spec], tmp_path, engines.InProcess(), fake.run_cell)
    first, second = read_json(attempts_path(tmp_path, cells.cell_key(spec)))
    assert first["error"] == "RuntimeError: no luck with this one" and second["error"] is None
    assert (second["host"], second["process"]) == (socket.gethostname(), os.getpid())
    times = [
        datetime.fromisoformat(attempt[name]) for attempt in (first, second) for name in ("started", "ended")
    ]
    assert times == sorted(times) and (times[0] - begun).total_seconds() > -0.01


def test_a_cell_that_an_engine_starts_twice_runs_once(tmp_path: Path, fake: ModuleType) -> None:
    job = engines.Job(cells.cell_key(fake.make(4)), fake.make(4), str(tmp_path), fake.run_cell)
    with locked(tmp_path / LOCK):
        first, second = perform(job), perform(job)
    assert first.record == second.record is not None
    assert fake.seeds_run(tmp_path) == [4]
    assert len(read_json(attempts_path(tmp_path, job.key))) == 1


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path, fake: ModuleType) -> None:
    job = engines.Job(cells.cell_key(fake.make(4)), fake.make(4), str(tmp_path / "elsewhere"), fake.run_cell)
    outcome = perform(job)
    assert outcome.record is None
    assert f"{socket.gethostname()} does not see this folder" in outcome.error
    assert "put --out on a file system that all machines share" in outcome.error
    assert not (tmp_path / "elsewhere").exists()


def test_a_worker_that_dies_after_its_record_is_written_has_finished(
    tmp_path: Path, fake: ModuleType
) -> None:
    job = engines.Job(cells.cell_key(fake.make(4)), fake.make(4), str(tmp_path), fake.run_cell)
    assert lost(job, "it died").error == "it died"
    with locked(tmp_path / LOCK):
        record = perform(job).record
    assert lost(job, "it died") == engines.Outcome(job.key, record)


def test_cells_see_no_gpu_unless_they_are_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert engines.LocalProcesses(1).environment["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in engines.LocalProcesses(1, gpus=1).environment
    assert engines.LocalProcesses(1, cpus=3).environment["OMP_NUM_THREADS"] == "3"


def test_local_workers_have_a_gpu_each_as_long_as_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-a")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    engine, team = engines.LocalProcesses(3, gpus=1), []
    for _ in range(3):
        team.append(SimpleNamespace(gpu=engine._free(team)))
    assert [worker.gpu for worker in team] == ["3", "GPU-a", "3"]
    assert engine._free(team[1:]) in ("3", "GPU-a") and engine._free(team[:1]) == "GPU-a"
    assert engines.LocalProcesses(3)._free([]) is None


def test_two_ablations_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        locked(tmp_path / LOCK),
        pytest.raises(InputError, match="another hjepa ablate works in this folder"),
    ):
        ablation.ablate([], tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [("{", "not JSON"), ("{}", "lacks task"), (None, "record of another cell")]
)
def test_a_foreign_file_among_the_cells_is_refused_and_kept(
    tmp_path: Path, fake: ModuleType, content: str | None, message: str
) -> None:
    file = cell_path(tmp_path, cells.cell_key(fake.make(4)))
    if content is None:
        content = json.dumps({**fake.run_cell(fake.make(5), tmp_path), "spec": fake.make(5)})
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        ablation.ablate([fake.make(4)], tmp_path, engines.InProcess(), fake.run_cell)
    assert file.read_text() == content


def test_neighbours_need_different_weights(fake: ModuleType) -> None:
    make = fake.make
    specs = [make(seed, levels=levels) for seed in (0, 1) for levels in (1, 2)]
    specs += [make(0, metric="l2"), make(0, overrides=["plan.horizon=3"])]
    jobs = [engines.Job(cells.cell_key(spec), spec, "", ablation.run_cell) for spec in specs]
    order = [cells.training_group(job.spec) for job in ablation.spread(jobs)]
    assert len(set(order[:4])) == 4
    assert order[4:] == [order[0], order[0]], "planning settings do not change the weights"
