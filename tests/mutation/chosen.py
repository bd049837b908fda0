"""Which tests judge a mutant: those that execute its statement, the quickest and likeliest first.

What is executed at import has no tests of its own. Of a function that is defined there they are those that execute its
body (a default is changed), of a constant or field those that execute statements that name it and those that mirror
the file, of anything else those that mirror the file; they are asked too where a function is called at import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from instead import ROOT
from mirrored import tests_of
from mutants import Mutant
from statements import innermost
from watching import Asked, Map

FIRST, MOST = 8.0, 120.0
"""Seconds of computing that the first tests of a mutant may take together, and all of them."""

STRANGER = 4
"""Where a test does not mirror the file, it counts as if it took so many times as long."""

LEAST = 0.25
"""Seconds below which no test is quicker than another."""


class Chooser:
    """Chooses from a map of what tests execute."""

    def __init__(self, whole: Map) -> None:
        self.whole = whole
        self.ran = np.array([test.ran for test in whole.tests], bool).reshape(-1, whole.count)
        self.mirrored: dict[str, tuple[set[str], set[str]]] = {}

    def candidates(self, mutant: Mutant) -> list[tuple[Asked, float]]:
        """Tests that could notice a mutant, and how many times as long as it takes each of them counts."""
        first, found = self.whole.first[mutant.file], self.whole.found[mutant.file]
        likely, mirroring = self._mirrored(mutant.file)
        number = innermost(found, mutant.start)
        executing = np.zeros(len(self.whole.tests), bool)
        reading = executing.copy()
        statement = None if number is None else found[number]
        if statement is None:
            reading = self._of(mirroring)
        elif not statement.at_import:
            executing = self.ran[:, first + (number or 0)]
            if self.whole.imported[first + (number or 0)]:
                reading = self._of(mirroring)
        elif statement.body is not None:
            executing = self.ran[:, first + statement.body[0] : first + statement.body[1]].any(1)
        else:
            executing = self._naming(statement.binds)
            reading = self._of(mirroring)
        return [
            (test, (1 if executing[n] else STRANGER) * (1 if test.file in likely else STRANGER))
            for n, test in enumerate(self.whole.tests)
            if executing[n] or reading[n]
        ]

    def batches(self, mutant: Mutant) -> tuple[list[list[Asked]], int]:
        """Tests for one process after another, and how many more there are that take too long."""
        batches: list[list[Asked]] = [[], []]
        total, left_out = 0.0, 0
        for test, cost in self._ordered(mutant):
            if total + cost > MOST and total > 0:
                left_out += 1
                continue
            total += cost
            batches[0 if total <= FIRST or not batches[0] else 1].append(test)
        return [batch for batch in batches if batch], left_out

    def _ordered(self, mutant: Mutant) -> list[tuple[Asked, float]]:
        """With what each takes more where those of its file before it have been run.

        Tests of a file stay in one order, and in one piece where they take about as long as one another, because they
        share fixtures.
        """
        files: dict[str, list[tuple[Asked, float]]] = {}
        for test, weight in self.candidates(mutant):
            files.setdefault(test.file, []).append((test, weight))
        keys = []
        for file, tests in files.items():
            tests.sort(
                key=lambda each: (each[1] * (each[0].seconds + sum(each[0].fixtures.values())), each[0].id)
            )
            paid: set[str] = set()
            slowest, more = LEAST, self.whole.collecting[file]
            for place, (test, weight) in enumerate(tests):
                cost = (
                    more
                    + test.seconds
                    + sum(time for name, time in test.fixtures.items() if name not in paid)
                )
                paid |= set(test.fixtures)
                more = 0.0
                slowest = max(slowest, weight * cost)
                keys.append((math.ceil(math.log2(slowest)), file, place, test, cost))
        keys.sort(key=lambda key: key[:3])
        return [(test, cost) for *_, test, cost in keys]

    def seconds(self, tests: Sequence[Asked]) -> float:
        """About what tests take together in one process."""
        fixtures = {name: time for test in tests for name, time in test.fixtures.items()}
        collecting = sum(self.whole.collecting[file] for file in {test.file for test in tests})
        return sum(test.seconds for test in tests) + sum(fixtures.values()) + collecting

    def _mirrored(self, file: str) -> tuple[set[str], set[str]]:
        """Files of tests that mirror a file: the likeliest of them, and all."""
        if file not in self.mirrored:
            every = [path.relative_to(ROOT).as_posix() for path in tests_of(ROOT, file, None)]
            few = [path.relative_to(ROOT).as_posix() for path in tests_of(ROOT, file)]
            self.mirrored[file] = set(few), set(every)
        return self.mirrored[file]

    def _of(self, files: set[str]) -> np.ndarray:
        return np.array([test.file in files for test in self.whole.tests], bool)

    def _naming(self, names: frozenset[str]) -> np.ndarray:
        """Which tests execute a statement that names one of these."""
        numbers = [
            self.whole.first[file] + n
            for file, found in self.whole.found.items()
            for n, each in enumerate(found)
            if not names.isdisjoint(each.reads)
        ]
        naming: np.ndarray = self.ran[:, numbers].any(1)
        return naming
