"""Guardrails of an agent with shipped weights: lava, what somebody draws, and what changes on the way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent, play
from hjepa.gridworld.guardrails import Guardrail, Lava, Region, Rule, forbidden, sample_zones, without_lava
from hjepa.model.checkpoints import load_stack
from hjepa.model.stack import Stack
from planners.noise import combine
from tasks import EpisodeBatch, make_batched, sample_episodes, task_spec
from tasks.observations import EMPTY_CELL, LAVA_CELL, grid_to_lava

LAVA, ROOMS = "hjepa/NestedLava-d3-v0", "hjepa/NestedRooms-d3-v0"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack("told-nested-d3")


def begin(agent: Agent, episodes: EpisodeBatch) -> tuple[object, object, object]:
    world = make_batched(task_spec(ROOMS), len(episodes), copy=False)
    observation, _ = world.reset(options={"episodes": episodes})
    keys = combine(0, torch.arange(len(episodes)))
    return world, observation, agent.begin(observation, episodes.goal_observation, keys)


def test_guardrails_name_cells() -> None:
    floor = np.tile(np.array(EMPTY_CELL, np.uint8), (2, 4, 3, 1))
    floor[0, 1, 2] = LAVA_CELL
    drawn = np.zeros((4, 3), dtype=bool)
    drawn[3, 0] = True
    rule = Rule(lambda x, y: (x == 2) & (y < 2))
    assert all(isinstance(each, Guardrail) for each in (Lava(), Region(drawn), rule))
    zone = forbidden([Lava(), Region(drawn), rule], floor)
    assert np.argwhere(zone[0]).tolist() == [[1, 2], [2, 0], [2, 1], [3, 0]]
    assert np.argwhere(zone[1]).tolist() == [[2, 0], [2, 1], [3, 0]]
    assert not forbidden([], floor).any() and not grid_to_lava(without_lava(floor)).any()
    with pytest.raises(InputError, match=r"a region of \(3, 4\).*draw it on \(4, 3\) cells"):
        forbidden([Region(drawn.T)], floor)


@pytest.mark.parametrize("levels", [1, 2])
def test_lava_is_kept_out_of(stack: Stack, levels: int) -> None:
    held = evaluate(stack, LAVA, levels=levels, episodes=10, seed=3, split="validation")
    careless = evaluate(stack, LAVA, levels=levels, episodes=10, seed=3, split="validation", unguarded=True)
    assert held["violations"] == 0 and held["success_rate"] >= 0.9
    assert careless["violations"] >= 0.5 and careless["success_rate"] <= 0.5
    assert held["guardrails"] == ["lava"] and careless["guardrails"] == []
    assert held["tflops_per_episode"] <= held["budget_tflops"]


def test_a_zone_nobody_shows_holds_from_one_episode_to_the_next(stack: Stack) -> None:
    batch, zones = sample_zones(ROOMS, "validation", "far", 2, 5)
    spec, one = task_spec(ROOMS), batch.select(slice(0, 1))
    agent = make_agent(stack, spec, AgentOptions(1, guardrails=(Region(zones[:1]),)))
    first = play(agent, spec, one, 0, 0, zones[:1])
    assert first.results.success.all() and not first.results.violated.any()
    # The same weights, the same episode: nothing is forbidden, then something else.
    agent.guard([])
    free = play(agent, spec, one, 0, 0, zones[:1])
    assert free.results.violated.all() and free.results.steps[0] < first.results.steps[0]
    middle = free.agent[0, free.results.steps[0] // 2, :2]
    other = np.zeros_like(zones[:1])
    other[0, middle[0], middle[1]] = True
    agent.guard([Region(other)])
    assert not play(agent, spec, one, 0, 0, other).results.violated.any()


def test_a_zone_that_appears_on_the_way_is_planned_around_at_once(stack: Stack) -> None:
    episodes = sample_episodes(ROOMS, "validation", episodes=1, seed=2)
    free = play(make_agent(stack, task_spec(ROOMS), AgentOptions(1)), task_spec(ROOMS), episodes, 0, 0)
    path = free.agent[0, : free.results.steps[0] + 1, :2]
    middle = path[len(path) // 2]
    zone = np.zeros((1, *episodes.walls.shape[1:]), dtype=bool)
    zone[0, middle[0], middle[1]] = True
    agent = make_agent(stack, task_spec(ROOMS), AgentOptions(1, guardrails=(Region(np.zeros_like(zone)),)))
    world, observation, state = begin(agent, episodes)
    for step in range(60):
        if step == 4:
            agent.guard([Region(zone)], state)
        observation, _, ended, _, _ = world.step(agent.act(state, observation, torch.ones(1) > 0))
        assert not zone[0, world.agent[0, 0], world.agent[0, 1]]
        if ended.any():
            break


def test_what_guardrails_cannot_hold_is_refused(stack: Stack) -> None:
    with pytest.raises(InputError, match="zones"):
        evaluate(stack, "MiniGrid-MultiRoom-N6-v0", levels=1, episodes=2, zones=True)
    with pytest.raises(InputError, match="oracles know no guardrails"):
        evaluate(stack, LAVA, levels=2, episodes=2, oracle="cost")
