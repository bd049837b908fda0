"""Every command on a page is one that works: read with its presets and weights by default, run with ``--slow``."""

from __future__ import annotations

import argparse
import functools
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from documented import CARDS, NOT_RUN, PAGES, ROOT, commands, plain, tiny, why_not

from hjepa import cli
from hjepa.config import load_preset, with_plan
from hjepa.model.checkpoints import describe, load_stack
from hjepa.settings import RunConfig
from hjepa.sweeps.grid import expand, read_grid

WEIGHTS = ROOT / "hjepa" / "weights"


class ParsedAll(Exception):
    """A script got as far as its arguments."""


def every(pages: list[Path]) -> Iterator[Any]:
    for page in pages:
        for block in commands(page):
            for words in block:
                yield pytest.param(words, id=f"{page.stem}: {' '.join(words)[:60]}")


@functools.cache
def config_of(weights: str) -> RunConfig:
    """The settings of shipped weights, which are opened."""
    assert describe(weights)["sha256"]
    return load_stack(weights).config


def is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def check_settings(words: list[str]) -> None:
    """The presets and weights that a command names, with all that it replaces in them."""
    asked = cli.parse(words[1:])
    sets = list(getattr(asked, "overrides", None) or [])
    own = any(":" in each.partition("=")[2] for each in sets)  # a part of the reader's own
    preset = getattr(asked, "preset", None)
    if preset is not None and not own:
        preset = str(ROOT / "notebooks" / preset) if is_file(preset) and "/" not in preset else preset
        if asked.command == "ablate":
            assert expand(preset, read_grid(preset, overrides={}))
        else:
            load_preset(preset, sets)
    runs = [
        getattr(asked, "checkpoint", None),
        getattr(asked, "run", None),
        *(getattr(asked, "runs", None) or []),
    ]
    for run in runs:
        if isinstance(run, str) and (WEIGHTS / run).is_dir():
            config = with_plan(config_of(run), sets)
            for metric in getattr(asked, "metric", None) or ():
                if asked.command in ("plan", "explore"):
                    with_plan(config, [f"plan.metric={metric}"])


def parse_script(file: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a script until it has read its arguments."""
    read = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: Any, **more: Any) -> NoReturn:
        read(parser, *given, **more)
        raise ParsedAll

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [str(file), *arguments])
    monkeypatch.syspath_prepend(str(file.parent))
    with pytest.raises(ParsedAll):
        runpy.run_path(str(file), run_name="__main__")


@pytest.mark.parametrize("words", list(every(PAGES + CARDS)))
def test_a_command_is_read_with_all_that_it_names(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = plain(words)
    if words[0] == "hjepa":
        check_settings(words)
    elif words[0] == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file(), words
        parse_script(ROOT / words[1], words[2:], monkeypatch)
    elif words[:2] == ["./run", "test"]:
        paths = [word for word in words[2:] if word.startswith("tests/")]
        assert all((ROOT / path).exists() for path in paths), words


@pytest.mark.parametrize(
    "line",
    [
        "hjepa fit --preset vector --set train.stepps=[2] --data d --out r",
        "hjepa plan --checkpoint nested-d2 --task hjepa/NestedRooms-d2-v0 --set plan.horizn=3",
        "hjepa ablate --preset vectr --out sweep",
    ],
)
def test_a_wrong_setting_is_found(line: str) -> None:
    from hjepa import InputError

    with pytest.raises(InputError):
        check_settings(line.split())


def test_a_wrong_argument_of_a_script_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        parse_script(ROOT / "hjepa/published/field/laws.py", ["--jsn", "x"], monkeypatch)


def test_every_exception_is_of_a_command_that_stands_somewhere() -> None:
    lines = [" ".join(plain(words)) for page in PAGES for block in commands(page) for words in block]
    lines += [" ".join(words) for page in PAGES for block in commands(page) for words in block]
    unused = [begin for begin in NOT_RUN if not any(line.startswith(begin) for line in lines)]
    assert unused == []


def blocks() -> Iterator[Any]:
    seen = set()
    for page in PAGES:
        for block in commands(page):
            kept = [plain(words) for words in block if why_not(plain(words)) is None]
            if not any(words[1] in ("ablate", "plan") for words in kept):
                kept = [words for words in kept if words[1] != "report"]  # of what was not run
            lines = tuple(" ".join(words) for words in kept)
            if lines and lines not in seen:
                seen.add(lines)
                yield pytest.param(kept, id=f"{page.stem}: {lines[0][:50]}")


@pytest.mark.slow
@pytest.mark.parametrize("block", list(blocks()))
def test_a_block_runs_in_an_empty_folder(
    block: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command after another, as a reader types them, made small by options that stand last."""
    for name in ("two_rooms.py", "two_rooms.yaml"):
        (tmp_path / name).write_text((ROOT / "notebooks" / name).read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # own modules of the folder are put there
    for words in block:
        if words[0] == "hjepa":
            assert cli.main(tiny(words)[1:]) == 0, words
