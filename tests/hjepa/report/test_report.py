"""The page: one file without network, every number of a known record, and input that cannot work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hjepa.cli import main
from hjepa.evaluation.comparison import Measured, blocks
from hjepa.figures.measured import Panel, level_panels
from hjepa.report.answer import answer
from hjepa.report.asking import asked, commands
from hjepa.report.episodes import choose
from hjepa.report.markup import links, percent, signed, svg
from hjepa.report.page import Report, write_report
from hjepa.report.sources import gather
from tests.hjepa.conftest import spec_of

Make = Callable[..., dict[str, Any]]
DEMO = Path(__file__).parents[3] / "hjepa" / "published" / "told-demo" / "results.json"


class Reader(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.numbers: list[dict[str, str]] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.loose: list[str] = []
        self.errors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        self.ids += [held["id"]] if "id" in held else []
        self.addresses += [held[name] for name in ("href", "src") if name in held]
        if tag == "data":
            self.numbers.append(held)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "br"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)

    def handle_data(self, data: str) -> None:
        if not {"data", "svg", "style", "code", "pre", "title"} & set(self.open):
            self.loose.append(data)


@pytest.fixture(scope="module")
def written(ablation_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return write_report([ablation_folder], tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture(scope="module")
def demo_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the published demo, made through the command line."""
    out = tmp_path_factory.mktemp("demo") / "page.html"
    assert main(["report", str(DEMO), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def page(written: Report) -> str:
    return written.page.read_text()


def test_the_page_is_well_formed_and_loads_nothing(page: str) -> None:
    reader = Reader(page)
    assert not reader.errors and not reader.open
    assert len(reader.ids) == len(set(reader.ids))
    outside = [address for address in reader.addresses if not address.startswith("#")]
    assert outside and all(re.search(r"(cells/.*|results)\.json$", address) for address in outside)
    assert "<script" not in page and "url(http" not in page and "@import" not in page
    anchors = [address[1:] for address in reader.addresses if address.startswith("#")]
    assert set(anchors) <= set(reader.ids)


def test_every_number_names_records_that_the_page_lists(page: str) -> None:
    reader = Reader(page)
    assert len(reader.numbers) > 300
    for held in reader.numbers:
        assert held["value"] and np.isfinite(float(held["value"]))
        names = held["data-from"].split()
        assert names and set(names) <= set(reader.ids)
    # A result never stands as bare text: none of its forms occurs outside of <data>.
    loose = [text for text in reader.loose if re.search(r"\d %|[+−]\d+\.\d|\d–\d+\.\d", text)]
    allowed = re.compile(r"^(?:(?!\d+\.\d).)*(95 % intervals?|95\s%|\(95)", re.S)
    assert [text for text in loose if not allowed.match(text)] == []


def test_numbers_with_one_record_are_that_records_numbers(demo_page: Path) -> None:
    """Every number of the demo that rests on one record can be computed anew from it."""
    reader = Reader(demo_page.read_text())
    records = {name: record for file in gather([DEMO]).files for name, record in file.records}
    found = 0
    for held in reader.numbers:
        if len(names := held["data-from"].split()) == 1:
            record = records[names[0]]
            known = [record[f] for f in ("success_rate", "path_ratio", "spl", "tflops_per_episode", "plan_ms",
                     "seconds_per_episode", "violations", "random_success_rate", "episodes")]  # fmt: skip
            known += record["active_share"] + [b["success_rate"] for b in record["by_distance"]]
            large = [b["success_rate"] for b in record["by_distance"] if b["episodes"] >= 10]
            known.append(float(np.mean(large)))  # the interquartile mean of two buckets
            assert any(k is not None and abs(k - float(held["value"])) < 1e-9 for k in known), held
            found += 1
    assert found > 50


def test_what_the_demo_needs_is_said_first(demo_page: Path) -> None:
    text = demo_page.read_text()
    assert text.index("<h1>Use 3 levels") < text.index("<svg") < text.index("random policy")
    weights = re.findall(r"sha256 (\w{12})", text)[0]
    command = f"hjepa plan --checkpoint ./weights-{weights} --task hjepa/NestedRoomsFixed-d3-v0 --levels"
    assert f"{command} 1,2,3 --metric commute --planner adam --budget-tflops 0.006" in text
    assert f"{command} 2,3 --metric l2 --planner adam --budget-tflops 0.006" in text
    assert f"{command} 1 --metric l2 --planner sampling" in text, "the flat agent plans in its own way"
    figures = {file.name for file in (demo_page.parent / "page_figures").iterdir()}
    assert {"success_by_levels.png", "success_by_levels.pdf", "success_by_compute.pdf"} <= figures


def test_the_command_says_the_answer_and_the_same_files_give_the_same_page(
    made_up: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.json").write_text(json.dumps([made_up(1, 0.2), made_up(2, 0.9)]))
    out, again = tmp_path / "new" / "page.html", tmp_path / "newer" / "page.html"
    assert main(["report", str(tmp_path / "r.json"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Use 2 levels. 2 levels solve ") and "records: 2, files: 1" in said
    write_report([tmp_path / "r.json"], again)
    assert out.read_bytes() == again.read_bytes()
    assert [f.read_bytes() for f in sorted(out.parent.glob("page_figures/*"))] == [
        f.read_bytes() for f in sorted(again.parent.glob("page_figures/*"))
    ]


def test_everything_has_its_section(page: str, written: Report) -> None:
    for section in ("settings", "compute", "differences", "ladder", "levels", "results", "failed", "sources"):
        assert f'<section id="{section}">' in page
    assert (
        "Intervals cover 3 training seeds" in page and "One training seed" not in page.partition("<nav>")[0]
    )
    assert "oracle subgoals of level 1" in page and "effective rank" in page
    assert (written.records, written.files, written.failed) == (81, 81, 1)


def test_what_comes_from_files_is_escaped(page: str, made_up: Make, tmp_path: Path) -> None:
    assert "loss is &lt;NaN&gt; &amp; worse" in page and "<NaN>" not in page
    bad = "<script>alert(1)</script>"
    (tmp_path / "r.json").write_text(json.dumps([made_up(1, 0.5, task=bad, metric='"><b>')]))
    text = write_report([tmp_path / "r.json"], tmp_path / "page.html").page.read_text()
    assert "<script" not in text and '"><b>"' not in text
    assert not Reader(text).errors


def test_several_folders_with_the_same_setting_stand_side_by_side(made_up: Make, tmp_path: Path) -> None:
    for name, share in (("first", 0.4), ("second", 0.8)):
        (tmp_path / name).mkdir()
        weights = name[:1].encode().hex() * 32
        record = made_up(1, share, checkpoint_sha256=weights)
        (tmp_path / name / "results.json").write_text(json.dumps([record]))
    material = gather([tmp_path / "first", tmp_path / "second"])
    assert [entry.variant for entry in material.entries] == ["first", "second"]
    again = gather([tmp_path / "first", tmp_path / "first" / "results.json"])
    assert len(again.files) == 1
    copy = tmp_path / "copy.json"
    copy.write_bytes((tmp_path / "first" / "results.json").read_bytes())
    twice = gather([tmp_path / "first", copy])
    assert len(twice.entries) == 1 and twice.repeated == {"R2": "R1"}


def test_the_command_of_a_cell_asks_for_that_cell(ablation_folder: Path) -> None:
    material = gather([ablation_folder])
    file = next(f for f in material.files if f.records[0][1].get("spec"))
    (line,), known = commands(file)
    spec = file.records[0][1]["spec"]
    assert known == "from the specification" and line.startswith("hjepa ablate --preset small --out")
    for option, name in (("--levels", "levels"), ("--train-seeds", "train_seed"), ("--metric", "metric")):
        assert f"{option} {spec[name]}" in line


def test_what_was_replaced_in_planning_is_an_agent_of_its_own(made_up: Make, tmp_path: Path) -> None:
    records = [made_up(2, 0.5), made_up(2, 0.8, extra={"overrides": ["plan.ground=0"]})]
    (tmp_path / "r.json").write_text(json.dumps(records))
    material = gather([tmp_path / "r.json"])
    assert [entry.variant for entry in material.entries] == ["", "plan.ground=0"] and not material.repeated
    plain, changed = sorted(commands(material.files[0])[0], key=len)
    assert "--set" not in plain and "--set plan.ground=0" in changed


def test_diagnostics_of_any_form_do_no_harm(made_up: Make, tmp_path: Path) -> None:
    odd = [None, "text", {"a": 1}, [1, {"x": "y"}], [{"x": True, "level <3>": 0.25}]]
    records = [made_up(2, 0.5, seed=i, extra={"diagnostics": held}) for i, held in enumerate(odd)]
    (tmp_path / "r.json").write_text(json.dumps(records))
    text = write_report([tmp_path / "r.json"], tmp_path / "page.html").page.read_text()
    assert "level &lt;3&gt;" in text and 'value="0.25"' in text


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no cells/*.json and no results.json in it"),
        ({"results.json": "[]"}, "an empty list of records"),
        ({"results.json": "[{"}, "not JSON"),
        ({"cells/a.json": '{"task": 1}'}, "the record lacks"),
        ({"failed/a.json": '{"error": "no data"}'}, "no cell has finished and 1 failed, first: no data"),
    ],
)
def test_broken_folders_are_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], message: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    assert main(["report", str(folder), "--out", str(tmp_path / "page.html")]) == 2
    error = capsys.readouterr().err
    assert message in error and str(folder) in error and error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_levels_keep_colour_and_marker_in_a_figure_of_either_width() -> None:
    rates = {k: Measured(0.2 * k, 0.2 * k - 0.1, 0.2 * k + 0.1, 50, 1, ("R1",)) for k in (1, 2, 3)}
    panels = [Panel(name, "n = 50", {"trained": rates}, 0.1, 1.0) for name in ("all", "near", "far")]
    for width in (960, 358):
        figure = level_panels(panels, width, lead=True)
        assert figure.get_size_inches()[0] * 72 == pytest.approx(width)
        text = svg(figure, "a-", "label", "wide")
        assert text.count("level-2") == 3 and "#d55e00" in text.lower()
        assert "<style" not in text and "#222222" not in text and "#ffffff" not in text.lower()


def test_numbers_as_a_reader_expects_them() -> None:
    assert (signed(-0.145, 0), signed(0.145, 0), signed(-0.0001), signed(0.0)) == ("−15", "+15", "0.0", "0.0")
    assert "83 % (80–86)" in percent(Measured(0.825, 0.8, 0.86, 9, 1, ("R1",)), 0)
    shown = links(["R7", "R1", "R2", "R3", "R9", "R3"])
    assert re.findall(r">([^<]+)</a>", shown) == ["R1–R3", "R7", "R9"]


def test_guarded_and_unguarded_are_never_one_agent(made_up: Make, tmp_path: Path) -> None:
    held = {"guarded": ["lava"], "unguarded": []}
    for name, kept_to in held.items():
        records = [made_up(2, 0.5 if kept_to else 0.8, extra={"guardrails": kept_to})]
        (tmp_path / f"{name}.json").write_text(json.dumps(records))
    (tmp_path / "tuning.json").write_text(json.dumps([{"horizon": 8}]))
    material = gather([tmp_path])
    assert sorted(entry.variant for entry in material.entries) == ["guarded (lava)", "unguarded"]
    (block,) = blocks(material.entries)
    assert len(block.agents) == 2
    lines = [line for group in asked(material, {}) for line in group.lines]
    assert sum(line.endswith("--unguarded") for line in lines) == 1


def test_lists_of_one_folder_that_differ_in_nothing_they_say_keep_their_names(
    made_up: Make, tmp_path: Path
) -> None:
    for name, share in (("with", 0.4), ("without", 0.8)):
        (tmp_path / f"{name}.json").write_text(json.dumps([made_up(2, share)]))
    assert [entry.variant for entry in gather([tmp_path]).entries] == ["with", "without"]


def test_published_lists_of_the_agent_can_be_reported() -> None:
    material = gather([DEMO.parents[1] / "agent"])
    assert len(material.files) >= 15 and len(blocks(material.entries)) >= 5


def test_the_cells_of_a_grid_are_asked_for_at_once(made_up: Make, tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    for levels in (1, 2, 3):
        for seed in (0, 1):
            depth = "trained" if levels == 3 else "truncated"
            record = made_up(levels, 0.5, train_seed=seed, depth=depth)
            spec = spec_of(record) | {"config": {"levels": [{}, {}, {}]}}
            (tmp_path / "cells" / f"{levels}-{seed}.json").write_text(json.dumps({**record, "spec": spec}))
    (group,) = asked(gather([tmp_path]), {})
    (line,) = group.lines
    assert "--levels 1,2,3 --depth truncated --train-seeds 0,1 " in line
    (tmp_path / "cells" / "2-1.json").unlink()
    (group,) = asked(gather([tmp_path]), {})
    assert len(group.lines) == 4, "no grid any more, but for the seeds of three levels"
    assert any("--levels 3 --depth trained --train-seeds 0,1 " in line for line in group.lines)


def test_weights_that_are_here_are_named(made_up: Make, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps([made_up(1, 0.5, seed=seed) for seed in (0, 1)]))
    material = gather([tmp_path / "r.json"])
    (line,), _ = commands(
        material.files[0], {str(material.entries[0].record["checkpoint_sha256"]): "nested-d2"}
    )
    assert line.startswith("hjepa plan --checkpoint nested-d2 ") and "--seed 0,1" in line
    (group,) = asked(material, {})
    assert "./weights-" in group.lines[0] and "are not here" in group.needs[0]


def test_the_setting_in_which_levels_differ_is_named_beside_the_answer(made_up: Make, tmp_path: Path) -> None:
    records = [made_up(n, 2.0) for n in (1, 2)] + [
        made_up(n, s, metric="l2") for n, s in ((1, 0.1), (2, 0.9))
    ]
    (tmp_path / "r.json").write_text(json.dumps(records))
    (block,) = blocks(gather([tmp_path / "r.json"]).entries)
    found = answer(block)
    assert found is not None and found.setting.metric == "commute" and found.differing is not None
    assert found.differing.setting.metric == "l2" and found.differing.comparison.upper.levels == 2
    text = write_report([tmp_path / "r.json"], tmp_path / "page.html").page.read_text()
    assert "Levels differ most with l2" in text.partition("<nav>")[0]


def test_episodes_that_show_a_difference_are_chosen() -> None:
    records = {1: {"success": [1, 0, 1, 0]}, 2: {"success": [1, 1, 0, 0]}}
    assert (choose(records, 2, True), choose(records, 2, False)) == (1, 2)
    assert choose({1: {"success": [1, 1]}}, 1, False) is None
