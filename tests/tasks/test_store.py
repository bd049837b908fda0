"""The observation store: round trips, windows, held-out groups, deleted state, and one-line refusals."""

from __future__ import annotations

import copy
import json
import shutil
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.store import ObservationStore
from tasks.store_contents import EpisodeRows, StoreContents
from tasks.store_files import StoreError
from tasks.store_writer import write_store
from tasks.worlds import Actions, Sense

SENSES = {
    "picture": Sense("image", (4, 5, 3)),
    "place": Sense("vector", (2,)),
    "map": Sense("symbols", (2, 2, 1), (9,)),
}


def rows_of(lengths: list[int], groups: list[int], actions: Actions, first: int = 0) -> EpisodeRows:
    """Rows that can be traced: place is (episode, step), every pixel the step, the action step + 1."""
    episode = np.repeat(np.arange(first, first + len(lengths)), lengths)
    step = np.concatenate([np.arange(length) for length in lengths])
    count = len(step)
    action: np.ndarray = ((step + 1) % 7).astype(np.uint8)
    if actions.continuous:
        action = np.stack([step + 1, -step], -1).astype(np.float32)
    return EpisodeRows(
        observation={
            "picture": np.broadcast_to(step[:, None, None, None], (count, 4, 5, 3)).astype(np.uint8),
            "place": np.stack([episode, step], -1).astype(np.float32),
            "map": np.broadcast_to(step[:, None, None, None] % 9, (count, 2, 2, 1)).astype(np.uint8),
        },
        action=action,
        lengths=np.array(lengths),
        group=np.array(groups, dtype=np.int64),
        seed=np.arange(len(lengths), dtype=np.int64) + 100,
        terminated=np.arange(len(lengths)) % 2 == 0,
        truncated=np.arange(len(lengths)) % 3 == 0,
        state={"cell": np.stack([episode, step], -1).astype(np.int16)},
    )


DISCRETE, CONTINUOUS = Actions(7), Actions(2, (-99.0, -99.0), (99.0, 99.0))


def save(
    path: Path, lengths: list[int], groups: list[int], actions: Actions = DISCRETE, **changes: Any
) -> ObservationStore:
    contents = StoreContents("made-up", SENSES, actions, 50, {"seed": 0}, **changes)
    return write_store(path, contents, lambda done: [rows_of(lengths, groups, actions)][done:])


@pytest.fixture
def store(tmp_path: Path) -> ObservationStore:
    return save(tmp_path / "store", [12, 12, 9, 12, 5, 12], [4, 4, 1, 1, 7, 7])


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_was_written_is_read(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    groups = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths))))
    actions = data.draw(st.sampled_from([DISCRETE, CONTINUOUS]))
    opened = save(tmp_path_factory.mktemp("round") / "store", lengths, groups, actions)
    wanted = rows_of(lengths, groups, actions)
    assert opened.senses == SENSES and opened.actions == actions
    for name, array in wanted.observation.items():
        assert opened.observation[name].dtype == array.dtype
        np.testing.assert_array_equal(opened.observation[name], array)
    last = np.cumsum(lengths) - 1
    inner = np.delete(np.arange(sum(lengths)), last)
    np.testing.assert_array_equal(opened.action[inner], wanted.action[inner])
    assert not opened.action[last].any() and opened.action.dtype == wanted.action.dtype
    np.testing.assert_array_equal(opened.state["cell"], wanted.state["cell"])
    for name in ("group", "seed", "terminated", "truncated", "lengths"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(wanted, name))
    assert opened.episodes == len(lengths) and opened.groups == len(set(groups))
    assert opened.observations == sum(lengths) and opened.transitions == sum(lengths) - len(lengths)
    assert ObservationStore.open(opened.path, verify="hash").sha256 == opened.sha256


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_windows_stay_inside_episodes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
    groups = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths))))
    actions = data.draw(st.sampled_from([DISCRETE, CONTINUOUS]))
    opened = save(tmp_path_factory.mktemp("windows") / "store", lengths, groups, actions)
    length, stride = data.draw(st.integers(1, max(lengths))), data.draw(st.integers(1, 5))
    usable = {group for group, n in zip(groups, lengths) if n >= length}
    chosen = data.draw(st.none() | st.integers(1, len(usable)))
    count = 24 if chosen is None else 6 * chosen
    windows = opened.windows(
        np.random.default_rng(data.draw(st.integers(0, 99))), count, length, chosen, stride
    )
    frames = (length - 1) // stride + 1
    assert windows.observation["picture"].shape == (count, frames, 4, 5, 3)
    episode, step = (windows.observation["place"][..., i].astype(int) for i in (0, 1))
    assert (episode == windows.episode[:, None]).all(), "a window crosses two episodes"
    assert (step == windows.first[:, None] + np.arange(0, length, stride)).all()
    assert (windows.observation["picture"][..., 0, 0, 0] == step).all(), "senses come from different rows"
    every = windows.first[:, None] + np.arange(length - 1)
    numbers = windows.action[..., 0] if actions.continuous else windows.action
    assert (numbers == (every + 1 if actions.continuous else (every + 1) % 7)).all()
    assert (every < np.array(lengths)[windows.episode][:, None] - 1).all(), (
        "the last action of an episode is used"
    )
    assert (np.array(groups)[windows.episode] == windows.group).all()
    if chosen is not None:
        side_by_side = windows.group.reshape(chosen, 6)
        assert (side_by_side == side_by_side[:, :1]).all() and len(set(side_by_side[:, 0])) == chosen


def test_windows_are_uniform_over_every_place_they_fit(tmp_path: Path) -> None:
    opened = save(tmp_path / "store", [4, 2, 7], [0, 0, 1])
    windows = opened.windows(np.random.default_rng(0), 21_000, 3)
    places, counts = np.unique(np.stack([windows.episode, windows.first], -1), axis=0, return_counts=True)
    assert len(places) == (4 - 2) + 0 + (7 - 2)
    assert np.abs(counts - 3000).max() < 300
    balanced = opened.windows(np.random.default_rng(0), 10_000, 3, groups=2)
    assert (balanced.group == 0).sum() == 5_000


def test_all_windows_of_a_store_of_one_group_are_from_it(tmp_path: Path) -> None:
    opened = save(tmp_path / "store", [4, 2, 7], [3, 3, 3])
    windows = opened.windows(np.random.default_rng(0), 21_000, 3, groups=7)
    places, counts = np.unique(np.stack([windows.episode, windows.first], -1), axis=0, return_counts=True)
    assert len(places) == (4 - 2) + 0 + (7 - 2) and np.abs(counts - 3000).max() < 300
    assert (windows.group == 3).all()
    with pytest.raises(ValueError, match="count 20 is not a multiple of groups 7"):
        opened.windows(np.random.default_rng(0), 20, 3, groups=7)
    with pytest.raises(ValueError, match="groups is 0"):
        opened.windows(np.random.default_rng(0), 20, 3, groups=0)
    two = save(tmp_path / "two", [4, 2, 7], [3, 3, 4])
    with pytest.raises(ValueError, match="groups is 3, but 2 groups"):
        two.windows(np.random.default_rng(0), 21, 3, groups=3)


def test_without_state_everything_else_is_the_same(store: ObservationStore, tmp_path: Path) -> None:
    before = store.windows(np.random.default_rng(3), 60, 5, 3, 2)
    hashed, described = store.sha256, contents(store.path)["meta.json"]
    shutil.rmtree(store.path / "state")
    told_nothing = ObservationStore.open(store.path, verify="hash")
    assert told_nothing.state == {} and told_nothing.sha256 == hashed
    after = told_nothing.windows(np.random.default_rng(3), 60, 5, 3, 2)
    for name in SENSES:
        assert before.observation[name].tobytes() == after.observation[name].tobytes()
    assert before.action.tobytes() == after.action.tobytes()
    again = save(tmp_path / "again", [12, 12, 9, 12, 5, 12], [4, 4, 1, 1, 7, 7])
    assert again.state and again.sha256 == hashed and contents(again.path)["meta.json"] == described
    (again.path / "state" / "cell.npy").unlink()
    assert ObservationStore.open(again.path).sha256 == hashed


def test_a_part_of_the_episodes(store: ObservationStore) -> None:
    part = store.subset(np.array([5, 2, 3]))
    assert part.number.tolist() == [2, 3, 5] and part.lengths.tolist() == [9, 12, 12]
    assert (part.groups, part.observations, part.transitions) == (2, 33, 30)
    windows = part.windows(np.random.default_rng(0), 400, 4, groups=2)
    assert set(windows.observation["place"][..., 0].astype(int).ravel()) == {2, 3, 5}
    assert (part.number[windows.episode] == windows.observation["place"][:, 0, 0]).all()
    assert part.sha256 != store.sha256 and part.subset(np.array([2])).number.tolist() == [5]
    frames = part.episode_frames(np.array([0, 2, 1]), np.array([8, 0, 11]))
    assert frames["place"].tolist() == [[2, 8], [5, 0], [3, 11]]
    for episode, step in ((0, 9), (3, 0), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="choose others"):
            part.episode_frames(np.array([episode]), np.array([step]))
    for wrong in ([], [3], [-1]):
        with pytest.raises(ValueError, match="must lie in 0 to 2"):
            part.subset(np.array(wrong, dtype=int))


def test_held_out_layouts_are_never_seen(tmp_path: Path) -> None:
    groups = np.repeat(np.arange(40), 3).tolist()
    opened = save(tmp_path / "store", [3] * 120, groups)
    kept, held = opened.split_episodes(0.25, seed=1)
    assert sorted([*kept, *held]) == list(range(120)) and len(held) == 30
    assert not set(opened.group[kept]) & set(opened.group[held])
    assert all((a == b).all() for a, b in zip(opened.split_episodes(0.25, 1), (kept, held)))
    assert set(opened.split_episodes(0.25, 2)[1]) != set(held)
    assert set(opened.split_episodes(0.5, 1)[1]) > set(held), "more held out holds out the same and others"
    one = save(tmp_path / "one", [3] * 10, [0] * 10)
    assert [len(part) for part in one.split_episodes(0.2)] == [8, 2], "one layout is divided by episodes"
    assert [len(part) for part in one.split_episodes(0.001)] == [9, 1]
    with pytest.raises(ValueError, match="share is 1"):
        one.split_episodes(1)
    with pytest.raises(ValueError, match="one episode, which cannot be divided"):
        one.subset(np.array([0])).split_episodes(0.5)


def test_a_store_travels_to_other_processes_as_its_path(store: ObservationStore) -> None:
    assert len(bytes(ForkingPickler.dumps(store))) < 1_000
    for here in (store, store.subset(np.array([1, 4, 5]))):
        there = copy.deepcopy(here)
        assert there is not here and there.sha256 == here.sha256
        first, second = (s.windows(np.random.default_rng(3), 50, 5, 2) for s in (here, there))
        assert (first.observation["place"] == second.observation["place"]).all()


def test_window_requests_that_cannot_work_are_refused(store: ObservationStore) -> None:
    rng = np.random.default_rng(0)
    for arguments, message in (
        ((4, 13), "windows of 13 observations do not fit the episodes of .* at most 12"),
        ((4, 0), "window length is 0"),
        ((0, 3), "count is 0"),
        ((4, 3, None, 0), "stride 0"),
        ((4, 3, 4), "groups is 4, but 3 groups"),
        ((4, 3, 3), "count 4 is not a multiple of groups 3"),
    ):
        with pytest.raises(ValueError, match=message):
            store.windows(rng, *arguments)


def damage(folder: Path, name: str, change: Any) -> None:
    file = folder / name
    file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("observation/picture.npy", lambda data: data[:-1], "truncated|bytes"),
        ("observation/picture.npy", lambda data: data + b"0", "bytes, .* expected"),
        ("action.npy", lambda data: data[:40], "truncated or not an array"),
        ("state/cell.npy", lambda data: data[:-9], "truncated|bytes"),
        ("meta.json", lambda data: b"{", "cannot be read"),
        ("meta.json", lambda data: b"[]", "is not an observation store of this project"),
        (
            "meta.json",
            lambda data: data.replace(b"hjepa-observations", b"hjepa-trajectories"),
            "is not an observation",
        ),
        (
            "meta.json",
            lambda data: data.replace(b'"version": 2', b'"version": 3'),
            "has store version 3, this .* 2",
        ),
        (
            "meta.json",
            lambda data: data.replace(b'"image"', b'"sound"'),
            "does not describe senses and actions",
        ),
        ("meta.json", lambda data: data.replace(b'"place"', b'"../x"'), "does not describe every array"),
        ("meta.json", lambda data: data.replace(b'"count": 7', b'"count": 700'), "rows of action as uint8"),
    ],
)
def test_damaged_stores_are_refused_in_one_line(
    store: ObservationStore, name: str, change: Any, message: str
) -> None:
    damage(store.path, name, change)
    with pytest.raises(StoreError, match=message) as caught:
        ObservationStore.open(store.path)
    assert "\n" not in str(caught.value)


def test_changed_contents_are_found_by_their_hash(store: ObservationStore) -> None:
    damage(store.path, "observation/place.npy", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    ObservationStore.open(store.path)
    with pytest.raises(StoreError, match=r"sha256 differs"):
        ObservationStore.open(store.path, verify="hash")
    (store.path / "group.npy").unlink()
    with pytest.raises(StoreError, match=r"group.npy is missing; restore the file"):
        ObservationStore.open(store.path)


def test_foreign_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no observation store \(meta.json is missing\)"):
        ObservationStore.open(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(StoreError, match="is not an observation store"):
        ObservationStore.open(tmp_path)
    with pytest.raises(ValueError, match="verify is 'all'"):
        ObservationStore.open(save(tmp_path / "s", [2], [0]).path, verify="all")  # type: ignore[arg-type]


def wrong(change: str, **values: Any) -> EpisodeRows:
    rows = rows_of([3, 2], [0, 1], DISCRETE)
    return EpisodeRows(**(vars(rows) | {change: values.get("to")}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (wrong("action", to=np.array([1, 7, 0, 1, 0])), "reach from 1 to 7; choose 0 to 6"),
        (wrong("action", to=np.array([1.0, 2, 0, 1, 0])), "actions of made-up are float64"),
        (wrong("action", to=np.array([1, 2, 0, 1])), "action of made-up came as"),
        (wrong("state", to={"a/b": np.zeros(5)}), "state 'a/b' cannot name a file"),
        (wrong("state", to={"word": np.array(["x"] * 5)}), "state word of made-up is <U1"),
        (wrong("observation", to={"place": np.zeros((5, 2), np.float32)}), "observations of made-up are"),
        (wrong("group", to=np.array([0, 0, 1])), "group of made-up has not one entry for each of 2"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, rows: EpisodeRows, message: str) -> None:
    what = StoreContents("made-up", SENSES, DISCRETE, 50, {})
    with pytest.raises(StoreError, match=message):
        write_store(tmp_path / "s", what, lambda done: [rows])
    assert not [*tmp_path.iterdir()], "something was left behind"


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("place", np.zeros((5, 2)), "observation/place of made-up came as float64"),
        ("place", np.full((5, 2), np.nan, np.float32), "is not finite in row 0 of 5"),
        ("map", np.full((5, 2, 2, 1), 9, np.uint8), r"has codes up to \[9\], not below \[9\]; let its"),
        ("picture", np.zeros((5, 4, 4, 3), np.uint8), "observation/picture of made-up came as uint8"),
    ],
)
def test_observations_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, array: np.ndarray, message: str
) -> None:
    rows = rows_of([3, 2], [0, 1], DISCRETE)
    rows.observation[name] = array
    what = StoreContents("made-up", SENSES, DISCRETE, 50, {})
    with pytest.raises(StoreError, match=message):
        write_store(tmp_path / "s", what, lambda done: [rows])
