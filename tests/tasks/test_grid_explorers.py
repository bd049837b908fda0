"""The explorer of stock MiniGrid worlds: where it gets, what it opens, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from tasks import make_world
from tasks.goals import plain_tasks
from tasks.observations import DOOR, KEY, OPEN
from tasks.policies import Policy

EPISODES = 24


def walk(world_id: str, steps: int) -> dict[str, np.ndarray]:
    """Per episode: whether it was solved, ended, held a key, saw a door open; and how many cells it saw."""
    world, tasks = make_world(world_id), plain_tasks(np.arange(EPISODES))
    seen = world.reset(tasks)
    act = Policy("explorer", world).begin(EPISODES, np.random.default_rng(0))
    held, opened = np.zeros((2, EPISODES), dtype=bool)
    cells: list[set[tuple[int, ...]]] = [set() for _ in range(EPISODES)]
    for _ in range(steps):
        after = world.step(act(seen))
        seen, state = after.observation, world.state()
        held |= state["carried"][:, 0] == KEY
        grid = state["grid"]
        opened |= ((grid[..., 0] == DOOR) & (grid[..., 2] == OPEN)).any((1, 2))
        for visited, agent in zip(cells, state["agent"].tolist()):
            visited.add(tuple(agent[:2]))
    world.close()
    return {
        "solved": after.success, "ended": after.terminated, "held": held, "opened": opened,
        "cells": np.array([len(visited) for visited in cells]),
    }  # fmt: skip


def test_it_gets_past_lava_and_now_and_then_ends_in_it() -> None:
    found = walk("MiniGrid-LavaGapS7-v0", 100)
    assert found["solved"].mean() > 0.15, "the far side is seen"
    assert (found["ended"] & ~found["solved"]).mean() > 0.15, "that lava ends an episode is seen"
    assert found["cells"].mean() > 6


def test_it_fetches_keys_and_opens_doors() -> None:
    found = walk("MiniGrid-DoorKey-6x6-v0", 120)
    assert found["held"].mean() > 0.6 and found["opened"].mean() > 0.4 and found["solved"].any()
    assert walk("MiniGrid-MultiRoom-N2-S4-v0", 40)["opened"].mean() > 0.6, "where the border is open, too"


def test_more_doors_than_a_key_is_told_of_are_refused() -> None:
    world = make_world("MiniGrid-LockedRoom-v0")
    world.reset(plain_tasks(np.arange(2)))
    with pytest.raises(ValueError, match="has 1 keys and 6 doors, and its explorer knows one of each; choose"):
        Policy("explorer", world).begin(2, np.random.default_rng(0))


def test_worlds_that_are_none_of_minigrids_have_no_explorer() -> None:
    with pytest.raises(ValueError, match="Pendulum-v1 has no explorer of its own; choose policy random, persistent"):
        Policy("explorer", make_world("Pendulum-v1"))


@pytest.mark.parametrize(
    ("world_id", "said"),
    [
        ("MiniGrid-ObstructedMaze-1Dlh-v0", "has locked doors and no key to be seen"),
        ("MiniGrid-GoToDoor-5x5-v0", "has a way out at its border"),
    ],
)
def test_worlds_that_it_cannot_walk_in_are_refused(world_id: str, said: str) -> None:
    world = make_world(world_id)
    world.reset(plain_tasks(np.arange(2)))
    with pytest.raises(ValueError, match=f"{said}.*choose policy curious"):
        Policy("explorer", world).begin(2, np.random.default_rng(0))
