"""Imported files: rows stay aligned, nothing of an episode's beginning is lost, its last action is never used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks import flat_rows, import_files
from tasks.import_files import import_hdf5, import_npz
from tasks.store import ObservationStore
from tasks.store_files import StoreError

LENGTHS = [5, 2, 7, 1, 4]


def moments(lengths: list[int] = LENGTHS) -> dict[str, np.ndarray]:
    """Rows (episode, step, sum of the actions until then), actions that lead on, garbage beside last observations."""
    rng = np.random.default_rng(0)
    rows, actions, ends = [], [], []
    for episode, length in enumerate(lengths):
        acted = rng.integers(-8, 9, (length, 2)) / 8
        total = np.cumsum(np.r_[np.zeros((1, 2)), acted], 0)[:length].sum(1)
        rows.append(np.stack([np.full(length, episode), np.arange(length), total], -1))
        acted[-1] = np.nan
        actions.append(acted)
        ends.append(np.arange(length) == length - 1)
    return {
        "observations": np.concatenate(rows).astype(np.float32),
        "actions": np.concatenate(actions).astype(np.float32),
        "terminals": np.concatenate(ends).astype(np.float32),
    }


def check(store: ObservationStore, name: str, lengths: list[int] = LENGTHS) -> None:
    assert store.lengths.tolist() == lengths
    place = store.observation[name]
    for episode in range(store.episodes):
        rows = slice(store.start[episode], store.start[episode] + store.lengths[episode])
        assert (place[rows, 0] == episode).all()
        assert (place[rows, 1] == np.arange(lengths[episode])).all()
        led = place[rows, 2][0] + np.cumsum(store.action[rows].sum(1))
        np.testing.assert_array_equal(led[:-1], place[rows, 2][1:])
    last = store.start + store.lengths - 1
    assert not store.action[last].any(), "garbage beside the last observation was kept"
    assert np.isfinite(store.windows(np.random.default_rng(0), 300, 3).action).all()
    assert (store.seed == -1).all() and store.groups == 1
    assert ObservationStore.open(store.path, verify="hash").sha256 == store.sha256


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_rows, "BLOCK_BYTES", 60)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_ogbench_rows_are_moments(tmp_path: Path, save: Any) -> None:
    data = moments()
    qpos = np.arange(19.0)[:, None]
    save(tmp_path / "maze-v0.npz", **data, qpos=qpos, rewards=np.zeros(19))
    told: list[tuple[int, int]] = []
    store = import_npz(tmp_path / "maze-v0.npz", tmp_path / "s", progress=lambda *done: told.append(done))
    check(store, "vector")
    assert told[0] == (0, 5) and told[-1] == (5, 5) and len(told) > 3, "more than one block"
    assert store.truncated.all() and not store.terminated.any()
    assert [*store.state] == ["qpos"] and (store.state["qpos"] == qpos).all()
    assert (
        store.actions.low == (-1, -1)
        and store.meta["world"] == "maze-v0"
        and store.meta["policy"] == "imported"
    )
    assert import_npz(tmp_path / "maze-v0.npz", tmp_path / "s").sha256 == store.sha256, (
        "kept when it is complete"
    )
    save(tmp_path / "maze-v0.npz", **(data | {"observations": data["observations"] + 1}))
    with pytest.raises(StoreError, match="was collected with sha256=.*choose another folder"):
        import_npz(tmp_path / "maze-v0.npz", tmp_path / "s")


def test_what_transitions_led_to_closes_their_episodes(tmp_path: Path) -> None:
    """The same moments, written as transitions: the very same observations and actions come of it."""
    data, lengths = moments([5, 2, 7, 4]), [5, 2, 7, 4]
    last = data["terminals"] > 0
    following = np.roll(last, 1)
    following[0] = True
    pairs = {
        "observations": data["observations"][~last],
        "actions": data["actions"][~last],
        "next_observations": data["observations"][~following],
        "terminals": np.r_[data["terminals"][1:], 1][~last],
    }
    np.savez(tmp_path / "pairs.npz", **pairs, qpos=np.zeros(14))
    np.savez(tmp_path / "rows.npz", **data)
    store = import_npz(tmp_path / "pairs.npz", tmp_path / "s")
    check(store, "vector", lengths)
    plain = import_npz(tmp_path / "rows.npz", tmp_path / "t")
    assert store.sha256 == plain.sha256 and store.state == {}
    pairs["terminals"][4 - 1] = 0
    np.savez(tmp_path / "pairs.npz", **pairs)
    with pytest.raises(StoreError, match="row 4 of vector is not what row 3 led to, within one episode"):
        import_npz(tmp_path / "pairs.npz", tmp_path / "u")


def test_timeouts_are_kept_apart_and_a_tail_without_an_end_is_an_episode(tmp_path: Path) -> None:
    data = moments()
    ends = np.flatnonzero(data["terminals"])
    terminals, timeouts = np.zeros((2, 19), dtype=bool)
    terminals[ends[[0, 2]]] = True
    timeouts[ends[[1, 2, 3]]] = True
    np.savez(tmp_path / "d.npz", **(data | {"terminals": terminals}), timeouts=timeouts)
    store = import_npz(tmp_path / "d.npz", tmp_path / "s")
    check(store, "vector")
    assert store.terminated.tolist() == [True, False, True, False, False]
    assert store.truncated.tolist() == [False, True, True, True, False]
    last = data["terminals"] > 0
    compact = {"valids": 1 - data["terminals"], "terminals": (last | np.roll(last, -1)).astype(np.float32)}
    np.savez(tmp_path / "c.npz", **(data | compact))
    check(import_npz(tmp_path / "c.npz", tmp_path / "t"), "vector")


def test_pictures_and_integers(tmp_path: Path) -> None:
    data = moments()
    pictures = np.random.default_rng(0).integers(0, 256, (19, 6, 5, 3), dtype=np.uint8)
    wanted = {"observations": pictures, "actions": np.arange(19) % 5}
    np.savez(tmp_path / "d.npz", **(data | wanted))
    store = import_npz(tmp_path / "d.npz", tmp_path / "s")
    assert store.senses["image"].kind == "image" and (store.observation["image"] == pictures).all()
    assert store.actions.count == 5 and not store.actions.continuous and store.action.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observations": None}, "has no observations, only actions, terminals"),
        ({"terminals": None}, "has no terminals for 19 observations"),
        ({"terminals": np.zeros(18)}, "has terminals for 19 observations; a mark of each row"),
        ({"actions": np.zeros((18, 2))}, "has 19 observations and 18 actions"),
        ({"actions": np.full((19, 2), np.nan)}, "the action of row 0 is not finite.*shift the actions"),
        ({"actions": np.zeros((19, 2), dtype=int)}, r"actions are 2 integers each"),
        ({"actions": np.full(19, -1)}, "actions go down to -1"),
        (
            {"observations": np.zeros((19, 4, 4), np.float32)},
            "observations has rows float32 .*neither a picture",
        ),
        ({"observations": np.full((19, 2), np.inf)}, "is not finite in row 0"),
        ({"observations": np.array([None] * 19)}, "in a layout that is not read here"),
    ],
)
def test_files_of_another_layout_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    data = {name: value for name, value in (moments() | change).items() if value is not None}
    np.savez(tmp_path / "d.npz", **data)
    with pytest.raises(StoreError, match=message) as caught:
        import_npz(tmp_path / "d.npz", tmp_path / "s")
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["d.npz"]


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no.npz is not an .npz file or cannot be read"):
        import_npz(tmp_path / "no.npz", tmp_path / "s")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(StoreError, match=r"text.npz is not an .npz file"):
        import_npz(tmp_path / "text.npz", tmp_path / "s")


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(StoreError, match=r"HDF5 files need h5py; pip install 'hjepa\[hdf5\]'"):
        import_hdf5(tmp_path / "d.h5", tmp_path / "s")


def hdf5(file: Path, ahead: bool = False, **change: Any) -> dict[str, Any]:
    """A file as stable-worldmodel writes it, with rows of no episode between two."""
    h5py = pytest.importorskip("h5py")
    data = moments()
    length = np.array(LENGTHS)
    offset = np.cumsum(length) - length
    offset[3:] += 2
    gap = lambda rows: np.insert(rows, [14, 14], 77, axis=0)  # noqa: E731
    pixels = np.broadcast_to(gap(data["observations"])[:, 1, None, None, None], (21, 40, 30, 3)).astype(
        np.uint8
    )
    columns = {
        "pixels": np.moveaxis(pixels, 3, 1) if ahead else pixels,
        "action": gap(data["actions"]),
        "proprio": gap(data["observations"]),
        "state": gap(data["observations"]).astype(np.float64),
        "reward": np.zeros(21),
        "terminated": gap(data["terminals"]) * (np.arange(21) < 9),
        "truncated": np.zeros(21, dtype=bool),
        "step_idx": np.arange(21),
        "ep_len": length,
        "ep_offset": offset,
    } | change
    with h5py.File(file, "w") as out:
        for name, value in columns.items():
            if value is not None:
                out[name] = value
        out["word"] = [b"word"] * 21
    return columns


@pytest.mark.parametrize("ahead", [False, True])
def test_stable_worldmodel_rows(tmp_path: Path, ahead: bool) -> None:
    hdf5(tmp_path / "two.h5", ahead)
    store = import_hdf5(tmp_path / "two.h5", tmp_path / "s")
    assert {name: (sense.kind, sense.shape) for name, sense in store.senses.items()} == {
        "pixels": ("image", (40, 30, 3))
    }
    assert {*store.state} == {"proprio", "state"}, "what pixels do not show is state"
    assert (store.observation["pixels"][:, 0, 0, 0] == store.state["proprio"][:, 1]).all()
    assert store.terminated.tolist() == [True, True, False, False, False] and not store.truncated.any()
    both = import_hdf5(tmp_path / "two.h5", tmp_path / "t", senses=["pixels", "proprio"])
    check(both, "proprio")
    assert {*both.state} == {"state"} and both.senses["proprio"].kind == "vector"


def test_stable_worldmodel_without_pixels_and_its_refusals(tmp_path: Path) -> None:
    hdf5(tmp_path / "v.h5", pixels=None, state=None)
    check(import_hdf5(tmp_path / "v.h5", tmp_path / "s"), "proprio")
    with pytest.raises(StoreError, match="has no column 'pixels' to be seen; choose from proprio"):
        import_hdf5(tmp_path / "v.h5", tmp_path / "t", senses=["pixels"])
    first = np.zeros((21, 2))
    first[0] = np.nan  # what led to a row stands beside it: shifted by one
    for change, message in (
        ({"ep_len": None}, "has no ep_len"),
        ({"ep_len": np.array([6, 2, 7, 1, 4])}, "do not lie within its 21 rows"),
        ({"action": first}, "the action of row 0 is not finite.*shift the actions"),
    ):
        hdf5(tmp_path / "w.h5", **change)
        with pytest.raises(StoreError, match=message):
            import_hdf5(tmp_path / "w.h5", tmp_path / "t")
    (tmp_path / "x.h5").write_text("text")
    with pytest.raises(StoreError, match="is not an HDF5 file or is damaged"):
        import_hdf5(tmp_path / "x.h5", tmp_path / "t")
    with pytest.raises(StoreError, match="is no file"):
        import_hdf5(tmp_path / "y.h5", tmp_path / "t")


def test_long_rows_are_passed_over_in_steps(tmp_path: Path) -> None:
    import zipfile

    rows = np.arange(4 * (5 << 20), dtype=np.uint8).reshape(4, -1)
    np.savez(tmp_path / "d.npz", rows=rows)
    with zipfile.ZipFile(tmp_path / "d.npz") as archive:
        column = import_files.NpzColumn(archive, "rows")
        assert (column.read(3, 4) == rows[3:]).all()
        assert (column.read(0, 2) == rows[:2]).all(), "going back begins anew"


@pytest.mark.parametrize("compact", [False, True])
def test_ogbench_reads_the_same_transitions(tmp_path: Path, compact: bool) -> None:
    """What the library itself makes of a file, transitions or a compact dataset, imports as the file does."""
    utils = pytest.importorskip("ogbench.utils")
    data, lengths = moments([5, 2, 7, 4]), [5, 2, 7, 4]
    data["actions"] = np.nan_to_num(data["actions"], nan=0.75)
    np.savez(tmp_path / "d.npz", **data)
    np.savez(tmp_path / "theirs.npz", **utils.load_dataset(tmp_path / "d.npz", compact_dataset=compact))
    store = import_npz(tmp_path / "d.npz", tmp_path / "s")
    check(store, "vector", lengths)
    assert import_npz(tmp_path / "theirs.npz", tmp_path / "t").sha256 == store.sha256
