"""Cells share stacks and trajectories: the real configuration, stand-ins for what it configures."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hjepa.errors import InputError
from hjepa.evaluation.records import build_record
from hjepa.sweeps import engines
from hjepa.sweeps import sweep as ablation
from hjepa.sweeps.grid import Grid, expand

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def fit(config: Any, data: Path, out: Path, **_: Any) -> None:
        calls.append(("fit", config, out))
        if config.train.learning_rate == 9:
            raise InputError("loss is NaN")

    def plan_command(request: Any) -> list[dict[str, Any]]:
        calls.append(("plan", request))
        request.progress.write_text("what a killed evaluation would continue from")
        (levels,) = request.levels
        return [
            build_record(
                **{name: getattr(request, name) for name in ("task", "split", "tasks")},
                seed=request.seed[0],
                **{"levels": levels, "depth": "truncated", "metric": "l2", "planner": "adam"},
                **{"step_budget": 64, "success": [1], "steps": [9], "oracle_steps": [9]},
                **{"active_share": [1.0] * levels, "tflops_per_episode": 0.1},
            )
        ]

    def stand_in(name: str, **functions: Any) -> None:
        module = ModuleType(name)
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, name, module)

    stand_in("hjepa.training.fit", fit=fit)
    stand_in("hjepa.sweeps.plan_cells", plan_command=plan_command)
    stand_in(
        "tasks",
        collect=lambda task, out, **_: calls.append(("collect", task, out)),
        sample_episodes=lambda *_, **__: None,
        StoreError=type("StoreError", (ValueError,), {}),
    )
    return calls


def test_cells_share_trainings_and_trajectories(calls: list[Any], tmp_path: Path) -> None:
    overrides = {"plan.commit": ("1", "3")}
    specs = expand(TINY, Grid(overrides=overrides, train_seeds=(0, 1), metric=("l2", "commute"), tasks="far"))
    result = ablation.ablate(specs, tmp_path, engines.InProcess())
    assert not result.failed and len(result.records) == len(specs) == 40
    fits = [call for call in calls if call[0] == "fit"]
    # per seed: the whole stack (also truncated) and stacks trained with 1 and with 2 levels
    assert len(fits) == len({out for _, _, out in fits}) == 6
    assert {config.plan.commit for _, config, _ in fits} == {2}, "planning settings stay out of the weights"
    assert len({out for _, _, out in (call for call in calls if call[0] == "collect")}) == 1
    plans = [call[1] for call in calls if call[0] == "plan"]
    assert {tuple(request.overrides) for request in plans} == {("plan.commit=1",), ("plan.commit=3",)}
    assert {request.checkpoint for request in plans} == {str(out) for _, _, out in fits}
    assert len({request.progress for request in plans}) == 40
    assert not any(request.progress.exists() for request in plans), "removed once the record is written"
    for record in result.records:
        assert record["depth"] == record["spec"]["depth"]
        assert record["train_seed"] == record["spec"]["train_seed"]


def test_a_failed_training_fails_its_cells_once_and_is_tried_again(calls: list[Any], tmp_path: Path) -> None:
    overrides = {"train.learning_rate": ("1", "9")}
    specs = expand(TINY, Grid(overrides=overrides, levels=(3,), metric=("l2", "commute"), tasks="far"))
    for _ in range(2):
        calls.clear()
        result = ablation.ablate(specs, tmp_path, engines.InProcess())
        broken = [call for call in calls if call[0] == "fit" and call[1].train.learning_rate == 9]
        assert len(broken) == 1
        assert len(result.records) == 2
        first, second = result.failed.values()
        assert first == "loss is NaN" and "its training failed: InputError: loss is NaN" in second


def test_two_workers_that_need_the_same_weights_train_them_once(tmp_path: Path, fake: ModuleType) -> None:
    import fake_training

    grid = Grid(levels=(3,), metric=("l2", "commute"), tasks="far")
    specs = [*expand(TINY, grid), *expand(TINY, Grid(levels=(3,), train_seeds=(4,), tasks="far"))]
    for spec in specs:
        spec["train_seed"] += 4  # the fake cell fails for smaller ones
    result = ablation.ablate(specs, tmp_path, engines.LocalProcesses(3), fake_training.run_cell)
    assert len(result.records) == 3, result.failed
    trainings = [file.read_text().split() for file in tmp_path.glob("train/*.txt")]
    assert trainings == [["begin", "end"]] * 2, "one per training seed"
