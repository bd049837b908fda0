"""Runs a sample of mutants against the tests that execute them, and writes which survived.

    python tests/mutation/run.py --sample 200 --json mutants.json

A map of which test executes which statement is made first (`watching`); then each mutant is judged by the tests that
execute its statement, the quickest first, until one fails or they have computed for two minutes. Each mutant gets a
process of its own, forked from one that has imported torch but nothing of ours. The file on the disk is never changed:
the process, and those that it starts, import the changed source in its place. A run that was stopped goes on after the
mutants that the results hold; the first n of a sample are a sample too.

What becomes of one: ``killed``; ``late``, by time; ``survived``, all tests that execute it; ``capped``, as many of them
as two minutes allow; ``untested``, no test executes it; ``unsure``, what killed it fails without it too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from apart import KILLED, SURVIVED, forked, preload
from chosen import Chooser
from instead import ROOT, install
from mutants import Mutant, of_tree
from watching import Asked, watched

FOLDERS = ("planners", "levels", "hjepa/training", "hjepa/evaluation")
FACTOR, SPARE = 4, 10
"""A test may compute so many times as long as without a change, and so many seconds more; then it is killed."""

CAPPED, UNTESTED, UNSURE = "capped", "untested", "unsure"


def main() -> int:
    """Runs the sample and prints the counts; 1 where one was not killed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=200, help="mutants; default: 200")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path begins so")
    parser.add_argument("--first", type=int, help="of the sample; default: all of it")
    parser.add_argument(
        "--share", default="1/1", metavar="I/N", help="every Nth of them, for a core of its own"
    )
    parser.add_argument("--json", type=Path, required=True, help="results so far")
    parser.add_argument(
        "--map",
        type=Path,
        help="what the tests execute, made where it is not there; default: beside the results",
    )
    options = parser.parse_args()
    chosen = sample(of_tree(ROOT, FOLDERS), options.sample, options.seed)
    chosen = share(
        [each for each in chosen[: options.first] if each.file.startswith(options.only)], options.share
    )
    found: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {}
    preload()
    try:
        whole = watched(options.map or options.json.with_name("mutants.map.jsonl"), FOLDERS)
    except ValueError as error:
        parser.error(str(error))
    chooser = Chooser(whole)
    for number, mutant in enumerate(chosen):
        if mutant.key in found:
            continue
        found[mutant.key] = judgement(mutant, chooser)
        write(found, options.json)
        print(f"{number + 1}/{len(chosen)} {found[mutant.key]['became']}: {mutant.key}", flush=True)
    judged = {each.key: found[each.key] for each in chosen}
    check(judged, chooser)
    write(found, options.json)
    counts = Counter(each["became"] for each in judged.values())
    print(f"{len(chosen)} mutants: {', '.join(f'{count} {name}' for name, count in counts.most_common())}")
    seconds = sum(each["cpu_seconds"] for each in judged.values())
    print(f"{seconds / max(len(chosen), 1):.1f} s of computing for each of them")
    return int(counts[KILLED] < len(chosen))


def sample(everything: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many of them, drawn without replacement, in the order in which they were drawn."""
    return random.Random(seed).sample(list(everything), min(count, len(everything)))


def share(everything: Sequence[Mutant], words: str) -> list[Mutant]:
    """Every Nth of them from the Ith on, of ``I/N``; all N shares together are all of them, each once.

    Raises:
        ValueError: no such share.
    """
    number, _, count = words.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise ValueError(f"share {words!r}; give I/N with I from 1 to N")
    return list(everything)[int(number) - 1 :: int(count)]


def write(found: dict[str, Any], place: Path) -> None:
    """The results so far, never half of them."""
    new = place.with_name(f"{place.name}.new")
    new.write_text(json.dumps(found, indent=1) + "\n")
    new.replace(place)


def judgement(mutant: Mutant, chooser: Chooser) -> dict[str, Any]:
    """What becomes of a mutant, by which test, how many were asked, and how many would have taken too long."""
    batches, left_out = chooser.batches(mutant)
    became, by, seconds, asked = UNTESTED, [], 0.0, 0
    for tests in batches:
        became, by, took = judged(mutant, tests, FACTOR * chooser.seconds(tests) + 2 * SPARE)
        seconds, asked = seconds + took, asked + len(tests)
        if became != SURVIVED:
            break
    if became == SURVIVED and left_out:
        became = CAPPED
    rest = {
        "cpu_seconds": round(seconds, 1),
        "asked": asked,
        "left_out": left_out,
        "by": by[0] if by else None,
    }
    return {"kind": mutant.kind, "became": became, **rest}


def check(judgements: dict[str, Any], chooser: Chooser) -> None:
    """Run what killed once more without any change; a mutant whose test fails even so becomes ``unsure``."""
    killed = [each for each in judgements.values() if each["became"] == KILLED and not each.get("checked")]
    names = {each["by"] for each in killed}
    tests = [test for test in chooser.whole.tests if test.id in names]
    _, failed, _ = judged(None, tests, 3600.0) if tests else (SURVIVED, [], 0.0)
    for each in killed:
        each["became"] = UNSURE if each["by"] in failed else KILLED
        each["checked"] = True


def judged(mutant: Mutant | None, tests: Sequence[Asked], longest: float) -> tuple[str, list[str], float]:
    """What becomes of a mutant in tests, those that failed, and the seconds of computing that it took.

    Args:
        mutant: the first test that fails ends it; None: nothing is changed, and all tests are run.
        tests: of any files, in the order in which they are run.
        longest: seconds of computing.
    """
    with tempfile.TemporaryDirectory(prefix="hjepa-mutant-", ignore_cleanup_errors=True) as folder:
        said = Path(folder, "failed")

        def plugin() -> Only:
            if mutant is not None:
                install("Changed", file=mutant.file, start=mutant.start, end=mutant.end, after=mutant.after)
            return Only(tests, said)

        files = list(dict.fromkeys(test.file for test in tests))
        more = [] if mutant is None else ["-x"]
        became, took = forked(files, longest, plugin, Path(folder), *more)
        return became, said.read_text().splitlines() if said.exists() else [], took


class Only:
    """A plugin of pytest that runs some of the tests that were collected, each with a limit of its own.

    Args:
        tests: in their order; one that is not there is left out.
        said: file to which the names of those that fail are written.
    """

    def __init__(self, tests: Sequence[Asked], said: Path) -> None:
        self.place = {test.id: n for n, test in enumerate(tests)}
        self.seconds = {test.id: test.seconds + sum(test.fixtures.values()) for test in tests}
        self.said = said

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.place), key=lambda item: self.place[item.nodeid]
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        signal.setitimer(signal.ITIMER_PROF, FACTOR * self.seconds[item.nodeid] + SPARE)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._say(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._say(report)

    def _say(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed:
            with contextlib.suppress(OSError), self.said.open("a") as end:
                end.write(f"{report.nodeid}\n")


if __name__ == "__main__":
    began = time.time()
    status = main()
    print(f"{time.time() - began:.0f} s")
    sys.exit(status)
