"""Every command that works for long, killed at a random one of its writes, ends as if nothing had happened.

The moment is a write or a rename in the output and no time, so a busy machine changes nothing. Both runs begin with a
global random state of their own, which neither may notice.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hjepa.cli import main
from hjepa.config import load_preset
from hjepa.evaluation.records import TIMING_FIELDS
from hjepa.sweeps import tuning
from hjepa.sweeps.engines.jobs import InProcess
from hjepa.sweeps.grid import expand, read_grid
from hjepa.sweeps.sweep import ablate, collect_store
from hjepa.training.fit import fit

sys.path.insert(0, str(Path(__file__).parents[1] / "hjepa"))
from killed import killed_at

pytestmark = pytest.mark.usefixtures("few_steps_in_file")

PRESET = str(Path(__file__).parent / "tiny.yaml")
TASK = "hjepa/NestedRooms-d2-v0"
QUICK = ["train.steps=[3,2,2]", "critic.steps=2"]

DIARY = ("attempts", "logs")
"""Folders that tell when and where an ablation worked, which differs."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data``, a store, and ``run``, a stack trained on it."""
    folder = tmp_path_factory.mktemp("small")
    config = load_preset(PRESET, QUICK)
    collect_store(config, folder / "data")
    fit(config, folder / "data", folder / "run", device="cpu", progress=False)
    return folder


def command(*words: object) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = main([str(word) for word in words])
    assert code == 0, said.getvalue()


def collecting(small: Path, folder: Path) -> None:
    command("collect", "--preset", PRESET, "--out", folder / "data")


def fitting(small: Path, folder: Path) -> None:
    changes = [word for text in (*QUICK, "train.checkpoint_every=1") for word in ("--set", text)]
    words = ("--preset", PRESET, "--data", small / "data", "--out", folder / "x", "--device", "cpu", *changes)
    command("fit", *words)


def planning(small: Path, folder: Path) -> None:
    words = ("--task", TASK, "--levels", "1,2", "--episodes", 3, "--episode-batch", 2, "--workers", 1)
    command("plan", "--checkpoint", small / "run", *words, "--metric", "l2", "--json", folder / "o.json")


def ablating(small: Path, folder: Path) -> None:
    changes = {"train.steps": ["[2,2,2]"], "plan.iterations": ["1", "2"]}
    grid = read_grid(PRESET, levels=(1,), depth=("trained",), metric=("l2",), episodes=2, overrides=changes)
    result = ablate(expand(PRESET, grid), folder / "a", InProcess())
    assert len(result.records) == 2, result.failed


def tuned(small: Path, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "worker_pool", ThreadPoolExecutor)
        patch.setattr(tuning, "OTHERS", ({"haste": 1.0},))
        words = ("--metric", "l2", "--levels", 1, "--episodes", 1, "--horizons", "2,3", "--commits", 1)
        command("tune", "--checkpoint", small / "run", "--task", TASK, *words, "--json", folder / "t.json")


def distilling(small: Path, folder: Path) -> None:
    words = ("--questions", 8, "--steps", 2, "--device", "cpu", "--out", folder / "c")
    command("distill", "--checkpoint", small / "run", "--data", small / "data", *words)


def exploring(small: Path, folder: Path) -> None:
    command("explore", small / "run", "--levels", 1, "--episodes", 1, "--out", folder / "p.html")


WORKS: dict[str, Callable[[Path, Path], None]] = {
    "collect": collecting, "distill": distilling, "plan": planning, "fit": fitting, "tune": tuned,
    "ablate": ablating, "explore": exploring,
}  # fmt: skip

KILLS = [(name, number) for number in range(8) for name in WORKS][:50]
"""Work, and which of its random kills."""


@pytest.fixture(scope="module")
def whole(
    small: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[dict[str, Any], int]]:
    """What a work leaves behind without any trouble, and how many changes that takes; once each."""
    found: dict[str, tuple[dict[str, Any], int]] = {}

    def of(name: str) -> tuple[dict[str, Any], int]:
        if name not in found:
            folder = tmp_path_factory.mktemp(name)
            killed, changes = killed_at(lambda out: disturbed(WORKS[name], small, out, 1), folder, None)
            assert not killed
            found[name] = (results(folder), changes)
        return found[name]

    return of


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(*kill, marks=[] if place < 3 else pytest.mark.slow, id="-".join(map(str, kill)))
        for place, kill in enumerate(KILLS)
    ],
)
def test_killed_and_run_again(
    name: str,
    number: int,
    small: Path,
    whole: Callable[[str], tuple[dict[str, Any], int]],
    tmp_path: Path,
) -> None:
    wanted, changes = whole(name)
    rng = random.Random(f"{name} {number}")
    at = rng.randint(1, changes)
    assert killed_at(lambda out: disturbed(WORKS[name], small, out, 2), tmp_path, at)[0]
    if rng.random() < 0.5:  # once more, on the way back
        killed_at(lambda out: disturbed(WORKS[name], small, out, 3), tmp_path, rng.randint(1, changes))
    killed_at(lambda out: disturbed(WORKS[name], small, out, 4), tmp_path, None)
    assert results(tmp_path) == wanted, f"killed at change {at} of {changes}"


def test_the_comparison_notices_what_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('[{"plan_ms": 1, "steps": 3}]')
    before = results(tmp_path)
    (tmp_path / "x.json").write_text('[{"plan_ms": 2, "steps": 3}]')
    assert results(tmp_path) == before
    (tmp_path / "x.json").write_text('[{"plan_ms": 2, "steps": 4}]')
    assert results(tmp_path) != before
    (tmp_path / "x.json.partial").mkdir()
    assert set(results(tmp_path)) - set(before) == {"x.json.partial/"}
    shutil.rmtree(tmp_path / "x.json.partial")


def disturbed(work: Callable[[Path, Path], None], small: Path, folder: Path, seed: int) -> None:
    """Work begun with a global random state of its own."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    work(small, folder)


def results(folder: Path) -> dict[str, Any]:
    """What lies in a folder: contents of files, of JSON without what was timed; folders that are empty.

    A temporary file that a killed process was writing is nobody's, and does not count.
    """
    found: dict[str, Any] = {}
    for at, folders, names in os.walk(folder):
        here = Path(at).relative_to(folder)
        if here.parts[1:2] and here.parts[1] in DIARY:
            continue
        if not folders and not names:
            found[f"{here}/"] = None
        for name in names:
            if re.fullmatch(r"\..*\.tmp", name):
                continue
            content = (Path(at) / name).read_bytes()
            found[str(here / name)] = untimed(json.loads(content)) if name.endswith(".json") else content
    return found


def untimed(value: Any) -> Any:
    """JSON without entries that tell how long something took."""
    if isinstance(value, dict):
        return {name: untimed(item) for name, item in value.items() if name not in TIMING_FIELDS}
    return [untimed(item) for item in value] if isinstance(value, list) else value
