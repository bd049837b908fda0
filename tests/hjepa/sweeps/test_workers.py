"""Worker processes: they end with whoever started them, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hjepa.devices import visible_gpus
from hjepa.sweeps.workers import workers

SCRIPT = """
import os, time
from hjepa.sweeps.workers import workers

def tell_and_stay(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    with workers(1) as pool:
        pool.submit(tell_and_stay, 600).result()
"""


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc about processes")
@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, signal: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert not gone(worker)
    os.kill(process.pid, {"KILL": 9, "TERM": 15}[signal])
    process.wait()
    while not gone(worker):
        time.sleep(0.05)


def test_an_error_in_the_block_gives_up_what_is_left() -> None:
    with pytest.raises(RuntimeError, match="enough"), workers(1) as pool:
        pool.submit(time.sleep, 10**7)
        processes = list(pool._processes.values())
        raise RuntimeError("enough")
    for process in processes:
        process.join()


def seen_after(seconds: float) -> tuple[int, str | None]:
    """The process and what it sees, slowly enough that another one takes the next job."""
    time.sleep(seconds)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def test_every_process_sees_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-a")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    found: dict[int, str | None] = {}
    with workers(2, visible_gpus()) as pool:
        while len(found) < 2:
            found |= dict(pool.map(seen_after, [0.3] * 2))
    assert sorted(map(str, found.values())) == ["2", "GPU-a"]
    with workers(1) as pool:
        assert pool.submit(seen_after, 0).result()[1] == "2,GPU-a", "or all see what the parent does"


def test_visible_gpus_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", " 1, 3 ,")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert visible_gpus() == ["1", "3"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert visible_gpus() == ["1"], "there is no GPU 3, and what follows it is not seen either"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert visible_gpus() == ["0", "1"]
