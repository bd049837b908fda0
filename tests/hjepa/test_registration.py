"""``import hjepa`` registers the tasks, in whichever order Gymnasium is imported, and loads no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = "gymnasium.make('hjepa/NestedRooms-d2-v0').reset(seed=0); import sys; sys.exit('torch' in sys.modules)"


@pytest.mark.parametrize(
    "imports",
    ["import hjepa, gymnasium", "import gymnasium, hjepa", "import hjepa, tasks, gymnasium"],
)
def test_our_ids_can_be_made_after_import_hjepa(imports: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", f"{imports}; {MAKE}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_gymnasium_is_loaded_as_ever() -> None:
    look = "import hjepa, gymnasium as g; print(type(g.__spec__.loader).__name__, g.__loader__ is g.__spec__.loader)"
    result = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["SourceFileLoader", "True"]
