"""The picture of the packages: three pillars that do not know each other, and a roof that composes them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What each package may import beside the standard library and itself; None: anything.
ALLOWED: dict[str, set[str] | None] = {
    "tasks": {"numpy", "gymnasium", "minigrid", "tqdm", "h5py", "hdf5plugin", "minari"},
    "levels": {"numpy", "torch", "einops"},
    "planners": {"numpy", "torch"},
    "hjepa": None,
}


def imported(source: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything a module imports, also inside functions and by `import_module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            )
            if function in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def wrong_arrows(root: Path) -> list[str]:
    """Every import below ``root`` that breaks the picture, as ``file:line imports name``."""
    wrong = []
    for package, allowed in ALLOWED.items():
        for file in sorted((root / package).rglob("*.py")):
            for line, name in imported(file.read_text(encoding="utf-8")):
                top = name.partition(".")[0]
                fine = allowed is None or top == package or top in allowed or top in sys.stdlib_module_names
                if not fine or top == "pytorch_lightning":
                    wrong.append(f"{file.relative_to(root)}:{line} imports {name}")
    return wrong


def test_imports_keep_the_picture() -> None:
    assert wrong_arrows(ROOT) == []


def test_every_package_was_looked_at() -> None:
    for package in ALLOWED:
        assert (ROOT / package / "__init__.py").is_file(), f"{package} is no package"
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ALLOWED)


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("tasks", "import torch"),
        ("tasks", "from hjepa.errors import InputError"),
        ("levels", "import numpy, tasks.suite"),
        ("levels", "def f():\n    from planners import adam"),
        ("planners", "from levels import level"),
        ("planners", "import importlib; importlib.import_module('levels.level')"),
        ("planners", "import einops"),
        ("hjepa", "import pytorch_lightning as pl"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, package: str, line: str) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "module.py").write_text(f"import os, numpy\nfrom . import near\n{line}\n")
    (found,) = wrong_arrows(tmp_path)
    assert found.startswith(f"{package}/module.py:")
