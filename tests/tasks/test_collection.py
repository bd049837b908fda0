"""Collecting: contents, determinism, resuming after a kill, and refusing to overwrite."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tasks
from tasks.collection import SHARD_EPISODES, collect, plan_seeds
from tasks.dynamics import step_agents
from tasks.floorplans import SPLITS, floor_plan
from tasks.observations import grid_to_walls, walls_to_grid
from tasks.trajectories import StoreError, TrajectoryStore

D2, FIXED = "hjepa/NestedRooms-d2-v0", "hjepa/NestedRoomsFixed-d3-v0"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_a_store_holds_what_was_asked_for(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store = collect(
        D2, tmp_path / "s", 7, 3, 20, seed=4, split="validation", progress=lambda *done: seen.append(done)
    )
    assert (store.episodes, store.plans, store.observations, store.transitions) == (21, 7, 420, 399)
    assert seen == [(0, 21), (21, 21)]
    assert store.meta["task"] == D2 and store.meta["split"] == "validation" and store.meta["seed"] == 4
    assert store.meta["arguments"]["length"] == 20 and {"numpy", "minigrid"} <= set(store.meta["versions"])
    assert (store.plan == np.repeat(plan_seeds(D2, "validation", 7, 4), 3)).all()
    assert len(set(store.plan)) == 7 and all(int(seed) in SPLITS["validation"] for seed in store.plan)
    for i, seed in enumerate(store.plan[::3]):
        assert (store.grids[i] == walls_to_grid(floor_plan(int(seed), 2).walls)).all()
    assert (store.grid_index == np.repeat(np.arange(7), 60)).all()
    walls = grid_to_walls(store.grids)[store.grid_index]
    inside = np.ones(420, dtype=bool)
    inside[store.offsets[1:] - 1] = False
    rows = np.flatnonzero(inside)
    after = step_agents(walls[rows], store.agent[rows].astype(int), store.action[rows])
    assert (after == store.agent[rows + 1]).all()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s"]
    assert "progress.json" not in contents(tmp_path / "s")


def test_the_fixed_plan_has_one_grid(tmp_path: Path) -> None:
    store = collect(FIXED, tmp_path / "s", 1, 30, 10, seed=0)
    assert store.grids.shape == (1, 17, 17, 3) and store.plans == 1 and not store.grid_index.any()
    with pytest.raises(ValueError, match="has one floor plan for ever; use plans=1"):
        collect(FIXED, tmp_path / "t", 2, 30, 10, seed=0)


def test_a_finished_store_is_kept_and_other_arguments_are_refused(tmp_path: Path) -> None:
    arguments = {"plans": 2, "episodes_per_plan": 2, "length": 5, "seed": 0}
    collect(D2, tmp_path / "s", **arguments)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "s").iterdir()}
    assert collect(D2, tmp_path / "s", **arguments).episodes == 4
    for change in ({"seed": 1}, {"plans": 3}, {"length": 6}, {"explorer": "persistent"}, {"split": "test"}):
        name, value = next(iter(change.items()))
        with pytest.raises(
            StoreError, match=f"was collected with {name}=.*not {value!r}; choose another folder"
        ):
            collect(D2, tmp_path / "s", **(arguments | change))
    assert before == {file.name: file.stat().st_mtime_ns for file in (tmp_path / "s").iterdir()}


def test_foreign_folders_are_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    assert collect(D2, tmp_path / "s", 1, 1, 5, seed=0).episodes == 1, "an empty folder is free"
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="exists and is not a trajectory store"):
        collect(D2, tmp_path / "t", 1, 1, 5, seed=0)
    assert contents(tmp_path / "t") == {"thesis.txt": b"mine"}


def test_seeds_and_splits_change_the_data(tmp_path: Path) -> None:
    stores = [
        collect(D2, tmp_path / f"{seed}{split}", 3, 2, 9, seed=seed, split=split)
        for seed, split in ((0, "train"), (1, "train"), (0, "test"))
    ]
    assert len({store.sha256 for store in stores}) == 3
    again = collect(D2, tmp_path / "again", 3, 2, 9, seed=0)
    assert contents(again.path) == contents(stores[0].path)


KILLED = """
import os, signal, sys
from tasks.collection import collect

def progress(done, total):
    if done >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

collect("hjepa/NestedRooms-d2-v0", sys.argv[1], 300, 5, 6, seed=3, progress=progress)
"""


@pytest.mark.parametrize("at", [0, 1, SHARD_EPISODES + 1, 1500])
def test_a_killed_collection_resumes_to_the_same_bytes(tmp_path: Path, at: int) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "s"), str(at)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "s").exists() and (tmp_path / "s.partial").exists()
    with pytest.raises(StoreError, match="s.partial was collected with seed=3, not 4"):
        collect(D2, tmp_path / "s", 300, 5, 6, seed=4)
    seen: list[int] = []
    collect(D2, tmp_path / "s", 300, 5, 6, seed=3, progress=lambda done, total: seen.append(done))
    assert seen[0] == min(-(-at // SHARD_EPISODES) * SHARD_EPISODES, 1500), (
        "finished shards are not made again"
    )
    whole = collect(D2, tmp_path / "whole", 300, 5, 6, seed=3)
    assert contents(tmp_path / "s") == contents(whole.path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s", "whole"]


def test_damaged_progress_starts_again_or_says_so(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "s"), "600"], check=False)
    (tmp_path / "s.partial" / "agent.npy").unlink()
    whole = collect(D2, tmp_path / "whole", 300, 5, 6, seed=3)
    collect(D2, tmp_path / "s", 300, 5, 6, seed=3)
    assert contents(tmp_path / "s") == contents(whole.path)
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "t"), "600"], check=False)
    (tmp_path / "t.partial" / "progress.json").write_text("{")
    with pytest.raises(StoreError, match="progress.json cannot be read; remove"):
        collect(D2, tmp_path / "t", 300, 5, 6, seed=3)


def test_a_collection_that_only_missed_its_last_rename_is_completed(tmp_path: Path) -> None:
    store = collect(D2, tmp_path / "s", 3, 2, 9, seed=0)
    before = contents(store.path)
    os.rename(tmp_path / "s", tmp_path / "s.partial")
    with pytest.raises(StoreError, match="seed=0, not 1"):
        collect(D2, tmp_path / "s", 3, 2, 9, seed=1)
    collect(D2, tmp_path / "s", 3, 2, 9, seed=0)
    assert contents(tmp_path / "s") == before


def test_two_collections_into_one_folder_are_refused(tmp_path: Path) -> None:
    refused = []

    def interfere(done: int, total: int) -> None:
        with pytest.raises(StoreError, match="is being collected by another process; wait"):
            collect(D2, tmp_path / "s", 2, 2, 5, seed=0)
        refused.append(done)

    collect(D2, tmp_path / "s", 2, 2, 5, seed=0, progress=interfere)
    assert refused == [0, 4] and TrajectoryStore.open(tmp_path / "s", verify="hash").episodes == 4


@pytest.mark.parametrize(
    ("task_id", "plans", "expected"),
    [
        (D2, 10, "c848a76328e2fad7"),
        ("hjepa/NestedRooms-d3-v0", 10, "f04a6632dc22f5e6"),
        ("hjepa/NestedRooms-d4-v0", 10, "44607a61b6d16082"),
        (FIXED, 1, "314860b077b3bddf"),
    ],
)
def test_data_stay_the_same_from_version_to_version(
    tmp_path: Path, task_id: str, plans: int, expected: str
) -> None:
    """Published weights were trained on such data: a drift must not go unseen."""
    assert collect(task_id, tmp_path / "s", plans, 6, 40, seed=5).sha256.startswith(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plans": 0}, "plans is 0"),
        ({"episodes_per_plan": 0}, "episodes_per_plan is 0"),
        ({"length": 1}, "length is 1"),
        ({"explorer": "clever"}, "unknown explorer 'clever'"),
        ({"split": "dev"}, "unknown split 'dev'"),
        ({"task_id": "x"}, "unknown task 'x'"),
    ],
)
def test_bad_arguments_leave_nothing_behind(tmp_path: Path, change: dict[str, object], message: str) -> None:
    arguments = {"task_id": D2, "plans": 2, "episodes_per_plan": 2, "length": 5, "seed": 0} | change
    with pytest.raises(ValueError, match=message):
        tasks.collect(out=tmp_path / "s", **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
