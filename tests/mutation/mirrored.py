"""Which tests are asked about a file: those that stand where it stands, and those that name it."""

from __future__ import annotations

import re
from pathlib import Path

from instead import dotted

MOST = 4
"""Test files a mutant; it is enough for one to notice."""

ELSEWHERE = ("fuzz", "house", "mutation", "end_to_end")
"""Tests about the whole: too slow to be run once a mutant."""

OF_THEIR_OWN = ("test_anti_collapse_processes.py", "test_devices.py")
"""Tests in which processes of their own import the files, or which need a device: they would not see the change."""


def tests_of(root: Path, file: str, most: int | None = MOST) -> list[Path]:
    """Test files of a file of the repository, the likeliest first; [] where none names it.

    Args:
        root: of the repository.
        file: path from there, with slashes.
        most: of them; None: all.
    """
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in sorted((root / "tests").rglob("test_*.py"))
        if path.relative_to(root / "tests").parts[0] not in ELSEWHERE and path.name not in OF_THEIR_OWN
    }
    found = _naming(file, texts)
    if len(found) < 2:
        # A part that is used through another one: the tests of those that import it.
        for user in _users(root, file):
            found += [path for path in _naming(user, texts) if path not in found]
    folder = root / "tests" / Path(file).parent
    stem = Path(file).stem
    return sorted(
        found, key=lambda path: (-_alike(file, path), path.parent != folder, stem not in path.stem, path)
    )[:most]


def _naming(file: str, texts: dict[Path, str]) -> list[Path]:
    return [path for path, text in texts.items() if _imports(text, dotted(file)) or _alike(file, path)]


def _imports(text: str, name: str) -> bool:
    """Whether a text imports a module, or a name out of it."""
    package, _, last = name.rpartition(".")
    direct = rf"\b{re.escape(name)}\b"
    through = rf"from {re.escape(package)} import [^\n]*\b{last}\b" if package else direct
    return re.search(direct, text) is not None or re.search(through, text) is not None


def _alike(file: str, test: Path) -> int:
    """2 where a test is called after a file, 1 where its name begins so, in the folder that mirrors the file's."""
    stem, name = Path(file).stem, test.stem.removeprefix("test_")
    if not test.parent.as_posix().endswith(Path("tests", Path(file).parent).as_posix()):
        return 0
    return 2 if name == stem else int(name.startswith(f"{stem}_") or f"{name}_".startswith(f"{stem}s_"))


def _users(root: Path, file: str) -> list[str]:
    packages = dict.fromkeys((file.split("/")[0], "planners", "levels", "hjepa"))
    return [
        path.relative_to(root).as_posix()
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
        if path != root / file and _imports(path.read_text(encoding="utf-8"), dotted(file))
    ]
