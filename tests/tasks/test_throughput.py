"""Speed: that the measurements measure, and (slow) that the promised figures hold."""

from __future__ import annotations

import pytest

from tasks import throughput


@pytest.mark.parametrize("task_id", ["hjepa/NestedRooms-d2-v0", "MiniGrid-FourRooms-v0"])
def test_measurements_are_complete(task_id: str) -> None:
    figures = throughput.measure(task_id, num_envs=8, seconds=0.02, transitions=2_000)
    speeds = {name: value for name, value in figures.items() if name.endswith("_per_s")}
    assert len(speeds) == 6 and all(value > 0 for value in speeds.values())
    least, most = figures["ratio_spread"]
    assert 0 < least <= figures["ratio"] <= most
    assert figures["ratio_floor"] == throughput.FLOOR


def test_ratios_are_taken_side_by_side() -> None:
    found = throughput.ratios("ratio", [10.0, 30.0, 80.0], [5.0, 10.0, 20.0])
    assert found == {"ratio": 3.0, "ratio_spread": [2.0, 4.0]}
    assert throughput.ratios("ratio", [10.0], [None]) == {"ratio": None, "ratio_spread": None}


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


def test_a_continuous_world_has_no_minigrid_to_compare_with() -> None:
    figures = throughput.measure("hjepa/NestedPoint-d2-v0", num_envs=8, seconds=0.02, transitions=2_000)
    assert figures["minigrid_steps_per_s"] is None and figures["ratio"] is None
    assert figures["batched_steps_per_s"] > 0 and figures["collect_transitions_per_s"] > 0


@pytest.mark.slow
def test_the_twin_and_the_windows_are_as_fast_as_promised() -> None:
    figures = throughput.measure(seconds=1.0)
    assert figures["ratio"] >= figures["ratio_floor"]
    assert figures["windows_transitions_per_s"] > 5_000_000
