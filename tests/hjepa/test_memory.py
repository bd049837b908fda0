"""Short-term memory: what views leave behind, and an agent that plans on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.agent import Agent, Episodes
from hjepa.checkpoints import load_stack
from hjepa.cli import main
from hjepa.errors import InputError
from hjepa.evaluation import evaluate, make_agent, play
from hjepa.memory import Memory, RingBuffer, SpatialMap, believed, remembering
from hjepa.stack import Stack
from planners.noise import combine
from tasks import BatchedWorld, EpisodeBatch, sample_episodes, task_spec
from tasks.observations import EMPTY, FORWARD, RIGHT, WALL, grid_to_walls
from tasks.oracles import distances
from tasks.views import UNSEEN, partial_views

D2, D3 = "hjepa/NestedPartial-d2-v0", "hjepa/NestedPartial-d3-v0"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack("nested-d2")


def walk(memory: Memory, grid: np.ndarray, poses: list[tuple[int, int, int]]) -> np.ndarray:
    """What is known of one floor plan (W, H, 3) after looking from some poses."""
    for pose in poses:
        place = np.array([pose])
        memory.write(partial_views(grid[None], place), place)
    return memory.read()[0]


def test_what_is_known_is_what_was_seen_and_true() -> None:
    grid = sample_episodes(D3, "validation", episodes=1, seed=0).grid[0]
    free = [tuple(cell) for cell in np.argwhere(grid[..., 0] == EMPTY).tolist()]
    poses = [(x, y, heading) for x, y in free[::9] for heading in range(4)]
    memory = SpatialMap(1, grid.shape[:2])
    assert isinstance(memory, Memory) and (memory.read() == UNSEEN).all()
    known = walk(memory, grid, poses[:6])
    seen = known[..., 0] != UNSEEN
    assert (known[seen] == grid[seen]).all() and 0.05 < seen.mean() < 0.6
    everything = walk(memory, grid, poses)[..., 0] != UNSEEN
    assert (everything | ~seen).all() and everything.mean() > 0.95, "nothing is forgotten"


def test_a_ring_buffer_knows_its_last_views_and_no_more() -> None:
    grid = sample_episodes(D3, "validation", episodes=1, seed=0).grid[0]
    free = [tuple(cell) for cell in np.argwhere(grid[..., 0] == EMPTY).tolist()]
    poses = [(x, y, n % 4) for n, (x, y) in enumerate(free[::11])]
    for views in (1, 3):
        ring = walk(RingBuffer(1, grid.shape[:2], views), grid, poses)
        last = walk(SpatialMap(1, grid.shape[:2]), grid, poses[-views:])
        np.testing.assert_array_equal(ring, last)
    assert len(poses) > 8
    long, whole = RingBuffer(1, grid.shape[:2], len(poses)), SpatialMap(1, grid.shape[:2])
    np.testing.assert_array_equal(walk(long, grid, poses), walk(whole, grid, poses))


def test_what_was_not_seen_is_believed_to_be_floor() -> None:
    known = np.zeros((1, 3, 3, 3), dtype=np.uint8)
    known[0, 1, 1] = (WALL, 5, 0)
    floor = believed(known)
    assert grid_to_walls(floor)[0].sum() == 1 and (floor[..., 0] == EMPTY).sum() == 8


@pytest.mark.parametrize("name", ["maps", "ring:0", "ring:x", "none:2"])
def test_unknown_memories_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="choose from map, ring, none"):
        remembering(name)
    assert main(["plan", "--checkpoint", "nested-d2", "--task", D2, "--memory", name, "--episodes", "1"]) == 2


def test_memories_and_worlds_have_to_fit(stack: Stack) -> None:
    rooms = task_spec("hjepa/NestedRooms-d2-v0")
    with pytest.raises(InputError, match="seen whole; leave it out"):
        make_agent(stack, rooms, 1, memory="map")
    with pytest.raises(InputError, match="oracles know the whole"):
        evaluate(stack, D2, 2, 2, oracle="cost")
    with pytest.raises(InputError, match="diagnostics"):
        evaluate(stack, D2, 2, 2, diagnostics=True)
    batch = sample_episodes(D2, "validation", episodes=1)
    with pytest.raises(InputError, match="shows a part of itself"):
        play(make_agent(stack, rooms, 1), task_spec(D2), batch, 0, 0)
    with pytest.raises(InputError, match="shows the whole of itself"):
        play(make_agent(stack, task_spec(D2), 1), rooms, batch, 0, 0)


@pytest.mark.parametrize("memory", ["map", "ring:3", "none"])
@pytest.mark.parametrize("levels", [1, 3])
def test_plans_do_not_depend_on_how_many_are_made_at_once(stack: Stack, levels: int, memory: str) -> None:
    together, alone = (
        evaluate(stack, D2, levels, 5, seed=4, split="validation", memory=memory, episode_batch=size)
        for size in (5, 2)
    )
    for name in ("success", "steps", "tflops_per_episode", "active_share"):
        assert together[name] == pytest.approx(alone[name], abs=0), name
    assert together["memory"] == memory


def test_unseen_floor_plans_are_solved_within_the_budget(stack: Stack) -> None:
    spec, batch = task_spec(D2), sample_episodes(D2, "validation", episodes=12, seed=6)
    trace = play(make_agent(stack, spec, 2), spec, batch, 0, 6)
    assert trace.results.success.mean() >= 0.9
    assert (trace.results.flops <= spec.default_budget_tflops * 1e12).all()
    # Looking again and again is paid for: the same episodes seen whole cost less.
    rooms = task_spec("hjepa/NestedRooms-d2-v0")
    agent = make_agent(stack, rooms, 2, spec.default_budget_tflops)
    assert (trace.results.flops >= agent.searches.write_flops).all()


def looked(
    agent: Agent, episodes: EpisodeBatch, actions: list[int]
) -> tuple[BatchedWorld, dict[str, np.ndarray], Episodes]:
    """A world and an agent that has been led through some actions."""
    world = task_spec(D2).make_batched(1)
    observation, info = world.reset(options={"episodes": episodes})
    state = agent.begin(observation, {"pose": info["goal"]}, combine(0, torch.arange(1)))
    for action in actions:
        agent.act(state, observation)
        observation, *_ = world.step(np.array([action]))
    return world, observation, state


def behind_a_wall() -> tuple[EpisodeBatch, tuple[int, int]]:
    """An episode that begins before a doorway, in the next room of which the goal is behind the wall, and the doorway.

    The agent stands right before the door, looks through it, and the goal is on the other side.
    """
    batch = sample_episodes(D2, "validation", episodes=40, seed=1)
    for i in range(40):
        walls = batch.walls[i]
        for x, y in np.argwhere(~walls).tolist():
            # A doorway in the wall between a room on the left and one on the right.
            if x == 4 and walls[4, y - 1] and walls[4, y + 1] and y in (1, 3):
                far = y + (2 if y == 1 else -2)
                start, goal = np.array([[2, y, 0]]), np.array([[5, far, 0]])
                steps = distances(walls[None], goal)[0, 2, y, 0]
                one = EpisodeBatch(batch.plan_seed[[i]], batch.grid[[i]], start, goal, np.array([steps]))
                return one, (x, y)
    raise AssertionError("no such floor plan")


def test_a_doorway_seen_once_and_out_of_view_is_planned_through(stack: Stack) -> None:
    episodes, door = behind_a_wall()
    spec, walls = task_spec(D2), episodes.walls[0]
    ways, beliefs = {}, {}
    for memory in ("map", "none"):
        agent = make_agent(stack, spec, 1, memory=memory)
        # It sees the doorway, turns, and walks off to where the wall is between it and the goal.
        turn = [RIGHT] if episodes.goal[0, 1] > door[1] else [0]
        actions = [*turn, FORWARD, FORWARD, *turn]
        world, observation, state = looked(agent, episodes, actions)
        shown = observation["image"][0, ..., 0]
        place = world.agent
        from_here = SpatialMap(1, walls.shape)
        from_here.write(observation["image"], observation["pose"])
        assert from_here.read()[0, door[0], door[1], 0] == UNSEEN and (shown == WALL).any()
        path = [tuple(place[0, :2])]
        steps = int(distances(walls[None], episodes.goal)[0][tuple(place[0])])
        for _ in range(steps + 6):
            observation, _, ended, _, _ = world.step(agent.act(state, observation))
            path.append(tuple(world.agent[0, :2]))
            if ended.any():
                break
        ways[memory], beliefs[memory] = path, state.floor
        if memory == "map":
            assert len(path) - 1 <= steps + 2 and door in path, "straight through the doorway"
            assert state.floor[0, door[0], door[1], 0] == EMPTY
    assert ways["map"] != ways["none"]


def test_a_wall_that_turns_up_in_the_way_ends_the_plan(stack: Stack) -> None:
    spec, batch = task_spec(D2), sample_episodes(D2, "validation", episodes=16, seed=3)
    agent = make_agent(stack, spec, 2)
    world = spec.make_batched(16)
    observation, info = world.reset(options={"episodes": batch})
    state = agent.begin(observation, {"pose": info["goal"]}, combine(3, torch.arange(16)))
    believed_first = grid_to_walls(state.floor).sum()
    done = np.zeros(16, dtype=bool)
    for _ in range(20):
        before = state.surprised.clone()
        asked = state.plan.levels[1].asked.clone()
        observation, _, over, _, _ = world.step(agent.act(state, observation, torch.from_numpy(~done)))
        hit = state.surprised > before
        assert (state.plan.levels[1].asked[hit] > asked[hit]).all(), "at every level"
        done |= over
    assert int(state.surprised.sum()) > 0
    truth, now = batch.walls, grid_to_walls(state.floor)
    assert (truth | ~now).all() and now.sum() > believed_first


def test_the_command_writes_what_was_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "records.json"
    arguments = ["plan", "--checkpoint", "nested-d2", "--task", D2, "--levels", "1", "--episodes", "3"]
    more = [
        "--split",
        "validation",
        "--memory",
        "map,ring:2",
        "--seed",
        "0,1",
        "--workers",
        "1",
        "--json",
        str(file),
    ]
    assert main([*arguments, *more]) == 0
    records = json.loads(file.read_text())
    assert [record["memory"] for record in records] == ["map", "ring:2", "map", "ring:2"]
    assert "memory" in capsys.readouterr().out
    for first, second in ((0, 1), (2, 3)):
        assert records[first]["oracle_steps"] == records[second]["oracle_steps"], "paired"
