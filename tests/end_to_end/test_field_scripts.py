"""Scripts beside the card of the field: laws of made-up curves, what a level is worth, the harness of methods."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import hjepa
from hjepa.config import load_preset
from hjepa.evaluation.statistics import paired_proportions

FIELD = Path(hjepa.__file__).parent / "published" / "field"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"field_{name}", FIELD / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curve(exponent: float, half: float, budgets: list[float], each: int = 1400) -> list[dict[str, Any]]:
    """Records of a law: three ways, and on each of them shares solved as the law says, not drawn."""
    luck = np.tile((np.arange(each) + 0.5) / each, 3)
    way = np.repeat([14, 20, 28], each)
    found = []
    for compute in budgets:
        chance = 1 / (1 + (half * (way / 20) ** 1.5 / compute) ** exponent)
        found.append(
            {"tflops_per_episode": compute, "success": (luck < chance).astype(int), "oracle_steps": way.tolist(),
             "success_rate": float((luck < chance).mean())}
        )  # fmt: skip
    return found


def test_exponents_of_a_known_law_are_found() -> None:
    laws = script("laws")
    compute = np.array([0.5, 1.0, 2.0, 4.0])
    success = 1 / (1 + (1.5 / compute) ** 2.5)
    exponent, log_half = laws.power_of_odds(compute, np.stack([success, success[::-1]]))
    assert exponent == pytest.approx([2.5, -2.5], rel=0.01)
    assert np.exp(log_half[0]) == pytest.approx(1.5, rel=0.01)
    needed = np.exp(laws.log_needed(exponent, log_half, compute))
    assert needed[0] == pytest.approx(1.5 * 9 ** (1 / 2.5), rel=0.01) and np.isnan(needed[1])
    assert np.isnan(laws.log_needed(exponent, log_half, compute / 10)).all(), "out of what was measured"


def test_what_a_way_costs_is_found() -> None:
    laws = script("laws")
    records = curve(3.0, 1.0, [0.25, 0.5, 1.0, 2.0, 4.0])
    value, lo, hi = laws.against_way([records], np.random.default_rng(1))["exponent"]
    assert lo < value < hi and value == pytest.approx(1.5, abs=0.1)
    row = laws.against_compute(records, np.random.default_rng(1))
    assert row["inside"] == 5 and row["exponent"][1] < row["exponent"][0] < row["exponent"][2]


def planned(*success: int) -> dict[str, Any]:
    return {"task": "a task", "success": list(success), "oracle_steps": [5, 6, 7, 8]}


def test_a_level_is_worth_the_paired_difference() -> None:
    depth = script("depth_worth")
    fewer = {0: planned(0, 0, 1, 1), 1: planned(1, 0, 0, 0), 5: planned(1, 1, 1, 1)}
    more = {0: planned(1, 1, 1, 1), 1: planned(1, 0, 1, 0)}
    found, known = depth.worth(more, fewer), paired_proportions(3, 0, 8)
    assert found["tasks"] == 8 and found["gain"] == pytest.approx([3 / 8, known.lo, known.hi])
    assert depth.worth({0: more[0]}, {1: fewer[1]}) is None
    with pytest.raises(ValueError, match="hold other tasks"):
        depth.worth(more, fewer | {1: planned(1, 0, 0, 0) | {"oracle_steps": [5, 6, 7, 9]}})


def test_every_row_of_the_figure_has_its_list() -> None:
    depth = script("depth_worth")
    for _, card, file, flat in depth.ROWS:
        assert (depth.PUBLISHED / card / file).is_file()
        assert flat is None or (depth.PUBLISHED / flat).is_file()


def test_the_harness_knows_the_methods(capsys: pytest.CaptureFixture[str]) -> None:
    run_field = script("run_field")
    presets = {path.stem for path in (FIELD.parents[1] / "presets" / "methods").glob("*.yaml")}
    assert set(run_field.METHODS) == presets
    options = run_field.read_options(["--out", "x", "--methods", "ours-2,gcbc", "--seeds", "3,4"])
    assert (options.methods, options.seeds, options.offsets) == (["ours-2", "gcbc"], (3, 4), (25, 50, 100))
    changed = run_field.read_options(
        ["--out", "x", "--task", "hjepa/FourRoomDistractors-v0", "--steps", "1", "--set", "train.batch=512"]
    )
    config = run_field.configured("ours-2", changed, 7)
    assert (config.task, config.train.seed, config.train.steps) == ("hjepa/FourRoomDistractors-v0", 7, (1, 1))
    assert config.train.batch == 512
    assert config.levels == load_preset("ours-2").levels
    four, three = (run_field.configured(name, options, 0) for name in ("ours-4", "ours-3"))
    assert run_field.in_common(four, three) == 3 and run_field.in_common(four, config) == 0
    assert (
        run_field.in_common(*(run_field.configured(name, options, 0) for name in ("h-jepa-2", "h-jepa-3")))
        == 0
    )
    with pytest.raises(SystemExit):
        run_field.read_options(["--out", "x", "--methods", "ours-9"])
    assert "method 'ours-9'; choose from" in capsys.readouterr().err


def test_planners_are_compared_task_by_task() -> None:
    planners = script("compare_planners")
    tasks = {"seed": 0, "task": "any", "oracle_steps": [9] * 200}
    better = {**tasks, "success": [True] * 150 + [False] * 50}
    worse = {**tasks, "success": [True] * 130 + [False] * 70}
    value, lo, hi = planners.against(better, worse)
    assert value == pytest.approx(10.0) and 0 < lo < value < hi < 20
    assert planners.against(worse, worse)[0] == 0
    with pytest.raises(ValueError, match="other tasks"):
        planners.against(better, {**worse, "oracle_steps": [8] * 200})


def test_a_factor_is_chosen_among_those_that_did_not_collapse() -> None:
    spec = importlib.util.spec_from_file_location("anti_collapse", FIELD.parent / "learning" / "anti_collapse.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def row(factor: float, success: float, ahead: float, warned: str | None = None) -> dict[str, Any]:
        return {"anti_collapse": "vicreg", "factor": factor, "ahead_8": ahead, "warned": warned,
                "record": {"success_rate": success}}  # fmt: skip

    rows = [row(0.2, 0.9, 0.01, "rank"), row(5.0, 0.6, 0.02), row(1.0, 0.6, 0.04), row(25.0, 0.4, 0.01)]
    assert module.chosen(rows, "success") == {"vicreg": 1.0}, "the smaller of two that solve as much"
    assert module.chosen(rows, "ahead") == {"vicreg": 25.0}
    assert module.chosen(rows[:1], "success") == {"vicreg": 0.2}, "warned of all: of all"
