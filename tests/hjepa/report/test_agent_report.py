"""`hjepa report --agent`: rows are computed from per-episode lists, and only from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hjepa.cli import main
from hjepa.errors import InputError
from hjepa.report.agent import PUBLISHED, agent_rows, agent_table
from hjepa.report.parts import PARTS, Row
from tasks.missions import KINDS
from tests.hjepa.conftest import synthetic_record


def lists(folder: Path, violated: list[int]) -> None:
    """Records of two seeds with 20 episodes each, of one and two levels."""
    for name, broken in (("lava", violated), ("lava-unguarded", [1] * 20)):
        records = [
            synthetic_record(levels, 2.0, seed=seed, episodes=20, extra={"violated": broken})
            for levels in (1, 2)
            for seed in (0, 1)
        ]
        (folder / f"{name}.json").write_text(json.dumps(records))


def test_rows_follow_from_the_lists(tmp_path: Path) -> None:
    assert agent_rows(tmp_path) == []
    lists(tmp_path, [0] * 20)
    violations, success = agent_rows(tmp_path)
    assert set(violations) == set(Row.__dataclass_fields__)
    assert (violations["value"], violations["control"], violations["met"]) == (0.0, 1.0, True)
    assert 0 == violations["interval"][0] < violations["interval"][1] < 0.1, "of 40 episodes"
    assert violations["results_file"].endswith("agent/lava.json") and "NestedLava" in violations["command"]
    assert success["metric"].startswith("success") and 0 <= success["value"] <= 1
    lists(tmp_path, [1] + [0] * 19)
    assert agent_rows(tmp_path)[0]["value"] == 0.05 and not agent_rows(tmp_path)[0]["met"]
    assert "| 0.050 (" in agent_table(agent_rows(tmp_path)) and "| no |" in agent_table(agent_rows(tmp_path))


def test_rows_on_memory_compare_the_same_levels(tmp_path: Path) -> None:
    for name, success in (("map", 19), ("none", 10)):
        records = [
            synthetic_record(
                levels,
                2.0,
                seed=seed,
                episodes=20,
                success=[1] * count + [0] * (20 - count),
                steps=[70] * 20,
                extra={"memory": name},
            )
            for levels, count in ((1, success), (2, 19))
            for seed in (0, 1)
        ]
        end = "" if name == "map" else f"-{name}"
        (tmp_path / f"memory-d3{end}.json").write_text(json.dumps(records))
    one, two = agent_rows(tmp_path)
    assert (one["value"], one["control"], one["met"]) == (0.95, 0.5, True) and "1 level" in one["metric"]
    assert (two["value"], two["control"], two["met"]) == (0.95, 0.95, False), "success alone is not enough"
    assert "--memory map --levels 1,2,3" in one["command"] and one["results_file"].endswith("memory-d3.json")


def pictures(folder: Path, lost: int) -> Path:
    """Records from symbols, and from pictures that lose some episodes of three seeds; the folder of the latter."""
    told = [synthetic_record(3, 2.0, seed=seed, episodes=200, depth="truncated") for seed in range(3)]
    others = [synthetic_record(3, 0.1, metric="l2"), synthetic_record(1, 0.1)]
    seen = []
    for record in told:
        success = list(record["success"])
        for episode in [i for i, solved in enumerate(success) if solved][:lost]:
            success[episode] = 0
        seen.append(record | {"success": success, "success_rate": sum(success) / 200, "perception": "pixels"})
    for name, records in (("told-nested-d3/results", told + others), ("agent/pixels-d3", seen + others[1:])):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(records))
    return folder / "agent"


def test_rows_on_pixels_are_differences_of_the_same_episodes(tmp_path: Path) -> None:
    (row,) = agent_rows(pictures(tmp_path, 4))
    assert row["part"] == "pixels" and row["value"] == pytest.approx(-2.0) and row["met"]
    assert -4 < row["interval"][0] < -2 < row["interval"][1] < 0 and 0.5 < row["control"] <= 1
    assert "--perception pixels" in row["command"] and row["results_file"].endswith("agent/pixels-d3.json")
    (row,) = agent_rows(pictures(tmp_path, 9))
    assert row["value"] == pytest.approx(-4.5) and not row["met"], (
        "the whole interval has to be within the bar"
    )


def test_pictures_of_other_episodes_are_not_compared(tmp_path: Path) -> None:
    folder = pictures(tmp_path, 0)
    records = json.loads((folder / "pixels-d3.json").read_text())
    records[0]["oracle_steps"][0] += 1
    (folder / "pixels-d3.json").write_text(json.dumps(records))
    with pytest.raises(InputError, match="3 records, 2 of them with the same episodes"):
        agent_rows(folder)


def test_published_rows_name_files_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--agent", "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert "| part | metric |" in capsys.readouterr().out
    for row in rows:
        assert row["part"] in PARTS and (PUBLISHED / Path(row["results_file"]).name).exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "give OUT and --out PAGE.html, or --agent"),
        (["somewhere"], "give OUT and --out"),
        (["somewhere", "--agent"], "leave them out"),
        (["somewhere", "--out", "page.html", "--json", "x.json"], "--json without --agent"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words]) == 2
    assert reason in capsys.readouterr().err


def test_the_critic_is_as_good_as_its_worst_level(tmp_path: Path) -> None:
    def record(metric: str, worst: float) -> dict[str, object]:
        levels = [
            {"rank_correlations_map": [0.99, 0.97, None], "rank_correlations_span": [0.95, 0.95, 0.95]},
            {
                "rank_correlations_map": [worst, worst, worst + 0.02],
                "rank_correlations_span": [0.99, 0.99, 0.99],
            },
        ]
        return synthetic_record(2, 0.9, metric=metric, extra={"diagnostics": levels})

    (tmp_path / "critic.json").write_text(json.dumps([record("critic", 0.9), record("imagined", 0.5)]))
    over_map, within, success = agent_rows(tmp_path)
    assert over_map["value"] == pytest.approx(0.9 + 0.02 / 3) and over_map["met"]
    assert over_map["interval"][0] < over_map["value"] < over_map["interval"][1]
    assert over_map["control"] == pytest.approx(0.5 + 0.02 / 3)
    assert [within["value"], *within["interval"]] == pytest.approx([0.95] * 3)
    assert success["value"] == success["control"] and success["met"]


def test_a_glance_is_compared_with_the_search_of_the_same_seed(tmp_path: Path) -> None:
    records = [
        synthetic_record(levels, 2.0, seed=seed, planner=planner, seconds_per_episode=seconds * (1 + seed))
        for levels in (1, 3)
        for seed in (1, 0)
        for planner, seconds in (("adam", 0.4), ("actor", 0.01))
    ]
    (tmp_path / "actor.json").write_text(json.dumps(records))
    rows = agent_rows(tmp_path)
    assert [row["part"] for row in rows] == ["actor"] * 6
    success, seconds, operations = rows[:3]
    assert success["met"] and success["value"] == success["control"]
    assert seconds["value"] == pytest.approx(40) and seconds["met"]
    assert operations["value"] == pytest.approx(1) and not operations["met"]


def test_ways_with_the_actor_s_candidates_are_compared_where_both_arrive(tmp_path: Path) -> None:
    def records(steps: list[int], success: list[int]) -> str:
        extra = {"steps": steps, "success": success, "oracle_steps": [10] * 4}
        return json.dumps([synthetic_record(3, 2.0, seed=seed, episodes=4, extra=extra) for seed in (0, 1)])

    (tmp_path / "actor-proposals.json").write_text(records([12, 12, 12, 99], [1, 1, 1, 0]))
    (tmp_path / "actor-proposals-without.json").write_text(records([20, 20, 20, 10], [1, 1, 1, 1]))
    success, ways = agent_rows(tmp_path)
    assert success["value"] == pytest.approx(-0.25) and not success["met"]
    assert ways["value"] == pytest.approx(-0.8) and ways["met"]


def test_missions_are_paired_whatever_the_order_of_the_records(tmp_path: Path) -> None:
    def records(cost: float) -> list[dict[str, object]]:
        return [
            synthetic_record(3, 2.0, seed=seed, tflops_per_episode=cost, extra={"mission": kind})
            for kind in KINDS
            for seed in (0, 1)
        ]

    (tmp_path / "missions.json").write_text(json.dumps(records(0.03)))
    (tmp_path / "missions-all-levels.json").write_text(json.dumps(records(0.05)[::-1]))
    rows = agent_rows(tmp_path)
    assert [row["metric"].split(": ")[1].split(";")[0] for row in rows[:5]] == list(KINDS)
    assert all(row["control"] == 0.04 for row in rows[:5])
    loss, saved = rows[5:]
    assert (loss["value"], loss["interval"], loss["met"]) == (0.0, [0.0, 0.0], True)
    assert saved["value"] == pytest.approx(0.4) and saved["met"]
