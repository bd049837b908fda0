"""Which tests judge a mutant: statements by hand, a map by hand, and one of a small file of tests for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import chosen
import watching
from instead import ROOT
from mutants import Mutant, mutants
from statements import MARKS, innermost, marked, statements
from watching import Asked, Map

SOURCE = b'''"""Text."""

from __future__ import annotations

MOST = 3


class A:
    """Text."""

    size: int = 4

    def f(self, b: int = 2) -> int:
        """Text."""
        if b < MOST:
            return 1
        elif self.size:
            b += 5
        try:
            return [n for n in (b,)][0]
        except KeyError:
            raise
'''


def executed(*calls: str) -> set[int]:
    """Lines whose statements mark that they were executed, when the source and then some calls are."""
    found = statements(SOURCE)
    marks = bytearray(2 + len(found))
    space = {MARKS: marks, "__name__": "a"}
    exec(marked(SOURCE, "a.py", 2), space)
    marks[:] = bytes(len(marks))
    for call in calls:
        exec(call, space)
    assert marks[:2] == bytes(2)
    return {each.line for n, each in enumerate(found) if marks[2 + n]}


def test_statements_by_hand() -> None:
    found = {each.line: each for each in statements(SOURCE)}
    assert [*found] == [5, 8, 11, 13, 15, 16, 17, 18, 19, 20, 22]
    assert {line for line, each in found.items() if each.at_import} == {5, 8, 11, 13}
    assert (found[5].binds, found[11].binds) == ({"MOST"}, {"size"})
    assert "MOST" in found[15].reads and "size" in found[17].reads and "size" not in found[15].reads
    assert found[13].body == (4, 11)


def test_what_is_executed_is_marked() -> None:
    assert executed() == set()
    assert executed("A().f()") == {15, 16}
    assert executed("A().f(3)") == {15, 17, 18, 19, 20}
    assert executed("A().f()", "A().f(3)") == {15, 16, 17, 18, 19, 20}


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"3\n", 5), (b"b < MOST", 15), (b"1\n", 16), (b"self.size", 17), (b"5\n", 18), (b"(b,)", 20)],
)
def test_a_place_belongs_to_the_innermost_statement(text: bytes, line: int) -> None:
    found = statements(SOURCE)
    number = innermost(found, SOURCE.index(text))
    assert number is not None and found[number].line == line
    assert innermost(found, 1) is None


def test_errors_name_the_lines_of_the_file() -> None:
    with pytest.raises(ZeroDivisionError) as error:
        exec(marked(b"x = 1\nif x:\n\n    x / 0\n", "a.py", 0), {MARKS: bytearray(9)})
    assert error.traceback[-1].lineno == 3


def test_all_statements_of_the_repository_can_be_marked() -> None:
    for file in sorted((ROOT / "planners").rglob("*.py")):
        marked(file.read_bytes(), str(file), 0)


def chooser(monkeypatch: pytest.MonkeyPatch, *tests: Asked) -> chosen.Chooser:
    """Of ``a.py`` alone, which ``mirrors.py`` mirrors; its line 18 is executed at import."""
    monkeypatch.setattr(chosen, "tests_of", lambda root, file, most=4: [ROOT / "mirrors.py"])
    collecting = {test.file: 0.5 for test in tests}
    found = statements(SOURCE)
    imported = np.array([each.at_import or each.line == 18 for each in found])
    return chosen.Chooser(Map({"a.py": 0}, {"a.py": found}, [*tests], collecting, imported=imported))


def asked(name: str, *lines: int, seconds: float = 0.1, file: str = "far.py", **fixtures: float) -> Asked:
    ran = np.array([each.line in lines for each in statements(SOURCE)])
    return Asked(name, file, seconds, fixtures, ran)


def mutant(before: str, line: int) -> Mutant:
    return next(each for each in mutants("a.py", SOURCE) if (each.before, each.line) == (before, line))


def names(batches: list[list[Asked]]) -> list[list[str]]:
    return [[test.id for test in batch] for batch in batches]


@pytest.mark.parametrize(
    ("before", "line", "names"),
    [
        ("b < MOST", 15, {"first", "second"}),
        ("1", 16, {"first"}),
        ("b += 5", 18, {"second", "beside"}),  # called at import, too
        ("raise", 22, set()),
        ("2", 13, {"first", "second"}),  # a default: who executes the body
        (
            "3",
            5,
            {"first", "second", "beside"},
        ),  # a constant: who executes what reads it, and who mirrors the file
        ("4", 11, {"second", "beside"}),
    ],
)
def test_asked_are_those_that_execute_the_statement(
    monkeypatch: pytest.MonkeyPatch, before: str, line: int, names: set[str]
) -> None:
    tests = asked("first", 15, 16), asked("second", 15, 17, 18, 19, 20), asked("beside", file="mirrors.py")
    found = chooser(monkeypatch, *tests).candidates(mutant(before, line))
    assert {test.id for test, _ in found} == names


def test_the_quickest_first_and_what_is_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    tests = [asked(f"{n}s", 16, seconds=n, file=f"{n}.py") for n in (90, 20, 7, 1, 40)]
    batches, left_out = chooser(monkeypatch, *tests).batches(mutant("1", 16))
    assert names(batches) == [["1s"], ["7s", "20s", "40s"]]
    assert left_out == 1
    alone, left_out = chooser(monkeypatch, asked("long", 16, seconds=500)).batches(mutant("1", 16))
    assert names(alone) == [["long"]] and left_out == 0, "one test is always asked"


def test_tests_that_mirror_the_file_come_first_and_fixtures_are_shared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tests = [
        asked("stranger", 16, seconds=2),
        asked("uses", 16, file="mirrors.py", trained=3.0),
        asked("uses too", 16, file="mirrors.py", trained=3.0),
        asked("quick", 16, file="mirrors.py"),
    ]
    found = chooser(monkeypatch, *tests)
    batches, left_out = found.batches(mutant("1", 16))
    assert names(batches) == [["quick", "uses", "uses too", "stranger"]] and left_out == 0
    assert found.seconds(batches[0]) == pytest.approx(2 + 3 * 0.1 + 3 + 2 * 0.5)


def test_a_map_of_other_sources_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "map.jsonl"
    place.write_text('{"sources": "other", "statements": 1}\n')
    with pytest.raises(ValueError, match="is of other sources; remove it"):
        watching.watched(place, ("planners",))


def test_the_last_line_of_a_map_counts_if_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "map.jsonl"
    place.write_text('{"n": 1}\n{"file": "a", "hash": 1}\n{"file": "a", "hash": 2}\n{"file": "a", "ha')
    assert watching._rows(place, {"n": 1}) == {"a": {"file": "a", "hash": 2}}
    assert watching._missing(place, {"n": 1}, {"a": "2", "b": "1"}) == ["a", "b"]


def test_processes_that_are_started_see_the_change() -> None:
    file = "hjepa/errors.py"
    source = (ROOT / file).read_bytes()
    found = next(each for each in mutants(file, source) if each.before == "1000")
    script = (
        f"import sys, subprocess; sys.path.insert(0, {str(Path(__file__).parent)!r}); from instead import install\n"
        f"install('Changed', file={file!r}, start={found.start}, end={found.end}, after={found.after!r})\n"
        "import hjepa.errors; print(hjepa.errors.LONGEST, flush=True)\n"
        "subprocess.run([sys.executable, '-c', 'import hjepa.errors; print(hjepa.errors.LONGEST)'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["1001", "1001"], done.stderr


TESTS = """
import pytest
import torch

from planners.spaces import Box, Simplex

MADE = Simplex(2).free(torch.eye(2))


@pytest.fixture(scope="module")
def box():
    made = Box(-torch.ones(2), torch.ones(2))
    made.project(torch.zeros(1, 2))
    return made


def test_box(box):
    assert box.project(torch.full((1, 2), 5.0)).max() == 1


def test_of_the_same(box):
    pass


def test_of_nothing():
    pass
"""

JUDGE = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import apart, run, watching
from chosen import Chooser
from mutants import Mutant

run.SPARE = 1
file, source = "planners/spaces.py", (run.ROOT / "planners/spaces.py").read_bytes()
apart.preload()
whole = watching.statements_of(("planners/spaces.py",))
whole.first, whole.found = {file: 0}, {file: watching.statements(source)}
if os.fork() == 0:
    row = watching.watch(sys.argv[2], watching.mark(Path(sys.argv[3]), whole))
    Path(sys.argv[3], "row").write_text(json.dumps(row))
    os._exit(0)
os.wait()
watching._add(whole, sys.argv[2], json.loads(Path(sys.argv[3], "row").read_text()))
whole.imported = whole.tests[0].ran & False
for before, after in zip(sys.argv[4::2], sys.argv[5::2]):
    at = source.index(before.encode())
    found = run.judgement(Mutant(file, 0, "any", before, after, at, at + len(before)), Chooser(whole))
    print(found["became"], found["asked"], (found["by"] or "").partition("::")[2])
"""


@pytest.mark.slow
def test_real_mutants_of_a_small_file_of_tests(tmp_path: Path) -> None:
    file = tmp_path / "test_boxes.py"
    file.write_text(TESTS)
    bound = "return torch.minimum(torch.maximum(free, self.low), self.high)"
    changes = [
        *(bound, "return torch.maximum(free, self.low)"),
        *(bound, f"{bound} + 0"),
        *(bound, "while True: pass"),
        *("return action * self.margin", "return action * self.margin + 0"),
        *("return self.harden(prior)", "return prior"),
    ]
    words = [str(Path(__file__).parent), str(file), str(tmp_path), *changes]
    done = subprocess.run([sys.executable, "-c", JUDGE, *words], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "killed 2 test_box",
        "survived 2 ",
        "late 2 ",
        "survived 3 ",  # executed when the file of tests is collected, so that all of them could notice
        "untested 0 ",
    ], done.stderr
