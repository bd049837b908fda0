"""What claims come to: every number computed anew from per-episode lists, all of them by the same few rules.

Intervals are those of `hjepa.evaluation`. Success and violations of one agent have Wilson's, differences of success
Bonett and Price's, both of as many episodes as these are worth where several share a floor plan; with several agents
or trainings pooled, never narrower than a bootstrap over them and the episodes. Means of paths have a bootstrap over
episodes, or whole floor plans. Of measured fields, as compute, the interval is the least and the most of a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hjepa.errors import InputError
from hjepa.evaluation.comparison import RESAMPLES, RESAMPLING_SEED
from hjepa.evaluation.layouts import clustered_proportions, clustered_wilson, trials, whole_plans
from hjepa.evaluation.statistics import crossed_mean, paired_difference, wilson
from hjepa.json_files import read_json
from hjepa.report.bars import met, read_bar
from hjepa.report.chosen import ANY, Array, Chosen, Record, choose
from hjepa.report.claims import Claim, Placed
from hjepa.report.measurements import number_at
from hjepa.report.statements import NAMES, Pages, Wrong, check


@dataclass(frozen=True)
class Found:
    """What a claim comes to.

    Attributes:
        placed: the claim.
        value, interval, control: the number, its 95 % interval, the control's number; None: there is none.
        met: whether what had to come out did; None: nothing had to.
        episodes, layouts: behind it, of the filter alone.
        wrong: statements that are not what the records give.
    """

    placed: Placed
    value: float
    interval: tuple[float, float] | None
    control: float | None
    met: bool | None
    episodes: int
    layouts: int | None
    wrong: tuple[Wrong, ...]

    def row(self) -> dict[str, Any]:
        """As ``hjepa claims --json`` writes it."""
        claim = self.placed.claim
        return {
            "part": claim.part,
            "task": claim.task,
            "metric": claim.words(),
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "control": self.control,
            "bar": claim.bar,
            "met": self.met,
            "command": claim.command,
            "results_file": f"hjepa/published/{self.placed.folder.name}/{claim.results_file}",
        }


def evaluate(claims: Sequence[Placed], published: Path) -> tuple[list[Found], list[str]]:
    """Every claim computed anew and compared with what is printed; and the files that an installed package lacks.

    Args:
        claims: from `hjepa.report.claims.read_claims`.
        published: the folder they were read from.

    Raises:
        InputError: a list that is not there, a filter that chooses nothing or too much, or a text that is ambiguous.
    """
    lists, pages = _Lists(), Pages(published)
    found = [_evaluated(placed, lists, pages) for placed in claims]
    return found, sorted(pages.missing)


class _Lists:
    """Lists of records, each read once, and what was chosen of them: claims about one agent come one after another."""

    def __init__(self) -> None:
        self._contents: dict[Path, Any] = {}
        self._read: dict[Path, list[Record]] = {}
        self._chosen: dict[str, Chosen] = {}

    def choose(self, path: Path, task: str, wanted: Mapping[str, Any], where: str) -> Chosen:
        known = f"{path} {task} {wanted}"
        if known not in self._chosen:
            self._chosen[known] = choose(self.records(path, where), task, wanted, where)
        return self._chosen[known]

    def content(self, path: Path) -> Any:
        """Of a file, whatever it is."""
        path = path.resolve()
        if path not in self._contents:
            self._contents[path] = read_json(path)
        return self._contents[path]

    def records(self, path: Path, where: str) -> list[Record]:
        path = path.resolve()
        if path not in self._read:
            content = self.content(path)
            if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
                raise InputError(
                    f"{path.name} holds no list of records", where, "name a file of hjepa plan --json"
                )
            self._read[path] = content
        return self._read[path]


def _evaluated(placed: Placed, lists: _Lists, pages: Pages) -> Found:
    claim, where = placed.claim, placed.where
    if claim.metric == "measurement":
        content = lists.content(placed.folder / claim.results_file)
        told = number_at(content, str(claim.of), f"{where}, of")
        return _compared_with_texts(placed, pages, told.value, told.interval, None, 0, None, told.beside)
    own = _chosen(placed, claim.filter, lists, f"{where}, filter")
    control: float | None = None
    if isinstance(claim.control, Mapping):
        other = _chosen(placed, {**claim.filter, **claim.control}, lists, f"{where}, control")
        value, interval, control = _compared(claim, own, other, where)
    else:
        value, interval = _ALONE[claim.metric](own, claim, where)
        control = _random(own, claim, where)[0] if claim.control == "random" else None
    return _compared_with_texts(placed, pages, value, interval, control, own.played, own.plans)


def _compared_with_texts(
    placed: Placed,
    pages: Pages,
    value: float,
    interval: tuple[float, float] | None,
    control: float | None,
    episodes: int,
    layouts: int | None,
    more: Mapping[str, float] | None = None,
) -> Found:
    """What a claim came to, with the statements of it that say something else."""
    claim, (low, high) = placed.claim, interval or (None, None)
    numbers: dict[str, float | None] = {
        **dict.fromkeys(NAMES),
        **(more or {}),
        "value": value,
        "low": low,
        "high": high,
        "control": control,
        "episodes": episodes,
        "layouts": layouts,
    }
    wrong = []
    for statement in claim.statements():
        page = pages.text(placed.folder, statement.file, placed.where)
        found = None if page is None else check(statement, page, numbers, placed.where)
        if found is not None:
            wrong.append(found)
    holds = met(read_bar(claim.bar, claim.control is not None), value, interval, control)
    return Found(placed, value, interval, control, holds, episodes, layouts, tuple(wrong))


def _chosen(placed: Placed, wanted: Mapping[str, Any], lists: _Lists, where: str) -> Chosen:
    wanted = {name: value for name, value in wanted.items() if value != ANY}
    file, task = wanted.pop("results_file", placed.claim.results_file), wanted.pop("task", placed.claim.task)
    if not (isinstance(file, str) and isinstance(task, str)):
        raise InputError("task or results_file is no word", where, "give a name")
    return lists.choose(placed.folder / file, task, wanted, where)


Measure = tuple[float, tuple[float, float] | None]


def _success(own: Chosen, claim: Claim, where: str) -> Measure:
    return _share(own.success, own.layouts)


def _violations(own: Chosen, claim: Claim, where: str) -> Measure:
    if own.violated is None:
        raise InputError("records without violated", where, "name a list of a world with forbidden cells")
    return _share(own.violated, own.layouts)


def _share(table: Array, layouts: NDArray[np.str_]) -> Measure:
    """Mean of a table of 0 and 1, Wilson's interval, at least as wide as the bootstrap where it has several rows."""
    low, high = map(float, clustered_wilson(*trials(table, layouts)))
    if len(table) > 1:
        spread = crossed_mean(table, _rng(), RESAMPLES, layouts=whole_plans(layouts))
        low, high = min(low, spread.lo), max(high, spread.hi)
    return float(np.nanmean(table)), (low, high)


def _path_ratio(own: Chosen, claim: Claim, where: str) -> Measure:
    return _mean_way(np.where(own.success > 0, own.steps / own.oracle_steps, np.nan), own.layouts, where)


def _mean_way(table: Array, layouts: NDArray[np.str_], where: str) -> Measure:
    if np.isnan(table).all():
        raise InputError("no episode reached the goal", where, "claim the success instead")
    found = crossed_mean(table, _rng(), RESAMPLES, layouts=whole_plans(layouts))
    return found.value, (found.lo, found.hi)


def _random(own: Chosen, claim: Claim, where: str) -> Measure:
    """Random actions' success, which records hold as a rate alone, of each evaluation once."""
    rates = {}
    for record in own.records:
        rate, played = record.get("random_success_rate"), len(record["success"])
        if not isinstance(rate, (int, float)):
            raise InputError("records without random_success_rate", where, "claim something else")
        rates[record.get("mission"), record["seed"], record["task"]] = (round(rate * played), played)
    solved, played = (sum(column) for column in zip(*rates.values()))
    return solved / played, wilson(solved, played)


def _mean(own: Chosen, claim: Claim, where: str) -> Measure:
    values = _measured(own, claim, where)
    weights = [len(record["success"]) for record in own.records]
    return float(np.average(values, weights=weights)), (min(values), max(values))


def _diagnostic(own: Chosen, claim: Claim, where: str) -> Measure:
    """The lowest mean over floor plans of all levels, and its interval."""
    means = []
    for level in range(min(len(record.get("diagnostics") or ()) for record in own.records)):
        held = [record["diagnostics"][level].get(claim.of) or () for record in own.records]
        values = [value for each in held for value in each if value is not None]
        if len(values) > 1:
            half = NormalDist().inv_cdf(0.975) * float(np.std(values, ddof=1)) / sqrt(len(values))
            mean = float(np.mean(values))
            means.append((mean, (mean - half, mean + half)))
    if not means:
        raise InputError(f"no diagnostics hold a list {claim.of}", where, "make it with --diagnostics")
    return min(means)


_ALONE: dict[str, Callable[[Chosen, Claim, str], Measure]] = {
    "success": _success,
    "violations": _violations,
    "path_ratio": _path_ratio,
    "random": _random,
    "mean": _mean,
    "diagnostic": _diagnostic,
}


def _compared(
    claim: Claim, own: Chosen, other: Chosen, where: str
) -> tuple[float, tuple[float, float] | None, float]:
    """Value, interval and the control's number."""
    if claim.metric == "ratio":
        values, others = _measured(own, claim, where), _measured(other, claim, where)
        if [_evaluation(record) for record in own.records] != [
            _evaluation(record) for record in other.records
        ]:
            raise InputError(
                "records of other episodes", where, "choose the same seeds in filter and control"
            )
        ratios = [one / two for one, two in zip(values, others)]
        return float(np.mean(ratios)), (min(ratios), max(ratios)), _mean(other, claim, where)[0]
    if claim.metric == "difference":
        left, right = _paired(own, other, where)
        difference = own.success - other.success[right][:, left]
        found = clustered_proportions(*trials(difference, own.layouts))
        low, high = float(found.lo), float(found.hi)
        if len(difference) > 1:
            spread = crossed_mean(difference, _rng(), RESAMPLES, layouts=whole_plans(own.layouts))
            low, high = min(low, spread.lo), max(high, spread.hi)
        return float(found.value), (low, high), _success(other, claim, where)[0]
    if claim.metric == "path_difference":
        return _path_difference(claim, own, other, where)
    value, interval = _ALONE[claim.metric](own, claim, where)
    return value, interval, _ALONE[claim.metric](other, claim, where)[0]


def _path_difference(
    claim: Claim, own: Chosen, other: Chosen, where: str
) -> tuple[float, tuple[float, float] | None, float]:
    left, right = _paired(own, other, where)
    success, steps = other.success[right][:, left], other.steps[right][:, left]
    both = (own.success > 0) & (success > 0)
    difference = np.where(both, (own.steps - steps) / own.oracle_steps, np.nan)
    control = _path_ratio(other, claim, where)[0]
    if len(difference) > 1 or not both.any():
        return *_mean_way(difference, own.layouts, where), control
    played, plans = difference[both], own.layouts[both[0]]
    found = paired_difference(played, np.zeros_like(played), _rng(), layouts=whole_plans(plans))
    return found.value, (found.lo, found.hi), control


def _paired(own: Chosen, other: Chosen, where: str) -> tuple[list[int], list[int]]:
    """Columns and rows of the other that stand beside those of the first.

    Raises:
        InputError: episodes or agents that the other does not have, or that are not the same.
    """
    places = {episode: number for number, episode in enumerate(other.episodes)}
    if set(places) != set(own.episodes):
        raise InputError(
            f"{len(own.episodes)} episodes in filter, {len(places)} in control, not the same ones",
            where,
            "choose the same task, split and seeds in both",
        )
    columns = [places[episode] for episode in own.episodes]
    if not np.array_equal(
        np.nanmax(own.oracle_steps, axis=0), np.nanmax(other.oracle_steps, axis=0)[columns]
    ):
        raise InputError(
            "shortest ways differ between filter and control", where, "choose lists of the same tasks"
        )
    if len(other.agents) == 1:
        return columns, [0] * len(own.agents)
    if other.agents != own.agents:
        raise InputError("filter and control pool other agents", where, "list the same values in both")
    return columns, list(range(len(own.agents)))


def _measured(chosen: Chosen, claim: Claim, where: str) -> list[float]:
    values = [record.get(str(claim.of)) for record in chosen.records]
    if not all(isinstance(value, (int, float)) and value > 0 for value in values):
        raise InputError(f"records without {claim.of}", where, "claim something else")
    return [float(value) for value in values if value is not None]


def _evaluation(record: Record) -> tuple[Any, ...]:
    return record.get("mission"), record["seed"], len(record["success"])


def _rng() -> np.random.Generator:
    return np.random.default_rng(RESAMPLING_SEED)
