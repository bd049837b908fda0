"""What a preset collects where no batched twin knows the rules: the environment itself is stepped, wrappers and all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from hjepa.cli import main
from tasks import ObservationStore, collect
from tasks.twin_worlds import has_twin
from tasks.world_choice import make_world

WORLDS = """
import gymnasium
from minigrid.envs.fourrooms import FourRoomsEnv


class Swapped(gymnasium.ActionWrapper):
    def action(self, action):
        return {0: 1, 1: 0}.get(int(action), action)


gymnasium.register("SwappedRooms-v0", entry_point=lambda **kwargs: Swapped(FourRoomsEnv(**kwargs)))
"""
SWAPPED = "swapped_rooms:SwappedRooms-v0"
SMALL = ["train.plans=2", "collect.plans=3", "collect.episodes_per_plan=2", "collect.length=30"]
TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "swapped_rooms.py").write_text(WORLDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield


def command(*words: object, settings: list[str] = SMALL) -> int:
    return main([*map(str, words), *(word for text in settings for word in ("--set", text))])


def test_a_wrapped_world_is_collected_as_its_wrapper_has_it(tmp_path: Path) -> None:
    words = ("collect", "--preset", "symbols", "--set", f"task={SWAPPED}", "--out", tmp_path / "s")
    assert command(*words) == 0
    store = ObservationStore.open(tmp_path / "s")
    assert store.meta["world"] == SWAPPED and store.groups == 3 and store.episodes == 6
    heading = np.asarray(store.state["agent"])[:, 2]
    turned = 0
    for first, length in zip(store.start.tolist(), store.lengths.tolist()):
        done = np.asarray(store.action[first : first + length - 1])
        change = (heading[first + 1 : first + length] - heading[first : first + length - 1]) % 4
        assert (change[done == 0] == 1).all() and (change[done == 1] == 3).all(), "left is right here"
        turned += int((done < 2).sum())
    assert turned > 20


def test_what_knows_the_twins_ways_is_refused_for_a_wrapped_world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("collect", "--preset", "symbols", "--set", f"task={SWAPPED}", "--out", tmp_path / "s")
    assert command(*words, "--set", "collect.explorer=mixture") == 2
    error = capsys.readouterr().err
    assert "explorer mixture" in error and "collect.explorer=persistent" in error and error.count("\n") == 1
    told = ("collect", "--preset", TINY, "--set", f"task={SWAPPED}", "--out", tmp_path / "s")
    assert command(*told) == 2
    error = capsys.readouterr().err
    assert "wrapped in Swapped" in error and "--env" in error and error.count("\n") == 1
    assert command("collect", "--preset", "vector", "--out", tmp_path / "s") == 2
    assert "--set task=Pendulum-v1" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_states_that_a_twin_made_of_a_wrapped_world_train_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collect("MiniGrid-FourRooms-v0", tmp_path / "s", 3, 2, 30, seed=0)
    meta = json.loads((tmp_path / "s" / "meta.json").read_text())
    meta["task"] = SWAPPED
    (tmp_path / "s" / "meta.json").write_text(json.dumps(meta))
    words = ("fit", "--preset", "symbols", "--data", tmp_path / "s", "--out", tmp_path / "r")
    assert command(*words) == 2
    assert "wrapped in Swapped" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_preset_for_any_world_collects_in_any_world(tmp_path: Path) -> None:
    words = ("collect", "--preset", "vector", "--set", "task=Pendulum-v1", "--out", tmp_path / "s")
    assert command(*words) == 0
    store = ObservationStore.open(tmp_path / "s")
    assert store.meta["world"] == "Pendulum-v1" and store.lengths.tolist() == [30] * 6


def test_an_id_that_is_registered_anew_has_no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "MiniGrid-FourRooms-v0"
    assert has_twin(name)
    import swapped_rooms  # type: ignore[import-not-found]  # noqa: F401

    again = gymnasium.spec("SwappedRooms-v0")
    again.id = name
    monkeypatch.setitem(gymnasium.registry, name, again)
    assert not has_twin(name)
    world = make_world(name)
    assert type(world).__name__ == "GymnasiumWorld"
    world.close()


def test_episodes_of_data_may_be_longer_than_those_of_a_published_task(tmp_path: Path) -> None:
    """H-JEPA's are of 400 steps, 80 acts, where a goal has to be reached within 42 acts."""
    few = ["train.plans=2", "collect.plans=6", "collect.length=81", "collect.episodes_per_plan=1"]
    words = (
        "collect",
        "--preset",
        "ours-1",
        "--set",
        "task=hjepa/FourRoomDistractors-v0",
        "--out",
        tmp_path / "s",
    )
    assert command(*words, settings=few) == 0
    store = ObservationStore.open(tmp_path / "s")
    assert store.lengths.tolist() == [81] * 6
    assert store.world.step_budget == store.meta["step_budget"] == 42
