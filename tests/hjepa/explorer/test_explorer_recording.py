"""What is recorded is what agents did: costs, places and latents against a second way to get them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import torch

import tasks
from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.config import with_plan
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import Trace, make_agent, play
from hjepa.explorer import recording
from hjepa.explorer.episodes import steps_to_goal
from hjepa.explorer.packing import Blobs
from hjepa.explorer.player import player
from hjepa.explorer.recording import empty, plain_world, played
from hjepa.explorer.request import ExploreRequest, plain_agent
from hjepa.explorer.schema import NOWHERE, WALLED, check
from hjepa.explorer.seen import nearest
from hjepa.figures.landscape import landscape
from hjepa.figures.projection import SIDE, Projection
from hjepa.figures.walk import read_walk
from hjepa.model.stack import Stack

TASK = "hjepa/NestedRooms-d2-v0"


@pytest.fixture(scope="module")
def batch() -> tasks.EpisodeBatch:
    return tasks.sample_episodes(TASK, "test", episodes=2, seed=0)


@pytest.fixture(scope="module")
def agent(stack: Stack) -> Agent:
    settings = with_plan(stack.config, ["plan.planner=sampling", "plan.ground=0"]).plan
    return make_agent(stack, tasks.task_spec(TASK), AgentOptions(record=True, settings=settings))


@pytest.fixture(scope="module")
def trace(agent: Agent, batch: tasks.EpisodeBatch) -> Trace:
    return play(agent, tasks.task_spec(TASK), batch, 0, 0)


@pytest.fixture(scope="module")
def content(agent: Agent, batch: tasks.EpisodeBatch, trace: Trace) -> dict[str, Any]:
    made, blobs, spec = empty("tiny"), Blobs(), tasks.task_spec(TASK)
    made["worlds"].append(plain_world(spec, batch, blobs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "play", lambda *_: trace)
        episodes = list(played(agent, spec, batch, 0, 0, blobs))
    made["agents"].append(plain_agent("tiny", agent.stack, 3, agent.settings.metric, 0, episodes))
    made["blobs"] = blobs.texts
    check(made)
    return made


def blob(content: dict[str, Any], name: str, kind: str = "u1") -> np.ndarray:
    return np.frombuffer(base64.b64decode(content["blobs"][name]), np.dtype(kind).newbyteorder("<"))


def test_the_walk_is_the_one_that_was_played(content: dict[str, Any], trace: Trace) -> None:
    for row, walk in enumerate(content["agents"][0]["episodes"]):
        steps = int(trace.results.steps[row])
        assert (walk["steps"], walk["success"]) == (steps, trace.results.success[row])
        path = np.reshape(walk["path"], (-1, 3))
        np.testing.assert_array_equal(path, trace.agent[row, : steps + 1, :3] * [10, 10, 1])
        made = read_walk(trace, row)
        for own, plans in zip(walk["levels"], made.plans, strict=True):
            assert [plan["at"] for plan in own["plans"]] == [plan.time for plan in plans]
            for plan, imagined in zip(own["plans"], plans):
                np.testing.assert_allclose(
                    np.reshape(plan["xy"], (-1, 2)) / 10, imagined.positions, atol=0.051
                )


def test_true_steps_fall_to_nothing_at_the_goal(content: dict[str, Any], batch: tasks.EpisodeBatch) -> None:
    for row, episode in enumerate(content["worlds"][0]["episodes"]):
        steps = blob(content, episode["steps"], "u2").reshape(9, 9).T
        truth = tasks.distances(batch.walls, batch.goal)[row].min(-1)
        np.testing.assert_array_equal(steps, np.where(truth < 0, NOWHERE, truth))
        assert steps[tuple(int(x) for x in episode["goal"])] == 0
        grid = blob(content, episode["grid"]).reshape(9, 9).T
        np.testing.assert_array_equal(grid, batch.grid[row, ..., 0])


def test_costs_are_those_of_the_figure(
    content: dict[str, Any], stack: Stack, agent: Agent, batch: tasks.EpisodeBatch
) -> None:
    for row, walk in enumerate(content["agents"][0]["episodes"]):
        for k, level in enumerate(walk["levels"]):
            found = landscape(stack, batch.grid[row], batch.goal[row], k + 1, agent.settings.metric)
            own = level["map"]
            cost = blob(content, own["cost"]).reshape(9, 9).T
            np.testing.assert_array_equal(cost == WALLED, batch.walls[row])
            free = ~batch.walls[row]
            read = own["low"] + (own["high"] - own["low"]) * cost[free] / (WALLED - 1)
            wide = own["high"] - own["low"]
            np.testing.assert_allclose(read, found.energy[free], atol=wide / 500 + 1e-3, rtol=1e-4)


def test_the_goal_and_the_start_lie_where_their_states_do(
    content: dict[str, Any], batch: tasks.EpisodeBatch
) -> None:
    for row, walk in enumerate(content["agents"][0]["episodes"]):
        cells = np.argwhere(~batch.walls[row]).tolist()
        for level in walk["levels"]:
            own = level["map"]
            states = blob(content, own["states"]).reshape(-1, own["headings"], 2) / 255 * SIDE
            for agent, place in ((batch.goal[row], own["goal"]), (batch.start[row], own["path"][:2])):
                state = states[cells.index(agent[:2].tolist()), agent[2]]
                np.testing.assert_allclose(place, state, atol=SIDE / 255)


def test_a_projection_keeps_what_two_dimensions_hold() -> None:
    torch.manual_seed(0)
    flat = torch.randn(200, 2) * torch.tensor([3.0, 1.0])
    turn = torch.linalg.qr(torch.randn(5, 5))[0][:2]
    found = Projection.of(flat @ turn, None)
    places = found.place(flat @ turn)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.testing.assert_allclose(apart, torch.cdist(flat, flat) * found.scale, rtol=1e-3, atol=0.5)
    assert found.shown == pytest.approx(1.0) and places.min() >= -1e-6 and places.max() <= SIDE + 1e-6
    # A metric that is blind to one of the two directions leaves a line.
    line = Projection.of(flat @ turn, turn.T[:, :1] @ turn[:1]).place(flat @ turn)
    assert np.linalg.matrix_rank(line - line.mean(0), tol=1e-2) == 1


def test_the_nearest_state_is_by_latents_and_has_a_picture() -> None:
    states, path = torch.eye(3), torch.tensor([[0.0, 0.0, 0.9], [5.0, 5.0, 5.0]])
    pictured = [(False, 0, "first"), (False, 1, "second"), (True, 0, "start"), (True, 1, "end")]
    ahead = [torch.tensor([0.9, 0.1, 0.0]), torch.tensor([0.0, 0.0, 1.0]), torch.tensor([9.0, 9.0, 9.0])]
    # Third of the held-out states is the nearest of all to the second, but nobody can look at it.
    assert nearest(ahead, states, path, pictured) == ["first", "start", "end"]
    # A metric that sees the second direction alone.
    blind = torch.tensor([[0.0], [1.0], [0.0]])
    assert nearest([torch.tensor([9.0, 1.1, 9.0])], states, path, pictured, blind) == ["second"]
    assert nearest(ahead, states, path, []) == [None] * 3 and nearest([], states, path, pictured) == []


def test_points_are_recorded_too(stack: Stack) -> None:
    batch = tasks.sample_episodes("hjepa/NestedPoint-d2-v0", "test", episodes=1, seed=0)
    world = plain_world(tasks.task_spec("hjepa/NestedPoint-d2-v0"), batch, Blobs())
    np.testing.assert_allclose(world["episodes"][0]["goal"], batch.goal[0] - 0.5)
    steps, cell = steps_to_goal(batch), np.floor(batch.start[0]).astype(int)
    # From the middle of the start's cell it is about as far as from the start.
    assert abs(steps[tuple(cell)] - batch.oracle_steps[0]) <= 2
    assert ((steps >= 0) <= ~batch.walls[0]).all() and (steps >= 0).sum() > 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": ()}, "runs none: name each once|explore: runs none"),
        ({"runs": ("told-nested-d2", "told-nested-d2")}, "name each once"),
        ({"levels": (0,)}, "levels 0; give 1 or more"),
        ({"levels": (2, 2)}, "levels 2,2; name each once"),
        ({"episodes": 0}, "episodes 0; give 1 or more"),
        ({"seed": -1}, "seed -1; give 0 or more"),
    ],
)
def test_requests_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExploreRequest(**{"runs": ("told-nested-d2",), **changes})


def test_what_no_run_has_is_refused_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "play", lambda *_: pytest.fail("played"))
    with pytest.raises(InputError, match="levels 9; no run has as many|explore: levels 9"):
        recording.record(ExploreRequest(("told-flat-d2",), levels=(9,)))
    with pytest.raises(InputError, match="no checkpoint 'nothing'"):
        recording.record(ExploreRequest(("told-flat-d2", "nothing")))
    with pytest.raises(InputError, match="33x33|17x17|NestedRooms-d3"):
        recording.record(ExploreRequest(("told-flat-d2",), task="hjepa/NestedRooms-d3-v0"))


def test_a_player_in_a_notebook_is_the_same_page(trace: Trace) -> None:
    shown = player([trace, trace], episode=1, names=["one", "two"])
    assert 'id="hjepa-data"' in shown.page and '"map":null' in shown.page
    frame = shown._repr_html_()
    assert frame.startswith("<iframe sandbox=") and frame.count("<") == 2 and "</script" not in frame
    with pytest.raises(InputError, match="1 names of 2 traces"):
        player([trace, trace], names=["one"])
    with pytest.raises(InputError, match="episode 2 of a trace of 2"):
        player(trace, episode=2)
