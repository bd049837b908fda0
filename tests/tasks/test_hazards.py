"""Lava and zones: across the way, with a way round, and the end of who enters."""

from __future__ import annotations

import numpy as np
import pytest

import tasks
from tasks.hazards import ACROSS, lay_across
from tasks.observations import FORWARD, LAVA, grid_to_lava, grid_to_walls
from tasks.oracles import distances, shortest_actions
from tasks.random_policy import random_success
from tasks.zones import with_zones

LAVA_TASK, ROOMS_TASK = "hjepa/NestedLava-d3-v0", "hjepa/NestedRooms-d3-v0"


def test_every_shortest_way_leads_through_and_a_longer_one_around() -> None:
    batch = tasks.sample_episodes(LAVA_TASK, "validation", episodes=30, seed=1)
    lava, walls = grid_to_lava(batch.grid), grid_to_walls(batch.grid)
    assert set(lava.sum((1, 2))) <= set(range(ACROSS + 1)) and lava.any((1, 2)).mean() > 0.9
    assert not (lava & walls).any()
    state = (np.arange(30), *batch.start.T)
    careless = distances(walls, batch.goal)[state]
    assert (careless[lava.any((1, 2))] < batch.oracle_steps[lava.any((1, 2))]).all()
    assert (batch.oracle_steps <= tasks.task_spec(LAVA_TASK).step_budget / 2).all()


def test_entering_lava_ends_the_episode_with_nothing() -> None:
    batch = tasks.sample_episodes(LAVA_TASK, "test", episodes=12, seed=0)
    batch = batch.select(grid_to_lava(batch.grid).any((1, 2)))
    world = tasks.make_batched(tasks.task_spec(LAVA_TASK), len(batch))
    observation, _ = world.reset(options={"episodes": batch})
    assert (observation["image"][..., 0] == LAVA).any((1, 2)).all(), "it is seen"
    walls, table = (
        grid_to_walls(batch.grid),
        distances(grid_to_walls(batch.grid), batch.goal),
    )
    earned, ended = np.zeros(len(batch)), np.zeros(len(batch), dtype=bool)
    for _ in range(60):
        _, reward, terminated, _, _ = world.step(shortest_actions(walls, table, world.agent).astype(np.int64))
        earned, ended = earned + reward, terminated
    assert ended.all() and not earned.any()
    stuck = world.agent
    world.step(np.full(len(batch), FORWARD))
    assert (world.agent == stuck).all() and random_success(batch, 128) == 0


def test_a_zone_is_drawn_for_each_episode_and_not_shown() -> None:
    batch = tasks.sample_episodes(ROOMS_TASK, "test", episodes=20, seed=0)
    kept, zones = with_zones(batch, 128, seed=0)
    again, same = with_zones(batch, 128, seed=0)
    other = with_zones(batch, 128, seed=1)[1]
    assert (zones == same).all() and (kept.oracle_steps == again.oracle_steps).all()
    assert zones.shape != other.shape or (zones != other).any()
    assert len(kept) >= 18 and not grid_to_lava(kept.grid).any()
    rows = [list(batch.plan_seed).index(seed) for seed in kept.plan_seed]
    assert (kept.oracle_steps > batch.oracle_steps[rows]).all()


def test_nothing_is_forbidden_where_there_is_no_way_round() -> None:
    walls = np.ones((9, 3), dtype=bool)
    walls[1:8, 1] = False
    assert not lay_across(np.random.default_rng(0), walls, (1, 1, 0), (7, 1), 100).any()
    walls = np.ones((5, 5), dtype=bool)
    walls[1:4, 1:4] = False
    assert not lay_across(np.random.default_rng(0), walls, (1, 1, 0), (2, 1), 100).any()


def test_worlds_that_zones_do_not_fit_are_refused() -> None:
    point = tasks.sample_episodes("hjepa/NestedPoint-d2-v0", episodes=2)
    with pytest.raises(ValueError, match="cells without doors"):
        with_zones(point, 64)
