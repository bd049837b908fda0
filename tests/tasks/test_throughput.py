"""Speed: that the measurements measure, and (slow) that the promised figures hold."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tasks import collect, throughput


@pytest.mark.parametrize("task_id", ["hjepa/NestedRooms-d2-v0", "MiniGrid-FourRooms-v0"])
@pytest.mark.parametrize("seen", ["symbols", "RGB"])
def test_speeds_are_measured(task_id: str, seen: str) -> None:
    assert throughput.minigrid_steps(task_id, 0.02, seen) > 0
    for ahead in (False, True):
        assert throughput.batched_steps(task_id, 8, 0.02, seen=seen, ahead=ahead) > 0


def test_resets_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset that takes all the time there is leaves room for one round of steps."""
    now = [0.0]
    monkeypatch.setattr(throughput.time, "process_time", lambda: now[0])

    class Slow:
        def reset(self, options: object) -> None:
            now[0] += 2.0

        def step(self, action: object) -> None:
            now[0] += 0.01

    monkeypatch.setattr(throughput, "make_batched", lambda *_, **__: Slow())
    budget = throughput.task_spec("hjepa/NestedRooms-d2-v0").step_budget
    found = throughput.batched_steps("hjepa/NestedRooms-d2-v0", num_envs=4, seconds=1.0)
    assert found == pytest.approx(4 * budget / (2.0 + 0.01 * budget))


def test_windows_are_counted_in_transitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = collect("hjepa/NestedRooms-d2-v0", tmp_path / "store", 2, 2, 20, 0)
    now = itertools.count(0.0, 0.5)
    monkeypatch.setattr(throughput.time, "process_time", lambda: next(now))
    assert throughput.window_transitions(store, count=4, length=11, seconds=1.0) == 4 * 10 / 0.5


@pytest.mark.slow
def test_the_twin_and_the_windows_are_as_fast_as_promised(tmp_path: Path) -> None:
    for seen, count in (("symbols", 1024), ("RGB", 64)):
        own = throughput.minigrid_steps("hjepa/NestedRooms-d3-v0", seen=seen)
        assert throughput.batched_steps("hjepa/NestedRooms-d3-v0", count, seen=seen) >= 300 * own
    store = collect("hjepa/NestedRooms-d3-v0", tmp_path / "store", 2500, 4, 100, 0)
    assert throughput.window_transitions(store) > 5_000_000
