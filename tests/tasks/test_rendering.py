"""Frames of many episodes against MiniGrid's own rendering, to the bit."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from minigrid.core.world_object import Ball, Box, Door, Floor, Goal, Key, Lava, Wall
from minigrid.wrappers import FullyObsWrapper, RGBImgObsWrapper

import tasks
from tasks.observations import DOOR, FORWARD, TOGGLE, close_doors
from tasks.rendering import render_frames


def state_of(env: gymnasium.Env, doors: int) -> tuple[np.ndarray, np.ndarray]:
    """Floor plan (W, H, 3) and agent vector of an environment, from its own encoding."""
    bare = env.unwrapped
    grid = bare.grid.encode()
    cells = tasks.door_cells(grid, doors)
    states = np.where(cells[:, 0] >= 0, grid[cells[:, 0], cells[:, 1], 2], 0)
    return close_doors(grid), np.array([*bare.agent_pos, bare.agent_dir, *states])


@pytest.mark.parametrize(
    "task", ["hjepa/NestedRooms-d3-v0", "hjepa/NestedLava-d3-v0", "MiniGrid-MultiRoom-N6-v0"]
)
def test_frames_equal_those_of_minigrids_own_wrapper(task: str) -> None:
    doors = tasks.task_spec(task).doors
    env = RGBImgObsWrapper(gymnasium.make(task, highlight=False), tile_size=8)
    rng, frames, grids, agents, toggled = np.random.default_rng(0), [], [], [], 0
    for seed in range(3):
        seen, _ = env.reset(seed=seed)
        for _ in range(40):
            grid, agent = state_of(env, doors)
            frames.append(seen["image"])
            grids.append(grid)
            agents.append(agent)
            # Somebody else opens and closes doors, which a random walk seldom comes to.
            for x, y in tasks.door_cells(grid, doors)[rng.random(doors) < 0.3]:
                if (x, y) != tuple(agent[:2]) and x >= 0:
                    env.unwrapped.grid.get(x, y).is_open ^= True
            seen, _, over, cut, _ = env.step(int(rng.choice([0, 1, FORWARD, FORWARD, FORWARD, TOGGLE])))
            toggled += int((state_of(env, doors)[1][3:] != agent[3:]).any())
            if over or cut:
                break
    drawn = render_frames(np.stack(grids), np.stack(agents), 8)
    assert np.array_equal(drawn, np.stack(frames)) and len(np.unique(drawn)) > 3
    assert toggled or not doors, "doors were opened and closed"


def test_every_object_and_an_agent_on_top_of_it() -> None:
    env = gymnasium.make("MiniGrid-Empty-16x16-v0", highlight=False)
    env.reset()
    bare = env.unwrapped
    things = [Wall("red"), Floor("blue"), Key("green"), Ball("purple"), Box("yellow"), Goal(), Lava()]
    things += [Door(c, is_open=o, is_locked=k) for c in ("red", "grey") for o, k in ((1, 0), (0, 0), (0, 1))]
    for i, thing in enumerate(things):
        bare.grid.set(1 + i % 13, 3, thing)
    for x in range(1, 14):
        bare.agent_pos, bare.agent_dir = (x, 3), x % 4
        true = bare.get_frame(highlight=False, tile_size=12)
        drawn = render_frames(bare.grid.encode()[None], np.array([[x, 3, x % 4]]), 12)[0]
        assert np.array_equal(drawn, true), things[x - 1]


def test_a_doorway_with_the_agent_in_it_and_the_goal_below_it_show() -> None:
    task = "MiniGrid-MultiRoom-N6-v0"
    batch = tasks.sample_episodes(task, "validation", episodes=1)
    env = FullyObsWrapper(gymnasium.make(task, highlight=False))
    env.reset(seed=int(batch.plan_seed[0]))
    x, y = np.argwhere(batch.grid[0, ..., 0] == DOOR)[0]
    env.unwrapped.grid.get(x, y).is_open = True
    slot = np.flatnonzero((tasks.door_cells(batch.grid, batch.doors)[0] == (x, y)).all(-1))[0]
    for place, opened in (((x, y), slot), (tuple(batch.goal[0, :2]), slot)):
        env.unwrapped.agent_pos = place
        agent = batch.start.copy()
        agent[0, :2], agent[0, 3 + opened] = place, 0
        true = env.unwrapped.get_frame(highlight=False, tile_size=8)
        assert np.array_equal(render_frames(batch.grid, agent)[0], true)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"grid": np.full((1, 4, 4, 3), 10, np.uint8)}, "without the agent"),
        ({"grid": np.full((1, 4, 4, 3), 200, np.uint8)}, "MiniGrid's symbols"),
        ({"agent": np.array([[4, 0, 0]])}, "outside"),
        ({"agent": np.array([[1, 0, 0], [1, 0, 0]])}, "pass \\(E, W, H, 3\\)"),
        ({"tile": 0}, "tile is 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change: dict, reason: str) -> None:
    given = {"grid": np.ones((1, 4, 4, 3), np.uint8), "agent": np.array([[1, 1, 0]]), "tile": 8}
    with pytest.raises(ValueError, match=reason):
        render_frames(**(given | change))
