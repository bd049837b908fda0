"""What levels imagine of a floor plan: priors against what can be reached, latents on a plane, ways side by side."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import hjepa
import tasks
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import Trace
from hjepa.figures.cost_map import cost_to, metric_matrix
from hjepa.figures.latent_map import latent_map
from hjepa.figures.latent_plane import latent_planes
from hjepa.figures.prior_map import prior_map, prior_places
from hjepa.figures.sights import starts_and_goals
from hjepa.figures.style import GOAL, level_colour
from hjepa.figures.ways import SLANT, ways_walked
from levels.metrics import squared_distance

TASK = "hjepa/NestedRooms-d2-v0"


def drawn(figure: Figure, gid: str) -> list[Any]:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    """One task with one level and with two, of a stack that sees."""
    stack = hjepa.load_stack("nested-d2")
    settings = dataclasses.replace(stack.config.plan, block=1)
    return [
        hjepa.watch(stack, TASK, levels=levels, episodes=1, seed=0, settings=settings) for levels in (1, 2)
    ]


def test_a_prior_of_one_step_leads_where_one_step_can(traces: list[Trace]) -> None:
    stack, batch = traces[1].stack, traces[1].episodes
    grid, start = batch.grid[0], batch.start[0]
    below, above = (prior_places(stack, grid, start, level, count=64) for level in (1, 2))
    assert (below.span, above.span) == (1, stack.config.spans[1])
    ahead = tasks.step_agents(batch.walls, batch.start, np.array([2]))[0, :2]
    assert {tuple(cell) for cell in below.reachable.tolist()} == {tuple(start[:2]), tuple(ahead)}
    assert below.share > 0.95
    cells = np.rint(above.imagined).astype(int).tolist()
    hits = [cell in above.reachable.tolist() for cell in cells]
    assert above.share == pytest.approx(np.mean(hits)) and above.share > 0.5
    assert np.abs(above.imagined - start[:2]).sum(-1).max() > np.abs(below.imagined - start[:2]).sum(-1).max()


def test_a_map_of_priors_has_a_panel_a_level(traces: list[Trace]) -> None:
    stack, batch = traces[1].stack, traces[1].episodes
    figure = prior_map(stack, batch.grid[0], batch.start[0], levels=2, count=32)
    points = drawn(figure, "imagined")
    assert [to_hex(one.get_facecolor()[0]) for one in points] == [level_colour(k).lower() for k in (1, 2)]
    assert [len(one.get_offsets()) for one in points] == [32, 32]
    assert len(drawn(figure, "start")) == 2
    with pytest.raises(InputError, match="0 draws"):
        prior_map(stack, batch.grid[0], batch.start[0], levels=1, count=0)
    with pytest.raises(InputError, match="level 3 of a stack of 2"):
        prior_places(stack, batch.grid[0], batch.start[0], 3)


@pytest.mark.parametrize("metric", ["l2", "commute", "imagined"])
def test_a_cost_is_plain_distance_after_the_metrics_map(metric: str, traces: list[Trace]) -> None:
    batch = traces[1].episodes
    places = latent_map(traces[1].stack, batch.grid[0], batch.start[0], 2)
    matrix = metric_matrix(places, batch.goal[0], metric, batch.start[0])
    assert (matrix is None) == (metric == "l2")
    aim = places.encode(batch.goal)
    apart = places.latents - aim if matrix is None else (places.latents - aim) @ matrix
    said = cost_to(places, batch.goal[0], metric, batch.start[0])(places.latents)
    scale = squared_distance(places.latents[:1], aim, matrix) / apart[:1].square().sum(-1)
    torch.testing.assert_close(said, scale * apart.square().sum(-1), rtol=1e-3, atol=1e-3)


def test_a_plane_shows_all_states_and_ends_the_way_at_the_goal(traces: list[Trace]) -> None:
    trace = traces[1]
    figure = latent_planes(trace)
    assert trace.results.success[0]
    free = int((~trace.episodes.walls[0]).sum())
    for states, path, start, goal in zip(
        *(drawn(figure, gid) for gid in ("states", "path", "start", "goal"))
    ):
        assert len(states.get_offsets()) == 4 * free
        assert states.get_array().min() == 0
        way = np.stack(path.get_data(), -1)
        assert len(way) == trace.results.steps[0] + 1
        np.testing.assert_allclose(np.ravel(start.get_data()), way[0], atol=1e-3)
        assert (goal.get_marker(), start.get_marker(), goal.get_color()) == ("*", ">", GOAL)
        nearest = np.hypot(*(way - np.ravel(goal.get_data())).T).argmin()
        assert nearest >= len(way) - 3  # the goal's cell, in any heading
    assert len(drawn(figure, "subgoal")) == 2


def test_what_has_no_plane(traces: list[Trace]) -> None:
    with pytest.raises(InputError, match="metric 'critic'; choose from l2, commute, imagined"):
        latent_planes(traces[1], metrics=("critic",))
    with pytest.raises(InputError, match="level 3 of a stack of 2"):
        latent_planes(traces[1], level=3)


def test_ways_side_by_side_are_in_the_colour_of_the_top_level(traces: list[Trace]) -> None:
    figure = ways_walked(traces, ["one", "two"])
    for levels, trace, path in zip((1, 2), traces, drawn(figure, "path")):
        segments = np.stack(path.get_segments())
        steps = int(trace.results.steps[0])
        assert len(segments) == steps
        np.testing.assert_allclose(segments[0, 0], trace.episodes.start[0, :2] - SLANT)
        np.testing.assert_allclose(segments[-1, 1], trace.agent[0, steps, :2] + SLANT)
        hue = [int(to_hex(level_colour(levels))[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        middle = path.get_colors()[steps // 2, :3]
        assert np.abs(middle - hue).max() < 0.15
        light = path.get_colors()[:, :3].sum(-1)
        assert (np.diff(light) < 0).all()
    with pytest.raises(InputError, match="1 names of 2 traces"):
        ways_walked(traces, ["one"])
    other = dataclasses.replace(traces[1], episodes=tasks.sample_episodes(TASK, "test", episodes=1, seed=1))
    with pytest.raises(InputError, match="traces of different tasks"):
        ways_walked([traces[0], other], ["one", "two"])


def test_starts_and_goals_are_what_the_world_shows() -> None:
    world = tasks.make_world("hjepa/TwoRoom-v0")
    figure = starts_and_goals(world, count=2)
    shown = world.reset(tasks.plain_tasks(np.arange(2)))["image"]
    goal = world.goal()
    assert goal is not None
    for number in range(2):
        np.testing.assert_array_equal(drawn(figure, f"start-{number}")[0].get_array(), shown[number])
        np.testing.assert_array_equal(drawn(figure, f"goal-{number}")[0].get_array(), goal["image"][number])
    with pytest.raises(InputError, match="0 tasks"):
        starts_and_goals(world, 0)
    with pytest.raises(InputError, match="without 'image'"):
        starts_and_goals(tasks.make_world("Pendulum-v1"))
