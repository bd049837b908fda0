"""A program that sweeps over fake cells: `python fake_sweep.py OUT`."""

import sys
from pathlib import Path

import fake_cells

from hjepa import ablation, engines

if __name__ == "__main__":
    specs = [fake_cells.make(seed) for seed in (4, 5, 3, 6, 7)]
    result = ablation.ablate(specs, Path(sys.argv[1]), engines.LocalProcesses(2), fake_cells.run_cell)
    print(result.skipped, len(result.records), len(result.failed))
