"""Other code in place of some modules of the repository: marked, or with a mutant's change.

Processes that tests start see it too: they find ``sitecustomize.py`` on their path and what to do in their environment.
A test that gives its process another ``PYTHONPATH``, or Python's ``-I``, hides it from that process.
"""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import sys
from collections.abc import Mapping
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
STARTED = Path(__file__).parent / "started"
"""Holds ``sitecustomize.py`` and nothing else."""

ENVIRONMENT = "HJEPA_INSTEAD"


def dotted(file: str) -> str:
    """The name under which a file is imported."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Instead(MetaPathFinder):
    """Finds modules whose code is made in another way; install it before they are imported."""

    def __init__(self, files: Mapping[str, Any]) -> None:
        self.files = {dotted(file): file for file in files}

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self.files:
            return None
        place = ROOT / self.files[fullname]
        within = [str(place.parent)] if place.name == "__init__.py" else None
        loader = Loader(fullname, str(place), self)
        return importlib.util.spec_from_file_location(
            fullname, place, loader=loader, submodule_search_locations=within
        )

    def code(self, file: str, source: bytes) -> CodeType:
        """What is executed in place of a file."""
        raise NotImplementedError

    def prepare(self, module: ModuleType) -> None:
        """Before the module is executed."""


class Loader(SourceFileLoader):
    """Loads what `Instead` makes of a file."""

    def __init__(self, fullname: str, path: str, instead: Instead) -> None:
        super().__init__(fullname, path)
        self.instead = instead

    def get_code(self, fullname: str) -> CodeType:
        return self.instead.code(self.instead.files[fullname], Path(self.path).read_bytes())

    def exec_module(self, module: ModuleType) -> None:
        self.instead.prepare(module)
        super().exec_module(module)


class Changed(Instead):
    """One module with one change.

    Args:
        file: path from the root of the repository.
        start, end: bytes of it that ``after`` takes the place of.
    """

    def __init__(self, file: str, start: int, end: int, after: str) -> None:
        super().__init__({file: None})
        self.start, self.end, self.after = start, end, after

    def code(self, file: str, source: bytes) -> CodeType:
        changed = source[: self.start] + self.after.encode() + source[self.end :]
        code: CodeType = compile(changed, str(ROOT / file), "exec")
        return code


class Watched(Instead):
    """Modules that mark what they execute.

    Args:
        marks: file of bytes, shared by all processes that open it.
        first: file of the repository -> number of its first statement.
    """

    def __init__(self, marks: Path, first: Mapping[str, int]) -> None:
        super().__init__(first)
        from statements import MARKS, marked  # here, for a process that was started needs it for nothing else

        self.first, self.marked, self.name = first, marked, MARKS
        with marks.open("r+b") as whole:
            self.marks = mmap.mmap(whole.fileno(), 0)

    def code(self, file: str, source: bytes) -> CodeType:
        return self.marked(source, str(ROOT / file), self.first[file])

    def prepare(self, module: ModuleType) -> None:
        module.__dict__[self.name] = self.marks


KINDS = {kind.__name__: kind for kind in (Changed, Watched)}


def install(kind: str, **words: Any) -> Instead:
    """Here and in all processes that are started from here.

    Args:
        kind: name of a class of this file.
        words: what it is made of.

    Raises:
        RuntimeError: a module is imported already.
    """
    os.environ[ENVIRONMENT] = json.dumps({"kind": kind, **words}, default=str)
    path = os.environ.get("PYTHONPATH")
    here = [str(STARTED), str(ROOT)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*here, *(path.split(os.pathsep) if path else [])])
    return _install(kind, words)


def from_environment() -> None:
    """What the process that started this one has installed, if it has."""
    words = json.loads(os.environ.get(ENVIRONMENT, "null"))
    if words:
        _install(words.pop("kind"), words)


def _install(kind: str, words: dict[str, Any]) -> Instead:
    if kind == "Watched":
        words["marks"] = Path(words["marks"])
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    made: Instead = KINDS[kind](**words)
    if known := [name for name in made.files if name in sys.modules]:
        raise RuntimeError(f"{known[0]} is imported already")
    sys.meta_path.insert(0, made)
    return made
