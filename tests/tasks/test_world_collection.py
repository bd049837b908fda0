"""Collecting what worlds show: alignment with the environment, early ends, resuming, refusals."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from minigrid.wrappers import FullyObsWrapper, RGBImgObsWrapper

from tasks import make_world
from tasks.store import ObservationStore
from tasks.store_files import StoreError
from tasks.world_collection import collect_world
from tasks.worlds import Actions, Observation, Sense, Step, TaskBatch, WorldSpec

PENDULUM, EMPTY, DOOR = "Pendulum-v1", "MiniGrid-Empty-5x5-v0", "MiniGrid-DoorKey-5x5-v0"


class Counter:
    """A world written by hand: shows its seed, its step and the last action; some episodes end early."""

    def __init__(self, continuous: bool = False, budget: int = 9) -> None:
        actions = Actions(2, (-1.0, -1.0), (1.0, 1.0)) if continuous else Actions(4)
        senses = {"numbers": Sense("vector", (3,)), "picture": Sense("image", (3, 2, 1))}
        self.spec = WorldSpec("counter", senses, actions, budget, "", {"size": 3})

    def reset(self, tasks: TaskBatch) -> Observation:
        self.seed, self.time = tasks.seed, np.zeros(len(tasks), dtype=np.int64)
        self.last = np.full(len(tasks), -1.0)
        self.terminated, self.truncated = np.zeros((2, len(tasks)), dtype=bool)
        return self._seen()

    def step(self, action: np.ndarray) -> Step:
        running = ~(self.terminated | self.truncated)
        self.time += running
        self.last = np.where(running, action[:, 0] if action.ndim > 1 else action, self.last)
        self.terminated |= running & (self.time == 1 + self.seed % 11)
        self.truncated |= running & (self.time == self.spec.step_budget)
        return Step(self._seen(), self.terminated.copy(), self.terminated.copy(), self.truncated.copy())

    def _seen(self) -> Observation:
        numbers = np.stack([self.seed % 1000, self.time, self.last], -1).astype(np.float32)
        picture = (
            np.zeros((len(self.seed), 3, 2, 1), np.uint8) + self.time.astype(np.uint8)[:, None, None, None]
        )
        return {"numbers": numbers, "picture": picture}

    def goal(self) -> Observation | None:
        return None

    def state(self) -> dict[str, np.ndarray]:
        return {"time": self.time.copy()}

    def close(self) -> None: ...


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.parametrize("continuous", [False, True])
def test_rows_are_aligned_and_early_ends_keep_their_length(tmp_path: Path, continuous: bool) -> None:
    seen: list[tuple[int, int]] = []
    store = collect_world(
        Counter(continuous), tmp_path / "s", episodes=150, seed=2, progress=lambda *done: seen.append(done)
    )
    assert seen == [(0, 150), (64, 150), (128, 150), (150, 150)]
    steps = np.minimum(1 + store.seed % 11, 9)
    assert (store.lengths == steps + 1).all() and len(set(store.lengths)) > 5
    assert (store.terminated == (1 + store.seed % 11 <= 9)).all()
    assert (store.truncated == (1 + store.seed % 11 >= 9)).all(), "ended and out of time are kept apart"
    assert (store.terminated & store.truncated).any() and (store.terminated ^ store.truncated).any()
    for episode in range(store.episodes):
        rows = slice(store.start[episode], store.start[episode] + store.lengths[episode])
        numbers = store.observation["numbers"][rows]
        assert (numbers[:, 0] == store.seed[episode] % 1000).all()
        assert (numbers[:, 1] == np.arange(store.lengths[episode])).all(), "the reset's row comes first"
        action = store.action[rows]
        assert numbers[0, 2] == -1
        assert (numbers[1:, 2] == (action[:-1, 0] if continuous else action[:-1])).all()
        assert not action[-1].any()
        assert (store.state["time"][rows] == numbers[:, 1]).all()
        assert (store.observation["picture"][rows, 0, 0, 0] == numbers[:, 1]).all()
    assert store.groups == 150 and len(set(store.seed)) == 150
    assert (store.meta["world"], store.meta["make"], store.meta["step_budget"]) == ("counter", {"size": 3}, 9)


def test_collecting_can_stop_before_the_world_does(tmp_path: Path) -> None:
    store = collect_world(Counter(), tmp_path / "s", episodes=40, length=4)
    assert store.lengths.max() == 4 and not store.truncated.any()
    assert (store.terminated == (store.seed % 11 < 3)).all()


def test_layouts_are_reset_to_again_and_stand_together(tmp_path: Path) -> None:
    store = collect_world(Counter(), tmp_path / "s", episodes=12, layouts=4)
    assert store.groups == 4 and (store.group == store.seed).all()
    assert (store.seed.reshape(4, 3) == store.seed[::3, None]).all()
    first = collect_world(Counter(), tmp_path / "one", episodes=4)
    assert (first.seed == store.seed[::3]).all(), "a smaller collection has the first of the same seeds"
    validation = collect_world(Counter(), tmp_path / "v", episodes=4, split="validation")
    assert validation.seed.min() >= 1_000_000_000 > store.seed.max()


@pytest.mark.parametrize(
    ("env_id", "policy"), [(PENDULUM, "persistent"), (EMPTY, "random"), (DOOR, "random")]
)
def test_replaying_the_actions_in_the_environment_shows_the_same(
    tmp_path: Path, env_id: str, policy: str
) -> None:
    world = make_world(env_id, real=True)
    store = collect_world(world, tmp_path / "s", policy, episodes=6, length=30, seed=5)
    (name,) = store.senses
    from tasks.making import Seen

    seen = Seen(env_id, world.spec.observe)
    for episode in range(store.episodes):
        begin, length = int(store.start[episode]), int(store.lengths[episode])
        raw, _ = seen.env.reset(seed=int(store.seed[episode]))
        np.testing.assert_array_equal(seen.look(raw)[name], store.observation[name][begin])
        terminated = False
        for row in range(begin, begin + length - 1):
            raw, _, terminated, _, _ = seen.env.step(store.action[row])
            np.testing.assert_array_equal(seen.look(raw)[name], store.observation[name][row + 1])
        assert terminated == store.terminated[episode]
    world.close()
    seen.env.close()


def test_a_bare_environment_confirms_a_collection_of_vectors(tmp_path: Path) -> None:
    """Without any code of ours: Gymnasium alone."""
    store = collect_world(make_world(PENDULUM), tmp_path / "s", episodes=2)
    env: gymnasium.Env[Any, Any] = gymnasium.make(PENDULUM)
    assert store.lengths.tolist() == [201, 201] and store.truncated.all() and not store.terminated.any()
    for episode in range(2):
        rows = np.arange(201) + store.start[episode]
        shown = [env.reset(seed=int(store.seed[episode]))[0]]
        shown += [env.step(action)[0] for action in store.action[rows[:-1]]]
        np.testing.assert_array_equal(np.stack(shown), store.observation["vector"][rows])


@pytest.mark.parametrize("observe", ["symbols", "image"])
def test_a_bare_environment_confirms_a_collection_with_keys_and_doors(tmp_path: Path, observe: str) -> None:
    """Without any code of ours but the choice of seeds: what is carried and what is open is the same."""
    wrap = {"symbols": FullyObsWrapper, "image": lambda env: RGBImgObsWrapper(env, tile_size=8)}[observe]
    store = collect_world(make_world(DOOR, observe), tmp_path / "s", "persistent", episodes=8, seed=1)
    env = wrap(gymnasium.make(DOOR, highlight=False))
    changed = 0
    for episode in range(store.episodes):
        first, length = int(store.start[episode]), int(store.lengths[episode])
        shown, done = [env.reset(seed=int(store.seed[episode]))[0]["image"]], (False, False)
        for action in store.action[first : first + length - 1]:
            assert not any(done)
            raw, _, *done, _ = env.step(int(action))
            shown.append(raw["image"])
        np.testing.assert_array_equal(np.stack(shown), store.observation["image"][first : first + length])
        assert (done[0], done[1]) == (store.terminated[episode], store.truncated[episode])
        assert any(done), "an episode ends where the environment ends it"
        changed += int(store.state["carried"][first : first + length].any())
    assert changed, "nobody picked up a key"


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from test_world_collection import Counter
from tasks.world_collection import collect_world

def progress(done, total):
    if done >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

collect_world(Counter(), sys.argv[1], "persistent", episodes=150, seed=3, progress=progress)
"""


def killed(folder: Path, at: int) -> None:
    words = [sys.executable, "-c", KILLED, str(folder), str(at), str(Path(__file__).parent)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "s"
    return collect_world(Counter(), path, "persistent", episodes=150, seed=3).path


@pytest.mark.parametrize("at", [0, 64, 65, 150])
def test_a_killed_collection_goes_on_to_the_same_bytes(tmp_path: Path, whole: Path, at: int) -> None:
    killed(tmp_path / "s", at)
    assert not (tmp_path / "s").exists() and (tmp_path / "s.partial").exists()
    with pytest.raises(StoreError, match=r"s.partial was collected with seed=3, not 4"):
        collect_world(Counter(), tmp_path / "s", "persistent", episodes=150, seed=4)
    seen: list[int] = []
    collect_world(
        Counter(),
        tmp_path / "s",
        "persistent",
        episodes=150,
        seed=3,
        progress=lambda done, _: seen.append(done),
    )
    assert seen[0] == min(-(-at // 64) * 64, 150), "finished blocks are not made again"
    assert contents(tmp_path / "s") == contents(whole)
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


REAL = """
import os, signal, sys
import tasks

world = tasks.make_world(sys.argv[2])
kill = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 64 else None
tasks.collect_world(world, sys.argv[1], "persistent", episodes=70, length=12, seed=3, progress=kill)
"""


@pytest.mark.parametrize("env_id", [PENDULUM, DOOR])
def test_environments_begun_anew_after_a_kill_go_on_to_the_same_bytes(tmp_path: Path, env_id: str) -> None:
    arguments: dict[str, Any] = {"policy": "persistent", "episodes": 70, "length": 12, "seed": 3}
    whole = collect_world(make_world(env_id), tmp_path / "whole", **arguments).path
    words = [sys.executable, "-c", REAL, str(tmp_path / "s"), env_id]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "s").exists()
    seen: list[int] = []
    arguments["progress"] = lambda done, _: seen.append(done)
    collect_world(make_world(env_id), tmp_path / "s", **arguments)
    assert seen == [64, 70] and contents(tmp_path / "s") == contents(whole)


def test_a_kill_in_the_middle_of_writing_goes_on_to_the_same_bytes(tmp_path: Path, whole: Path) -> None:
    killed(tmp_path / "s", 64)
    for file in (tmp_path / "s.partial").rglob("*.npy"):
        with file.open("ab") as stream:  # half a block that no progress file counts
            stream.write(b"half" * 5)
    collect_world(Counter(), tmp_path / "s", "persistent", episodes=150, seed=3)
    assert contents(tmp_path / "s") == contents(whole)


def test_a_kill_before_the_last_rename_is_mended(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole, tmp_path / "s.partial")
    with pytest.raises(StoreError, match="seed=3, not 1"):
        collect_world(Counter(), tmp_path / "s", "persistent", episodes=150, seed=1)
    collect_world(Counter(), tmp_path / "s", "persistent", episodes=150, seed=3)
    assert contents(tmp_path / "s") == contents(whole)


def test_damaged_beginnings_start_again_or_say_so(tmp_path: Path, whole: Path) -> None:
    killed(tmp_path / "s", 128)
    (tmp_path / "s.partial" / "action.npy").unlink()
    collect_world(Counter(), tmp_path / "s", "persistent", episodes=150, seed=3)
    assert contents(tmp_path / "s") == contents(whole)
    killed(tmp_path / "t", 128)
    (tmp_path / "t.partial" / "progress.json").write_text("{")
    with pytest.raises(StoreError, match=r"progress.json cannot be read; remove"):
        collect_world(Counter(), tmp_path / "t", "persistent", episodes=150, seed=3)


def test_a_finished_store_is_kept_and_other_arguments_are_refused(tmp_path: Path) -> None:
    collect_world(Counter(), tmp_path / "s", episodes=4)
    before = contents(tmp_path / "s")
    assert collect_world(Counter(), tmp_path / "s", episodes=4).episodes == 4
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"episodes": 8},
        {"length": 5},
        {"policy": "persistent"},
        {"split": "test"},
        {"layouts": 2},
    ]
    for change in changes:
        with pytest.raises(
            StoreError, match=f"was collected with {next(iter(change))}=.*; choose another folder"
        ):
            collect_world(Counter(), tmp_path / "s", **({"episodes": 4} | change))
    with pytest.raises(StoreError, match="was collected with step_budget=9, not 8"):
        collect_world(Counter(budget=8), tmp_path / "s", episodes=4, length=10)
    assert contents(tmp_path / "s") == before


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    assert collect_world(Counter(), tmp_path / "empty", episodes=2).episodes == 2
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "store")
    assert collect_world(Counter(), tmp_path / "link", episodes=2).path == tmp_path / "disk" / "store"
    assert (tmp_path / "link").is_symlink() and ObservationStore.open(tmp_path / "link").episodes == 2
    assert collect_world(Counter(), tmp_path / "link", episodes=2).episodes == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for out, message in (
        ("mine", "exists and is not a trajectory store"),
        ("mine/thesis.txt", "thesis.txt is a file; choose another folder"),
        ("mine/thesis.txt/store", "thesis.txt is a file, so .* cannot be made"),
    ):
        with pytest.raises(StoreError, match=message):
            collect_world(Counter(), tmp_path / out, episodes=2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(StoreError, match="cannot be written to, so .* cannot be made"):
            collect_world(Counter(), tmp_path / "x", episodes=2)
    free = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: free._replace(free=1000))
        with pytest.raises(StoreError, match=r"needs up to .* KiB and 1000 bytes are free; free some space"):
            collect_world(Counter(), tmp_path / "x", episodes=200)
    # A row is 3 numbers, a picture of 6 bytes and an action; the step that only the simulator knows is 8 bytes more.
    without, whole = 40 * (12 + 6 + 1), 40 * (12 + 6 + 1 + 8)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: free._replace(free=whole - 1))
        with pytest.raises(StoreError, match=r"needs up to 1 KiB and 1 KiB are free"):
            collect_world(Counter(), tmp_path / "x", episodes=4, length=10)
        assert without < whole - 1, "state counts"
    with pytest.raises(StoreError, match=r"needs up to \d+ GiB and .* are free"):
        collect_world(Counter(), tmp_path / "x", episodes=999_999_999, length=9_999_999)
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.partial").exists()


def test_a_disk_that_fills_up_is_one_line_and_loses_nothing(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:

        def progress(done: int, total: int) -> None:
            if done == 64:
                patch.setattr(os, "fsync", full)

        with pytest.raises(StoreError, match=r"the disk is full; .*s.partial keeps what is done"):
            collect_world(Counter(), tmp_path / "s", "persistent", episodes=150, seed=3, progress=progress)
    collect_world(Counter(), tmp_path / "s", "persistent", episodes=150, seed=3)
    assert contents(tmp_path / "s") == contents(whole)


def test_two_collections_into_one_folder_are_refused(tmp_path: Path) -> None:
    def interfere(done: int, total: int) -> None:
        with pytest.raises(StoreError, match="is being collected by another process; wait"):
            collect_world(Counter(), tmp_path / "s", episodes=4)

    assert collect_world(Counter(), tmp_path / "s", episodes=4, progress=interfere).episodes == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, "episodes is 0"),
        ({"length": 1}, "length is 1; at least 2"),
        ({"layouts": 3}, "episodes 4 is not a multiple of layouts 3"),
        ({"split": "dev"}, "unknown split 'dev'"),
        ({"episodes": 2_000_000_000}, "layouts is 2000000000, but split train has 1000000000 seeds"),
        (
            {"policy": "clever"},
            "unknown policy 'clever'; choose random, persistent, headlong, curious, explorer or module:function",
        ),
        ({"policy": "explorer"}, "counter has no explorer of its own"),
    ],
)
def test_arguments_that_cannot_work_are_refused(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        collect_world(Counter(), tmp_path / "s", **({"episodes": 4} | arguments))
    assert not [*tmp_path.iterdir()]


def test_what_the_world_has_ended_stays_as_it_is_for_so_many_rows(tmp_path: Path) -> None:
    world = make_world("MiniGrid-LavaGapS5-v0")
    plain = collect_world(world, tmp_path / "plain", "random", episodes=40, length=50, seed=3)
    longer = collect_world(world, tmp_path / "longer", "random", episodes=40, length=50, seed=3, linger=4)
    assert plain.terminated.any() and not plain.terminated.all()
    ended = plain.terminated
    wanted = np.where(ended, np.minimum(plain.lengths + 4, 50), plain.lengths)
    assert np.array_equal(longer.lengths, wanted)
    assert np.array_equal(longer.terminated, ended), "and how they ended is kept"
    name = next(iter(longer.observation))
    for episode in np.flatnonzero(ended).tolist():
        rows = slice(longer.start[episode], longer.start[episode] + longer.lengths[episode])
        seen, count = longer.observation[name][rows], int(plain.lengths[episode])
        assert (seen[count:] == seen[count - 1]).all(), "whatever was done"
        first = slice(plain.start[episode], plain.start[episode] + count)
        assert np.array_equal(seen[:count], plain.observation[name][first])
    with pytest.raises(ValueError, match="linger is -1"):
        collect_world(world, tmp_path / "none", "random", episodes=4, linger=-1)
