"""Speed: that the measurements measure, and (slow) that the promised figures hold."""

from __future__ import annotations

import pytest

from tasks import throughput


@pytest.mark.parametrize("task_id", ["hjepa/NestedRooms-d2-v0", "MiniGrid-FourRooms-v0"])
def test_measurements_are_complete(task_id: str) -> None:
    figures = throughput.measure(task_id, num_envs=8, seconds=0.02, transitions=2_000)
    speeds = {name: value for name, value in figures.items() if name.endswith("_per_s")}
    assert len(speeds) == 6 and all(value > 0 for value in speeds.values())
    assert figures["ratio"] == figures["batched_steps_per_s"] / figures["minigrid_steps_per_s"]


def test_a_continuous_world_has_no_minigrid_to_compare_with() -> None:
    figures = throughput.measure("hjepa/NestedPoint-d2-v0", num_envs=8, seconds=0.02, transitions=2_000)
    assert figures["minigrid_steps_per_s"] is None and figures["ratio"] is None
    assert figures["batched_steps_per_s"] > 0 and figures["collect_transitions_per_s"] > 0


@pytest.mark.slow
def test_the_twin_and_the_windows_are_as_fast_as_promised() -> None:
    figures = throughput.measure(seconds=1.0)
    assert figures["ratio"] >= 300
    assert figures["windows_transitions_per_s"] > 5_000_000
