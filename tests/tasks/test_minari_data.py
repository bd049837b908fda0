"""Minari, with the library itself: what goes out comes back, and imports keep every observation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks import make_world
from tasks.minari_data import import_minari, to_minari
from tasks.store_files import StoreError
from tasks.world_collection import collect_world


@pytest.fixture
def minari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return found


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "MiniGrid-Empty-5x5-v0"])
def test_what_goes_out_comes_back(minari: Any, tmp_path: Path, env_id: str) -> None:
    observe = None if env_id == "Pendulum-v1" else "image"
    store = collect_world(make_world(env_id, observe), tmp_path / "s", episodes=5, length=12)
    data = to_minari(store, "mine/test-v0", author="me")
    assert (data.total_episodes, data.total_steps) == (5, store.transitions)
    (name,) = store.senses
    for episode in data.iterate_episodes():
        rows = slice(store.start[episode.id], store.start[episode.id] + store.lengths[episode.id])
        np.testing.assert_array_equal(episode.observations[name], store.observation[name][rows])
        np.testing.assert_array_equal(episode.actions, store.action[rows][:-1])
        assert episode.terminations[-1] == store.terminated[episode.id]
    back = import_minari("mine/test-v0", tmp_path / "t")
    order = np.argsort(store.seed)
    assert (back.seed == store.seed[order]).all() and back.groups == 5
    assert back.senses == store.senses and back.actions == store.actions
    for mine, theirs in enumerate(order):
        ours = slice(back.start[mine], back.start[mine] + back.lengths[mine])
        rows = slice(store.start[theirs], store.start[theirs] + store.lengths[theirs])
        np.testing.assert_array_equal(back.observation[name][ours], store.observation[name][rows])
        np.testing.assert_array_equal(back.action[ours], store.action[rows])
        for known in store.state:
            np.testing.assert_array_equal(back.state[known][ours], store.state[known][rows])
    with pytest.raises(StoreError, match="minari:mine/test-v0 cannot be written"):
        to_minari(store, "mine/test-v0")
    assert import_minari("mine/test-v0", tmp_path / "t").sha256 == back.sha256


def test_a_dataset_that_minari_recorded_keeps_every_observation(minari: Any, tmp_path: Path) -> None:
    import gymnasium

    env = minari.DataCollector(gymnasium.make("CartPole-v1"), record_infos=False)
    lengths = []
    rng = np.random.default_rng(0)
    for seed in range(4):
        env.reset(seed=seed)
        lengths.append(1)
        for _ in range(500):
            _, _, terminated, truncated, _ = env.step(int(rng.integers(2)))
            lengths[-1] += 1
            if terminated or truncated:
                break
    env.create_dataset(
        "cartpole/random-v0", algorithm_name="random", author="me", author_email="a@b.c", code_permalink="x"
    )
    store = import_minari("cartpole/random-v0", tmp_path / "s")
    assert store.lengths.tolist() == lengths and store.terminated.all() and not store.truncated.any()
    assert store.meta["world"] == "CartPole-v1" and store.actions.count == 2
    alone = gymnasium.make("CartPole-v1")
    for episode in range(4):
        rows = np.arange(lengths[episode]) + store.start[episode]
        shown = [alone.reset(seed=int(store.seed[episode]))[0]]
        shown += [alone.step(int(action))[0] for action in store.action[rows[:-1]]]
        np.testing.assert_allclose(np.stack(shown), store.observation["vector"][rows], rtol=1e-6)


def test_an_unknown_dataset_is_refused(minari: Any, tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match="minari:no/such-v0 is not on this machine .*minari download no/such-v0"
    ):
        import_minari("no/such-v0", tmp_path / "s")
    with pytest.raises(StoreError, match="minari:no such is not on this machine"):
        import_minari("no such", tmp_path / "s")


def test_without_minari_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(StoreError, match=r"need minari; pip install 'hjepa\[minari\]'"):
        import_minari("a/b-v0", tmp_path / "s")
