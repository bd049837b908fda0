"""A program that sweeps over fake cells: `python fake_sweep.py OUT [ENGINE]`."""

import signal
import sys
from pathlib import Path

import fake_cells

from hjepa.sweeps import engines
from hjepa.sweeps import sweep as ablation

ENGINES = {
    "local": lambda: engines.LocalProcesses(2),
    "ray": lambda: engines.RayCluster(workers=2),
    "slurm": lambda: engines.Slurm("local", workers=2, poll=0.1),
}

if __name__ == "__main__":
    # A test run in the background of a shell ignores Ctrl-C and hands that down; this program shall not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    specs = [fake_cells.make(seed) for seed in (4, 5, 3, 6, 7)]
    engine = ENGINES[sys.argv[2] if len(sys.argv) > 2 else "local"]()
    result = ablation.ablate(specs, Path(sys.argv[1]), engine, fake_cells.run_cell)
    print(result.skipped, len(result.records), len(result.failed))
