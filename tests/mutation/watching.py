"""Which tests execute which statements: a map, made by running the default tests once in marked code.

A file of tests at a time gets a process of its own, forked from one that has imported what is ours in marked form, as a
mutant's tests will. The map is lines of JSON: a header with a hash of the sources, then a line for each file of tests.
Files that changed are run again; other sources make another map. Several processes can make one together, and one
that was stopped goes on.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import gc
import hashlib
import importlib
import json
import os
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apart import computed, forked
from instead import ROOT, dotted, install
from statements import Statement, statements

PACKAGES = ("hjepa", "levels", "planners", "tasks")
IMPORT = "import"
"""Stands in a map in place of a file of tests, for what is executed when all is imported."""

APART = ("mutation",)
"""Folders of tests that are not asked: they start what runs the tests."""


@dataclass
class Asked:
    """A test and what it takes.

    Attributes:
        id: as pytest names it.
        file: of the tests, from the root of the repository.
        seconds: of computing, its processes' too, without those of its shared fixtures.
        fixtures: name of a fixture that is shared by tests of the file -> seconds of computing.
        ran: whether a statement is executed by it, by one of those fixtures, or when its file is collected.
    """

    id: str
    file: str
    seconds: float
    fixtures: dict[str, float]
    ran: np.ndarray = field(repr=False)


@dataclass
class Map:
    """What the tests execute.

    Attributes:
        first: file of the repository -> number of its first statement.
        found: file of the repository -> its statements.
        tests: those that passed.
        collecting: file of tests -> seconds of computing before the first one runs.
        left_out: id of a test -> why it is not asked: ``skipped`` or ``failed``.
        imported: whether a statement is executed when all is imported.
    """

    first: dict[str, int]
    found: dict[str, list[Statement]]
    tests: list[Asked] = field(default_factory=list)
    collecting: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    imported: np.ndarray = field(default_factory=lambda: np.zeros(0, bool), repr=False)

    @property
    def count(self) -> int:
        """Of all statements."""
        return sum(map(len, self.found.values()))


def statements_of(folders: tuple[str, ...]) -> Map:
    """All statements below folders of the repository, and no tests."""
    first, found, count = {}, {}, 0
    for path in sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        first[file], found[file] = count, statements(path.read_bytes())
        count += len(found[file])
    return Map(first, found)


def watched(place: Path, folders: tuple[str, ...]) -> Map:
    """The map in a file, which is made or completed where it is not whole, in a process of its own.

    Raises:
        ValueError: it is of other sources.
        RuntimeError: it could not be made.
    """
    whole = statements_of(folders)
    head = {"sources": _hash_of_sources(), "statements": whole.count}
    tests = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    tests = [file for file in tests if file.split("/")[1] not in APART]
    hashes = {file: hashlib.sha256((ROOT / file).read_bytes()).hexdigest()[:16] for file in tests}
    hashes[IMPORT] = ""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as lock, _held(lock, len(hashes)) as mine:
        if mine and not place.exists():
            place.write_text(json.dumps(head) + "\n")
    if _missing(place, head, hashes):
        # What is ours stays out of this process, for mutants are to import it.
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _complete(place, head, hashes, whole)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError(f"{place} could not be completed")
    for file, row in sorted(_rows(place, head).items()):
        if file in hashes:
            _add(whole, file, row)
    return whole


def _complete(place: Path, head: dict[str, Any], hashes: dict[str, str], whole: Map) -> None:
    """Run what is missing in a map, together with other processes that do the same."""
    tests = [*hashes]
    with tempfile.TemporaryDirectory(prefix="hjepa-marks-") as folder:
        marks = mark(Path(folder), whole)
        imported = {"ran": _packed(np.frombuffer(marks, np.uint8).astype(bool))}
        with place.with_name(f"{place.name}.lock").open("w") as lock:
            while missing := _missing(place, head, hashes):
                for file in missing:
                    with _held(lock, tests.index(file)) as mine:
                        # Another process may have been at it until now.
                        if mine and file in _missing(place, head, hashes):
                            known = imported if file == IMPORT else watch(file, marks)
                            row = {"file": file, "hash": hashes[file], **known}
                            with place.open("a") as end:
                                end.write(json.dumps(row) + "\n")
                            print(f"watched {file}", flush=True)
                time.sleep(0.2)


@contextlib.contextmanager
def _held(lock: Any, number: int) -> Iterator[bool]:
    """Hold a file of tests while no other process does; the lock of one that was killed falls with it."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.lockf(lock, fcntl.LOCK_UN, 1, number)


def _rows(place: Path, head: dict[str, Any]) -> dict[str, Any]:
    """File of tests -> what is known of it, the last line of each; a line that was not finished does not count."""
    rows: list[dict[str, Any]] = []
    for line in place.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    if not rows or rows[0] != head:
        raise ValueError(f"{place} is of other sources; remove it, or name another file with --map")
    return {row["file"]: row for row in rows[1:]}


def _missing(place: Path, head: dict[str, Any], hashes: dict[str, str]) -> list[str]:
    rows = _rows(place, head)
    return [file for file, now in hashes.items() if rows.get(file, {}).get("hash") != now]


def _add(whole: Map, file: str, row: dict[str, Any]) -> None:
    if file == IMPORT:
        whole.imported = _unpacked(row["ran"], whole.count)
        return
    whole.collecting[file] = row["seconds"]
    whole.left_out |= row["left_out"]
    for test in row["tests"]:
        ran = _unpacked(test["ran"], whole.count)
        fixtures = {name: row["fixtures"][name] for name in test["fixtures"]}
        whole.tests.append(Asked(test["id"], file, test["seconds"], fixtures, ran))


def _packed(ran: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.packbits(ran).tobytes(), 9)).decode()


def _unpacked(text: str, count: int) -> np.ndarray:
    marks = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(marks, count=count).astype(bool)


def _hash_of_sources() -> str:
    """Of all that a change makes other tests execute other statements; files of tests are looked at one by one."""
    whole = hashlib.sha256()
    files = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".yaml")
    ]
    helpers = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
    apart = [ROOT / "hjepa" / "published", *(ROOT / "tests" / name for name in APART)]
    for path in sorted([*files, *helpers]):
        if not any(path.is_relative_to(folder) for folder in apart):
            whole.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def mark(folder: Path, whole: Map) -> Any:
    """Import all files of a map here, so that they mark what they execute; the bytes that they mark.

    Args:
        folder: keeps the bytes while they are needed.
        whole: the map.
    """
    place = folder / "marks"
    place.write_bytes(bytes(whole.count))
    made = install("Watched", marks=str(place), first=whole.first)
    for file in whole.first:
        importlib.import_module(dotted(file))
    gc.freeze()
    return made.marks  # type: ignore[attr-defined]


def watch(file: str, marks: Any) -> dict[str, Any]:
    """Run a file of tests in a process of its own; what it executes and takes."""
    with tempfile.TemporaryDirectory(prefix="hjepa-watched-", ignore_cleanup_errors=True) as folder:
        said = Path(folder, "said.json")
        forked([file], 3600.0, lambda: Watcher(marks, said), Path(folder))
        if not said.exists():
            return {"seconds": 0.0, "fixtures": {}, "tests": [], "left_out": {file: "failed"}}
        return dict(json.loads(said.read_text()))


class Watcher:
    """A plugin of pytest that writes what tests execute and how long they compute.

    Args:
        marks: bytes that marked code sets.
        said: file that is written in the end.
    """

    def __init__(self, marks: Any, said: Path) -> None:
        self.marks, self.said = marks, said
        self.fixtures: dict[str, float] = {}
        self.ran_by: dict[str, np.ndarray] = {}
        self.inside = 0.0
        self.tests: list[dict[str, Any]] = []
        self.outcomes: dict[str, str] = {}
        self.seconds, self.collected = 0.0, self._take()

    def _take(self) -> np.ndarray:
        """What was executed since this was asked last."""
        ran = np.frombuffer(self.marks, np.uint8).astype(bool)
        self.marks[:] = bytes(len(self.marks))
        return ran

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.seconds, self.collected = computed(), self._take()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self._take()
        self.inside, began = 0.0, computed()
        result = yield
        ran, seconds = self._take(), computed() - began - self.inside
        names = [self._key(each) for each in _fixtures(item) if each.scope != "function"]
        self.tests.append({"id": item.nodeid, "seconds": round(seconds, 3), "fixtures": names, "ran": ran})
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: pytest.FixtureRequest) -> Any:
        if fixturedef.scope == "function":
            return (yield)
        before, began, inside = self._take(), computed(), self.inside
        try:
            return (yield)
        finally:
            ran, key = self._take(), self._key(fixturedef)
            own = computed() - began - (self.inside - inside)
            self.inside += own
            self.fixtures[key] = round(self.fixtures.get(key, 0.0) + own, 3)
            self.ran_by[key] = self.ran_by.get(key, False) | ran
            self.marks[:] = (before | ran).astype(np.uint8).tobytes()

    def _key(self, fixturedef: Any) -> str:
        return f"{fixturedef.baseid}::{fixturedef.argname}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.outcomes[report.nodeid] = report.outcome

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        rows = []
        for test in self.tests:
            if test["id"] in self.outcomes:
                continue
            test["fixtures"] = [name for name in test["fixtures"] if name in self.fixtures]
            for ran in (self.collected, *(self.ran_by[name] for name in test["fixtures"])):
                test["ran"] |= ran
            rows.append({**test, "ran": _packed(test["ran"])})
        self.said.write_text(
            json.dumps(
                {
                    "seconds": round(self.seconds, 3),
                    "fixtures": self.fixtures,
                    "tests": rows,
                    "left_out": self.outcomes,
                }
            )
        )


def _fixtures(item: pytest.Item) -> list[Any]:
    known = getattr(item, "_fixtureinfo", None)
    return [defs[-1] for defs in known.name2fixturedefs.values()] if known else []
