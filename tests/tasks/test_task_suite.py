"""The registry, evaluation episodes, and how the splits keep apart."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks.episode_batches import EpisodeBatch
from tasks.episodes import draw_episode, pair_split, quadrant
from tasks.floorplans import SPLITS, floor_plan
from tasks.observations import grid_to_lava, split_image, walls_to_grid
from tasks.oracles import arrival, distances
from tasks.suite import FIXED_PLAN_SEED, register_tasks

# Worlds with a key have tests of their own.
ROOMS = [spec["id"] for spec in tasks.list_tasks() if spec["family"] == "nested-rooms" and not spec["keys"]]
IDS = [*ROOMS, "MiniGrid-FourRooms-v0", "MiniGrid-MultiRoom-N6-v0"]
LAVA = "hjepa/NestedLava-d3-v0"
PARTIAL = ("hjepa/NestedPartial-d2-v0", "hjepa/NestedPartial-d3-v0")
FIXED = "hjepa/NestedRoomsFixed-d3-v0"
BATCH_FIELDS = [field.name for field in dataclasses.fields(EpisodeBatch)]


def assert_equal(first: EpisodeBatch, second: EpisodeBatch) -> None:
    for name in BATCH_FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


MAZES = {f"hjepa/DiverseMaze-{blocks}v0" for blocks in ("", "5to8-", "9to12-", "13to16-")}
CONTINUOUS = {"hjepa/TwoRoom-v0", "hjepa/FourRoomDistractors-v0", *MAZES}
SYMBOLIC = {"hjepa/SokobanLong-v0": 5, "hjepa/Occluder-v0": 2}


def test_registered_tasks() -> None:
    table = {
        spec["id"]: (spec["width"], spec["height"], spec["step_budget"])
        for spec in tasks.list_tasks()
        if spec["family"] != "layouts"  # these have tests of their own
    }
    assert table == {
        "hjepa/NestedRooms-d2-v0": (9, 9, 64),
        "hjepa/NestedRooms-d3-v0": (17, 17, 128),
        "hjepa/NestedRooms-d4-v0": (33, 33, 256),
        "hjepa/NestedRoomsFixed-d3-v0": (17, 17, 128),
        "hjepa/NestedLava-d3-v0": (17, 17, 128),
        "hjepa/NestedKeys-d2-v0": (9, 9, 96),
        "hjepa/NestedKeys-d3-v0": (17, 17, 192),
        "hjepa/NestedPartial-d2-v0": (9, 9, 64),
        "hjepa/NestedPartial-d3-v0": (17, 17, 128),
        "hjepa/NestedPartialKeys-d2-v0": (9, 9, 96),
        "hjepa/NestedPoint-d2-v0": (9, 9, 64),
        "hjepa/NestedPoint-d3-v0": (17, 17, 128),
        "hjepa/NestedPoint-d4-v0": (33, 33, 256),
        "hjepa/NestedPointFixed-d3-v0": (17, 17, 128),
        "MiniGrid-FourRooms-v0": (19, 19, 100),
        "MiniGrid-MultiRoom-N6-v0": (25, 25, 120),
        "hjepa/TwoRoom-v0": (224, 224, 125),
        "hjepa/DiverseMaze-v0": (10, 10, 500),
        "hjepa/DiverseMaze-5to8-v0": (10, 10, 500),
        "hjepa/DiverseMaze-9to12-v0": (10, 10, 500),
        "hjepa/DiverseMaze-13to16-v0": (10, 10, 500),
        "hjepa/SokobanLong-v0": (10, 10, 158),
        "hjepa/FourRoomDistractors-v0": (224, 224, 42),
        "hjepa/Occluder-v0": (16, 5, 48),
    }
    for spec in tasks.list_tasks():
        continuous = "Point" in spec["id"] or spec["id"] in CONTINUOUS
        assert spec["actions"] == (2 if continuous else SYMBOLIC.get(spec["id"], 7))
        assert spec["default_budget_tflops"] > 0
    json.dumps(tasks.list_tasks())
    assert tasks.task_spec(FIXED).fixed_plan is not None


def test_unknown_ids_list_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="unknown task 'hjepa/Nowhere-v0'; known tasks: hjepa/NestedRooms-d2-v0"
    ):
        tasks.task_spec("hjepa/Nowhere-v0")


def test_registration_twice_is_silent(recwarn: pytest.WarningsRecorder) -> None:
    before = {task: gymnasium.registry[task] for task in ROOMS}
    register_tasks()
    assert all(gymnasium.registry[task] is before[task] for task in ROOMS)
    assert not recwarn.list


def test_importing_tasks_is_light() -> None:
    code = (
        "import sys, tasks; sys.exit(bool({'torch', 'minigrid', 'pygame', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("task_id", ROOMS)
@pytest.mark.parametrize("kind", ["far", "uniform"])
def test_episodes_are_possible_and_measured(task_id: str, kind: str) -> None:
    batch = tasks.sample_episodes(task_id, "test", kind, episodes=40, seed=5)
    rows = np.arange(40)
    assert not batch.walls[rows, batch.start[:, 0], batch.start[:, 1]].any()
    assert not batch.walls[rows, batch.goal[:, 0], batch.goal[:, 1]].any()
    assert (batch.start[:, :2] != batch.goal[:, :2]).any(-1).all()
    assert set(batch.start[:, 2]) == set(batch.goal[:, 2]) == {0, 1, 2, 3}
    table = distances(batch.walls, batch.goal)
    assert (table[rows, batch.start[:, 0], batch.start[:, 1], batch.start[:, 2]] == batch.oracle_steps).all()
    assert (batch.oracle_steps > 0).all()
    budget = tasks.task_spec(task_id).step_budget
    assert batch.oracle_steps.max() <= budget / 2, "the step budget leaves room for detours"
    if task_id == FIXED:
        assert set(batch.plan_seed) == {FIXED_PLAN_SEED}
    else:
        assert len(set(batch.plan_seed)) == 40 and all(
            int(seed) in SPLITS["test"] for seed in batch.plan_seed
        )
    for i in range(0, 40, 8):
        plan = floor_plan(int(batch.plan_seed[i]), tasks.task_spec(task_id).depth)
        assert ((batch.grid[i] == walls_to_grid(plan.walls)).all(-1) | grid_to_lava(batch.grid[i])).all()
    grid, agent = split_image(batch.goal_image)
    assert (grid == batch.grid).all() and (agent == batch.goal).all()
    assert (split_image(batch.start_image)[1] == batch.start).all()


@pytest.mark.parametrize("task_id", ROOMS)
def test_far_episodes_join_opposite_quadrants_in_all_orientations(task_id: str) -> None:
    batch = tasks.sample_episodes(task_id, "validation", "far", episodes=100, seed=0)
    plan = floor_plan(0, tasks.task_spec(task_id).depth)
    first, second = quadrant(plan, batch.start), quadrant(plan, batch.goal)
    assert (first + second == 3).all() and (first >= 0).all()
    assert set(first) == {0, 1, 2, 3}
    middle = plan.side // 2
    assert ((batch.start[:, :2] - middle) * (batch.goal[:, :2] - middle) < 0).all()


@pytest.mark.parametrize("task_id", [*IDS, "hjepa/NestedPoint-d3-v0"])
def test_the_first_episodes_of_many_equal_few(task_id: str) -> None:
    split = "train" if task_id.startswith("MiniGrid-") else "test"  # few layouts are drawn in vain
    few = tasks.sample_episodes(task_id, split, episodes=5, seed=2)
    many = tasks.sample_episodes(task_id, split, episodes=30, seed=2)
    assert_equal(few, many.select(slice(0, 5)))
    assert_equal(few.select([3, 1]), many.select(np.array([3, 1])))
    mask = np.arange(30) % 7 == 0
    assert_equal(many.select(mask), many.select(np.flatnonzero(mask)))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
def test_prefix_stability_for_any_seed(seed: int, count: int) -> None:
    whole = tasks.sample_episodes("hjepa/NestedRooms-d2-v0", "train", "uniform", episodes=7, seed=seed)
    part = tasks.sample_episodes("hjepa/NestedRooms-d2-v0", "train", "uniform", episodes=count, seed=seed)
    assert_equal(part, whole.select(slice(0, count)))


def test_seeds_splits_and_kinds_change_the_episodes() -> None:
    task = "hjepa/NestedRooms-d3-v0"
    variants = [("test", "far", 0), ("test", "far", 1), ("validation", "far", 0), ("test", "uniform", 0)]
    plans = [set(tasks.sample_episodes(task, s, k, episodes=50, seed=n).plan_seed) for s, k, n in variants]
    assert all(not first & second for i, first in enumerate(plans) for second in plans[:i])


@pytest.mark.parametrize("kind", ["far", "uniform"])
def test_pairs_of_the_fixed_plan_are_held_out(kind: str) -> None:
    pairs: dict[str, set[frozenset[tuple[int, ...]]]] = {}
    distinct = {}
    for split in SPLITS:
        batch = tasks.sample_episodes(FIXED, split, kind, episodes=400, seed=1)
        ends = zip(batch.start[:, :2].tolist(), batch.goal[:, :2].tolist(), strict=True)
        pairs[split] = {frozenset((tuple(a), tuple(b))) for a, b in ends}
        distinct[split] = len(np.unique(np.c_[batch.start[:, :2], batch.goal[:, :2]], axis=0))
        for pair in pairs[split]:
            assert pair_split(FIXED_PLAN_SEED, *pair) == split
    assert set(distinct.values()) == {400}, "no episode comes twice while pairs are left"
    assert not pairs["train"] & pairs["test"] and not pairs["train"] & pairs["validation"]
    assert not pairs["test"] & pairs["validation"]


def test_pair_shares_are_about_eighty_ten_ten() -> None:
    cells = [(int(x), int(y)) for x, y in floor_plan(FIXED_PLAN_SEED, 3).free_cells()[:60]]
    owners = [pair_split(FIXED_PLAN_SEED, a, b) for i, a in enumerate(cells) for b in cells[:i]]
    shares = {split: owners.count(split) / len(owners) for split in SPLITS}
    assert abs(shares["train"] - 0.8) < 0.05 and abs(shares["test"] - 0.1) < 0.04


def test_episodes_stay_the_same_from_version_to_version() -> None:
    """Published results name these episodes by seed: a drift must not go unseen."""
    digest, rooms = hashlib.sha256(), [task_id for task_id in ROOMS if task_id not in (LAVA, *PARTIAL)]
    for task_id in rooms:
        batch = tasks.sample_episodes(task_id, "test", "far", episodes=5, seed=0)
        digest.update(b"".join(getattr(batch, name).tobytes() for name in BATCH_FIELDS))
    assert digest.hexdigest()[:16] == "d662a754c33074bc"
    digest = hashlib.sha256()
    for task_id in rooms:
        for split in SPLITS:
            for kind in ("far", "uniform"):
                batch = tasks.sample_episodes(task_id, split, kind, episodes=7, seed=3)
                digest.update(b"".join(getattr(batch, name).tobytes() for name in BATCH_FIELDS))
    assert digest.hexdigest()[:16] == "d44a7191ea9db5c3"
    batch = tasks.sample_episodes(LAVA, "test", "far", episodes=5, seed=0)
    digest = hashlib.sha256(b"".join(getattr(batch, name).tobytes() for name in BATCH_FIELDS))
    assert digest.hexdigest()[:16] == "ccb35e637a5d19d6"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, "unknown split 'dev'"),
        ({"tasks": "near"}, "unknown tasks 'near'; choose one of far, uniform"),
        ({"episodes": 0}, "episodes is 0"),
        ({"task_id": "x"}, "unknown task 'x'"),
    ],
)
def test_bad_requests_are_refused(change: dict[str, object], message: str) -> None:
    request = {"task_id": IDS[0], "split": "test", "tasks": "far", "episodes": 3} | change
    with pytest.raises(ValueError, match=message):
        tasks.sample_episodes(**request)  # type: ignore[arg-type]


def test_a_batch_of_unequal_lengths_is_refused() -> None:
    batch = tasks.sample_episodes(IDS[0], "test", episodes=3)
    with pytest.raises(ValueError, match=r"EpisodeBatch.start has shape \(2, 3\)"):
        dataclasses.replace(batch, start=batch.start[:2])


def test_given_ends_are_kept_and_the_other_fits() -> None:
    rng = np.random.default_rng(0)
    world = {"depth": 3, "room": 3, "split": "train", "tasks": "far"}
    for _ in range(10):
        episode = draw_episode(rng, **world, start=(1, 1, 2))
        assert episode.start == (1, 1, 2) and min(episode.goal[:2]) > 8
        episode = draw_episode(rng, **world, goal=(15, 1, 0))
        assert episode.goal == (15, 1, 0) and episode.start[0] < 8 < episode.start[1]
    door = tuple(floor_plan(3, 3).doors[0])
    with pytest.raises(ValueError, match="tasks='far' allows no episode with start"):
        draw_episode(rng, **world, plan_seed=3, start=(*door, 0))
    with pytest.raises(ValueError, match="both on cell"):
        draw_episode(rng, **world, start=(1, 1, 2), goal=(1, 1, 0))
    with pytest.raises(ValueError, match="inside a wall"):
        draw_episode(rng, **world, start=(0, 0, 2))
    with pytest.raises(ValueError, match="has the one plan 7"):
        draw_episode(rng, **world, fixed_plan=7, plan_seed=8)


def test_path_lengths_are_the_oracles_whatever_the_batch() -> None:
    batch = tasks.sample_episodes(IDS[0], "train", "uniform", episodes=600, seed=9)
    assert (arrival(batch.walls, batch.start, batch.goal)[0] == batch.oracle_steps).all()
    part = batch.select(slice(500, 600))
    assert (arrival(part.walls, part.start, part.goal)[0] == part.oracle_steps).all()
