"""Missions done by an agent with shipped weights, and the levels it begins with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.agent.options import AgentOptions
from hjepa.config import with_plan
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent, play
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.gridworld.configurator import Configurator, Course, LegByLeg
from hjepa.gridworld.missions import mission_text, read_mission, sample_missions
from hjepa.model.checkpoints import load_stack
from hjepa.model.stack import Stack
from tasks import task_spec

ROOMS = "hjepa/NestedRooms-d2-v0"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack("told-nested-d2")


@pytest.mark.parametrize("kind", ["visit", "match", "avoid"])
def test_each_kind_is_done_with_the_weights_as_they_are(stack: Stack, kind: str) -> None:
    record = evaluate(stack, ROOMS, levels=2, episodes=8, seed=2, split="validation", mission=kind)
    assert record["mission"] == kind and record["success_rate"] >= 0.75
    assert record["violations"] == 0 and record["random_success_rate"] <= 0.5
    assert record["tflops_per_episode"] <= record["budget_tflops"]


def test_the_key_is_fetched_and_the_door_opened() -> None:
    keys = load_stack("told-nested-keys-d2")
    record = evaluate(
        keys, "hjepa/NestedKeys-d2-v0", levels=2, episodes=8, seed=1, split="validation", mission="fetch"
    )
    assert record["success_rate"] >= 0.75 and record["path_ratio"] < 1.5
    # Planned straight for the goal it stands before the locked door.
    straight = evaluate(keys, "hjepa/NestedKeys-d2-v0", levels=2, episodes=8, seed=1, split="validation")
    assert straight["success_rate"] <= 0.5
    unlocked = evaluate(
        keys, "hjepa/NestedKeys-d2-v0", levels=2, episodes=8, seed=1, split="validation", mission="reach"
    )
    assert unlocked["success_rate"] >= 0.75


def test_a_mission_does_not_depend_on_the_company(stack: Stack) -> None:
    settings = with_plan(stack.config, ["plan.start=distance"]).plan
    together, apart = (
        evaluate(
            stack,
            ROOMS,
            levels=3,
            episodes=5,
            settings=settings,
            split="validation",
            mission="visit",
            episode_batch=size,
        )
        for size in (5, 2)
    )
    assert (together["steps"], together["tflops_per_episode"]) == (
        apart["steps"],
        apart["tflops_per_episode"],
    )


def test_places_are_visited_in_their_order(stack: Stack) -> None:
    spec = task_spec(ROOMS)
    batch, missions = sample_missions(ROOMS, read_mission("visit"), "validation", None, 4, 0)
    trace = play(make_agent(stack, spec, AgentOptions(2)), spec, batch, 0, 0, missions=missions)
    for row in np.flatnonzero(trace.results.success):
        path, since = trace.agent[row, : trace.results.steps[row] + 1, :2], 0
        for place in missions.place[row, :, :2]:
            hits = np.flatnonzero((path[since:] == place).all(1))
            assert len(hits)
            since += hits[0]
        assert since == trace.results.steps[row]
    assert trace.results.success.any()


def test_matching_a_state_ends_with_its_heading(stack: Stack) -> None:
    spec = task_spec(ROOMS)
    batch, missions = sample_missions(ROOMS, read_mission("match"), "validation", None, 6, 0)
    trace = play(make_agent(stack, spec, AgentOptions(1)), spec, batch, 0, 0, missions=missions)
    rows = np.flatnonzero(trace.results.success)
    assert len(rows) >= 5
    assert (trace.agent[rows, trace.results.steps[rows]] == batch.goal[rows]).all()


def test_the_start_level_follows_the_distance(stack: Stack) -> None:
    near = with_plan(stack.config, ["plan.start=distance"]).plan
    record = evaluate(stack, ROOMS, levels=3, episodes=12, settings=near, split="validation", seed=1)
    usual = evaluate(stack, ROOMS, levels=3, episodes=12, split="validation", seed=1)
    assert record["success_rate"] >= usual["success_rate"] - 0.1
    assert record["tflops_per_episode"] < 0.8 * usual["tflops_per_episode"]
    assert record["active_episodes"][2] < usual["active_episodes"][2] + 1e-9


def test_the_lowest_level_that_looks_far_enough_begins(stack: Stack) -> None:
    configurator = LegByLeg(stack.config.plan, [1, 4, 8])
    assert isinstance(configurator, Configurator)
    reach = [stack.config.plan.horizon[k] * span for k, span in enumerate((1, 4, 8))]
    left = torch.tensor([0.0, reach[0], reach[0] + 0.5, reach[1] + 1, 500.0])
    assert configurator.top(left).tolist() == [0, 0, 1, 2, 2]


def test_a_leg_is_aimed_at_with_doors_and_keys_as_they_are() -> None:
    from tasks.missions import MissionBatch

    place = np.array([[[4, 5, 0, 9, 9], [6, 7, 2, 0, 0]]])
    missions = MissionBatch(np.array([[2, 1]]), place, np.array([[4, 0]]), np.zeros((1, 9, 9), bool))
    configurator = LegByLeg(load_stack("told-nested-d2").config.plan, [1])
    agent, rows = np.array([[1, 2, 3, 2, 1]]), np.arange(1)
    fetch = configurator.aims(Course(missions, np.array([0])), agent, rows)
    assert fetch.agent.tolist() == [[4, 5, 0, 2, 0]] and fetch.exact.tolist() == [0]
    match = configurator.aims(Course(missions, np.array([1])), agent, rows)
    assert match.agent.tolist() == [[6, 7, 2, 0, 0]] and match.exact.tolist() == [1]


def test_missions_are_read_from_files_and_lines(tmp_path: Path) -> None:
    file = tmp_path / "errand.yaml"
    file.write_text("do:\n  - reach: [3, 1]\n  - reach: goal\navoid: [[1, 1]]\n")
    mission = read_mission(str(file))
    assert mission.legs == (("reach", (3, 1)), ("reach", "goal")) and mission.avoid == ((1, 1, 1, 1),)
    assert read_mission(mission_text(str(file))) == mission and mission_text("visit") == "visit"
    for asked, message in (
        ("wander", "choose from reach, visit, avoid, match, fetch"),
        (str(tmp_path / "none.yaml"), "No such file"),
        ("do: [{reach: home}]", "place 'home'"),
        ("do: [", "not YAML .* mend it"),
    ):
        with pytest.raises(InputError, match=message):
            read_mission(asked)


def test_missions_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="a floor plan shows none"):
        sample_missions(ROOMS, read_mission("fetch"), "test", None, 2, 0)
    with pytest.raises(InputError, match="leave one of them out"):
        PlanRequest("x", ROOMS, mission="visit", zones=True)
    with pytest.raises(InputError, match="have a way to do it"):
        sample_missions(ROOMS, read_mission("do: [" + "{reach: somewhere}, " * 9 + "]"), "test", None, 9, 0)
