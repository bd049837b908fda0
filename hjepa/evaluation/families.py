"""Results by family of floor plans: what an agent that was trained on some of them does on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hjepa.errors import InputError
from hjepa.evaluation.layouts import clustered_wilson
from hjepa.evaluation.tables import align, number, success_text
from tasks import random_success, sample_episodes, task_spec
from tasks.layouts import family_of
from tasks.layouts.families import NESTED

_EVALUATION = ("task", "split", "tasks", "seed", "episodes")

Evaluation = tuple[Any, ...]


@dataclass(frozen=True)
class Family:
    """One family in the records of some agents.

    Attributes:
        name: of the family; ``nested`` for nested rooms.
        episodes: how many.
        steps: mean length of their shortest paths.
        solvable: share of them that a shortest path solves within the step budget.
        random: success rate of random actions.
        success: by agent, the rate and its 95 % interval, clustered where episodes share floor plans.
    """

    name: str
    episodes: int
    steps: float
    solvable: float
    random: float
    success: dict[str, tuple[float, tuple[float, float]]]


@dataclass(frozen=True, eq=False)
class _Part:
    """The episodes of one family in one evaluation: their rows, what each can be solved in, and the random floor."""

    rows: np.ndarray
    steps: np.ndarray
    solvable: np.ndarray
    random: float


def by_family(records: Sequence[Mapping[str, Any]]) -> list[Family]:
    """Records of tasks with floor plans of ours, of mixtures and of single families, family by family.

    Which family an episode is of follows from its floor-plan seed, which is drawn anew; random actions are played anew.

    Args:
        records: of ``hjepa plan``; several of one agent, on other tasks or of other seeds, count together.

    Raises:
        InputError: no records, one of a task whose floor plans are not ours, or agents that did not play the same
            episodes.
    """
    if not records:
        raise InputError("no records", "families", "give what hjepa plan wrote")
    parts: dict[Evaluation, dict[str, _Part]] = {}
    played: dict[str, dict[Evaluation, Mapping[str, Any]]] = {}
    for record in records:
        which = tuple(record[name] for name in _EVALUATION)
        if which not in parts:
            parts[which] = _parts(record)
        played.setdefault(agent_name(record), {})[which] = record
    for agent, own in played.items():
        missing = [which for which in parts if which not in own]
        if missing:
            raise InputError(
                f"{agent} did not play {missing[0][0]} with seed {missing[0][3]}",
                "families",
                "play it, or leave it out",
            )
    names = dict.fromkeys(name for found in parts.values() for name in found)
    return [
        _family(name, {w: found[name] for w, found in parts.items() if name in found}, played)
        for name in names
    ]


def family_table(records: Sequence[Mapping[str, Any]]) -> str:
    """A table of plain text: a row per family, and columns for the random floor, the shortest path and every agent.

    Raises:
        InputError: see `by_family`.
    """
    families = by_family(records)
    agents = list(families[0].success)
    rows = [["family", "episodes", "random", "shortest path", "its steps", *agents]]
    for family in families:
        rates = [success_text(*family.success[agent]) for agent in agents]
        bounds = [success_text(family.random), success_text(family.solvable), number(family.steps, 1)]
        rows.append([family.name, str(family.episodes), *bounds, *rates])
    return align(rows)


def agent_name(record: Mapping[str, Any]) -> str:
    """What tells the agents of a table apart."""
    levels = record["levels"]
    return f"{levels} level{'s' if levels > 1 else ''} {record['metric']} {str(record['checkpoint_sha256'] or '')[:4]}"


def _parts(record: Mapping[str, Any]) -> dict[str, _Part]:
    spec = task_spec(record["task"])
    if spec.family not in ("nested-rooms", "layouts"):
        raise InputError(f"a record of {spec.id}", "families", "its floor plans are not ours; leave it out")
    batch = sample_episodes(
        spec.id, record["split"], record["tasks"], episodes=record["episodes"], seed=record["seed"]
    )
    names = np.array(
        [family_of(spec.layout, seed) if spec.layout else NESTED for seed in batch.plan_seed.tolist()]
    )
    found = {}
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        steps = batch.oracle_steps[rows]
        random = random_success(batch.select(rows), record["step_budget"], record["seed"])
        found[name] = _Part(rows, steps, steps <= record["step_budget"], random)
    return found


def _family(
    name: str, parts: Mapping[Evaluation, _Part], played: Mapping[str, Mapping[Evaluation, Mapping[str, Any]]]
) -> Family:
    counts = [len(part.rows) for part in parts.values()]
    success = {}
    for agent, records in played.items():
        solved = np.concatenate([np.asarray(records[w]["success"])[part.rows] for w, part in parts.items()])
        plans = np.concatenate([np.asarray(records[w]["layout"])[part.rows] for w, part in parts.items()])
        success[agent] = (float(solved.mean()), clustered_wilson(solved, plans))
    return Family(
        name=name,
        episodes=sum(counts),
        steps=float(np.concatenate([part.steps for part in parts.values()]).mean()),
        solvable=float(np.concatenate([part.solvable for part in parts.values()]).mean()),
        random=float(np.average([part.random for part in parts.values()], weights=counts)),
        success=success,
    )
