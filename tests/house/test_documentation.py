"""README and docs: links lead somewhere, command lines parse, tables are complete, numbers are those of the lists."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml

import hjepa
from hjepa import cli
from hjepa.evaluation.records import success_interval
from tasks import list_tasks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
CARDS = sorted((ROOT / "hjepa" / "published").rglob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """What a link may name behind ``#``: headings, as forges and MkDocs write them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES + CARDS, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_or_anchor_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One heading\n[a](page.md#one-heading) [b](nowhere.md) ![c](#two) [d [e]](https://x.y)\n```\n[f](g)\n```\n"
    )
    assert broken_links(page) == ["nowhere.md", "#two"]


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words of every command of ours in a page's shell blocks; those that continue a line joined."""
    for language, block in FENCE.findall(text_of(page)):
        if language != "bash":
            continue
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words = words[1:]
                if words and words[0] in ("hjepa", "./run"):
                    yield words


def run_words() -> set[str]:
    """The commands that ``./run --help`` lists."""
    usage = text_of(ROOT / "run").partition("TEXT'")[2].partition("environment")[0]
    return set(re.findall(r"^  ([a-z]+)", usage, re.MULTILINE))


def check(words: list[str]) -> None:
    if words[0] == "./run":
        assert words[1] in run_words(), words
        words = words[1:]
        if words[0] == "demo":
            words = ["hjepa", *words]
    if words[0] == "hjepa":
        cli.parse(words[1:])


@pytest.mark.parametrize("page", PAGES + CARDS, ids=name)
def test_commands_in_blocks_parse(page: Path) -> None:
    for words in command_lines(page):
        if not any("$" in word for word in words):  # a shell variable, in cards
            check(words)


def strangers(words: list[str]) -> list[str]:
    """Presets, weights and tasks of ours that a command names and that are not there."""
    package, wrong = ROOT / "hjepa", []
    for option, value in pairwise(words):
        ours = value.startswith(("hjepa/", "MiniGrid-"))
        if (
            (option == "--preset" and "." not in value and not (package / f"presets/{value}.yaml").exists())
            or (option == "--checkpoint" and "/" not in value and not (package / f"weights/{value}").exists())
            or (option == "--task" and ours and value not in {spec["id"] for spec in list_tasks()})
        ):
            wrong.append(value)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_name_what_is_there(page: Path) -> None:
    assert [wrong for words in command_lines(page) for wrong in strangers(words)] == []


def test_what_is_not_there_is_found() -> None:
    words = (
        "hjepa plan --checkpoint nested-d9 --preset nothing --task hjepa/NestedRooms-d9-v0 --preset my.yaml"
    )
    assert strangers(words.split()) == ["nested-d9", "nothing", "hjepa/NestedRooms-d9-v0"]


def test_there_are_commands_and_a_wrong_one_is_refused() -> None:
    assert sum(len(list(command_lines(page))) for page in PAGES) > 25
    for wrong in (
        "hjepa plan --checkpoint x --task y --level 3",
        "hjepa train --preset x",
        "./run everything",
    ):
        with pytest.raises((hjepa.InputError, AssertionError)):
            check(shlex.split(wrong))


def options() -> dict[str, set[str]]:
    """The options of every command."""
    known = {}
    for command in cli.COMMANDS:
        parser = argparse.ArgumentParser()
        cli._module(command).add_arguments(parser)
        known[command] = {option for action in parser._actions for option in action.option_strings}
    return known


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_in_sentences_exist(page: Path) -> None:
    """What stands in backquotes: a part of a command, so only its words are looked at."""
    known, every = (
        options(),
        set().union(*options().values()) | {"--help", "--slow", "--notebooks", "--strict"},
    )
    for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(page))):
        words = span.split()
        if words[0] == "python" and len(words) > 1 and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), span
            continue
        if words[0] == "./run":
            assert len(words) == 1 or words[1] in run_words() | {"..."}, span
        used = {word.split("=")[0] for word in words if word.startswith("--") and len(word) > 2}
        if words[0] == "hjepa" and len(words) > 1:
            assert words[1] in (*cli.COMMANDS, "...", "--help"), span
            used -= known.get(words[1], set()) | {"--help"}
            assert not used, span
        else:
            assert used <= every, span


def test_the_readme_is_short_and_has_the_headings_people_search_for() -> None:
    readme = text_of(ROOT / "README.md")
    assert len(readme.split()) <= 1200
    for heading in ("Guardrails", "Missions", "Partial observability", "Bring your own environment"):
        assert f"\n## {heading}\n" in readme
    assert readme.index("docs/two-agents.gif") < readme.index("./run demo") < readme.index("## ")


def test_tables_name_every_task_weight_and_public_name() -> None:
    environments, results = text_of(ROOT / "docs/environments.md"), text_of(ROOT / "docs/results.md")
    assert [spec["id"] for spec in list_tasks() if f"| `{spec['id']}` |" not in environments] == []
    weights = [path.name for path in (ROOT / "hjepa" / "weights").iterdir() if (path / "model.json").exists()]
    assert weights and [each for each in weights if f"| `{each}` |" not in results] == []
    described = text_of(ROOT / "docs/api/hjepa.md")
    homes = {**hjepa._HOMES, **dict.fromkeys(hjepa._MODULES, "hjepa")}
    missing = [each for each in hjepa.__all__ if f"::: {homes[each]}.{each}" not in described]
    assert missing == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = text_of(ROOT / "mkdocs.yml").partition("\nnav:")[2]
    docs = ROOT / "docs"
    assert [page for page in docs.rglob("*.md") if page.relative_to(docs).as_posix() not in navigation] == []


def test_pictures_are_small_and_each_is_used() -> None:
    pages = "".join(map(text_of, PAGES))
    pictures = [path for path in (ROOT / "docs" / "img").rglob("*") if path.is_file()]
    assert len(pictures) > 20
    assert [path.name for path in pictures if path.name not in pages] == []
    gallery = [path.stat().st_size for path in (ROOT / "docs" / "img" / "gallery").glob("*.png")]
    assert max(gallery) < 15_000 and sum(gallery) < 600_000


@pytest.mark.parametrize(
    ("place", "written", "shown"),
    [
        ("index.md", "[a](docs/faq.md) ![b](docs/img/x.png)", "[a](faq.md) ![b](img/x.png)"),
        ("index.md", "[a](hjepa/published/told.md#x)", "[a](cards/told.md#x)"),
        ("api/index.md", "[a](../../README.md) [b](hjepa.md)", "[a](../index.md) [b](hjepa.md)"),
        ("cards/agent/card.md", "[a](agent.json) [b](../told.md)", "[a](agent.json) [b](../told.md)"),
        ("faq.md", "[a](../notebooks/two_rooms.py) [b](#c)", "[a](notebooks/two_rooms.py) [b](#c)"),
        ("faq.md", "[a](https://x.y/z) [b](../run)", "[a](https://x.y/z) [b](../run)"),
        ("faq.md", "```\n[a](../README.md)\n```\n", "```\n[a](../README.md)\n```\n"),
    ],
)
def test_links_to_the_repository_become_links_of_the_site(
    place: str, written: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri=place))
    assert script("site_hooks", monkeypatch).on_page_markdown(written, page) == shown


def test_what_forges_and_reference_managers_read() -> None:
    cited = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert f"version = {{{project['version']}}}" in text_of(ROOT / "docs/cite.md")
    workflow = yaml.safe_load(text_of(ROOT / ".github/workflows/ci.yml"))
    assert [step["run"] for step in workflow["jobs"]["ci"]["steps"] if "run" in step] == ["bash .ci/run"]
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[bmt]*.yml"))
    assert [form.stem for form in forms] == ["bug", "method", "task"]
    for form in forms:
        read = yaml.safe_load(text_of(form))
        assert read["name"] and read["description"]
        assert len({part["id"] for part in read["body"]}) == len(read["body"]) > 1


def script(page: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(page, ROOT / "docs" / f"{page}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, page, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_numbers_of_the_figure_are_those_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels one and two stand in docs/results.md as tables, the caption of the moving picture in the README."""
    success, page = script("success_figure", monkeypatch), text_of(ROOT / "docs/results.md")

    def cell(record: dict[str, object]) -> str:
        low, high = success_interval(record)
        return f"{100 * float(str(record['success_rate'])):.1f} ({100 * low:.1f}, {100 * high:.1f})"

    for series in success.seen_rooms():
        metric = series.name.partition(",")[0]
        assert f"| `{metric}` | {' | '.join(cell(record) for _, record in series.points)} |" in page
    for series in success.two_room():
        steps = series.name.removesuffix(" away")
        assert f"| {steps} | {' | '.join(cell(record) for _, record in series.points)} |" in page
    readme = " ".join(text_of(ROOT / "README.md").split())
    said = script("two_agents", monkeypatch).caption()
    (flat, low, high), (four, least, most) = re.findall(r"([\d.]+) % \(([\d.]+) to ([\d.]+)\)", said)
    assert f"trained and tuned for itself {flat} % ({low} to {high})" in readme
    assert f"Four levels solve {four} % (95 % interval {least} to {most})" in readme
