"""Symbolic images: codes equal MiniGrid's, and composing and splitting are inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrid.core import constants
from minigrid.core.actions import Actions
from minigrid.core.world_object import Goal, Wall

from tasks import observations as o
from tasks.floorplans import floor_plan


def test_codes_are_minigrids() -> None:
    index = constants.OBJECT_TO_IDX
    assert tuple(index[n] for n in ("empty", "wall", "goal", "agent")) == (o.EMPTY, o.WALL, o.GOAL, o.AGENT)
    colours = constants.COLOR_TO_IDX
    assert (colours["red"], colours["green"], colours["grey"]) == (o.RED, o.GREEN, o.GREY)
    assert Wall().encode() == o.WALL_CELL and Goal().encode() == o.GOAL_CELL
    assert (np.array(constants.DIR_TO_VEC) == o.HEADINGS).all()
    assert [action.name for action in Actions] == list(o.ACTIONS)
    assert [int(action) for action in Actions] == [
        o.LEFT, o.RIGHT, o.FORWARD, o.PICKUP, o.DROP, o.TOGGLE, o.DONE,
    ]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(data=st.data(), lead=st.sampled_from([(), (1,), (4,), (2, 3)]))
def test_split_undoes_compose(data: st.DataObject, lead: tuple[int, ...]) -> None:
    plan = floor_plan(data.draw(st.integers(0, 1000)), 2)
    cells = plan.free_cells()
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    agent = np.concatenate([cells[rng.integers(len(cells), size=lead)], rng.integers(0, 4, (*lead, 1))], -1)
    grid = o.walls_to_grid(plan.walls)
    image = o.compose_image(grid, agent)
    assert image.shape == (*lead, 9, 9, 3) and image.dtype == np.uint8
    assert (image != np.broadcast_to(grid, image.shape)).any(-1).sum(axis=(-1, -2)).max() == 1
    back, found = o.split_image(image)
    assert (back == grid).all() and (found == agent).all() and found.shape == (*lead, 3)
    assert (o.grid_to_walls(back) == plan.walls).all()


def test_compose_broadcasts_grids_and_agents() -> None:
    grids = np.stack([o.walls_to_grid(floor_plan(seed, 2).walls) for seed in (0, 1)])
    agents = np.array([[1, 1, 0], [2, 2, 3], [3, 3, 1]])
    image = o.compose_image(grids[:, None], agents)
    assert image.shape == (2, 3, 9, 9, 3)
    for i in range(2):
        for j in range(3):
            assert (image[i, j] == o.compose_image(grids[i], agents[j])).all()


def test_compose_leaves_its_input_alone() -> None:
    grid = o.walls_to_grid(floor_plan(0, 2).walls)
    before = grid.copy()
    o.compose_image(grid, np.array([1, 1, 0]))
    o.split_image(o.compose_image(grid, np.array([1, 1, 0])))
    assert (grid == before).all()


@pytest.mark.parametrize("agent", [[9, 1, 0], [-1, 1, 0], [1, 9, 0], [1, 1, 4]])
def test_an_agent_outside_is_refused(agent: list[int]) -> None:
    grid = o.walls_to_grid(floor_plan(0, 2).walls)
    with pytest.raises(ValueError, match="lies outside a 9x9 grid"):
        o.compose_image(grid, np.array(agent))


def test_images_without_exactly_one_agent_are_refused() -> None:
    grid = o.walls_to_grid(floor_plan(0, 2).walls)
    with pytest.raises(ValueError, match="image 0 of the batch shows 0 agents"):
        o.split_image(grid)
    two = o.compose_image(grid, np.array([[1, 1, 0], [2, 2, 0]]))
    two[1, 1, 1] = o.AGENT
    with pytest.raises(ValueError, match="image 1 of the batch shows 2 agents"):
        o.split_image(two)
    with pytest.raises(ValueError, match="image has shape"):
        o.split_image(grid[..., 0])
    with pytest.raises(ValueError, match="agent has shape"):
        o.compose_image(grid, np.array([1, 1]))
