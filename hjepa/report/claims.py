"""What cards claim, as data: every ``claims.yaml`` beside a card is a list of claims, and `Claim` is one of them.

A claim names a list of records, which of them it is about (`filter`), what to compute of them (`metric`) and, if it is
about a difference, what of (`control`). It may say what had to come out (`bar`), and where the number is printed
(`stated`). No number stands in a claim: what is printed is compared with what the records give
(`hjepa.report.statements`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hjepa.builder import build, nearest
from hjepa.errors import InputError
from hjepa.places import PACKAGE
from hjepa.report.bars import read_bar
from hjepa.report.chosen import FIELDS
from hjepa.report.statements import Statement, read_statement
from hjepa.yaml_files import read_yaml
from levels.ranges import shown

PUBLISHED = PACKAGE / "published"
"""Where cards are, each in a folder of its own."""

FILE = "claims.yaml"

PARTS = ("agent", "seen", "field", "learning", "speed", "trust")
"""Parts that claims are of."""

METRICS = {
    "success": "share of episodes that reached the goal",
    "difference": "of success, filter less control, paired by episode",
    "path_ratio": "steps over the shortest way, mean of the episodes that reached the goal",
    "path_difference": "of that ratio, filter less control, mean of the episodes that both solved",
    "violations": "share of episodes that entered what is forbidden",
    "random": "success of random actions on the same episodes",
    "mean": "of a measured field, each record weighted by its episodes",
    "ratio": "of a measured field, filter over control, mean over records",
    "measurement": "a number in a file of measurements, at the place that `of` names (`hjepa.report.measurements`)",
    "diagnostic": "of a field of the levels' diagnostics, mean over floor plans, at the level where it is lowest",
}
"""What can be computed, and what it is."""

MEASURED = ("tflops_per_episode", "seconds_per_episode", "plan_ms", "peak_mb")
"""Fields for `mean` and `ratio`: what no per-episode list holds."""

_PAIRED = ("difference", "path_difference", "ratio")
_OF_A_FIELD = ("mean", "ratio", "diagnostic", "measurement")


@dataclass(frozen=True)
class Claim:
    """One number that a card rests on.

    Attributes:
        part: one of `PARTS`.
        task: of the records, as they name it.
        metric: what to compute, one of `METRICS`.
        results_file: a list of records, from the card's folder.
        filter: field of a record -> its value, or several whose records are pooled; null: absent; seeds are always
            pooled unless named. ``layout`` and ``oracle_steps: [from, to]`` choose episodes.
        command: what makes the list.
        control: what it is compared with: what differs from ``filter`` (``any`` drops a field), and the
            ``results_file`` and ``task`` where they are others; or ``random``, for random actions.
        bar: what had to come out, as ``>= 0.9, control <= 0.5`` (`hjepa.report.bars`).
        of: for `mean`, `ratio` and `diagnostic`: the field of records; for `measurement`: the place of the number, and
            there are no records to filter or to compare.
        stated: file -> text that holds the number, or several (`hjepa.report.statements`).

    Raises:
        InputError: an unknown word, a control that is missing or not used.
    """

    part: str
    task: str
    metric: str
    results_file: str
    filter: Mapping[str, Any]
    command: str
    control: Any = None
    bar: str | None = None
    of: str | None = None
    stated: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, word, known in (("part", self.part, PARTS), ("metric", self.metric, METRICS)):
            if word not in known:
                raise InputError(f"{name} {shown(word)} is not known", "", nearest(word, known))
        _check_fields(self.filter, "filter", ())
        if isinstance(self.control, Mapping):
            _check_fields(self.control, "control", ("task", "results_file"))
        elif self.control not in (None, "random"):
            raise InputError(
                f"control is {shown(self.control)}", "", "give fields that differ from filter, or random"
            )
        if self.metric in _PAIRED and not isinstance(self.control, Mapping):
            raise InputError(f"{self.metric} without a control", "", "give the fields that differ in control")
        if self.control == "random" and self.metric != "success":
            raise InputError(f"control random for {self.metric}", "", "give it to success alone")
        if (self.of is not None) != (self.metric in _OF_A_FIELD):
            raise InputError(
                f"{self.metric} {'without' if self.of is None else 'with'} a field of records",
                "",
                f"of goes with {', '.join(_OF_A_FIELD)}",
            )
        if self.metric in ("mean", "ratio") and self.of not in MEASURED:
            raise InputError(f"of is {shown(self.of)}", "", nearest(self.of, MEASURED))
        if self.metric == "measurement" and (self.filter or self.control is not None):
            raise InputError("a measurement with filter or control", "", "leave them out: it is one number")
        read_bar(self.bar, self.control is not None)
        self.statements()

    def statements(self) -> list[Statement]:
        """Where the number is printed."""
        found = []
        for file, texts in self.stated.items():
            for text in texts if isinstance(texts, list) else [texts]:
                found.append(read_statement(file, text))
        return found

    def words(self) -> str:
        """What is computed of which records, in words."""
        if self.metric == "measurement":
            return str(self.of)
        asked = self.metric if self.of is None else f"{self.metric} of {self.of}"
        told = [f"{asked}: {_fields(self.filter)}"]
        if isinstance(self.control, Mapping):
            told.append(f"against {_fields(self.control)}")
        elif self.control is not None:
            told.append(f"against {self.control} actions")
        return "; ".join(told)


@dataclass(frozen=True)
class Placed:
    """A claim and the folder of its card.

    Attributes:
        claim: what is claimed.
        folder: of the card; files are named from here.
        where: the file and the number of the claim, for errors.
    """

    claim: Claim
    folder: Path
    where: str


def read_claims(folder: Path = PUBLISHED, part: str | None = None) -> list[Placed]:
    """The claims of all cards, those of a card one after another.

    Args:
        folder: of folders with cards.
        part: one of `PARTS`; None: all.

    Raises:
        InputError: no folder or no claims there, or one that cannot be understood; names its file and number.
    """
    files = sorted(folder.glob(f"*/{FILE}")) if folder.is_dir() else []
    if not files:
        raise InputError(f"no {FILE} in the folders there", str(folder), "name a folder of cards")
    placed = [each for file in files for each in _claims_of(file)]
    return [each for each in placed if part is None or each.claim.part == part]


def _claims_of(file: Path) -> Iterator[Placed]:
    content = read_yaml(file)
    name = f"{file.parent.name}/{file.name}"
    if not isinstance(content, list):
        raise InputError(f"this is {shown(content)}", name, "give a list of claims")
    for number, one in enumerate(content, 1):
        where = f"{name}, claim {number}"
        yield Placed(build(Claim, one, where), file.parent, where)


def _check_fields(chosen: Mapping[str, Any], name: str, more: tuple[str, ...]) -> None:
    for each in chosen:
        if each not in (*FIELDS, *more):
            raise InputError(
                f"{name} has the unknown field {shown(each)}", "", nearest(each, (*FIELDS, *more))
            )


def _fields(chosen: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, list):
            return " ".join(map(text, value)) or "none"
        return "none" if value is None else str(value)

    return ", ".join(f"{name} {text(value)}" for name, value in chosen.items()) or "all"
