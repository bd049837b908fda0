"""Memory: the most that a process of its own ever held while it read a store and planned."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hjepa.bench.row import Options, Row, row

LIMIT_GIB = 3.0
TRANSITIONS, EPISODES = 1_000_000, 64
WORK = """
import sys
from hjepa.config import load_preset
from hjepa.sweeps.sweep import collect_store
from hjepa.training.batches import draw
from hjepa.training.sources import open_source
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.sweeps.plan_cells import plan_command
folder, plans, episodes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
config = load_preset("nested-d3", [f"collect.plans={plans}"])
collect_store(config, folder)
source, _ = open_source(folder, config)
for step in range(20):
    draw(source, config, 0, config.levels[0].rollout + 1, step, False)
request = PlanRequest(checkpoint="nested-d3", task="hjepa/NestedRooms-d3-v0", levels=(3,), episodes=episodes, workers=1)
plan_command(request)
# Not getrusage: what it says begins with what the process held that started this one.
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def rows(options: Options) -> Iterator[Row]:
    """A store of a million transitions, batches from it, and 64 episodes with three levels; measured once."""
    plans = options.amount(TRANSITIONS // (127 * 8), 8)
    with tempfile.TemporaryDirectory() as folder:
        words = [str(Path(folder) / "store"), str(plans), str(options.amount(EPISODES))]
        ended = subprocess.run(
            [sys.executable, "-c", WORK, *words], capture_output=True, text=True, check=True
        )
    # Kilobytes, of Linux.
    held = int(ended.stdout.split()[-1]) / 2**20
    yield row(
        f"{plans * 127 * 8:,} transitions, and {options.amount(EPISODES)} episodes with 3 levels of nested-d3",
        "a limit",
        "GiB",
        [(held, LIMIT_GIB)],
        1.0,
        "hjepa bench memory",
    )
