"""Short-term memory: what views leave behind, and an agent that plans on it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.agent.options import AgentOptions
from hjepa.cli import main
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent, play
from hjepa.gridworld.guardrails import Region, sample_zones
from hjepa.gridworld.missions import read_mission, sample_missions
from hjepa.gridworld.short_term_memory import (
    Memory,
    Remembering,
    RingBuffer,
    SpatialMap,
    believed,
    remembering,
)
from hjepa.model.checkpoints import load_stack
from hjepa.model.stack import Stack
from hjepa.settings import PlanSettings
from planners.noise import combine
from tasks import EpisodeBatch, make_batched, sample_episodes, step_agents, task_spec
from tasks.observations import (
    CLOSED,
    DOOR,
    EMPTY,
    EMPTY_CELL,
    KEY_CELL,
    LOCKED,
    OPEN,
    WALL,
    WALL_CELL,
    grid_to_walls,
)
from tasks.oracles import distances, shortest_actions
from tasks.views import UNSEEN, partial_views, view_cells

D2, D3 = "hjepa/NestedPartial-d2-v0", "hjepa/NestedPartial-d3-v0"
KEYS = "hjepa/NestedPartialKeys-d2-v0"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack("told-nested-d2")


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
    assert (
        main(["plan", "--checkpoint", "told-nested-d2", "--task", D2, "--memory", name, "--episodes", "1"])
        == 2
    )


def test_memories_and_worlds_have_to_fit(stack: Stack) -> None:
    rooms = task_spec("hjepa/NestedRooms-d2-v0")
    with pytest.raises(InputError, match="seen whole; leave it out"):
        make_agent(stack, rooms, AgentOptions(1, memory=remembering("map")))
    with pytest.raises(InputError, match="oracles know the whole"):
        evaluate(stack, D2, levels=2, episodes=2, oracle="cost")
    with pytest.raises(InputError, match="diagnostics"):
        evaluate(stack, D2, levels=2, episodes=2, diagnostics=True)
    with pytest.raises(InputError, match="'imagined' where the world is seen in parts"):
        make_agent(stack, task_spec(D2), AgentOptions(1, settings=small(stack, metric="imagined")))
    batch = sample_episodes(D2, "validation", episodes=1)
    with pytest.raises(InputError, match="shows a part of itself"):
        play(make_agent(stack, rooms, AgentOptions(1)), task_spec(D2), batch, 0, 0)
    with pytest.raises(InputError, match="shows the whole of itself"):
        play(make_agent(stack, task_spec(D2), AgentOptions(1)), rooms, batch, 0, 0)


def small(stack: Stack, block: int = 4, **changes: object) -> PlanSettings:
    """Settings of planning for a few episodes at a time."""
    return replace(stack.config.plan, block=block, **changes)


@pytest.mark.parametrize(
    ("memory", "levels"),
    [
        ("map", 2),
        pytest.param("ring:3", 3, marks=pytest.mark.slow),
        pytest.param("none", 1, marks=pytest.mark.slow),
    ],
)
def test_plans_do_not_depend_on_how_many_are_made_at_once(stack: Stack, memory: str, levels: int) -> None:
    asked = {"seed": 4, "split": "validation", "settings": small(stack), "memory": memory}
    together, alone = (
        evaluate(stack, D2, levels=levels, episodes=3, episode_batch=size, **asked) for size in (3, 2)
    )
    for name in ("success", "steps", "tflops_per_episode", "active_share"):
        assert together[name] == alone[name], name
    assert together["memory"] == memory


@pytest.mark.parametrize("memory", ["map", "none"])
def test_unseen_floor_plans_are_solved_within_the_budget(stack: Stack, memory: str) -> None:
    spec, batch = task_spec(D2), sample_episodes(D2, "validation", episodes=4, seed=6)
    agent = make_agent(stack, spec, AgentOptions(1, settings=small(stack), memory=remembering(memory)))
    trace = play(agent, spec, batch, 0, 6)
    assert trace.results.success.mean() >= 0.8
    assert (trace.results.flops <= spec.default_budget_tflops * 1e12).all()
    assert (trace.results.flops > agent.searches.write_flops + agent.searches.metric_flops).all()


def test_a_guardrail_holds_where_the_world_is_seen_in_parts(stack: Stack) -> None:
    spec, rooms = task_spec(D2), "hjepa/NestedRooms-d2-v0"
    batch, zones = sample_zones(rooms, "validation", "far", 4, 5)
    batch, zones = batch.select([2, 3]), zones[2:]
    agent = make_agent(stack, spec, AgentOptions(1, settings=small(stack, 2), guardrails=(Region(zones),)))
    results = play(agent, spec, batch, 0, 0, zones).results
    assert not results.violated.any() and results.success.all()


def around(walls: np.ndarray, start: tuple[int, int, int], goal: tuple[int, int]) -> np.ndarray:
    """The poses (N, 3) of a shortest way."""
    steps, way = distances(walls[None], np.array([goal])), [np.array(start)]
    while tuple(way[-1][:2]) != goal:
        action = shortest_actions(walls[None], steps, way[-1][None]).astype(np.int64)
        way.append(step_agents(walls[None], way[-1][None], action)[0])
    return np.stack(way)


def test_a_doorway_seen_once_and_out_of_view_is_planned_through() -> None:
    """The goal is behind a wall, and the way leads around through doorways that the agent cannot see from its start."""
    deep = load_stack("told-nested-d3")
    spec = replace(task_spec(D3), step_budget=40)
    batch = sample_episodes(D3, "validation", episodes=1, seed=1)
    start, goal = (14, 9, 3), (13, 6)
    way = around(batch.walls[0], start, goal)
    steps = len(way) - 1
    doorways = {(int(x), int(y)) for x, y in way[:, :2] if x % 4 == 0 or y % 4 == 0}
    assert steps == 17 and len(doorways) == 3 and abs(start[0] - goal[0]) + abs(start[1] - goal[1]) == 4

    def seen(poses: np.ndarray) -> SpatialMap:
        memory = SpatialMap(1, batch.walls.shape[1:])
        for pose in poses:
            memory.write(partial_views(batch.grid, pose[None]), pose[None])
        return memory

    def shows(poses: np.ndarray) -> set[tuple[int, int]]:
        known = seen(poses).read()[0, ..., 0] != UNSEEN
        return {door for door in doorways if known[door]}

    once = np.stack([pose for i, pose in enumerate(way) if shows(way[: i + 1]) > shows(way[:i])])
    assert shows(once) == doorways and not shows(way[:1]), "out of view"
    ends = np.array([start]), np.array([[*goal, 0]])
    episodes = EpisodeBatch(batch.plan_seed, batch.grid, *ends, np.array([steps]))
    results = {}
    for memory in (Remembering("seen", lambda count, size: seen(once)), remembering("none")):
        agent = make_agent(deep, spec, AgentOptions(1, settings=small(deep, 1), memory=memory))
        trace = play(agent, spec, episodes, 0, 0)
        results[memory.name] = (bool(trace.results.success[0]), int(trace.results.steps[0]))
        if memory.name == "seen":
            walked = {(int(x), int(y)) for x, y in trace.agent[0, :, :2]}
            assert doorways <= walked
    assert results["seen"] == (True, steps), "straight to the doorways it cannot see"
    assert results["none"] == (False, 40), "who forgets them stays before the wall"


def test_a_wall_that_turns_up_in_the_way_ends_the_plan(stack: Stack) -> None:
    spec, batch = task_spec(D2), sample_episodes(D2, "validation", episodes=6, seed=3)
    agent = make_agent(stack, spec, AgentOptions(2, settings=small(stack, 6)))
    world = make_batched(spec, 6)
    observation, info = world.reset(options={"episodes": batch})
    state = agent.begin(observation, {"pose": info["goal"]}, combine(3, torch.arange(6)))
    observation, *_ = world.step(agent.act(state, observation))
    level = state.plan.levels[0]
    ahead = agent.stack.probe(0)(state.plan.expected)  # (E, L, 3), where the plan leads
    place, asked = world.agent, state.plan.levels[1].asked.clone()
    view, cells = observation["image"].copy(), view_cells(observation["pose"], 7)
    expected, off = np.zeros(6, dtype=bool), np.zeros(6, dtype=bool)
    for i in range(6):
        plan = [tuple(cell) for cell in ahead[i, int(level.cursor[i]) : int(level.length[i]), :2].tolist()]
        for u, v in np.ndindex(7, 7):
            cell = tuple(cells[i, u, v].tolist())
            if cell in plan and cell != tuple(place[i, :2]) and view[i, u, v, 0] == EMPTY:
                view[i, u, v] = WALL_CELL
                expected[i] = True
        off[i] = not expected[i]
    assert expected.any()
    agent.act(state, {**observation, "image": view})
    surprised = state.surprised.numpy() > 0
    assert (surprised[expected]).all() and not surprised[off].any()
    assert (state.plan.levels[1].asked > asked).numpy()[expected].all(), "planned anew at every level"
    assert not state.stale[:, torch.from_numpy(expected)].any(), "on what is known now"


def test_the_command_writes_what_was_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "records.json"
    words = (
        f"plan --checkpoint told-nested-d2 --task {D2} --levels 1 --episodes 3 --split validation --workers 1"
    )
    assert main([*words.split(), "--memory", "map,ring:2", "--set", "plan.block=3", "--json", str(file)]) == 0
    records = json.loads(file.read_text())
    assert [record["memory"] for record in records] == ["map", "ring:2"]
    assert "ring:2" in capsys.readouterr().out
    assert records[0]["oracle_steps"] == records[1]["oracle_steps"], "paired"


def test_doors_and_keys_stay_in_memory_whatever_becomes_of_them() -> None:
    door, key = (4, 4), (6, 2)
    grid = np.tile(np.array(EMPTY_CELL, np.uint8), (1, 9, 9, 1))
    pose = np.array([[4, 6, 3, 2, 1]])
    memory = SpatialMap(1, (9, 9))
    grid[0][door], grid[0][key] = (DOOR, 4, LOCKED), KEY_CELL
    memory.write(partial_views(grid, pose), pose)
    assert tuple(memory.read()[0][door]) == (DOOR, 4, CLOSED), (
        "as in the floor plans that levels were trained on"
    )
    grid[0][door], grid[0][key] = (DOOR, 4, OPEN), EMPTY_CELL
    view = partial_views(grid, pose)
    view[0, 3, 6] = KEY_CELL  # what is carried is seen where the agent stands
    memory.write(view, pose)
    known = memory.read()[0]
    assert tuple(known[door]) == (DOOR, 4, CLOSED) and tuple(known[key]) == KEY_CELL
    assert tuple(known[4, 6]) == EMPTY_CELL


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_key_is_fetched_where_little_is_seen() -> None:
    stack, spec = load_stack("told-nested-keys-d2"), task_spec(KEYS)
    mission = read_mission("{do: [{fetch: key}, {open: door}, {reach: goal}], avoid: across}")
    episodes, missions = sample_missions(KEYS, mission, "validation", None, 8, 0)
    agent = make_agent(stack, spec, AgentOptions(1, memory=remembering("map")))
    results = play(agent, spec, episodes, 0, 0, missions=missions).results
    assert results.success.sum() >= 7 and not results.violated.any()
