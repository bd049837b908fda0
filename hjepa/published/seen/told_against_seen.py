"""Told against seen, task by task: what is lost by seeing for oneself, from the committed lists.

    python hjepa/published/seen/told_against_seen.py

prints one row per world, metric and number of levels of which both lists hold the same tasks.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from hjepa.evaluation.layouts import clustered_proportions
from hjepa.evaluation.records import Record, read_records

PUBLISHED = Path(__file__).parents[1]
WORLDS = ("nested-d2", "nested-d3", "nested-d4", "four-rooms", "multi-room", "nested-point-d3")


def pairs(told: list[Record], seen: list[Record]) -> dict[tuple[str, int], list[tuple[Record, Record]]]:
    """Records of the same tasks, told and seen, by metric and number of levels; the first of each list counts."""
    found: dict[tuple[str, int], list[tuple[Record, Record]]] = defaultdict(list)
    used = set()
    for record in seen:
        key = (record["metric"], record["levels"], record["seed"])
        match = next((other for other in told if _same_tasks(record, other)), None)
        if match is not None and key not in used:
            used.add(key)
            found[key[:2]].append((match, record))
    return found


def _same_tasks(one: Record, other: Record) -> bool:
    same = ("task", "split", "seed", "levels", "metric", "episodes", "step_budget", "oracle", "oracle_steps")
    return all(one[name] == other[name] for name in same)


def main() -> None:
    print("| world | metric | levels | tasks | told % | seen % | seen less told, points (95 % interval) |")
    print("|---|---|---|---|---|---|---|")
    for world in WORLDS:
        lists = [PUBLISHED / f"{kind}{world}" / "results.json" for kind in ("told-", "")]
        if not all(file.exists() for file in lists):
            continue
        told, seen = (read_records(file) for file in lists)
        for (metric, levels), found in sorted(pairs(told, seen).items()):
            before, now = (np.concatenate([pair[i]["success"] for pair in found]) for i in (0, 1))
            layouts = np.concatenate([pair[1]["layout"] for pair in found])
            gap = clustered_proportions(now.astype(float) - before, layouts)
            interval = f"{100 * gap.value:+.1f} ({100 * gap.lo:.1f}, {100 * gap.hi:.1f})"
            shares = f"{100 * before.mean():.1f} | {100 * now.mean():.1f}"
            print(f"| {world} | {metric} | {levels} | {now.size} | {shares} | {interval} |")


if __name__ == "__main__":
    main()
