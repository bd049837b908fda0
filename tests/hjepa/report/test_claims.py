"""`hjepa claims`: known answers on small lists, texts that state something else, filters that choose too much."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hjepa.cli import main
from hjepa.errors import InputError
from hjepa.evaluation.layouts import clustered_proportions, clustered_wilson
from hjepa.evaluation.statistics import paired_proportions, wilson
from hjepa.report.bars import met, read_bar
from hjepa.report.claim_values import Found, evaluate
from hjepa.report.claims import FILE, PARTS, PUBLISHED, read_claims

KEYS = ["part", "task", "metric", "value", "interval", "control", "bar", "met", "command", "results_file"]
TASK = "some/Task-v0"


def record(levels: int, success: list[int], seed: int = 0, **more: Any) -> dict[str, Any]:
    """Of episodes with shortest ways of 10, 20, ... steps; who arrives walks twice as far."""
    oracle = [10 * (number + 1) for number in range(len(success))]
    return {
        "task": TASK, "split": "test", "tasks": "far", "seed": seed, "levels": levels, "depth": "trained",
        "metric": "l2", "planner": "adam", "oracle": None, "budget_tflops": 0.1, "step_budget": 99, "train_seed": 0,
        "checkpoint_sha256": "abcdef", "success": success,
        "steps": [2 * way if ok else 99 for way, ok in zip(oracle, success)],
        "oracle_steps": oracle, "success_rate": 0.123, "path_ratio": 9.9, "random_success_rate": 0.25,
        "tflops_per_episode": float(levels), **more,
    }  # fmt: skip


ONE = [record(1, [0, 0, 1, 1]), record(1, [0, 1, 0, 1], seed=1)]
TWO = [record(2, [1, 0, 1, 1]), record(2, [1, 1, 1, 1], seed=1)]


def claim(**more: Any) -> dict[str, Any]:
    usual = {"part": "seen", "task": TASK, "metric": "success", "results_file": "results.json"}
    return {**usual, "filter": {"levels": 2}, "command": "hjepa plan --json results.json", **more}


def write(
    folder: Path, claims: list[dict[str, Any]], records: Any = None, card: str = "", readme: str = ""
) -> Path:
    """A repository with one card; the folder of its cards."""
    published = folder / "hjepa" / "published"
    (published / "one").mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("")
    (folder / "README.md").write_text(readme)
    (published / "one" / "card.md").write_text(card)
    (published / "one" / FILE).write_text(yaml.safe_dump(claims, sort_keys=False))
    (published / "one" / "results.json").write_text(json.dumps(ONE + TWO if records is None else records))
    return published


def only(folder: Path, records: Any = None, card: str = "", **more: Any) -> Found:
    published = write(folder, [claim(**more)], records, card)
    return evaluate(read_claims(published), published)[0][0]


def test_success_is_that_of_the_lists_pooled_over_seeds_and_not_of_the_summary(tmp_path: Path) -> None:
    found = only(tmp_path, control={"levels": 1}, bar=">= 0.8, gain >= 0.3")
    assert (found.value, found.control, found.met, found.episodes) == (7 / 8, 0.5, True, 8)
    assert found.interval == pytest.approx(wilson(7, 8))
    assert list(found.row()) == KEYS and found.row()["results_file"] == "hjepa/published/one/results.json"


def test_intervals_are_clustered_where_records_hold_layouts(tmp_path: Path) -> None:
    plans = ["a", "a", "b", "b"]
    records = [{**each, "layout": plans} for each in ONE + TWO]
    found = only(tmp_path, records)
    assert found.interval == pytest.approx(clustered_wilson([1, 0, 1, 1, 1, 1, 1, 1], plans * 2))
    assert found.layouts == 2
    found = only(tmp_path, records, metric="difference", control={"levels": 1})
    whole = clustered_proportions([1, 0, 0, 0, 1, 0, 1, 0], plans * 2)
    assert (found.value, found.interval) == (whole.value, pytest.approx((whole.lo, whole.hi)))
    assert only(tmp_path, records, filter={"levels": 2, "layout": "b"}).value == 1.0


def test_a_difference_is_paired_by_episode_whatever_the_order_of_the_records(tmp_path: Path) -> None:
    expected = paired_proportions(3, 0, 8)
    for records in (ONE + TWO, (ONE + TWO)[::-1]):
        found = only(tmp_path, records, metric="difference", control={"levels": 1}, bar="low > 0")
        assert (found.value, found.control, found.met) == (3 / 8, 0.5, expected.lo > 0)
        assert found.interval == pytest.approx((expected.lo, expected.hi))


def test_ways_violations_floor_and_compute(tmp_path: Path) -> None:
    broken = [{**each, "violated": [1, 0, 0, 0]} for each in ONE + TWO]
    assert only(tmp_path, metric="path_ratio").value == 2.0
    assert only(tmp_path, metric="path_difference", control={"levels": 1}).value == 0.0
    assert only(tmp_path, broken, metric="violations").interval == pytest.approx(wilson(2, 8))
    assert only(tmp_path, metric="random").value == 0.25
    assert only(tmp_path, control="random").control == 0.25
    of = {"of": "tflops_per_episode"}
    assert only(tmp_path, metric="ratio", control={"levels": 1}, **of).interval == (2.0, 2.0)
    assert only(tmp_path, metric="mean", **of).value == 2.0
    far = only(tmp_path, filter={"levels": 1, "oracle_steps": [30, 40]})
    assert (far.value, far.episodes) == (3 / 4, 4)


def test_a_changed_digit_in_a_card_or_the_readme_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = {
        "card.md": "| 2 | {value%} ({low%}, {high%}) |",
        "README.md": "two levels {value%} % of {episodes}",
    }
    low, high = (f"{100 * end:.1f}" for end in wilson(7, 8))
    card, readme = f"| 1 | 50 |\n| 2 | 87.5 ({low}, {high}) |\n", "two\nlevels 88 %\nof 8 tasks"
    good, bad = (card, readme), ((card.replace("87.5", "87.6"), readme), (card, readme.replace("88", "89")))
    for texts, code in ((good, 0), (bad[0], 1), (bad[1], 1), ((card.replace("2 |", "3 |"), readme), 1)):
        published = write(tmp_path, [claim(stated=stated)], None, *texts)
        out = tmp_path / "claims.json"
        assert main(["claims", "--cards", str(published), "--json", str(out)]) == code
        assert [list(row) for row in json.loads(out.read_text())] == [KEYS]
        assert ("one/claims.yaml, claim 1" in capsys.readouterr().err) == (code == 1)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"filter": {"levels": 3}}, "no record of some/Task-v0 has levels 3; choose among levels 1, 2"),
        ({"filter": {}}, "4 records that differ in levels (1, 2); name one levels in filter"),
        ({"filter": {"level": 2}}, "did you mean levels?"),
        ({"task": "other"}, "choose among the tasks some/Task-v0"),
        ({"part": "sen"}, "did you mean seen?"),
        ({"metric": "sucess"}, "did you mean success?"),
        ({"metric": "difference"}, "difference without a control"),
        ({"metric": "difference", "control": {"levels": 1, "seed": 0}}, "8 episodes in filter, 4 in control"),
        ({"bar": "about 0.9"}, "give conditions such as"),
        ({"bar": "gain >= 0.1"}, "without a control"),
        ({"stated": {"card.md": "no number"}}, "has no number"),
        ({"stated": {"card.md": "{mean}"}}, "choose from value"),
        ({"stated": {"card.md": "| {value}"}}, "stands 3 times in card.md"),
        ({"stated": {"nowhere.md": "{value}"}}, "name a file that is there"),
        ({"results_file": "none.json"}, "none.json"),
        ({"metric": "mean", "of": "success_rate"}, "tflops_per_episode"),
        ({"metric": "violations"}, "records without violated"),
        ({"bars": ">= 0"}, "did you mean bar?"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_line(
    more: dict[str, Any], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = write(tmp_path, [claim(**more)], card="| 1 | 2 | 3")
    assert main(["claims", "--cards", str(published)]) == 2
    told = capsys.readouterr()
    assert reason in told.err and len(told.err.splitlines()) == 1 and told.out == ""


def test_what_the_command_line_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--part", "fields"]) == 2
    assert "did you mean field?" in capsys.readouterr().err
    assert main(["claims", "--cards", str(tmp_path)]) == 2
    assert "name a folder of cards" in capsys.readouterr().err


def test_bars() -> None:
    assert met(read_bar(None, False), 0.5, None, None) is None
    assert met(read_bar(">= 0.8 of control", True), 0.4, None, 0.5) is True
    assert met(read_bar("low >= -0.05, high <= 0.05", False), 0.0, (-0.06, 0.01), None) is False
    assert met(read_bar("high < 1", False), 0.0, None, None) is None
    with pytest.raises(InputError, match="without a control"):
        read_bar("control <= 1", False)


def test_the_table_fits_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = claim(control={"levels": 1, "planner": "adam"}, bar=">= 0.5, gain >= 0.1, low >= 0.2")
    published = write(tmp_path, [long, claim(part="field")])
    assert main(["claims", "--cards", str(published), "--part", "seen"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 and any("0.875 (0.529, 0.978)" in line for line in lines)
    assert lines[-1].startswith("claims: 1; bars met: 1")


def test_every_published_folder_with_a_list_has_claims_of_every_readme_number() -> None:
    # Lists of planned episodes; what else was measured is for the scripts beside it to compute anew.
    found = [(file.parent, json.loads(file.read_text())) for file in PUBLISHED.glob("*/*.json")]
    lists = {folder for folder, held in found if isinstance(held, list) and "oracle_steps" in held[0]}
    assert len(lists) > 15 and {folder.name for folder in lists if not (folder / FILE).exists()} == set()
    placed = read_claims()
    assert {each.claim.part for each in placed} <= set(PARTS)
    pages = [statement.file for each in placed for statement in each.claim.statements()]
    assert pages.count("README.md") >= 25 and pages.count("docs/results.md") >= 50


def test_the_shipped_claims_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--json", str(tmp_path / "claims.json")]) == 0, capsys.readouterr().err
    rows = json.loads((tmp_path / "claims.json").read_text())
    assert len(rows) > 700 and all(list(row) == KEYS for row in rows)
    guarded = [row for row in rows if row["metric"].startswith("violations") and "against" in row["metric"]]
    assert [row["met"] for row in guarded] == [True, True]


def test_the_readme_s_guarded_episodes_are_those_of_both_lists() -> None:
    files = [PUBLISHED / "agent" / name for name in ("lava.json", "zones.json")]
    violated = np.concatenate([each["violated"] for file in files for each in json.loads(file.read_text())])
    readme = " ".join((PUBLISHED.parents[1] / "README.md").read_text(encoding="utf-8").split())
    assert violated.sum() == 0 and f"in {violated.size:,} guarded episodes told agents entered none" in readme


def test_a_digit_changed_in_a_shipped_card_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "hjepa" / "published"
    shutil.copytree(PUBLISHED / "worlds", folder / "worlds")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "docs").mkdir()
    shutil.copy(PUBLISHED.parents[1] / "docs" / "results.md", tmp_path / "docs")
    shutil.copy(PUBLISHED.parents[1] / "README.md", tmp_path)
    card = folder / "worlds" / "card.md"
    assert main(["claims", "--cards", str(folder), "--json", str(tmp_path / "x.json")]) == 0
    card.write_text(card.read_text().replace("| 2 | 95.0 (90.8", "| 2 | 95.0 (90.7"))
    assert main(["claims", "--cards", str(folder), "--json", str(tmp_path / "x.json")]) == 1
