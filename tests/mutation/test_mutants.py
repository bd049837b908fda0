"""The runner of mutants: its operators by hand, what it leaves alone, one that is killed and one that is not."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import mirrored
import run
from mutants import KINDS, mutants, of_tree

ROOT = Path(__file__).parents[2]

SOURCE = b'''
def f(a: int = 3, *, b: "list[int]") -> bool:
    """Text 1."""
    assert a < 9
    if a <= b and not b:
        g(a)
    x = a - 1.5
    x += 2
    raise ValueError(f"{a + 1}")
'''


def changes(source: bytes) -> set[tuple[str, str, str]]:
    return {(each.kind, each.before, each.after) for each in mutants("f.py", source)}


def test_operators_by_hand() -> None:
    assert changes(SOURCE) == {
        ("constant", "3", "4"),
        ("compare", "a <= b", "(a < b)"),
        ("condition", "a <= b and (not b)", "(a <= b or not b)"),
        ("condition", "a <= b and (not b)", "(not (a <= b and (not b)))"),
        ("condition", "not b", "(b)"),
        ("removal", "g(a)", "pass"),
        ("arithmetic", "a - 1.5", "(a + 1.5)"),
        ("constant", "1.5", "3.0"),
        ("removal", "x += 2", "pass"),
        ("constant", "2", "3"),
        ("removal", "raise ValueError(f'{a + 1}')", "pass"),
    }


def test_one_place_is_changed_and_the_rest_is_as_it_was() -> None:
    for each in mutants("f.py", SOURCE):
        changed = each.applied(SOURCE)
        ast.parse(changed)
        assert changed.startswith(SOURCE[: each.start]) and changed.endswith(SOURCE[each.end :])
        assert changed != SOURCE


def test_every_kind_is_found_in_every_folder() -> None:
    for folder in ("planners", "levels", "hjepa/training", "hjepa/evaluation"):
        assert {each.kind for each in of_tree(ROOT, (folder,))} == set(KINDS)


@pytest.mark.parametrize(
    ("file", "test"),
    [
        ("planners/spaces.py", "tests/planners/test_spaces.py"),
        ("hjepa/evaluation/statistics.py", "tests/hjepa/evaluation/test_statistics.py"),
        ("levels/actor.py", "tests/hjepa/training/test_actors.py"),
    ],
)
def test_files_are_mapped_to_their_tests(file: str, test: str) -> None:
    assert ROOT / test in mirrored.tests_of(ROOT, file)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_are_all_mutants_each_once(count: int) -> None:
    found = mutants("f.py", SOURCE)
    shares = [run.share(found, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(each.key for part in shares for each in part) == sorted(each.key for each in found)
    for wrong in ("0/2", "3/2", "1", "a/b", "1/0"):
        with pytest.raises(ValueError, match="I from 1 to N"):
            run.share(found, wrong)
