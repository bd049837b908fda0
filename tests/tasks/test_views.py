"""Partial views against MiniGrid's own, and the worlds that show nothing else."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from minigrid.core.grid import Grid
from minigrid.core.world_object import Door, Goal, Lava, Wall, WorldObj

import tasks
from tasks.observations import CLOSED, DOOR, EMPTY, FORWARD, GOAL, LAVA, LOCKED, OPEN, WALL
from tasks.views import UNSEEN, partial_views, view_cells

D2, D3 = "hjepa/NestedPartial-d2-v0", "hjepa/NestedPartial-d3-v0"
KEYS = "hjepa/NestedPartialKeys-d2-v0"


def anything(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A grid with walls, doors in every state, lava and goals anywhere, (W, H, 3)."""
    grid = np.zeros((width, height, 3), dtype=np.uint8)
    grid[..., 0] = rng.choice(
        [EMPTY, WALL, DOOR, LAVA, GOAL], (width, height), p=[0.62, 0.2, 0.1, 0.04, 0.04]
    )
    doors = grid[..., 0] == DOOR
    grid[..., 2] = np.where(doors, rng.integers(0, 3, (width, height)), 0)
    for code, colour in ((WALL, 5), (GOAL, 1), (DOOR, 4)):
        grid[..., 1][grid[..., 0] == code] = colour
    return grid


def thing(cell: np.ndarray) -> WorldObj | None:
    if cell[0] == DOOR:
        return Door("yellow", is_open=cell[2] == OPEN, is_locked=cell[2] == LOCKED)
    kinds: dict[int, type[WorldObj]] = {WALL: Wall, LAVA: Lava, GOAL: Goal}
    return kinds[int(cell[0])]() if int(cell[0]) in kinds else None


@pytest.mark.parametrize(("view", "plans"), [(7, 40), (3, 10), (5, 10), (9, 10)])
def test_views_equal_minigrids(view: int, plans: int) -> None:
    rng = np.random.default_rng(view)
    env = gymnasium.make(f"tasks:{D3}", agent_view_size=view, view=0).unwrapped
    env.reset(seed=0)
    hidden = 0
    for _ in range(plans):
        width, height = (int(n) for n in rng.integers(4, 14, 2))
        grid = anything(rng, width, height)
        env.grid = Grid(width, height)
        for x in range(width):
            for y in range(height):
                env.grid.set(x, y, thing(grid[x, y]))
        pose = np.stack([rng.integers(0, n, 25) for n in (width, height, 4)], 1)
        seen = partial_views(np.repeat(grid[None], 25, 0), pose, view)
        for i, (x, y, heading) in enumerate(pose.tolist()):
            env.agent_pos, env.agent_dir = (x, y), heading
            np.testing.assert_array_equal(seen[i], env.gen_obs()["image"])
        hidden += int((seen[..., 0] == UNSEEN).sum())
    assert hidden > 100, "walls hide what is behind them"
    assert {CLOSED, LOCKED} <= set(grid[grid[..., 0] == DOOR][:, 2]) or plans < 40


def test_a_view_is_turned_with_the_agent_and_says_where_its_cells_are() -> None:
    grid = np.zeros((1, 9, 9, 3), dtype=np.uint8)
    grid[..., 0], grid[0, 5, 2, 0] = EMPTY, GOAL
    for heading, shown in enumerate(((5, 5), (1, 5), (1, 7), (5, 7))):
        pose = np.array([[4 + 0, 4, heading]])
        view = partial_views(grid, pose, 7)
        cells = view_cells(pose, 7)[0]
        assert tuple(cells[3, 6]) == (4, 4), "the agent stands in the middle of the lowest row"
        found = np.argwhere((cells == (5, 2)).all(-1))
        if heading == 3:
            assert found.tolist() == [[4, 4]] and view[0, 4, 4, 0] == GOAL
        if len(found):
            assert view[0, found[0, 0], found[0, 1], 0] == GOAL
        assert (view[0][view[0][..., 0] == GOAL] == grid[0, 5, 2]).all(), shown


@pytest.mark.parametrize("task", [D2, D3, KEYS])
def test_the_twin_shows_what_minigrid_shows(task: str) -> None:
    envs = 6
    twin = tasks.make_batched(tasks.task_spec(task), envs)
    references = [gymnasium.make(f"tasks:{task}") for _ in range(envs)]
    rng = np.random.default_rng(1)
    observation, info = twin.reset(seed=5)
    for i, env in enumerate(references):
        expected, told = env.reset(seed=5 + i)
        assert env.observation_space.contains(expected)
        np.testing.assert_array_equal(info["goal"][i], told["goal"])
    assert info["goal"].shape == (envs, tasks.task_spec(task).agent_size), (
        "a pose, no picture of the floor plan"
    )
    carried = 0
    for _ in range(150 if task != KEYS else 600):
        assert twin.observation_space.contains(observation)
        action = np.where(rng.random(envs) < 0.5, FORWARD, rng.integers(0, 7, envs))
        carried += int((observation["pose"][:, -1] == 0).sum()) if task == KEYS else 0
        observation, reward, ended, cut, _ = twin.step(action)
        for i, env in enumerate(references):
            expected, gained, over, out, _ = env.step(int(action[i]))
            for name in ("image", "pose", "direction"):
                np.testing.assert_array_equal(observation[name][i], expected[name])
            assert (reward[i], ended[i], cut[i]) == (gained, over, out)
        if (over := ended | cut).any():
            observation, _ = twin.reset(options={"reset_mask": over})
            for i in np.flatnonzero(over):
                references[i].reset()
    assert carried or task != KEYS, "somebody has found the key"


def test_episodes_are_those_of_the_world_that_is_seen_whole() -> None:
    for partial, whole in ((D2, "Rooms"), (D3, "Rooms"), (KEYS, "")):
        seen = tasks.sample_episodes(partial.replace("Partial", whole), "validation", episodes=5, seed=2)
        unseen = tasks.sample_episodes(partial, "validation", episodes=5, seed=2)
        for name in ("plan_seed", "grid", "start", "goal", "oracle_steps"):
            np.testing.assert_array_equal(getattr(seen, name), getattr(unseen, name))


def test_a_view_alone_is_no_floor_plan() -> None:
    with pytest.raises(ValueError, match="say what is known of it"):
        tasks.perceive({"image": np.zeros((1, 7, 7, 3), np.uint8), "pose": np.zeros((1, 3), np.int64)})
