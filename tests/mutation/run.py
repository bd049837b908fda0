"""Runs a sample of mutants against the tests that mirror them, and writes which survived.

    python tests/mutation/run.py --sample 200 --json mutants.json

Each mutant gets a process of its own, forked from one that has imported torch but nothing of ours, so that it costs
what its tests cost. The file on the disk is never changed: the process imports the changed source in its place. A run
that was stopped goes on after the mutants that the results hold; the first n of a sample are a sample too.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from mirrored import dotted, tests_of  # noqa: E402
from mutants import Mutant, of_tree  # noqa: E402

FOLDERS = ("planners", "levels", "hjepa/training", "hjepa/evaluation")
FACTOR, SPARE = 4, 20
"""A mutant may compute so many times as long as the unchanged file, and so many seconds more; then it is killed."""

SURVIVED, KILLED, LATE, UNTESTED = "survived", "killed", "late", "untested"


def main() -> int:
    """Runs the sample and prints the counts; 1 where one survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=200, help="mutants; default: 200")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path begins so")
    parser.add_argument("--first", type=int, help="of the sample; default: all of it")
    parser.add_argument(
        "--share", default="1/1", metavar="I/N", help="every Nth of them, for a core of its own"
    )
    parser.add_argument("--json", type=Path, required=True, help="results so far")
    options = parser.parse_args()
    chosen = sample([each for each in of_tree(ROOT, FOLDERS)], options.sample, options.seed)
    chosen = share(
        [each for each in chosen[: options.first] if each.file.startswith(options.only)], options.share
    )
    found: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {}
    preload()
    seconds: dict[str, float] = {}
    for number, mutant in enumerate(chosen):
        if mutant.key in found:
            continue
        files = tests_of(ROOT, mutant.file)
        if not files:
            found[mutant.key] = {"kind": mutant.kind, "became": UNTESTED}
        else:
            if mutant.file not in seconds:
                seconds[mutant.file] = baseline(mutant, files)
            became, took = judged(mutant, files, FACTOR * seconds[mutant.file] + SPARE)
            others = tests_of(ROOT, mutant.file, None)[len(files) :]
            if became == SURVIVED and others:  # a second look, which few mutants need
                more = judged(mutant, others, 3600.0)
                became, took, files = more[0], took + more[1], [*files, *others]
            tests = [path.relative_to(ROOT).as_posix() for path in files]
            found[mutant.key] = {
                "kind": mutant.kind,
                "became": became,
                "cpu_seconds": round(took, 1),
                "tests": tests,
            }
        new = options.json.with_name(f"{options.json.name}.new")
        new.write_text(json.dumps(found, indent=1) + "\n")
        new.replace(options.json)
        print(f"{number + 1}/{len(chosen)} {found[mutant.key]['became']}: {mutant.key}", flush=True)
    counts = Counter(found[each.key]["became"] for each in chosen)
    print(f"{len(chosen)} mutants: {', '.join(f'{count} {name}' for name, count in counts.most_common())}")
    return int(counts[SURVIVED] + counts[UNTESTED] > 0)


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


def preload() -> None:
    """Import what the tests of all files need and none of ours, once for all mutants."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    for name in (
        "numpy",
        "scipy.stats",
        "torch",
        "gymnasium",
        "minigrid",
        "hypothesis",
        "pytest",
        "lightning",
    ):
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)


def baseline(mutant: Mutant, files: Sequence[Path]) -> float:
    """Seconds of computing that tests of an unchanged file take.

    Raises:
        RuntimeError: they fail without any change.
    """
    became, took = judged(None, files, 3600.0)
    if became != SURVIVED:
        raise RuntimeError(
            f"the tests of {mutant.file} fail without a change: {[str(path) for path in files]}"
        )
    return took


def judged(mutant: Mutant | None, files: Sequence[Path], longest: float) -> tuple[str, float]:
    """What becomes of a mutant in its tests, and the seconds of computing that it took.

    Args:
        mutant: None: nothing is changed.
        files: of tests; the first failure ends it.
        longest: seconds of computing.
    """
    child = os.fork()
    if child == 0:
        _in_child(mutant, files, longest)
    _, status, usage = os.wait4(child, 0)
    took = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        return (LATE if took > 0.9 * longest else KILLED), took
    return (SURVIVED if os.WEXITSTATUS(status) == 0 else KILLED), took


def _in_child(mutant: Mutant | None, files: Sequence[Path], longest: float) -> None:
    """Run the tests in this process and end it; never returns."""
    code = 70
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(longest) + 1, int(longest) + 2))
        if mutant is not None:
            sys.meta_path.insert(0, Changed(mutant))
        import pytest

        words = [
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            str(ROOT / "pyproject.toml"),
            "--rootdir",
            str(ROOT),
        ]
        code = int(pytest.main([*words, "-o", "timeout=0", *map(str, files)]))
    finally:
        os._exit(code)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module as its file with a mutant's change.

    Args:
        mutant: the change.
    """

    def __init__(self, mutant: Mutant) -> None:
        self.path = ROOT / mutant.file
        self.name = dotted(mutant.file)
        self.source = mutant.applied(self.path.read_bytes())

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        within = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            fullname, self.path, loader=self, submodule_search_locations=within
        )

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


if __name__ == "__main__":
    began = time.time()
    status = main()
    print(f"{time.time() - began:.0f} s")
    sys.exit(status)
