"""No circle of files: what a file imports never leads back to it, also not for the sake of a type."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("tasks", "levels", "planners", "hjepa")

ALLOWED: frozenset[frozenset[str]] = frozenset()


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file of every module of the four packages below ``root``."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for file in files
    }


def named(source: str, module: str, package: bool) -> Iterator[str]:
    """Dotted names a module imports, wherever in it: ``a.b`` for a module, ``a.b.c`` for the name c of a.b."""
    above = module.split(".") if package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            near = above[: len(above) - node.level + 1] if node.level else []
            stem = ".".join([*near, *([node.module] if node.module else [])])
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def arrows(root: Path) -> dict[str, set[str]]:
    """Module -> the modules of the four packages that it imports, each by the longest name that is a file."""
    known = modules(root)
    found: dict[str, set[str]] = {}
    for module, file in known.items():
        found[module] = set()
        for name in named(file.read_text(encoding="utf-8"), module, file.name == "__init__.py"):
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name and name != module:
                found[module].add(name)
    return found


def circles(arrows: dict[str, set[str]]) -> set[frozenset[str]]:
    """The sets of modules that all lead to one another (strongly connected, more than one)."""

    def reached(start: str) -> set[str]:
        seen, left = set(), [start]
        while left:
            for name in arrows[left.pop()] - seen:
                seen.add(name)
                left.append(name)
        return seen

    after = {module: reached(module) for module in arrows}
    return {
        frozenset(other for other in after[module] if module in after[other])
        for module in arrows
        if module in after[module]
    }


def test_no_file_leads_back_to_itself() -> None:
    assert circles(arrows(ROOT)) - ALLOWED == set()


def test_the_files_were_looked_at() -> None:
    found = arrows(ROOT)
    assert "tasks.specs" in found["tasks.suite"] and "tasks.suite" in found["tasks"]
    assert "hjepa.errors" in found["hjepa.json_files"]
    assert "tasks" in found["hjepa.evaluation.evaluate"]


@pytest.mark.parametrize(
    "back",
    [
        "from tasks.first import a",
        "import tasks.first",
        "from tasks import first",
        "from . import first",
        "from .first import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tasks.first import a",
        "def later():\n    from tasks.first import a",
    ],
)
def test_a_circle_is_found(tmp_path: Path, back: str) -> None:
    (tmp_path / "tasks").mkdir()
    for name, source in {
        "__init__": "from tasks.first import a",
        "first": "from tasks.second import b",
        "second": "from tasks.third import c",
        "third": back,
        "apart": "from tasks.first import a",
    }.items():
        (tmp_path / "tasks" / f"{name}.py").write_text(source)
    assert circles(arrows(tmp_path)) == {frozenset({"tasks.first", "tasks.second", "tasks.third"})}
