"""Tests stand where what they test stands: folders mirror the tree, and no two files share a name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
BESIDE = {"end_to_end", "fuzz", "house", "mutation"}
"""Folders of tests about the whole."""


def test_no_two_test_files_share_a_name() -> None:
    names = Counter(file.name for file in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 80


def test_every_folder_of_tests_is_a_folder_of_the_tree() -> None:
    folders = {file.parent.relative_to(TESTS) for file in TESTS.rglob("test_*.py")}
    strangers = [
        str(folder)
        for folder in folders
        if folder.parts
        and folder.parts[0] not in BESIDE
        and not (TESTS.parent / folder / "__init__.py").exists()
    ]
    assert strangers == []
    alone = {file.stem.removeprefix("test_") for file in (TESTS / "hjepa").glob("test_*.py")}
    files = {file.stem.lstrip("_") for file in (TESTS.parent / "hjepa").glob("*.py")}
    assert alone <= files, "hjepa is in rooms, and so are its tests"
