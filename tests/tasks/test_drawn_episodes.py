"""Episodes that are drawn all at once: those that are drawn one by one, and the same as ever."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

import tasks
from tasks import suite
from tasks.episode_batches import EpisodeBatch
from tasks.episodes import draw_episode
from tasks.floorplans import SPLITS, floor_plan, plan_walls
from tasks.pairs import draw_pairs
from tasks.randomness import keyed_generator
from tasks.streams import keyed_streams

# Published results are of these episodes, so whatever changes one of them has to be undone.
GOLDEN = {
    "hjepa/NestedRooms-d2-v0": (12, "2696ecf5538d48ca"),
    "hjepa/NestedRooms-d3-v0": (12, "125fd39574211353"),
    "hjepa/NestedRooms-d4-v0": (6, "a6b749ba4e486dd9"),
    "hjepa/NestedRoomsFixed-d3-v0": (12, "9926d6a793b1da14"),
    "hjepa/NestedLava-d3-v0": (2, "b86ee48befe6a53d"),
    "hjepa/NestedKeys-d2-v0": (3, "3ed15d72f24cb185"),
    "hjepa/NestedPoint-d3-v0": (6, "6315415164933ce7"),
    "hjepa/NestedPointFixed-d3-v0": (6, "68bb4ffc4019127d"),
    "hjepa/Layouts-mixed-s17-v0": (5, "0d18ee2cfae59cd5"),
    "MiniGrid-MultiRoom-N6-v0": (2, "bb2b0e3f7e0c60a7"),
}
"""How many episodes, and a hash of all that they are, over all splits, kinds of tasks and two seeds."""


@pytest.mark.parametrize("task_id", GOLDEN)
def test_episodes_are_the_same_as_ever(task_id: str) -> None:
    count, wanted = GOLDEN[task_id]
    found = hashlib.sha256()
    for split in SPLITS:
        for kind in tasks.task_spec(task_id).kinds:
            for seed in (0, 1):
                batch = tasks.sample_episodes(task_id, split, kind, episodes=count, seed=seed)
                for part in (batch.plan_seed, batch.grid, batch.start, batch.goal, batch.oracle_steps):
                    found.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
    assert found.hexdigest()[:16] == wanted


@pytest.mark.parametrize("kind", ["far", "uniform"])
@pytest.mark.parametrize("depth", [2, 3])
def test_together_is_one_by_one(kind: str, depth: int) -> None:
    batch = tasks.sample_episodes(f"hjepa/NestedRooms-d{depth}-v0", "validation", kind, episodes=80, seed=5)
    key = ("episodes", f"hjepa/NestedRooms-d{depth}-v0", "validation", kind, 5)
    for i, seed in enumerate(batch.plan_seed.tolist()):
        rng = keyed_generator(*key, i)
        own = draw_episode(rng, depth=depth, room=3, split="validation", tasks=kind, plan_seed=seed)
        assert (batch.grid[i] == own.grid).all()
        assert batch.start[i].tolist() == list(own.start) and batch.goal[i].tolist() == list(own.goal)


@pytest.mark.parametrize(("depth", "room"), [(1, 3), (2, 1), (2, 2), (3, 1), (3, 3), (3, 4)])
def test_floor_plans_together_are_those_of_their_seeds(depth: int, room: int) -> None:
    seeds = np.array([0, 1, 5, 0, *(SPLITS["train"].stop - 1 - np.arange(20))])
    walls = plan_walls(seeds, depth, room)
    assert all((walls[i] == floor_plan(int(seed), depth, room).walls).all() for i, seed in enumerate(seeds))
    assert plan_walls(seeds[:0], depth, room).shape == (0, *walls.shape[1:])


def test_what_cannot_be_drawn_together_is_refused_as_one_by_one() -> None:
    for wrong, reason in (
        ([0, -1], "outside every split"),
        ([0, SPLITS["test"].stop], "outside every split"),
    ):
        with pytest.raises(ValueError, match=reason):
            plan_walls(np.array(wrong), 2, 3)
    few = np.array([SPLITS["test"].start])
    try:
        floor_plan(int(few[0]), 1, 3)
    except ValueError as refused:
        with pytest.raises(ValueError, match="too few layouts") as found:
            plan_walls(few, 1, 3)
        assert str(found.value) == str(refused)
    with pytest.raises(ValueError, match="allows no episode"):
        draw_pairs(keyed_streams("none", last=[0]), np.ones((1, 9, 9), bool), "far")


def test_shortest_ways_are_worked_out_for_those_who_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(batch: EpisodeBatch) -> np.ndarray:
        calls.append(len(batch))
        return ways(batch)

    ways = suite._ways
    monkeypatch.setattr(suite, "_ways", counted)
    batch = tasks.sample_episodes("hjepa/NestedRooms-d2-v0", episodes=6)
    few = batch.select([4, 1])
    tasks.make_batched(tasks.task_spec("hjepa/NestedRooms-d2-v0"), 6).reset(options={"episodes": batch})
    assert calls == []
    steps = batch.oracle_steps
    assert few.oracle_steps.tolist() == steps[[4, 1]].tolist() and calls == [6, 2]
    assert (
        batch.oracle_steps is steps and batch.select(slice(2, 4)).oracle_steps.tolist() == steps[2:4].tolist()
    )
    # A batch that is changed keeps the steps it was made with, unless it is given others.
    assert replace(batch, start=batch.goal).oracle_steps is steps and calls == [6, 2]


def test_steps_of_the_wrong_shape_are_refused() -> None:
    batch = tasks.sample_episodes("hjepa/NestedRooms-d2-v0", episodes=3)
    with pytest.raises(ValueError, match=r"EpisodeBatch.oracle_steps has shape \(2,\)"):
        replace(batch, oracle_steps=np.zeros(2, np.int64))
