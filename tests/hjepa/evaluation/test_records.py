"""Records: the contract of `hjepa plan --json`, its files and its table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hjepa.errors import InputError
from hjepa.evaluation import records, tables

# Written out by hand from the contract, so that a renamed field fails here.
CONTRACT = """
task split tasks seed levels depth metric planner oracle budget_tflops step_budget train_seed
checkpoint_sha256 episodes success steps oracle_steps success_rate success_ci95 path_ratio spl
random_success_rate by_distance active_share tflops_per_episode violations plan_ms seconds_per_episode
peak_mb versions
""".split()


def make(**changes: Any) -> records.Record:
    arguments: dict[str, Any] = {
        "task": "hjepa/NestedRooms-d2-v0",
        "split": "test",
        "tasks": "far",
        "seed": 0,
        "levels": 2,
        "depth": "trained",
        "metric": "commute",
        "planner": "adam",
        "step_budget": 64,
        "success": np.array([1, 1, 0, 0]),
        "steps": np.array([10, 30, 64, 64]),
        "oracle_steps": np.array([10, 20, 8, 95]),
        "active_share": np.array([1.0, 0.25], np.float32),
        "tflops_per_episode": np.float32(0.5),
        "budget_tflops": 1,
        "train_seed": 3,
        "checkpoint_sha256": "ab" * 32,
        "random_success_rate": 0.03,
        "violations": np.array([0, 2, 0, 0]),
        "plan_ms": 4.0,
        "seconds_per_episode": 0.2,
        "peak_mb": 100.0,
    }
    return records.build_record(**{**arguments, **changes})


def test_fields_are_the_contract() -> None:
    assert list(make()) == CONTRACT
    assert json.loads(json.dumps(make())) == make()


def test_summary_by_hand() -> None:
    record = make()
    assert record["episodes"] == 4
    assert record["success"] == [1, 1, 0, 0] and isinstance(record["success"][0], int)
    assert record["success_rate"] == 0.5
    assert record["success_ci95"] == pytest.approx([0.1500, 0.8500], abs=1e-3)
    assert record["path_ratio"] == pytest.approx((1.0 + 1.5) / 2)
    assert record["spl"] == pytest.approx((1 + 20 / 30) / 4)
    assert record["violations"] == 0.25
    assert record["versions"]["numpy"] == np.__version__


def test_by_distance_is_half_open_and_loses_no_episode() -> None:
    bins = records.by_distance([1, 0, 1, 1, 0], [8, 9, 16, 40, 120])
    edges = [(b["lo"], b["hi"]) for b in bins]
    assert edges == [(1, 9), (9, 17), (17, 27), (27, 41), (41, 61), (61, 91), (91, None)]
    assert [b["episodes"] for b in bins] == [1, 2, 0, 1, 0, 0, 1]
    assert [b["success_rate"] for b in bins] == [1.0, 0.5, None, 1.0, None, None, 0.0]
    assert [b["lo"] for b in records.by_distance([1], [3])] == [1, 9, 17, 27, 41, 61]


def test_no_success_means_no_path_ratio() -> None:
    record = make(success=np.zeros(4), steps=np.full(4, 64))
    assert record["path_ratio"] is None
    assert record["success_rate"] == 0.0 and record["spl"] == 0.0


def test_without_timing_keeps_all_but_the_timing_fields() -> None:
    slow, fast = make(plan_ms=9.0, peak_mb=7.0), make(versions={})
    assert slow != fast
    assert records.without_timing(slow) == records.without_timing(fast)
    assert set(slow) - set(records.without_timing(slow)) == set(records.TIMING_FIELDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"active_share": [1.0]}, "active_share has 1 values for 2 levels"),
        ({"depth": "shallow"}, "depth is 'shallow'"),
        ({"success": np.array([1, 0])}, "shapes"),
        ({"success": np.array([2, 0, 0, 0])}, "other than 0 and 1"),
        ({"oracle_steps": np.array([0, 1, 2, 3])}, "shortest path"),
        ({"random_success_rate": 1.5}, "random_success_rate is 1.5"),
        ({"tflops_per_episode": float("nan")}, "tflops_per_episode is nan"),
        ({"seed": 1.5}, "seed is 1.5, not int"),
        ({"success": [], "steps": [], "oracle_steps": []}, "one value per episode"),
    ],
)
def test_impossible_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make(**changes)
    assert "\n" not in str(caught.value)


def test_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    records.write_json(path, [make(), make(levels=1, active_share=[1.0])])
    assert records.read_records(path) == [make(), make(levels=1, active_share=[1.0])]
    records.write_json(path, {**make(), "spec": {"preset": "x"}})
    assert records.read_records(path)[0]["spec"] == {"preset": "x"}
    records.check_record({**make(), "spec": None})
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r.pop("spl"), "lacks spl"),
        (lambda r: r.update(success_rate=0.75), "success_rate is 0.75"),
        (lambda r: r.update(steps=[1]), "steps has 1 values for 4 episodes"),
        (lambda r: r.update(levels="2"), "levels is '2', not int"),
        (lambda r: r.update(success=[True, True, False, False]), "no number"),
        (lambda r: r.update(active_share=[1.0, [0.5]]), "active_share holds something that is no number"),
        (lambda r: r.update(success_ci95=[0.1, [1]]), "success_ci95 holds something that is no number"),
        (
            lambda r: r.update(success_ci95_clustered=[0.1]),
            "success_ci95_clustered has 1 values, an interval has 2",
        ),
        (lambda r: r.update(spec=3), "spec is 3, not dict"),
        (lambda r: r.update(memory=None), "memory is None, not str"),
        (lambda r: r.update(memory=["map"]), "memory is .*, not str"),
        (lambda r: r.update(guardrails=[["lava"]]), "guardrails are .*, not names"),
        (lambda r: r.update(overrides="plan.block=1"), "overrides is 'plan.block=1', not list"),
    ],
)
def test_reading_names_file_and_field(tmp_path: Path, edit: Any, message: str) -> None:
    record = make()
    edit(record)
    path = tmp_path / "r.json"
    path.write_text(json.dumps([make(), record]))
    with pytest.raises(InputError, match=message) as caught:
        records.read_records(path)
    assert f"{path}, record 1" in str(caught.value)


@pytest.mark.parametrize("content", ["", "[{]", '{"task": 3}', "7"])
def test_foreign_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(InputError, match="r.json") as caught:
        records.read_records(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="missing.json"):
        records.read_records(tmp_path / "missing.json")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    records.write_json(path, [1])
    with pytest.raises(InputError, match=r"NaN"):
        records.write_json(path, [float("nan")])
    assert path.read_text() == "[\n 1\n]\n"
    with pytest.raises(InputError, match="can be written"):
        records.write_json(path / "below_a_file.json", [2])
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """Killed over and over while it writes, a writer leaves a whole file each time."""
    path = tmp_path / "r.json"
    records.write_json(path, [0] * 20_000)
    program = (
        "import sys; from hjepa.evaluation.records import write_json\n"
        "print('go', flush=True)\n"
        f"i = 0\nwhile True: i += 1; write_json({os.fspath(path)!r}, [i] * 20_000)"
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline() == b"go\n"
        for _ in range(20):
            values = records.read_json(path)
            assert len(values) == 20_000 and len(set(values)) == 1
        writer.kill()
        writer.wait()
        writer.stdout.close()
        assert len(set(records.read_json(path))) == 1


def test_table_has_a_block_per_evaluation_and_both_baselines() -> None:
    text = tables.table(
        [make(), make(levels=1, active_share=[1.0], seconds_per_episode=None), make(split="validation")]
    )
    first, second = text.split("\n\n")
    lines = first.splitlines()
    assert "4 far episodes of the test split, seed 0, at most 64 steps" in lines[0]
    assert "validation split, seed 0" in second
    header, two, one, random, shortest = lines[1:]
    for column in ("levels", "depth", "metric", "planner", "success", "path ratio", "SPL", "TFLOP/episode"):
        assert column in header
    start = header.index("success")
    assert two[start:].startswith(" 50.0 % [15.0, 85.0]")
    assert one.split()[:4] == ["1", "trained", "commute", "adam"] and one.endswith("-")
    assert random[start:].startswith("  3.0 %") and "random" in random
    # the fourth goal is 95 steps away: no walk of 64 steps gets there
    assert shortest[start:].startswith(" 75.0 %") and "shortest path" in shortest


def test_a_goal_that_was_recorded_was_not_reached_by_a_shortest_path() -> None:
    text = tables.table([make() | {"goals": "world"}, make(split="validation") | {"goals": "offset:25"}])
    world, recorded = text.split("\n\n")
    assert "shortest path" in world and "recorded path" in recorded and "shortest" not in recorded


def test_a_way_that_nobody_knows_is_compared_with_nothing() -> None:
    unknown = {"ways": records.UNKNOWN, "path_ratio": None}
    parts = [make(seed=0) | unknown, make(seed=1) | unknown]
    for text in (tables.table(parts[:1]), tables.table(parts)):
        assert "shortest" not in text and " 0.4" not in text.split("path ratio")[1]
    whole = records.pooled(parts)
    records.check_record(whole)
    assert whole["ways"] == records.UNKNOWN and whole["path_ratio"] is None


def test_table_without_a_random_floor_leaves_its_row_out() -> None:
    assert "random" not in tables.table([make(random_success_rate=None)])


def test_records_of_several_seeds_are_pooled_episode_by_episode() -> None:
    parts = [make(seed=0), make(seed=1, success=np.array([1, 1, 1, 0]), steps=np.array([10, 30, 8, 64]))]
    whole = records.pooled(parts)
    assert whole["episodes"] == 8 and whole["success"] == [1, 1, 0, 0, 1, 1, 1, 0]
    assert whole["success_rate"] == 5 / 8 and whole["success_ci95"][0] < 5 / 8 < whole["success_ci95"][1]
    assert whole["path_ratio"] == pytest.approx((1 + 1.5 + 1 + 1.5 + 1) / 5)
    assert whole["active_share"] == parts[0]["active_share"]
    records.check_record(whole)
    with pytest.raises(InputError, match="differ in levels"):
        records.pooled([parts[0], make(levels=1, active_share=[1.0])])
    with pytest.raises(InputError, match="differ in overrides"):
        records.pooled([parts[0], parts[1] | {"overrides": ["plan.haste=0.0"]}])
    with pytest.raises(InputError, match="no records"):
        records.pooled([])
    text = tables.table([*parts, make(seed=0, levels=1, active_share=[1.0])])
    assert "seeds 0, 1" in text and "62.5 %" in text
    # Another set of episodes is another block.
    assert text.count("shortest path") == 2


def test_pooling_averages_what_records_of_old_do_not_have() -> None:
    parts = [make(seed=0) | {"active_episodes": [1.0, 0.5]}, make(seed=1) | {"active_episodes": [1.0, 1.0]}]
    assert records.pooled(parts)["active_episodes"] == [1.0, 0.75]
    assert "active_episodes" not in records.pooled([parts[0], make(seed=1)])


def test_what_was_replaced_tells_agents_apart() -> None:
    plain, other = make(), make() | {"overrides": ["plan.haste=0.0"]}
    assert records.overrides_of(plain) == records.overrides_of(plain | {"spec": None}) == ()
    assert records.overrides_of(other | {"spec": {"overrides": ["train.steps=3"]}}) == ("train.steps=3",)
    text = tables.table([plain, other])
    assert "plan.haste=0.0" in text and text.count("trained") == 2
