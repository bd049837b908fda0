"""Numbers in prose: whether a card prints what its records give.

A statement is a piece of the text with the numbers left out: ``two levels solve {value%} points more (paired {low%} to
{high%})``. It has to stand in its file exactly once, with any numbers in these places, whatever the line breaks;
``...`` stands for anything in between, so that a row of a table can be told by the sentence above it. The numbers that
stand there are then compared with the computed ones, rounded as they are printed. With ``%`` a number counts in
hundredths. The numbers are ``value``, ``low``, ``high``, ``control``, ``episodes`` and ``layouts``; of a benchmark's
row also ``ours`` and ``theirs``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from hjepa.errors import InputError
from levels.ranges import shown

NAMES = ("value", "low", "high", "control", "episodes", "layouts", "ours", "theirs")
"""Numbers that a text can state."""

_PLACE = re.compile(r"\{([^{}]*)\}")
_NUMBER = r"([+-]?\d+(?:,\d{3})*(?:\.\d+)?)"
_END = r"(?![\d]|[.,]\d)"
"""Behind a number there is no more of it."""


@dataclass(frozen=True)
class Statement:
    """A text that states numbers.

    Attributes:
        file: from the card's folder; ``README.md`` and ``docs/...`` from the folder of the repository.
        text: as in the module's docstring.
        places: what stands in each place, and whether in hundredths.
    """

    file: str
    text: str
    places: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Wrong:
    """A statement that is not what the records give; ``what`` says so in words."""

    file: str
    what: str


def read_statement(file: str, text: Any) -> Statement:
    """A statement of a claim.

    Raises:
        InputError: no text, no number in it, or an unknown one.
    """
    if not isinstance(text, str):
        raise InputError(
            f"stated in {file} is {shown(text)}", "", "give a text with {value} in it, in quotes"
        )
    places = []
    for name in _PLACE.findall(text):
        plain = name.removesuffix("%")
        if plain not in NAMES:
            raise InputError(f"stated in {file} has {{{name}}}", "", f"choose from {', '.join(NAMES)}")
        places.append((plain, plain != name))
    if not places:
        raise InputError(f"stated in {file} has no number", "", "write {value} or {value%} where it stands")
    return Statement(file, text, tuple(places))


def check(statement: Statement, page: str, numbers: Mapping[str, float | None], where: str) -> Wrong | None:
    """What is wrong about a statement, or None.

    Args:
        statement: what is stated.
        page: the text of its file.
        numbers: by name, as the records give them; None: there is none.
        where: named in errors.

    Raises:
        InputError: the text stands there more than once, or states a number that there is not.
    """
    found = list(_pattern(statement.text).finditer(page))
    words = " ".join(statement.text.split())
    if not found:
        return Wrong(statement.file, f"does not say {words!r}, with any numbers")
    if len(found) > 1:
        raise InputError(
            f"{words!r} stands {len(found)} times in {statement.file}",
            where,
            "give more of the text around it, or what comes before and ...",
        )
    for (name, hundredths), printed in zip(statement.places, found[0].groups()):
        number = numbers[name]
        if number is None:
            raise InputError(f"{words!r} states {name}, and there is none", where, "leave it out")
        exact = 100 * number if hundredths else number
        decimals = len(printed.partition(".")[2])
        # A number half way between two printed ones may be rounded either way.
        if abs(float(printed.replace(",", "")) - exact) > 0.5 * 10**-decimals + 1e-9:
            rounded = f"{exact:.{decimals}f}"
            return Wrong(statement.file, f"states {name} {printed}, the records give {rounded}, in {words!r}")
    return None


class Pages:
    """Texts that claims name, read once.

    Args:
        published: the folder of folders with cards.
    """

    def __init__(self, published: Path) -> None:
        self._root = published.resolve().parents[1]
        self._read: dict[Path, str] = {}
        self.missing: set[str] = set()

    def text(self, folder: Path, file: str, where: str) -> str | None:
        """The text of a file; None, and noted in ``missing``, where an installed package has none of it.

        Args:
            folder: of the card.
            file: as in `Statement`.
            where: named in errors.

        Raises:
            InputError: no such file.
        """
        of_repository = file == "README.md" or file.startswith("docs/")
        path = (self._root if of_repository else folder) / file
        if of_repository and not (self._root / "pyproject.toml").is_file():
            found = _description() if file == "README.md" else None
            if found is None:
                self.missing.add(file)
            return found
        if path not in self._read:
            try:
                self._read[path] = path.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "no text"
                raise InputError(f"stated in {file}: {reason}", where, "name a file that is there") from None
        return self._read[path]


@lru_cache(maxsize=2048)
def _pattern(text: str) -> re.Pattern[str]:
    """What a statement looks like with any numbers and any white space."""
    parts = re.split(r"(\{[^{}]*\}|\s*\.\.\.\s*|\s+)", text.strip())
    found = []
    for part in parts:
        if _PLACE.fullmatch(part):
            found.append(rf"(?<![\d.]){_NUMBER}{_END}")
        elif part.strip() == "...":
            found.append(r".*?")
        else:
            found.append(r"\s+" if part.isspace() else re.escape(part))
    return re.compile("".join(found), re.DOTALL)


@lru_cache(maxsize=1)
def _description() -> str | None:
    """The README of the installed package, which its metadata hold."""
    try:
        found = metadata("hjepa").json.get("description")
    except PackageNotFoundError:
        return None
    return found if isinstance(found, str) else None
