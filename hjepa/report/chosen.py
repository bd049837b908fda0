"""Records that a claim is about, as tables: an agent a row, an episode a column.

A filter has to choose records of one agent on one evaluation, whose seeds are pooled; what else the records differ in
has to be named, each value of it. Anything else would be an average that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hjepa.errors import InputError
from levels.ranges import shown

Array = NDArray[np.float64]
Record = dict[str, Any]

AGENT = (
    "levels", "depth", "metric", "planner", "oracle", "budget_tflops", "train_seed", "checkpoint_sha256", "guardrails",
    "memory", "overrides", "perception", "perception_sha256", "choice", "observation", "information",
)  # fmt: skip
"""Fields of a record that say who acted; what of them records do not hold is null."""

EVALUATION = ("split", "tasks", "step_budget", "goals", "mission")
"""Fields that say, beside the task and the seed, which episodes were played."""

EPISODES = ("layout", "oracle_steps")
"""Fields of episodes that a filter chooses by: names of floor plans, and [from, to] steps of the shortest way."""

FIELDS = (*AGENT, *EVALUATION, "seed", *EPISODES)
"""What a filter may name."""

ANY = "any"
"""In a control: the filter's value of a field does not hold."""

_FOLLOWS = {
    "depth": ("levels",),  # a stack cut to all its levels is the trained one
    "checkpoint_sha256": ("train_seed",),
    "perception_sha256": ("train_seed",),
}
"""Fields that may differ where another names several values."""

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Chosen:
    """What a filter chose.

    Attributes:
        records: in the order of their agents and seeds.
        agents: (A,) what tells the rows apart: the values of the fields in which they differ.
        episodes: (E,) which episode a column is: evaluation, seed and number.
        success, steps, oracle_steps: (A, E), NaN where not played.
        violated: the same, whether forbidden cells were entered; None where the records do not tell.
        layouts: (E,) names of floor plans; where the records do not tell, each episode has one of its own.
        plans: how many floor plans there are; None where the records do not tell.
    """

    records: tuple[Record, ...]
    agents: tuple[Key, ...]
    episodes: tuple[Key, ...]
    success: Array
    steps: Array
    oracle_steps: Array
    violated: Array | None
    layouts: NDArray[np.str_]
    plans: int | None

    @property
    def played(self) -> int:
        """Episodes of all rows."""
        return int((~np.isnan(self.success)).sum())


def choose(records: Sequence[Record], task: str, wanted: Mapping[str, Any], where: str) -> Chosen:
    """The records of a task with the wanted fields, as tables.

    Args:
        records: the content of a list.
        task: of the records.
        wanted: a filter.
        where: named in errors.

    Raises:
        InputError: none fits, they are of several agents or evaluations, or one has no lists of its episodes.
    """
    chosen = [record for record in records if record.get("task") == task and _fits(record, wanted)]
    if not chosen:
        raise InputError(
            f"no record of {task} has {_named(wanted)}",
            where,
            f"choose among {_on_offer(records, task, wanted)}",
        )
    _check_alike(chosen, wanted, where)
    differing = [name for name in AGENT if len({_hashed(record.get(name)) for record in chosen}) > 1]

    def agent(record: Record) -> Key:
        return tuple(_hashed(record.get(name)) for name in differing)

    chosen.sort(
        key=lambda record: (tuple(map(str, agent(record))), str(record.get("mission")), record["seed"])
    )
    agents = tuple(dict.fromkeys(map(agent, chosen)))
    columns: dict[Key, int] = {}
    kept: list[tuple[Record, list[int], list[int]]] = []
    for record in chosen:
        episodes = _episodes(record, wanted, where)
        evaluation = _evaluation(record)
        keys = [(*evaluation, number) for number in episodes]
        kept.append((record, episodes, [columns.setdefault(key, len(columns)) for key in keys]))
    if not columns:
        raise InputError(f"no episode has {_named(wanted)}", where, "choose other episodes")
    return _tables(kept, tuple(columns), agents, [agents.index(agent(record)) for record in chosen], where)


def _tables(
    kept: Sequence[tuple[Record, list[int], list[int]]],
    columns: tuple[Key, ...],
    agents: tuple[Key, ...],
    rows: Sequence[int],
    where: str,
) -> Chosen:
    """The chosen episodes of each record in its row; ``kept``: records, their episodes, and columns of these."""
    tables = {name: np.full((len(agents), len(columns)), np.nan) for name in _LISTS}
    told = all("layout" in record for record, _, _ in kept)
    layouts = np.array([f"episode {number}" for number in range(len(columns))], dtype=object)
    for (record, episodes, places), row in zip(kept, rows):
        if not np.isnan(tables["success"][row, places]).all():
            raise InputError(
                "two records of one agent on the same episodes", where, "name in filter what tells them apart"
            )
        for name, table in tables.items():
            if name in record:
                table[row, places] = np.asarray(record[name], float)[episodes]
        if told:
            layouts[places] = [record["layout"][number] for number in episodes]
    violated = tables.pop("violated") if all("violated" in record for record, _, _ in kept) else None
    tables.pop("violated", None)
    return Chosen(
        tuple(record for record, _, _ in kept),
        agents,
        columns,
        tables["success"],
        tables["steps"],
        tables["oracle_steps"],
        violated,
        layouts.astype(str),
        len(set(layouts)) if told else None,
    )


_LISTS = ("success", "steps", "oracle_steps", "violated")


def _fits(record: Record, wanted: Mapping[str, Any]) -> bool:
    return all(
        _matches(name, record.get(name), value) for name, value in wanted.items() if name not in EPISODES
    )


def _matches(name: str, found: Any, value: Any) -> bool:
    if value == ANY:
        return True
    if isinstance(found, list):  # as guardrails
        return bool(found == value)
    if isinstance(value, list):
        return any(_matches(name, found, one) for one in value)
    if name.endswith("_sha256") and isinstance(found, str):
        return isinstance(value, str) and bool(value) and found.startswith(value)
    return bool(found == value)


def _check_alike(chosen: Sequence[Record], wanted: Mapping[str, Any], where: str) -> None:
    """Refuses records that differ in what the filter does not name several values of.

    Raises:
        InputError: names the field and some of its values.
    """
    several = {name for name, value in wanted.items() if isinstance(value, list) and len(value) > 1}
    for name in (*EVALUATION, *AGENT):
        values = sorted({str(record.get(name)) for record in chosen})
        if len(values) > 1 and name not in several and not several.intersection(_FOLLOWS.get(name, ())):
            raise InputError(
                f"{len(chosen)} records that differ in {name} ({', '.join(values[:4])})",
                where,
                f"name one {name} in filter, or list those to pool",
            )


def _episodes(record: Record, wanted: Mapping[str, Any], where: str) -> list[int]:
    """The numbers of the episodes of a record that a filter chooses.

    Raises:
        InputError: the record has no lists of its episodes, or the filter has no such form.
    """
    lists = [
        record.get(name)
        for name in (*_LISTS[:3], *(each for each in ("layout", "violated") if each in record))
    ]
    if not isinstance(record.get("seed"), int) or not all(isinstance(each, list) and each for each in lists):
        raise InputError("a record without per-episode lists", where, "write it with hjepa plan --json")
    if len({len(each) for each in lists if each is not None}) > 1:
        raise InputError("a record with lists of several lengths", where, "write it with hjepa plan --json")
    chosen = list(range(len(record["success"])))
    plans, ways = wanted.get("layout"), wanted.get("oracle_steps")
    if plans is not None:
        if "layout" not in record:
            raise InputError("records that do not tell floor plans", where, "leave layout out of filter")
        named = plans if isinstance(plans, list) else [plans]
        chosen = [number for number in chosen if record["layout"][number] in named]
    if ways is not None:
        if not (
            isinstance(ways, list) and len(ways) == 2 and all(isinstance(way, (int, float)) for way in ways)
        ):
            raise InputError(f"oracle_steps is {shown(ways)}", where, "give [from, to]")
        chosen = [number for number in chosen if ways[0] <= record["oracle_steps"][number] <= ways[1]]
    return chosen


def _evaluation(record: Record) -> Key:
    return (record["task"], *(_hashed(record.get(name)) for name in EVALUATION), record["seed"])


def _hashed(value: Any) -> Any:
    return tuple(map(_hashed, value)) if isinstance(value, list) else value


def _named(wanted: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in wanted.items()) or "any fields"


def _on_offer(records: Sequence[Record], task: str, wanted: Mapping[str, Any]) -> str:
    """Values of the first field, with the task, that is in the way."""
    left = [record for record in records if record.get("task") == task]
    if not left:
        return f"the tasks {', '.join(sorted({str(record.get('task')) for record in records})) or '(none)'}"
    for name, value in wanted.items():
        fitting = [record for record in left if _fits(record, {name: value})]
        if not fitting:
            return f"{name} {', '.join(sorted({str(record.get(name)) for record in left}))}"
        left = fitting
    return "other values"
