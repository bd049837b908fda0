"""Make the README's moving picture and say its caption: ``python docs/two_agents.py``.

The first test task of 8x8 rooms, planned by the flat agent that was trained and tuned for itself and by four levels, at
the same compute. Numbers of the caption are computed from the published per-episode lists.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import hjepa
from hjepa.config import with_plan
from hjepa.devices import fix_threads
from hjepa.evaluation.records import pooled
from hjepa.evaluation.statistics import wilson

TASK, METRIC = "hjepa/NestedRooms-d4-v0", "imagined"
AGENTS = (("told-flat-d4", 1, "1 level, trained and tuned for itself"), ("told-nested-d4", 4, "4 levels"))
HERE = Path(__file__).parent
PUBLISHED = HERE.parent / "hjepa" / "published"


def published(name: str, levels: int) -> dict[str, Any]:
    """The pooled record of an agent under the metric of the picture, over all its seeds."""
    records = json.loads((PUBLISHED / name / "results.json").read_text(encoding="utf-8"))
    return dict(pooled([r for r in records if r["levels"] == levels and r["metric"] == METRIC]))


def caption() -> str:
    """What the picture shows, in words."""
    rates = []
    for name, levels, text in AGENTS:
        record = published(name, levels)
        solved, count = sum(record["success"]), len(record["success"])
        low, high = wilson(solved, count)
        rates.append(f"{text}: {100 * solved / count:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
    return f"{'; '.join(rates)} of {count} test tasks on floor plans not seen in training"


def main(out: Path = HERE / "two-agents.gif") -> None:
    """Plan the task with both agents and write the picture."""
    fix_threads()
    traces = []
    for name, levels, _ in AGENTS:
        stack = hjepa.load_stack(name)
        # Episodes are planned in blocks that are always full; for one alone that would be sixteen times the work.
        settings = with_plan(stack.config, [f"plan.metric={METRIC}", "plan.block=1"]).plan
        traces.append(hjepa.watch(stack, TASK, levels=levels, episodes=1, seed=0, settings=settings))
        walked, known = int(traces[-1].results.steps[0]), published(name, levels)["steps"][0]
        if walked != known:
            raise SystemExit(f"{name} walks {walked} steps, in the published list {known}")
    animation = hjepa.figures.side_by_side(traces, [text for _, _, text in AGENTS], every=4)
    hjepa.figures.save_gif(animation, out, fps=10, dpi=76)
    sys.stdout.write(f"{out}: {out.stat().st_size / 1e6:.1f} MB\n{caption()}\n")


if __name__ == "__main__":
    main()
