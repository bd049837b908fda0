"""OGBench's point mazes as tasks: what a seed makes, makes again, and what is left as OGBench has it."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from hjepa.integrations.ogbench import MAZES, PointMaze
from tasks.floorplans import split_seeds
from tasks.world_choice import world_spec

FAKES = Path(__file__).parents[1] / "fakes"
THERE = importlib.util.find_spec("ogbench") is not None


@pytest.fixture(params=["ogbench", "stand-in"])
def needed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OGBench, where it is installed, and where it is not what stands in for it."""
    if (request.param == "ogbench") != THERE:
        pytest.skip("OGBench is there" if THERE else "pip install 'hjepa[ogbench]'")
    if THERE:
        yield
        return
    monkeypatch.syspath_prepend(str(FAKES))
    import fake_ogbench

    fake_ogbench.install()
    yield
    fake_ogbench.remove()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"starts": "middle"}, "starts is 'middle'; choose from tasks, anywhere"),
        ({"repeat": 0}, "repeat is 0; give a whole number from 1 to 1000"),
        ({"repeat": 2.5}, "repeat is 2.5"),
    ],
)
def test_what_it_does_not_know_is_refused_before_anything_is_made(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PointMaze("medium", **arguments)
    with pytest.raises(ValueError, match="maze is 'tiny'; choose from medium, large, giant, teleport"):
        PointMaze("tiny")


def test_all_mazes_are_registered_by_importing_the_module() -> None:
    assert all(f"ogbench/pointmaze-{maze}-v1" in gymnasium.registry for maze in MAZES)


@pytest.fixture
def maze(needed: None) -> Iterator[PointMaze]:
    made = PointMaze("medium")
    yield made
    made.close()


def test_a_seed_makes_the_same_episode_again_and_leaves_other_numbers_alone(maze: PointMaze) -> None:
    np.random.seed(3)  # noqa: NPY002 - OGBench draws from it
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    first, told = maze.reset(seed=7)
    moved = maze.step(np.array([1.0, -0.5]))[0]
    maze.reset(seed=8)
    again, told_again = maze.reset(seed=7)
    assert np.array_equal(first, again) and np.array_equal(told["goal"], told_again["goal"])
    assert np.array_equal(moved, maze.step(np.array([1.0, -0.5]))[0])
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002


def test_seeds_take_turns_through_the_five_published_tasks(maze: PointMaze) -> None:
    inner: Any = maze.unwrapped
    for seed in range(5):
        start, told = maze.reset(seed=seed)
        task = inner.task_infos[seed]
        assert np.abs(start - task["init_xy"]).max() <= 1 and np.abs(told["goal"] - task["goal_xy"]).max() <= 1


def test_starts_anywhere_are_open_cells_in_training_and_published_tasks_elsewhere(needed: None) -> None:
    maze = PointMaze("medium", starts="anywhere")
    inner: Any = maze.unwrapped
    cells = {inner.xy_to_ij(maze.reset(seed=seed)[0]) for seed in range(40)}
    assert len(cells) > 12 and all(inner.maze_map[cell] == 0 for cell in cells)
    held_out = split_seeds("test")[3]
    start, told = maze.reset(seed=held_out)
    task = inner.task_infos[held_out % 5]
    assert np.abs(start - task["init_xy"]).max() <= 1 and np.abs(told["goal"] - task["goal_xy"]).max() <= 1
    maze.close()


def test_a_repeated_action_is_that_many_steps_of_ogbenchs(maze: PointMaze) -> None:
    fast, action = PointMaze("medium", repeat=4), np.array([0.3, 0.9], dtype=np.float32)
    for seed in range(3):
        maze.reset(seed=seed)
        fast.reset(seed=seed)
        for _ in range(4):
            slowly = maze.step(action)[0]
        assert np.array_equal(slowly, fast.step(action)[0])
    steps, over = 1, False
    while not over:
        over = fast.step(np.zeros(2, dtype=np.float32))[3]
        steps += 1
    assert steps == 250
    with pytest.raises(ValueError, match="after the end of the episode; call reset"):
        fast.step(np.zeros(2, dtype=np.float32))
    fast.close()


def test_success_is_ogbenchs_own_and_nothing_is_left_behind(maze: PointMaze, tmp_path: Path) -> None:
    inner: Any = maze.unwrapped
    _, told = maze.reset(seed=1)
    inner.set_xy(told["goal"] + np.array([0.0, 1.3]))
    assert not maze.step(np.zeros(2))[4]["success"]
    inner.set_xy(told["goal"] + np.array([0.0, 0.9]))
    assert maze.step(np.zeros(2))[4]["success"]
    folder = tempfile.tempdir
    tempfile.tempdir = str(tmp_path)
    try:
        PointMaze("medium").close()
        assert tempfile.tempdir == str(tmp_path)
    finally:
        tempfile.tempdir = folder
    assert not list(tmp_path.iterdir())


def test_it_is_a_world_of_vectors_with_its_own_goals(needed: None) -> None:
    spec = world_spec("hjepa.integrations.ogbench:ogbench/pointmaze-medium-v1", repeat=4)
    assert spec.senses["vector"].shape == (2,) and spec.step_budget == 250 and spec.actions.low == (-1.0, -1.0)
