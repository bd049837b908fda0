"""What the fuzzers share: a small store, a run trained on it, and `fuzzing` on the import path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

PRESET = Path(__file__).parents[1] / "end_to_end" / "tiny.yaml"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data``, a store, and ``run``, a stack trained on it; tests leave both as they are."""
    from hjepa.config import load_preset
    from hjepa.sweeps.sweep import collect_store
    from hjepa.training.fit import fit

    folder = tmp_path_factory.mktemp("small")
    config = load_preset(str(PRESET))
    collect_store(config, folder / "data")
    fit(config, folder / "data", folder / "run", device="cpu", progress=False)
    return folder
