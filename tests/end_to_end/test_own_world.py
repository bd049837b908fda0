"""A user's own world from pictures, the one of notebook 05: one module, one preset, collect, fit, plan."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from hjepa.cli import main
from tasks import make_world, plain_tasks
from tasks.randomness import keyed_generator

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ID = "two_rooms:TwoRooms-v0"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module and the preset alone, as a user has it, and Python looking there."""
    for name in ("two_rooms.py", "two_rooms.yaml"):
        shutil.copy(NOTEBOOKS / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("two_rooms", None)
    gymnasium.registry.pop("TwoRooms-v0", None)


def test_it_is_short(folder: Path) -> None:
    assert len((folder / "two_rooms.py").read_text().splitlines()) <= 60
    assert len((folder / "two_rooms.yaml").read_text().splitlines()) <= 40


def test_it_is_a_world_like_any_other(folder: Path) -> None:
    """The dot keeps out of the wall, stays in the picture and shows where it is."""
    world = make_world(ID)
    seen = world.reset(plain_tasks(np.arange(6)))
    assert world.spec.step_budget == 200 and world.spec.senses["image"].shape == (65, 65, 3)
    goal = world.goal()
    assert goal is not None and goal["image"].shape == (6, 65, 65, 3)
    rng = keyed_generator("own world")
    crossed = 0
    drift = rng.uniform(-1, 1, (6, 2))
    for time in range(199):
        if time % 20 == 0:
            drift = rng.uniform(-1, 1, (6, 2))
        before = seen["position"]
        seen = world.step((drift + 0.2 * rng.standard_normal((6, 2))).astype(np.float32)).observation
        place = seen["position"]
        assert (np.linalg.norm(place - before, axis=1) < 2.4501).all()
        near = np.abs(place[:, 0] - 32) <= 3
        assert (np.abs(place[near, 1] - 20) <= 4).all()
        crossed += int(((place[:, 0] < 32) != (before[:, 0] < 32)).sum())
        for slot, (x, y) in enumerate(np.rint(place).astype(int).tolist()):
            assert seen["image"][slot, y, x, 0] == 255 and seen["image"][slot, y, x, 1] < 60
    assert crossed > 0


@pytest.mark.slow
def test_from_nothing_to_a_plan(folder: Path) -> None:
    for name, split, count in (("train", "train", 20), ("held", "test", 6)):
        words = ["collect", "--env", ID, "--policy", "persistent", "--length", "40", "--split", split]
        assert not main([*words, "--episodes", str(count), "--out", name])
    tiny = ["train.steps=[4,2]", "train.metric_trajectories=16", "plan.walks.steps=8", "plan.walks.count=8"]
    sets = [word for value in tiny for word in ("--set", value)]
    assert not main(["fit", "--preset", "two_rooms.yaml", "--data", "train", "--out", "run", *sets])
    words = ["plan", "--checkpoint", "run", "--task", ID, "--goals", "offset:25", "--data", "held"]
    words += ["--success", "distance:0.2", "--episodes", "4", "--levels", "1,2", "--json", "plan.json"]
    assert not main(words)
    records = json.loads((folder / "plan.json").read_text())
    assert [record["levels"] for record in records] == [1, 2]
    for record in records:
        assert record["observation"] == "image" and record["information"] == "seen"
        assert record["step_budget"] == 50 and len(record["success"]) == 4
