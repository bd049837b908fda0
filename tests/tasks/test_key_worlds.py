"""Worlds with a locked door: plans, episodes, explorers, and the twin against MiniGrid itself, event by event."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from minigrid.wrappers import FullyObsWrapper

import tasks
from tasks.batched import BatchedNestedRooms
from tasks.collection import collect
from tasks.dynamics import cell_ahead, step_agents
from tasks.episode_batches import EpisodeBatch
from tasks.episodes import draw_episode
from tasks.explorers import EXPLORERS, make_explorer
from tasks.floorplans import SPLITS, flood
from tasks.key_oracles import key_actions, key_distances
from tasks.locks import locked_floors, locked_plan, near_side, plan_grid
from tasks.observations import (
    ACTIONS,
    CLOSED,
    DOOR,
    DROP,
    EMPTY,
    FIRST_DOOR,
    FREE,
    IN_HAND,
    KEY,
    KEY_SPOT,
    LOCKED,
    LYING,
    OPEN,
    PICKUP,
    TOGGLE,
    grid_to_walls,
    perceive,
)
from tasks.walks import walk
from tasks.zones import with_zones

IDS = ("hjepa/NestedKeys-d2-v0", "hjepa/NestedKeys-d3-v0")
ENVS = 10
EVENTS = (
    *("left", "right", "moved", "blocked", "pickup in vain", "drop", "drop with the key", "toggle in vain"),
    *("done", "success", "truncation", "picked up", "bumped into the key", "walked where the key lay"),
    *("unlocked", "toggled without the key", "bumped into the locked door", "closed", "opened"),
    *("bumped into the closed door", "walked through the door", "pickup of the door"),
)


@pytest.mark.parametrize("depth", [2, 3])
def test_the_lock_is_the_only_way_and_the_key_is_in_nobodys(depth: int) -> None:
    for seed in range(0, 60):
        plan = locked_plan(seed, depth)
        again = locked_plan(seed, depth)
        assert plan.key == again.key and plan.lock == again.lock and (plan.walls == again.walls).all()
        assert plan.lock in {tuple(door) for door in plan.doors.tolist()}
        assert plan.key is not None and not plan.walls[plan.key] and not plan.walls[plan.lock]
        side = plan.side // 2
        assert side in plan.lock, "the locked door joins outermost quadrants"
        near, free = near_side(plan), ~plan.walls
        far = free & ~near
        far[plan.lock] = False
        assert near.any() and far.any() and near[plan.key]
        start = np.zeros_like(free)
        start[plan.key] = True
        assert (flood(free, start) == free).all(), "all of the plan hangs together"
        free[plan.lock] = False
        assert (flood(free, start) == near).all(), "but without the lock it does not"
        # What is left of the near side and the doorway without the key's cell hangs together.
        rest = near.copy()
        rest[plan.lock], rest[plan.key] = True, False
        first = np.zeros_like(rest)
        first[tuple(np.argwhere(rest)[0])] = True
        assert (flood(rest, first) == rest).all()
        grid = plan_grid(plan)
        assert tuple(grid[plan.key]) == (KEY, 4, 0) and tuple(grid[plan.lock]) == (DOOR, 4, CLOSED)
        assert (grid_to_walls(grid) == plan.walls).all()


def test_locked_plans_are_held_out_by_what_they_show() -> None:
    shown: dict[str, set[bytes]] = {}
    for split, seeds in SPLITS.items():
        grids, barriers = locked_floors(np.arange(seeds.start, seeds.start + 250), 2, 3)
        assert barriers.dtype == np.int8
        geometry = grids[..., 0].copy()
        geometry[geometry == KEY] = EMPTY
        shown[split] = {plan.tobytes() for plan in geometry}
    assert not shown["train"] & shown["test"] and not shown["train"] & shown["validation"]
    assert not shown["test"] & shown["validation"]
    # 324 layouts: three of four doors, one of three places each, one of the three locked.
    assert len(shown["train"]) > 150 and 10 <= len(shown["test"]) <= 60
    sides = [near_side(locked_plan(seed, 2)).sum() for seed in range(200)]
    assert {9, 19, 29} == set(sides), "the key's side has one, two or three rooms"


@pytest.mark.parametrize("task_id", IDS)
@pytest.mark.parametrize("kind", ["far", "uniform"])
def test_episodes_need_the_key(task_id: str, kind: str) -> None:
    spec = tasks.task_spec(task_id)
    batch = tasks.sample_episodes(task_id, "test", kind, episodes=40, seed=5)
    rows = np.arange(40)
    assert batch.keys == batch.doors == 1 and batch.start.shape == (40, spec.agent_size) == (40, 5)
    assert (batch.start[:, 3] == LOCKED).all() and (batch.start[:, 4] == LYING).all()
    assert (batch.oracle_steps > 0).all() and batch.oracle_steps.max() <= spec.step_budget / 2
    # Without the key: its cell and the lock stay in the way.
    shut = np.isin(batch.grid[..., 0], (DOOR, KEY)) | batch.walls
    behind = tasks.distances(shut, batch.start)[rows, batch.goal[:, 0], batch.goal[:, 1]].max(-1) < 0
    assert behind.all() if kind == "far" else 5 < behind.sum() < 35
    assert (batch.goal[behind, 3:] == (OPEN, IN_HAND)).all()
    assert ((batch.goal[:, 4] == IN_HAND) | (batch.goal[:, 3] == LOCKED)).all()
    few = tasks.sample_episodes(task_id, "test", kind, episodes=3, seed=5)
    for field in dataclasses.fields(EpisodeBatch):
        assert (getattr(few, field.name) == getattr(batch, field.name)[:3]).all()
    # Perception: the first image tells the floor plan, later ones the agent.
    floor, start = perceive(batch.start_observation, 1, keys=1)
    assert (floor == batch.grid).all() and (start == batch.start).all()
    _, goal = perceive(batch.goal_observation, 1, floor, keys=1)
    assert (goal == batch.goal).all()
    part = batch.select(slice(3, 9))
    assert (part.barriers == batch.barriers[3:9]).all() and set(np.unique(part.barriers)) == {-1, 0, 1, 2}


@pytest.mark.parametrize("task_id", IDS)
def test_the_oracle_reaches_the_goal_in_the_twin(task_id: str) -> None:
    batch = tasks.sample_episodes(task_id, "train", episodes=12, seed=4)
    twin = tasks.make_batched(tasks.task_spec(task_id), 12)
    twin.reset(options={"episodes": batch})
    table, arrived = key_distances(batch.barriers, batch.goal[:, :2]), np.zeros(12, dtype=int)
    for step in range(1, batch.oracle_steps.max() + 1):
        observation, reward, terminated, _, _ = twin.step(key_actions(batch.barriers, table, twin.agent))
        assert (perceive(observation, 1, batch.grid, 1)[1] == twin.agent).all()
        assert (terminated == (step >= batch.oracle_steps)).all()
        arrived += reward > 0
    assert (arrived == 1).all() and (twin.agent[:, 3:] == batch.goal[:, 3:]).all()
    assert tasks.random_success(batch, 96, repeats=3) < 0.1


class Policy:
    """Random, exploring or heading for the goal; who faces something uses it more often than chance would."""

    def __init__(self, twin: BatchedNestedRooms, rng: np.random.Generator) -> None:
        self.rng, self.kind = rng, np.arange(ENVS) % 4
        self.begin(twin)

    def begin(self, twin: BatchedNestedRooms) -> None:
        self.barriers = twin.barriers
        self.explorer = make_explorer("mixture", self.barriers, self.rng)
        self.table = key_distances(self.barriers, twin.goal[:, :2])

    def act(self, agent: np.ndarray) -> np.ndarray:
        anything = self.rng.integers(0, len(ACTIONS), ENVS)
        sought = key_actions(self.barriers, self.table, agent, self.rng)
        sought = np.where(self.rng.random(ENVS) < 0.15, anything, sought)
        action = np.choose(self.kind, [anything, self.explorer.act(agent), sought, sought])
        ahead = cell_ahead(self.barriers, agent)
        thing = (ahead == KEY_SPOT) | (ahead >= FIRST_DOOR)
        use = self.rng.choice([2, 2, PICKUP, TOGGLE, TOGGLE, DROP], ENVS)
        return np.where(thing & (self.rng.random(ENVS) < 0.7), use, action)


def compare(task_id: str, steps: int, seed: int, **arguments: object) -> Counter[str]:
    """Run twin and MiniGrid side by side for ``steps`` steps in all; returns how often each event was."""
    twin = tasks.make_batched(tasks.task_spec(task_id), ENVS, **arguments)
    references = [FullyObsWrapper(gymnasium.make(f"tasks:{task_id}", **arguments)) for _ in range(ENVS)]
    events: Counter[str] = Counter()
    observation, info = twin.reset(seed=seed)
    expected = [env.reset(seed=seed + i) for i, env in enumerate(references)]
    for i, (image, own) in enumerate(expected):
        check(observation, image, i)
        assert (info["goal"][i] == own["goal"]).all() and info["plan_seed"][i] == own["plan_seed"]
    policy = Policy(twin, np.random.default_rng(seed))
    for _ in range(steps // ENVS):
        action = policy.act(twin.agent)
        ahead = cell_ahead(twin.barriers, twin.agent)
        agent = twin.agent
        observation, reward, terminated, truncated, _ = twin.step(action)
        for i, env in enumerate(references):
            bare = env.unwrapped
            front, held, before = bare.grid.get(*bare.front_pos), bare.carrying, bare.agent_pos
            door = front if front is not None and front.type == "door" else None
            state = None if door is None else door.encode()[2]
            assert (agent[i, 4] == IN_HAND) == (held is not None)
            image, expected_reward, ended, cut, _ = env.step(int(action[i]))
            check(observation, image, i)
            assert (reward[i], terminated[i], truncated[i]) == (expected_reward, ended, cut), (task_id, i)
            moved = tuple(bare.agent_pos) != tuple(before)
            events[name_of(ACTIONS[action[i]], int(ahead[i]), state, held is not None, moved, front)] += 1
            events["success"] += ended
            events["truncation"] += cut
        finished = terminated | truncated
        if finished.any():
            observation, info = twin.reset(options={"reset_mask": finished})
            for i in np.flatnonzero(finished):
                check(observation, references[i].reset()[0], i)
            policy.begin(twin)
    return events


def check(observation: dict[str, np.ndarray], expected: dict[str, np.ndarray], i: int) -> None:
    np.testing.assert_array_equal(observation["image"][i], expected["image"])
    assert observation["direction"][i] == expected["direction"]


def name_of(action: str, ahead: int, state: int | None, held: bool, moved: bool, front: object) -> str:
    """What happened, seen from MiniGrid's side."""
    key = front is not None and getattr(front, "type", "") == "key"
    if action == "forward":
        if state is not None:
            names = {
                OPEN: "walked through the door",
                CLOSED: "bumped into the closed door",
                LOCKED: "bumped into the locked door",
            }
            return names[state]
        if key:
            return "bumped into the key"
        if ahead == KEY_SPOT:
            return "walked where the key lay"
        return "moved" if moved else "blocked"
    assert not moved
    if action == "toggle":
        if state == LOCKED:
            return "unlocked" if held else "toggled without the key"
        return {None: "toggle in vain", OPEN: "closed", CLOSED: "opened"}[state]
    if action == "pickup":
        return "picked up" if key else "pickup in vain" if state is None else "pickup of the door"
    if action == "drop" and held and front is None:
        return "drop with the key"
    return action


def assert_every_event(events: Counter[str], least: int) -> None:
    rare = {event: events[event] for event in EVENTS if events[event] < least}
    assert not rare, f"seen fewer than {least} times: {rare}"


def test_every_event_equals_minigrid() -> None:
    events = compare(IDS[0], 4_000, seed=0)
    events += compare(IDS[0], 2_000, seed=50, step_budget=40, split="test", tasks="uniform", show_goal=True)
    events += compare(IDS[1], 600, seed=100)
    assert_every_event(events, 12)


@pytest.mark.slow
def test_a_hundred_thousand_steps_equal_minigrid() -> None:
    events = compare(IDS[0], 60_000, seed=1) + compare(IDS[1], 20_000, seed=2)
    events += compare(IDS[0], 20_000, seed=3, step_budget=40, split="test", tasks="uniform")
    assert_every_event(events, 300)


@pytest.mark.parametrize(("name", "value"), [("PICKUP", 6), ("LOCKED", 1)])
def test_the_comparison_notices_wrong_rules(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.dynamics

    monkeypatch.setattr(tasks.dynamics, name, value)
    with pytest.raises((AssertionError, KeyError)):
        compare(IDS[0], 1_500, seed=0)


def test_an_episode_may_begin_anywhere() -> None:
    """On the key's cell with the key in hand, or in the open doorway: the world under the agent is right as well."""
    batch = tasks.sample_episodes(IDS[0], episodes=2)
    start = batch.start.copy()
    start[0, :2], start[0, 3:] = np.argwhere(batch.grid[0, ..., 0] == KEY)[0], (LOCKED, IN_HAND)
    start[1, :2], start[1, 3:] = np.argwhere(batch.grid[1, ..., 0] == DOOR)[0], (OPEN, IN_HAND)
    twin = tasks.make_batched(tasks.task_spec(IDS[0]), 2)
    twin.reset(options={"episodes": dataclasses.replace(batch, start=start)})
    rng, away = np.random.default_rng(0), np.zeros(2, dtype=bool)
    for _ in range(30):
        observation, *_ = twin.step(rng.choice([1, 2, 2], 2))
        assert (observation["image"] == tasks.compose_image(batch.grid, twin.agent)).all()
        away |= (twin.agent[:, :2] != start[:, :2]).any(-1)
    assert away.all()


def test_ends_that_cannot_be_are_refused() -> None:
    plan = locked_plan(0, 2)
    near, rng = near_side(plan), np.random.default_rng(0)
    far = ~near & ~plan.walls
    far[plan.lock] = False
    beyond = (*np.argwhere(far)[0].tolist(), 0)
    world = {"depth": 2, "room": 3, "split": "train", "tasks": "uniform", "plan_seed": 0, "keys": 1}
    with pytest.raises(ValueError, match="behind the locked door without its key"):
        draw_episode(rng, **world, start=beyond)
    assert draw_episode(rng, **world, goal=beyond).goal == beyond
    for cell in (plan.key, plan.lock):
        with pytest.raises(ValueError, match="where the key lies or a locked door stands"):
            draw_episode(rng, **world, goal=(*cell, 0))
    with pytest.raises(ValueError, match="keys is 2"):
        draw_episode(rng, **(world | {"keys": 2}))
    with pytest.raises(ValueError, match="no lava and is no fixed plan"):
        draw_episode(rng, **world, lava=True)
    with pytest.raises(ValueError, match="no door to lock"):
        locked_plan(0, 1)
    with pytest.raises(ValueError, match="cells without doors"):
        with_zones(tasks.sample_episodes(IDS[0], episodes=2), 64)


def test_episodes_stay_the_same_from_version_to_version() -> None:
    digest = hashlib.sha256()
    for task_id in IDS:
        batch = tasks.sample_episodes(task_id, "test", episodes=5, seed=0)
        names = [field.name for field in dataclasses.fields(EpisodeBatch)]
        digest.update(b"".join(getattr(batch, name).tobytes() for name in names))
    assert digest.hexdigest()[:16] == "c0bf238cce6b1f67"


@pytest.mark.parametrize("explorer", EXPLORERS)
def test_explorers_do_what_works_and_what_does_not(explorer: str) -> None:
    spec = tasks.task_spec(IDS[0])
    _, barriers = locked_floors(np.arange(60), 2, 3)
    barriers = barriers.repeat(4, 0)
    agent, action = walk(barriers, 64, explorer, np.random.default_rng(1), 0, spec)
    again, _ = walk(barriers, 64, explorer, np.random.default_rng(1), 0, spec)
    assert (agent == again).all() and agent.dtype == np.int16 and agent.shape == (240, 64, 5)
    now, after, action = agent[:, :-1].astype(int), agent[:, 1:].astype(int), action[:, :-1]
    assert (step_agents(barriers[:, None], now, action) == after).all()
    ahead = cell_ahead(barriers[:, None], now)
    door, key = ahead >= FIRST_DOOR, ahead == KEY_SPOT
    lying, state = now[..., 4] == LYING, now[..., 3]
    seen = {
        "picked up": key & lying & (action == PICKUP),
        "bumped into the key": key & lying & (action == 2),
        "unlocked": door & (state == LOCKED) & ~lying & (action == TOGGLE),
        "toggled without the key": door & (state == LOCKED) & lying & (action == TOGGLE),
        "bumped into the locked door": door & (state == LOCKED) & (action == 2),
        "closed": door & (state == OPEN) & (action == TOGGLE),
        "bumped into the closed door": door & (state == CLOSED) & (action == 2),
        "picked up nothing": (ahead == FREE) & (action == PICKUP),
        "dropped the key": ~lying & (action == DROP),
    }
    least = 3 if explorer == "persistent" else 10
    rare = {name: int(found.sum()) for name, found in seen.items() if found.sum() < least}
    assert not rare, rare
    starts = {tuple(states) for states in agent[:, 0, 3:].tolist()}
    assert starts == {(LOCKED, LYING), (LOCKED, IN_HAND), (CLOSED, IN_HAND), (OPEN, IN_HAND)}
    if explorer == "goal-seeking":
        far = np.array([~near_side(locked_plan(seed, 2)) for seed in range(60)]).repeat(4, 0)
        began = (agent[:, 0, 4] == LYING) & ~far[np.arange(240), agent[:, 0, 0], agent[:, 0, 1]]
        came = far[np.arange(240)[:, None], agent[..., 0], agent[..., 1]].any(1)
        assert began.sum() > 50 and came[began].mean() > 0.5, "most go through the lock sooner or later"


def test_data_hold_agents_with_keys_and_one_grid_per_plan(tmp_path: Path) -> None:
    store = collect(IDS[0], tmp_path / "s", 6, 8, 40, seed=0, explorer="goal-seeking")
    assert store.grids.shape == (6, 9, 9, 3) and store.agent.shape == (6 * 8 * 40, 5)
    windows = store.windows(np.random.default_rng(0), 32, 20, plans=4)
    barriers = tasks.grid_to_barriers(store.grids[windows.grid_index], 1, 1)
    after = step_agents(barriers[:, :-1], windows.agent[:, :-1].astype(int), windows.action)
    assert (after == windows.agent[:, 1:]).all(), "floor plan, agent and action tell what happens"
    again = collect(IDS[0], tmp_path / "t", 6, 8, 40, seed=0, explorer="goal-seeking")
    assert again.sha256 == store.sha256
