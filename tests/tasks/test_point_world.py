"""The continuous point: motion along walls, exact path lengths, environments, episodes and data."""

from __future__ import annotations

import inspect
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks.collection import collect
from tasks.floorplans import floor_plan, plan_walls
from tasks.nested_point import BatchedNestedPoint
from tasks.point_dynamics import RADIUS, SPEED, inside_walls, step_points
from tasks.point_explorers import NoisyPointSeeking, make_point_explorer
from tasks.point_oracles import (
    GOAL_RADIUS,
    at_goal,
    greedy_point_actions,
    lattice_distances,
    least_steps,
    place_in_cells,
    remaining,
)
from tasks.walks import random_states, walk

D3 = "hjepa/NestedPoint-d3-v0"


def crowd(seed: int, count: int = 300, depth: int = 2) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Random positions on random plans: half anywhere, half touching walls."""
    rng = np.random.default_rng(seed)
    walls = plan_walls(rng.integers(0, 1000, count), depth, 3)
    agent = place_in_cells(rng, random_states(walls, rng))
    for _ in range(4):
        agent = step_points(walls, agent, rng.uniform(-1, 1, (count, 2)).astype(np.float32))
    pushed = step_points(walls, agent, rng.choice([-1.0, 1.0], (count, 2)).astype(np.float32))
    return walls, np.where((np.arange(count) % 2 == 0)[:, None], agent, pushed), rng


def fine_motion(walls: np.ndarray, place: np.ndarray, action: np.ndarray, pieces: int = 20_000) -> np.ndarray:
    """The same motion in tiny pieces, one point at a time: an independent, approximate reference."""
    x, y = (float(v) for v in place)
    dx, dy = (float(v) * SPEED / pieces for v in action)

    def free(x: float, y: float) -> bool:
        low, high = (
            np.floor([x - RADIUS + 1e-9, y - RADIUS + 1e-9]),
            np.floor([x + RADIUS - 1e-9, y + RADIUS - 1e-9]),
        )
        return not walls[int(low[0]) : int(high[0]) + 1, int(low[1]) : int(high[1]) + 1].any()

    for _ in range(pieces):
        if free(x + dx, y + dy):
            x, y = x + dx, y + dy
        elif free(x + dx, y) and dx:
            x += dx
        elif free(x, y + dy):
            y += dy
    return np.array([x, y])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_bodies_never_enter_walls_and_never_jump(seed: int) -> None:
    walls, agent, rng = crowd(seed)
    for _ in range(20):
        action = rng.choice([-1.0, -0.37, 0.0, 0.5, 1.0], agent.shape).astype(np.float32)
        after = step_points(walls, agent, action)
        assert after.dtype == np.float32 and not inside_walls(walls, after).any()
        moved = after.astype(float) - agent
        assert (np.abs(moved) <= np.abs(action) * SPEED + 1e-5).all(), "a step is never longer than asked for"
        assert (moved * action >= -1e-5).all(), "nothing is pushed back"
        assert (moved[action == 0] == 0).all()
        agent = after


def test_walls_are_never_crossed() -> None:
    """A crossing would change the room without the door: rooms are told apart by flood fill on a plan without doors."""
    walls = np.ones((9, 9), dtype=bool)
    walls[1:4, 1:4] = walls[5:8, 1:4] = walls[1:4, 5:8] = walls[5:8, 5:8] = False
    rng = np.random.default_rng(0)
    agent = rng.uniform(1.25, 3.75, (400, 2)).astype(np.float32)
    for _ in range(200):
        agent = step_points(walls, agent, rng.uniform(-1, 1, agent.shape).astype(np.float32))
        assert (agent >= 1.25).all() and (agent <= 3.75).all()
    pushed = agent
    for _ in range(10):
        pushed = step_points(walls, pushed, np.ones_like(pushed))
    assert (pushed == 3.75).all(), "walls are touched exactly"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_motion_equals_tiny_pieces(seed: int) -> None:
    walls, agent, rng = crowd(seed, count=6)
    action = rng.uniform(-1, 1, (6, 2)).astype(np.float32)
    after = step_points(walls, agent, action)
    for i in range(6):
        reference = fine_motion(walls[i], agent[i], action[i], 2_000)
        # A tiny piece may just pass a corner that the exact motion touches; then they differ by one slide.
        assert np.abs(after[i] - reference).max() < 2e-3, (agent[i], action[i], after[i], reference)


def test_sliding_along_a_wall_and_off_its_end() -> None:
    walls = np.zeros((8, 8), dtype=bool)
    walls[[0, -1]] = walls[:, [0, -1]] = True
    walls[3, 3] = True  # a pillar from (3, 3) to (4, 4)
    start = np.array([[2.75, 3.5], [2.75, 4.125], [2.5, 3.5], [2.75, 4.25], [2.5, 2.5]], dtype=np.float32)
    action = np.array([[1, 0.5], [1, 0.5], [1, 0], [1, -0.5], [1, 1]], dtype=np.float32)
    after = step_points(walls, start, action)
    expected = [
        [2.75, 3.75],  # stopped in x, slides on in y
        [3.0, 4.375],  # reaches the pillar's end after half the step, then moves freely
        [2.75, 3.5],  # straight into the pillar
        [3.25, 4.25],  # slides along its lower side: y is stopped
        [3.0, 2.75],  # head-on into the corner: the longer part, here x, goes on
    ]
    np.testing.assert_array_equal(after, np.array(expected, dtype=np.float32))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_steps_away_from_walls_are_reversible_and_exact(seed: int) -> None:
    walls = np.ones((12, 12), dtype=bool)
    walls[1:-1, 1:-1] = False
    rng = np.random.default_rng(seed)
    agent = rng.uniform(3, 9, (50, 2)).astype(np.float32)
    action = rng.uniform(-1, 1, (50, 2)).astype(np.float32)
    after = step_points(walls, agent, action)
    np.testing.assert_allclose(after, agent + SPEED * action, atol=1e-5)
    np.testing.assert_allclose(step_points(walls, after, -action), agent, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_batches_equal_singles(seed: int) -> None:
    walls, agent, rng = crowd(seed, count=20)
    action = rng.uniform(-1, 1, agent.shape).astype(np.float32)
    together = step_points(walls, agent, action)
    for i in range(20):
        assert (step_points(walls[i], agent[i : i + 1], action[i : i + 1]) == together[i]).all()


def test_path_lengths_of_known_worlds() -> None:
    walls = np.ones((7, 9), dtype=bool)
    walls[1:6, 1:8] = False
    walls[1:5, 4] = True  # a wall across, open at x = 5
    start = np.array([[1.5, 2.5], [5.5, 2.5], [1.25, 1.25]], dtype=np.float32)
    goal = np.array([[1.5, 6.5], [5.5, 6.5], [1.25, 1.75]], dtype=np.float32)
    many = np.repeat(walls[None], 3, 0)
    table = lattice_distances(many, goal)
    # Down to the opening's near corner (5.25, 3.75), through to (5.25, 5.25), back up to the goal's square.
    assert remaining(table, start).tolist() == [3.75 + 1.5 + 3.25, 3.5, 0.0]
    assert least_steps(many, start, goal).tolist() == [17, 7, 0]
    with pytest.raises(ValueError, match="goal 0 at .* is inside a wall"):
        lattice_distances(walls[None], np.array([[2.5, 4.5]]))


@pytest.mark.parametrize("seed", [1, 2])
def test_least_steps_are_a_tight_bound(seed: int) -> None:
    """Against a forward search over all places that 24 actions reach: never above, and above by little."""
    walls = floor_plan(seed, 2).walls
    rng = np.random.default_rng(seed)
    start, goal = (
        place_in_cells(rng, np.repeat(np.argwhere(~walls)[[i]], 1, 0))[0]
        for i in (0, int((~walls).sum()) - 1)
    )
    bound = int(least_steps(walls[None], start[None], goal[None])[0])
    steps = (1.0, 0.5, 0.0, -0.5, -1.0)
    actions = np.array([(x, y) for x in steps for y in steps], dtype=np.float32)
    seen, frontier, needed = {tuple(start)}, start[None], 0
    while not at_goal(frontier, goal).any():
        after = step_points(walls, np.repeat(frontier, 25, 0), np.tile(actions, (len(frontier), 1)))
        new = {tuple(place) for place in after.tolist()} - seen
        seen |= new
        frontier, needed = np.array(sorted(new), dtype=np.float32), needed + 1
    assert bound <= needed <= bound + 3, (bound, needed)


@pytest.mark.parametrize("depth", [2, 3])
def test_greedy_actions_arrive_close_to_the_bound(depth: int) -> None:
    batch = tasks.sample_episodes(f"hjepa/NestedPoint-d{depth}-v0", "validation", episodes=40)
    walls, table = batch.walls, lattice_distances(batch.walls, batch.goal)
    agent, arrived = batch.start, np.full(40, -1)
    for step in range(1, 3 * batch.oracle_steps.max()):
        agent = step_points(walls, agent, greedy_point_actions(walls, table, agent))
        arrived = np.where((arrived < 0) & at_goal(agent, batch.goal), step, arrived)
    assert (arrived >= batch.oracle_steps).all(), "the bound is one, and everybody arrives"
    assert (arrived / batch.oracle_steps).mean() < 1.15


def test_greedy_actions_arrive_from_anywhere() -> None:
    walls, agent, rng = crowd(5, count=60)
    goal = place_in_cells(rng, random_states(walls, rng))
    table, arrived = lattice_distances(walls, goal), np.zeros(60, dtype=bool)
    for _ in range(80):
        agent = step_points(walls, agent, greedy_point_actions(walls, table, agent))
        arrived |= at_goal(agent, goal)
    assert arrived.all()


@pytest.mark.parametrize("kind", ["far", "uniform"])
def test_episodes_use_the_same_floor_plans_and_splits(kind: str) -> None:
    batch = tasks.sample_episodes(D3, "test", kind, episodes=30, seed=2)
    assert batch.continuous and batch.doors == 0 and batch.start.dtype == np.float32
    assert (tasks.sample_episodes(D3, "test", kind, episodes=4, seed=2).goal == batch.goal[:4]).all()
    assert (batch.walls == plan_walls(batch.plan_seed, 3, 3)).all()
    assert (
        not inside_walls(batch.walls, batch.start).any() and not inside_walls(batch.walls, batch.goal).any()
    )
    assert (batch.oracle_steps < 64).all() and (kind == "uniform" or (batch.oracle_steps > 8).all())
    floor, goal = tasks.perceive(batch.goal_observation)
    assert (floor == batch.grid).all() and (goal == batch.goal).all()
    assert tasks.random_success(batch, 128, repeats=2) < 0.3
    fixed = tasks.sample_episodes("hjepa/NestedPointFixed-d3-v0", "test", kind, episodes=5)
    assert (fixed.plan_seed == 7).all()


def test_single_environments_are_batches_of_one() -> None:
    single, batch = gymnasium.make(f"tasks:{D3}"), BatchedNestedPoint(3)
    seeds = [4, 5, 6]
    whole, info = batch.reset(seed=seeds)
    one, one_info = single.reset(seed=5)
    assert one_info["plan_seed"] == info["plan_seed"][1] and (one_info["goal"] == info["goal"][1]).all()
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert all((whole[name][1] == one[name]).all() for name in one)
        assert one in single.observation_space
        action = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
        whole, reward, terminated, truncated, _ = batch.step(action)
        one, one_reward, ended, cut, _ = single.step(action[1])
        assert (reward[1], terminated[1], truncated[1]) == (one_reward, ended, cut)


def test_episodes_end_at_the_goal_or_the_budget_and_stay_finished() -> None:
    batch = tasks.sample_episodes(D3, "train", "uniform", episodes=12)
    world = tasks.make_batched(tasks.task_spec(D3), 12, step_budget=60)
    observation, info = world.reset(options={"episodes": batch})
    assert (observation["position"] == batch.start).all() and (info["goal"] == batch.goal).all()
    table = lattice_distances(batch.walls, batch.goal)
    total = np.zeros(12)
    for _ in range(62):
        action = greedy_point_actions(batch.walls, table, world.agent)
        action[8:] = 0
        observation, reward, terminated, truncated, _ = world.step(action)
        total += reward
    assert terminated[:8].all() and not terminated[8:].any() and truncated[8:].all()
    assert ((total[:8] > 0) & (total[:8] < 1)).all() and (total[8:] == 0).all()
    assert (np.abs(observation["position"][:8] - batch.goal[:8]) <= GOAL_RADIUS).all()
    before = observation["position"].copy()
    assert (world.step(np.ones((12, 2), np.float32))[0]["position"] == before).all()


def test_pictures_show_walls_goal_and_point() -> None:
    env = gymnasium.make(f"tasks:{D3}", render_mode="rgb_array", disable_env_checker=True)
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (17 * 16, 17 * 16, 3) and picture.dtype == np.uint8
    colours = {tuple(c) for c in picture.reshape(-1, 3).tolist()}
    assert colours == {(0, 0, 0), (100, 100, 100), (0, 160, 0), (255, 0, 0)}


def test_bad_calls_are_refused() -> None:
    world = BatchedNestedPoint(2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        world.step(np.zeros((2, 2)))
    world.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions have shape \(2,\); \(2, 2\) is needed"):
        world.step(np.zeros(2))
    with pytest.raises(ValueError, match=r"action nan at \[0, 1\] is not finite"):
        world.step(np.array([[0, np.nan], [0, 0]]))
    with pytest.raises(ValueError, match="agents of 3 int64 numbers, this task of 2 float32"):
        world.reset(options={"episodes": tasks.sample_episodes("hjepa/NestedRooms-d3-v0", episodes=2)})
    with pytest.raises(ValueError, match="render_mode is 'human'"):
        tasks.NestedPoint(render_mode="human")
    far = world.agent
    world.step(np.full((2, 2), 50.0))
    assert (np.abs(world.agent - far) <= SPEED).all(), "actions beyond -1..1 are clipped"


@pytest.mark.parametrize("name", ["persistent", "goal-seeking", "mixture"])
def test_explorers(name: str) -> None:
    walls = np.repeat(plan_walls(np.arange(6), 2, 3), 4, 0)
    spec = tasks.task_spec("hjepa/NestedPoint-d2-v0")
    agent, action = walk(walls, 120, name, np.random.default_rng(1), 0, spec)
    assert (agent == walk(walls, 120, name, np.random.default_rng(1), 0, spec)[0]).all()
    assert agent.dtype == action.dtype == np.float32 and np.abs(action).max() <= 1
    for step in range(0, 119, 7):
        assert (step_points(walls, agent[:, step], action[:, step]) == agent[:, step + 1]).all()
    moved = np.abs(np.diff(agent, axis=1))
    wanted = np.abs(action[:, :-1]) * SPEED
    assert 0.02 < (moved < wanted - 1e-4).any(-1).mean() < 0.6, (
        "walls are bumped into, but not most of the time"
    )
    cells = [len(np.unique(np.floor(path).astype(int), axis=0)) for path in agent]
    assert np.mean(cells) > (10 if name == "persistent" else 14)
    with pytest.raises(ValueError, match="unknown explorer"):
        make_point_explorer("clever", walls, np.random.default_rng(0))


def test_goal_seeking_without_noise_reaches_one_goal_after_another() -> None:
    walls = np.repeat(plan_walls(np.arange(10), 2, 3), 3, 0)
    rng = np.random.default_rng(0)
    explorer = NoisyPointSeeking(walls, rng, noise=(0.0,))
    agent, reached = place_in_cells(rng, random_states(walls, rng)), np.zeros(30)
    for _ in range(100):
        action = explorer.act(agent)
        agent = step_points(walls, agent, action)
        reached += at_goal(agent, explorer.goal)
    assert reached.min() >= 3


def test_data_are_floats_and_tell_what_happens(tmp_path: Path) -> None:
    store = collect(D3, tmp_path / "s", 4, 4, 50, seed=0)
    assert store.agent.dtype == store.action.dtype == np.float32 and store.action.shape == (800, 2)
    windows = store.windows(np.random.default_rng(0), 16, 20, plans=2)
    walls = store.grids[windows.grid_index[:, 0]][..., 0] == 2
    for step in range(19):
        after = step_points(walls, windows.agent[:, step], windows.action[:, step])
        assert (after == windows.agent[:, step + 1]).all(), "exactly, from stored numbers"
    assert collect(D3, tmp_path / "t", 4, 4, 50, seed=0).sha256 == store.sha256


def test_the_single_environment_has_no_motion_of_its_own() -> None:
    assert "step_points" not in inspect.getsource(tasks.NestedPoint)
