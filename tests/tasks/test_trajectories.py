"""The store: round trips, windows, and the one-line errors of damaged or foreign folders."""

from __future__ import annotations

import copy
import json
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.collection import collect
from tasks.trajectories import ARRAYS, StoreError, TrajectoryStore, save_trajectories

D2 = "hjepa/NestedRooms-d2-v0"


def made_up(
    lengths: list[int], plans: list[int], seed: int = 0, changing: bool = False
) -> dict[str, np.ndarray]:
    """Arrays of any episode lengths; agent x counts episodes and y observations, so windows can be traced."""
    rng = np.random.default_rng(seed)
    count = sum(lengths)
    episode = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(length) for length in lengths])
    return {
        "grids": rng.integers(0, 9, (20, 5, 5, 3), dtype=np.uint8),
        "grid_index": (step % 20 if changing else np.array(plans)[episode] % 20).astype(np.int32),
        "agent": np.stack([episode, step, rng.integers(0, 4, count)], -1).astype(np.int16),
        "action": (step % 7).astype(np.uint8),
        "offsets": np.r_[0, np.cumsum(lengths)].astype(np.int64),
        "plan": np.array(plans, dtype=np.int32),
    }


def save(path: Path, arrays: dict[str, np.ndarray]) -> TrajectoryStore:
    return save_trajectories(path, arrays, task_id="made-up", split="train", arguments={"seed": 0})


@pytest.fixture
def store(tmp_path: Path) -> TrajectoryStore:
    return collect(D2, tmp_path / "store", plans=6, episodes_per_plan=3, length=12, seed=0)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_round_trip(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    plans = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths))))
    arrays = made_up(lengths, plans, changing=data.draw(st.booleans()))
    opened = save(tmp_path_factory.mktemp("round") / "store", arrays)
    for name in ARRAYS:
        found = getattr(opened, name)
        assert found.dtype == arrays[name].dtype
        np.testing.assert_array_equal(found, arrays[name])
    assert opened.episodes == len(lengths) and opened.transitions == sum(lengths) - len(lengths)
    assert opened.lengths.tolist() == lengths and opened.plans == len(set(plans))
    again = TrajectoryStore.open(opened.path, verify="hash")
    assert again.sha256 == opened.sha256 and len(again.sha256) == 64


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_windows_stay_inside_episodes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
    plans = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths))))
    opened = save(tmp_path_factory.mktemp("windows") / "store", made_up(lengths, plans, changing=True))
    length = data.draw(st.integers(1, max(lengths)))
    usable = {plan for plan, n in zip(plans, lengths, strict=True) if n >= length}
    chosen = data.draw(st.none() | st.integers(1, len(usable)))
    count = 24 if chosen is None else 6 * chosen
    windows = opened.windows(np.random.default_rng(data.draw(st.integers(0, 99))), count, length, chosen)
    assert windows.agent.shape == (count, length, 3) and windows.action.shape == (count, length - 1)
    assert windows.grid_index.shape == (count, length) and windows.plan.shape == (count,)
    episode, step = windows.agent[..., 0], windows.agent[..., 1]
    assert (episode == episode[:, :1]).all(), "a window crosses two episodes"
    assert (np.diff(step, axis=1) == 1).all()
    assert (windows.action == step[:, :-1] % 7).all()
    assert (windows.grid_index == step % 20).all(), "grids may change within an episode"
    assert (np.array(plans)[episode[:, 0]] == windows.plan).all()
    if chosen is not None:
        groups = windows.plan.reshape(chosen, 6)
        assert (groups == groups[:, :1]).all() and len(set(groups[:, 0])) == chosen


def test_windows_are_uniform_over_every_place_they_fit(tmp_path: Path) -> None:
    opened = save(tmp_path / "store", made_up([4, 2, 7], [0, 0, 1]))
    windows = opened.windows(np.random.default_rng(0), 21_000, 3)
    places, counts = np.unique(windows.agent[:, 0, :2], axis=0, return_counts=True)
    assert len(places) == (4 - 2) + 0 + (7 - 2)
    assert np.abs(counts - 3000).max() < 300
    balanced = opened.windows(np.random.default_rng(0), 10_000, 3, plans=2)
    assert (balanced.plan == 0).sum() == 5_000


def test_windows_depend_on_the_generator_alone(store: TrajectoryStore) -> None:
    first, second = (store.windows(np.random.default_rng(3), 50, 5, 2) for _ in range(2))
    store.windows(np.random.default_rng(0), 50, 7)
    third = store.windows(np.random.default_rng(3), 50, 5, 2)
    for other in (second, third):
        assert (first.agent == other.agent).all() and (first.action == other.action).all()
    assert (first.agent != store.windows(np.random.default_rng(4), 50, 5, 2).agent).any()


def test_a_store_travels_to_other_processes_as_its_path(store: TrajectoryStore) -> None:
    assert len(bytes(ForkingPickler.dumps(store))) < 1_000
    there = copy.deepcopy(store)
    assert there is not store and there.sha256 == store.sha256
    first, second = (s.windows(np.random.default_rng(3), 50, 5, 2) for s in (store, there))
    assert (first.agent == second.agent).all()


def test_window_requests_that_cannot_work_are_refused(store: TrajectoryStore) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(
        ValueError, match="windows of 13 observations do not fit the episodes of .* at most 12"
    ):
        store.windows(rng, 4, 13)
    with pytest.raises(ValueError, match="plans is 7, but 6 plans"):
        store.windows(rng, 7, 5, plans=7)
    with pytest.raises(ValueError, match="count 5 is not a multiple of plans 2"):
        store.windows(rng, 5, 5, plans=2)
    with pytest.raises(ValueError, match="count is 0"):
        store.windows(rng, 0, 5)
    with pytest.raises(ValueError, match="length is 0"):
        store.windows(rng, 5, 0)
    with pytest.raises(ValueError, match="verify is 'never'"):
        TrajectoryStore.open(store.path, verify="never")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_missing_truncated_and_changed_files_are_named(store: TrajectoryStore, name: str) -> None:
    file = store.path / f"{name}.npy"
    whole = file.read_bytes()
    for kept in (len(whole) - 1, len(whole) // 2, 40, 0):
        file.write_bytes(whole[:kept])
        with pytest.raises(
            StoreError, match=f"{name}.npy is truncated or not an array .*collect the store again"
        ):
            TrajectoryStore.open(store.path)
    file.write_bytes(whole + b"x")
    with pytest.raises(StoreError, match=f"{name}.npy has .* bytes"):
        TrajectoryStore.open(store.path)
    file.unlink()
    with pytest.raises(StoreError, match=f"{name}.npy is missing"):
        TrajectoryStore.open(store.path)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StoreError, match="sha256 differs|offsets that|stand together"):
        TrajectoryStore.open(store.path, verify="hash")


def test_an_array_of_another_kind_is_refused(store: TrajectoryStore) -> None:
    np.save(store.path / "agent.npy", store.agent.astype(np.int64))
    with pytest.raises(StoreError, match="holds int64"):
        TrajectoryStore.open(store.path)
    np.save(store.path / "agent.npy", np.asarray(store.agent[:-1]))
    with pytest.raises(StoreError, match="meta.json says int16"):
        TrajectoryStore.open(store.path)


@pytest.mark.parametrize("header", [b"{'descr': '<i8', 'shape': (2,", b"{'descr': ))", b"\n" * 30])
def test_an_array_with_a_broken_header_is_refused(store: TrajectoryStore, header: bytes) -> None:
    file = store.path / "plan.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:10] + header.ljust(118)[:118] + whole[128:])
    with pytest.raises(StoreError, match="plan.npy is truncated or not an array"):
        TrajectoryStore.open(store.path)


def test_pickled_arrays_are_never_opened(store: TrajectoryStore) -> None:
    np.save(store.path / "plan.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="plan.npy"):
        TrajectoryStore.open(store.path)


def test_foreign_folders_and_versions_are_refused(store: TrajectoryStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no trajectory store"):
        TrajectoryStore.open(tmp_path / "nowhere")
    file = store.path / "meta.json"
    meta = json.loads(file.read_text())
    for change, message in (
        ({"format": "other"}, "is not a trajectory store of this project"),
        ({"version": 99}, "has store version 99, this code reads 1"),
        ({"arrays": {}}, "does not describe every array"),
        *(
            (
                {"arrays": meta["arrays"] | {"plan": meta["arrays"]["plan"] | wrong}},
                "does not describe every array",
            )
            for wrong in ({"shape": None}, {"shape": ["2"]}, {"sha256": 7}, {"dtype": None})
        ),
        ({"arguments": None}, "does not say how it was collected"),
        ({"task": 7}, "does not say how it was collected"),
        ({"arrays": meta["arrays"] | {"plan": meta["arrays"]["plan"] | {"dtype": "a\n b"}}}, "says a b"),
    ):
        file.write_text(json.dumps(meta | change))
        with pytest.raises(StoreError, match=message) as caught:
            TrajectoryStore.open(store.path)
        assert "\n" not in str(caught.value)
    for text in ("[1]", "{", ""):
        file.write_text(text)
        with pytest.raises(StoreError):
            TrajectoryStore.open(store.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": np.array([0, 3, 4], dtype=np.int64)}, "do not divide"),
        ({"offsets": np.array([0, 9], dtype=np.int64)}, "2 offsets for 2 episodes"),
        ({"action": np.zeros(3, dtype=np.uint8)}, "different lengths"),
        ({"agent": np.zeros((9, 3), dtype=np.int64)}, "agent is int64"),
        ({"grid_index": np.full(9, 20, dtype=np.int32)}, "20 of 20 grids"),
    ],
)
def test_arrays_that_do_not_fit_are_not_saved(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        save(tmp_path / "store", made_up([4, 5], [0, 1]) | change)
    assert not list(tmp_path.iterdir())


def test_scattered_plans_and_existing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="do not stand together"):
        save(tmp_path / "store", made_up([2, 2, 2], [0, 1, 0]))
    save(tmp_path / "store", made_up([2], [0]))
    with pytest.raises(StoreError, match="exists already"):
        save(tmp_path / "store", made_up([2], [0]))
