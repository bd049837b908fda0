"""Latents and costs of every state: what planning itself has, of stacks that are told and of stacks that see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import hjepa
import tasks
from hjepa import figures
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent
from hjepa.figures.cost_map import cost_to, draw_cost_map, map_legend
from hjepa.figures.descent import descend
from hjepa.figures.latent_map import LatentMap, latent_map
from hjepa.figures.valleys import where_it_ends
from hjepa.model.stack import Stack
from levels.metrics import squared_distance
from levels.metrics_names import METRICS

TASK = "hjepa/NestedRooms-d2-v0"


@pytest.fixture(scope="module")
def seeing() -> Stack:
    return hjepa.load_stack("nested-d2")


@pytest.fixture(scope="module")
def batch() -> tasks.EpisodeBatch:
    return tasks.sample_episodes(TASK, "test", episodes=1, seed=0)


@pytest.fixture(scope="module")
def places(seeing: Stack, batch: tasks.EpisodeBatch) -> LatentMap:
    return latent_map(seeing, batch.grid[0], batch.start[0])


@pytest.mark.parametrize("weights", ["nested-d2", "told-nested-d2"])
@pytest.mark.parametrize("metric", METRICS)
def test_a_cost_is_the_one_that_the_agent_plans_with(
    weights: str, metric: str, batch: tasks.EpisodeBatch
) -> None:
    stack, spec = hjepa.load_stack(weights), tasks.task_spec(TASK)
    settings = replace(stack.config.plan, metric=metric, flat={})
    agent = make_agent(stack, spec, hjepa.AgentOptions(levels=1, settings=settings))
    world = tasks.make_batched(spec, 1)
    state = agent.begin(
        world.reset(options={"episodes": batch})[0], batch.goal_observation, torch.tensor([0])
    )
    own = state.plan.levels[0]
    shown = latent_map(stack, batch.grid[0], batch.start[0])
    with torch.no_grad():
        if metric == "critic":
            planned = stack.critic(0)(shown.latents[None], own.field)[0]
        else:
            chosen = stack.metric(metric, 0) if own.metric is None else own.metric[0]
            planned = squared_distance(shown.latents, own.goal.expand_as(shown.latents), chosen)
        said = cost_to(shown, batch.goal[0], metric, batch.start[0])(shown.latents)
    torch.testing.assert_close(said, planned, rtol=1e-3, atol=1e-3)


def test_latents_of_a_stack_that_sees_are_those_of_what_it_is_shown(
    seeing: Stack, batch: tasks.EpisodeBatch, places: LatentMap
) -> None:
    shown = tasks.make_batched(tasks.task_spec(TASK), 1).reset(options={"episodes": batch})[0]["image"]
    with torch.no_grad():
        latent = seeing.level(0).encode(torch.from_numpy(shown)[None], None)[0, 0]
    torch.testing.assert_close(places.latents[places.number(batch.start[0])], latent, rtol=1e-4, atol=1e-4)


def test_upper_levels_have_maps_too(seeing: Stack, batch: tasks.EpisodeBatch, places: LatentMap) -> None:
    above = latent_map(seeing, batch.grid[0], batch.start[0], 2)
    torch.testing.assert_close(above.latents, places.latents)  # they share level 1's latent
    assert figures.landscape(seeing, batch.grid[0], batch.goal[0], 3, "critic").rank_correlation > 0.9


def test_a_map_takes_the_least_heading_and_leaves_walls_out(places: LatentMap) -> None:
    values = np.arange(len(places.states), dtype=float)
    found = places.as_map(values)
    assert np.isnan(found[places.walls]).all() and not np.isnan(found[~places.walls]).any()
    cell = places.states[8, :2]
    assert found[tuple(cell)] == values[(places.states[:, :2] == cell).all(-1)].min() == 8.0
    with pytest.raises(InputError, match="give one for each"):
        places.as_map(values[1:])


def test_maps_refuse(seeing: Stack, batch: tasks.EpisodeBatch, places: LatentMap) -> None:
    with pytest.raises(InputError, match="put it on a free cell"):
        places.number(np.array([0, 0, 0]))
    with pytest.raises(InputError, match="level 4 of a stack of 3"):
        latent_map(seeing, batch.grid[0], batch.start[0], 4)
    with pytest.raises(InputError, match="metric 'taxi'"):
        cost_to(places, batch.goal[0], "taxi")
    with pytest.raises(InputError, match="0 plans"):
        descend(places, batch.start[0], lambda latents: latents.sum(-1), 4, count=0)
    with pytest.raises(InputError, match="a reach of 0 steps"):
        where_it_ends(np.zeros(2), np.zeros((2, 2)), 0)


def test_a_drawn_cost_is_the_cost_with_its_walls(places: LatentMap) -> None:
    values = places.as_map(np.arange(len(places.states), dtype=float))
    axes = Figure().add_subplot()
    image = draw_cost_map(axes, values, 0)
    np.testing.assert_array_equal(image.get_array().filled(np.nan), values.T)
    assert len(axes.patches) == places.walls.sum() and image.get_clim()[0] == 0
    near, far = image.cmap(image.norm(np.array([np.nanmin(values), np.nanmax(values)])))[:, :3].mean(-1)
    assert near > far
    named = [artist.get_label() for artist in map_legend(cross="least", way="way")]
    assert named == ["agent, at the start", "goal", "wall", "least", "way"]


def test_descent_lowers_the_cost_from_where_it_starts(places: LatentMap, batch: tasks.EpisodeBatch) -> None:
    cost = cost_to(places, batch.goal[0], "l2")
    found = descend(places, batch.start[0], cost, horizon=6, count=8, iterations=8, seed=0)
    assert found.before.shape == found.after.shape == (8, 7, 2)
    np.testing.assert_array_equal(found.after[:, 0], np.tile(batch.start[0, :2], (8, 1)))
    assert found.cost_after.mean() < found.cost_before.mean()
    again = descend(places, batch.start[0], cost, horizon=6, count=8, iterations=8, seed=0)
    np.testing.assert_array_equal(found.after, again.after)


def test_a_search_stops_where_nothing_within_reach_is_better() -> None:
    # Places on a line; the best is at 5, and a hill at 3 is in its way.
    costs = np.array([3.0, 2.0, 1.0, 4.0, 5.0, 0.0, 6.0])
    steps = np.abs(np.arange(7)[:, None] - np.arange(7))
    assert where_it_ends(costs, steps, 1).tolist() == [2, 2, 2, 2, 5, 5, 5]
    assert where_it_ends(costs, steps, 2).tolist() == [2, 2, 2, 5, 5, 5, 5]
    assert (where_it_ends(costs, steps, 3) == 5).all()


def test_a_search_takes_the_nearest_of_equals_and_no_way_that_is_not() -> None:
    steps = np.array([[0, 1, -1], [1, 0, -1], [-1, -1, 0]])
    assert where_it_ends(np.zeros(3), steps, 9).tolist() == [0, 1, 2]
    assert where_it_ends(np.array([2.0, 1.0, 0.0]), steps, 9).tolist() == [1, 1, 2]


def test_by_the_true_steps_a_search_arrives_from_everywhere(batch: tasks.EpisodeBatch) -> None:
    states, steps = tasks.cell_distances(batch.walls[0], any_heading=False)
    goal = (states[:, :2] == batch.goal[0, :2]).all(-1)
    assert goal[where_it_ends(steps[:, goal].min(1), steps, 1)].all()
