"""`hjepa report --agent`: rows are computed from per-episode lists, and only from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hjepa.cli import main
from hjepa.report.agent import PARTS, PUBLISHED, Row, agent_rows, agent_table
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
