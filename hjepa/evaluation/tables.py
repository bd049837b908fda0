"""Records as a table of plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hjepa.evaluation.records import UNKNOWN, overrides_of, pooled, success_interval

_TASK = ("task", "split", "tasks", "step_budget")
_AGENT = (
    *_TASK,
    "levels",
    "depth",
    "metric",
    "planner",
    "oracle",
    "budget_tflops",
    "train_seed",
    "checkpoint_sha256",
)

_COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "levels": lambda record: str(record["levels"]),
    "depth": lambda record: record["depth"],
    "metric": lambda record: record["metric"],
    "planner": lambda record: record["planner"],
    "success": lambda record: success_text(record["success_rate"], success_interval(record)),
    "path ratio": lambda record: number(record["path_ratio"], 2),
    "SPL": lambda record: number(None if record.get("ways") == UNKNOWN else record["spl"], 2),
    "TFLOP/episode": lambda record: number(record["tflops_per_episode"], 4),
    "active share": lambda record: " ".join(number(share, 2) for share in record["active_share"]),
    "seconds/episode": lambda record: number(record["seconds_per_episode"], 2),
}


# Columns that are there when the records of a block differ in them.
_VARYING: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "oracle": lambda record: record["oracle"] or "none",
    "mission": lambda record: str(record.get("mission", "-")),
    "guardrails": lambda record: _guardrails(record),
    "TFLOP allowed": lambda record: _budget(record["budget_tflops"]),
    "memory": lambda record: record.get("memory", "-"),
    "train seed": lambda record: str(record["train_seed"]),
    "checkpoint": lambda record: str(record["checkpoint_sha256"] or "-")[:8],
    "perception": lambda record: _perception(record),
    "overrides": lambda record: " ".join(overrides_of(record)) or "-",
}


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """A table of records, one block per evaluation, each with the random floor and the shortest path below; where goals
    are from trajectories, the path that was recorded.

    Columns are those of the contract in `hjepa.evaluation.records`, and whatever else tells the records apart: oracle,
    mission, guardrails, budget, memory, training seed, checkpoint, perception and overrides; the active share lists the
    levels from 1 up. A number that was not measured is a dash. The shortest path's success is the share of episodes
    that can be solved within the step budget. Evaluations that differ in the seed alone are pooled into one block.
    """
    agents: dict[tuple[Any, ...], list[Any]] = {}
    for record in records:
        agent = (
            *(str(record[name]) for name in _AGENT),
            _perception(record),
            overrides_of(record),
            record.get("memory"),
            str(record.get("mission")),
            _guardrails(record),
        )
        agents.setdefault(agent, []).append(record)
    blocks: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for same in agents.values():
        task = tuple(same[0][name] for name in _TASK)
        seeds = tuple((record["seed"], record["episodes"]) for record in same)
        blocks.setdefault((*task, seeds), []).append(pooled(same) if len(same) > 1 else same[0])
    return "\n\n".join(_block(block, [seed for seed, _ in key[-1]]) for key, block in blocks.items())


def _budget(tflops: float | None) -> str:
    return "-" if tflops is None else f"{tflops:g}"


def _guardrails(record: Mapping[str, Any]) -> str:
    return " ".join(record["guardrails"]) or "none" if "guardrails" in record else "-"


def _perception(record: Mapping[str, Any]) -> str:
    return str(record.get("perception", "symbolic"))


def align(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text as lines with aligned columns, two spaces apart; the first row is the header."""
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    )


def number(value: float | None, digits: int) -> str:
    """A number with that many digits behind the point, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def success_text(rate: float, interval: Sequence[float] | None = None) -> str:
    """A success rate in percent, with its 95 % interval when there is one."""
    text = f"{100 * rate:5.1f} %"
    return text if interval is None else f"{text} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def _block(records: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> str:
    first = records[0]
    title = (
        f"{first['task']}: {first['episodes']} {first['tasks']} episodes{_on_layouts(first)} "
        f"of the {first['split']} split, "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}, at most {first['step_budget']} steps"
    )
    varying = {name: cell for name, cell in _VARYING.items() if len(set(map(cell, records))) > 1}
    columns = varying | _COLUMNS
    rows = [list(columns), *([cell(record) for cell in columns.values()] for record in records)]
    random = next((r["random_success_rate"] for r in records if r["random_success_rate"] is not None), None)
    if random is not None:
        rows.append(_baseline(columns, "random", {"success": success_text(random)}))
    if first.get("ways") == UNKNOWN:
        return f"{title}\n{align(rows)}"
    reachable = [steps <= first["step_budget"] for steps in first["oracle_steps"]]
    share = sum(reachable) / len(reachable)
    rows.append(
        _baseline(
            columns,
            "shortest path" if first.get("goals", "world") == "world" else "recorded path",
            {"success": success_text(share), "path ratio": number(1.0, 2), "SPL": number(share, 2)},
        )
    )
    return f"{title}\n{align(rows)}"


def _on_layouts(record: Mapping[str, Any]) -> str:
    """How many floor plans there are, where episodes share some."""
    count = record.get("layouts", record["episodes"])
    return "" if count == record["episodes"] else f" on {count} floor plan{'s' if count > 1 else ''}"


def _baseline(columns: Iterable[str], name: str, cells: Mapping[str, str]) -> list[str]:
    """A row for something that is no agent: its name in the planner column, dashes where nothing applies."""
    return [name if column == "planner" else cells.get(column, "-") for column in columns]
