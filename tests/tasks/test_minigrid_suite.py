"""Stock MiniGrid environments: their twins step by step, held-out layouts, episodes, data."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from minigrid.wrappers import FullyObsWrapper

import tasks
from tasks.batched import BatchedMiniGrid
from tasks.collection import collect
from tasks.dynamics import cell_ahead, step_agents
from tasks.explorers import make_explorer
from tasks.floorplans import SPLITS
from tasks.minigrid_suite import layout, layout_seeds, minigrid_spec, owned
from tasks.observations import (
    ACTIONS,
    CLOSED,
    FIRST_DOOR,
    FORWARD,
    OPEN,
    TOGGLE,
    door_cells,
    perceive,
    split_image,
)
from tasks.oracles import distances, shortest_actions

FOUR, MULTI = "MiniGrid-FourRooms-v0", "MiniGrid-MultiRoom-N6-v0"
ENVS = 10
EVENTS = {
    *("left", "right", "moved", "blocked", "pickup", "drop", "toggle", "done", "success", "truncation"),
    *("door opened", "door closed", "bumped into closed door", "walked through door"),
}


class Reference:
    """An unmodified environment and the image that ``FullyObsWrapper`` makes of it, without MiniGrid's partial view
    and without encoding a grid again that no toggle changed: these two cost nearly all of a step. Every 16th image
    is encoded anew all the same, and another test compares with the wrapper itself."""

    def __init__(self, task_id: str, **arguments: int) -> None:
        self.env = gymnasium.make(task_id, disable_env_checker=True, **arguments).unwrapped
        self.env.gen_obs = lambda: None
        self.images = 0

    def reset(self, seed: int) -> None:
        self.env.reset(seed=seed)
        self.grid = self.env.grid.encode()

    def step(self, action: int) -> tuple[float, bool, bool]:
        _, reward, ended, cut, _ = self.env.step(action)
        if action == TOGGLE or self.images % 16 == 0:
            self.grid = self.env.grid.encode()
        return reward, ended, cut

    def image(self) -> np.ndarray:
        self.images += 1
        image = self.grid.copy()
        image[tuple(self.env.agent_pos)] = (10, 0, self.env.agent_dir)
        return image


class Policy:
    """Random, exploring or heading for the goal, in a fifth, a fifth and the rest of the environments."""

    def __init__(self, twin: BatchedMiniGrid, rng: np.random.Generator) -> None:
        self.rng = rng
        self.kind = np.minimum(np.arange(twin.num_envs) % 5, 2)
        self.begin(twin)

    def begin(self, twin: BatchedMiniGrid) -> None:
        self.barriers = twin.barriers
        # The region around the rooms is open at the border; nobody gets there.
        self.barriers[:, [0, -1]] = self.barriers[:, :, [0, -1]] = 1
        self.explorer = make_explorer("persistent", self.barriers, self.rng)
        self.table = distances(self.barriers, twin.goal, twin.agent[:, 3:])

    def act(self, agent: np.ndarray) -> np.ndarray:
        anything = self.rng.integers(0, len(ACTIONS), len(agent))
        explored = self.explorer.act(agent)
        sought = shortest_actions(self.barriers, self.table, agent, self.rng)
        sought = np.where(self.rng.random(len(agent)) < 0.15, anything, sought)
        action = np.choose(self.kind, [anything, explored, sought])
        # Doors are met rarely: whoever faces one uses it or bumps into it more often than chance would.
        if self.barriers.dtype != bool:
            door = cell_ahead(self.barriers, agent) >= FIRST_DOOR
            use = np.where(self.rng.random(len(agent)) < 0.5, TOGGLE, FORWARD)
            action = np.where(door & (self.rng.random(len(agent)) < 0.5), use, action)
        return action


def compare(task_id: str, steps: int, seed: int, step_budget: int | None = None) -> Counter[str]:
    """Run the twin beside unmodified environments for ``steps`` steps in all; returns how often each event was."""
    twin = BatchedMiniGrid(ENVS, task_id=task_id, step_budget=step_budget)
    arguments = {} if step_budget is None else {"max_steps": step_budget}
    references = [Reference(task_id, **arguments) for _ in range(ENVS)]
    events: Counter[str] = Counter()
    observation, info = twin.reset(seed=seed)
    begin(references, np.ones(ENVS, dtype=bool), observation, info)
    policy = Policy(twin, np.random.default_rng(seed))
    for _ in range(steps // ENVS):
        agent = twin.agent
        action = policy.act(agent)
        ahead = cell_ahead(twin.barriers, agent)
        observation, reward, terminated, truncated, _ = twin.step(action)
        for i, reference in enumerate(references):
            bare = reference.env
            before = tuple(int(v) for v in bare.agent_pos)
            front = bare.grid.get(*bare.front_pos)
            was_open = getattr(front, "is_open", None)
            assert (was_open is None) == (ahead[i] < FIRST_DOOR)
            expected, ended, cut = reference.step(int(action[i]))
            assert (observation["image"][i] == reference.image()).all(), (task_id, i)
            assert observation["direction"][i] == bare.agent_dir
            assert (reward[i], terminated[i], truncated[i]) == (expected, ended, cut), (task_id, i)
            moved = tuple(int(v) for v in bare.agent_pos) != before
            name = ACTIONS[action[i]]
            events[("moved" if moved else "blocked") if name == "forward" else name] += 1
            if was_open is not None and name == "toggle":
                events["door closed" if was_open else "door opened"] += 1
            if was_open is not None and name == "forward":
                events["walked through door" if was_open else "bumped into closed door"] += 1
            events["success"] += ended
            events["truncation"] += cut
        finished = terminated | truncated
        if finished.any():
            observation, info = twin.reset(options={"reset_mask": finished})
            begin(references, finished, observation, info)
            policy.begin(twin)
    events["steps"] += steps // ENVS * ENVS
    return events


def begin(
    references: list[Reference], which: np.ndarray, observation: dict[str, np.ndarray], info: dict
) -> None:
    for i in np.flatnonzero(which):
        references[i].reset(int(info["plan_seed"][i]))
        np.testing.assert_array_equal(observation["image"][i], references[i].image())


def assert_every_event(events: Counter[str], least: int = 100) -> None:
    rare = {event: events[event] for event in EVENTS if events[event] < least}
    assert not rare, f"seen fewer than {least} times: {rare}"


def run_all(steps: int) -> Counter[str]:
    total: Counter[str] = Counter()
    for task_id, share in ((FOUR, steps // 4), (MULTI, 3 * steps // 4)):
        total += compare(task_id, 2 * share // 3, seed=1)
        total += compare(task_id, share // 3, seed=2, step_budget=40)
    return total


def test_twenty_thousand_steps_equal_minigrid() -> None:
    events = run_all(20_100)
    assert events["steps"] >= 20_000
    assert_every_event(events)


@pytest.mark.slow
def test_a_hundred_thousand_steps_equal_minigrid() -> None:
    events = run_all(100_200)
    assert events["steps"] >= 100_000
    assert_every_event(events)


@pytest.mark.parametrize("task_id", [FOUR, MULTI])
def test_the_wrapper_itself_gives_the_same_observations(task_id: str) -> None:
    """The comparison above leaves MiniGrid's partial view out; here nothing is left out."""
    twin = BatchedMiniGrid(1, task_id=task_id)
    observation, info = twin.reset(seed=3)
    env = FullyObsWrapper(gymnasium.make(task_id))
    expected, _ = env.reset(seed=int(info["plan_seed"][0]))
    rng = np.random.default_rng(0)
    for _ in range(60):
        assert (observation["image"][0] == expected["image"]).all()
        assert observation["direction"][0] == expected["direction"]
        action = rng.integers(0, 7, 1)
        observation, *_ = twin.step(action)
        expected, *_ = env.step(int(action[0]))


def test_the_comparison_notices_wrong_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.dynamics

    monkeypatch.setattr(tasks.dynamics, "TOGGLE", 6)
    with pytest.raises(AssertionError):
        compare(MULTI, 600, seed=0)


@pytest.mark.parametrize("task_id", [FOUR, MULTI])
def test_registered_properties_are_the_environments(task_id: str) -> None:
    spec, env = tasks.task_spec(task_id), gymnasium.make(task_id).unwrapped
    assert (spec.width, spec.height, spec.step_budget) == (env.width, env.height, env.max_steps)
    assert minigrid_spec(task_id, default_budget_tflops=spec.default_budget_tflops) == spec
    assert spec.kinds == ("own", "uniform") and spec.agent_size == 3 + spec.doors
    twin = tasks.make_batched(spec, 3, split="test", tasks="uniform")
    observation, _ = twin.reset(seed=0)
    assert isinstance(twin, BatchedMiniGrid) and observation in twin.observation_space


def test_layouts_are_what_reset_builds_and_held_out_by_content() -> None:
    contents: dict[str, set[bytes]] = {}
    for split, seeds in SPLITS.items():
        found = layout_seeds(FOUR, split, 30, "test")
        assert all(int(seed) in seeds and owned(FOUR, int(seed)) for seed in found)
        assert (found[:7] == layout_seeds(FOUR, split, 7, "test")).all()
        contents[split] = {layout(FOUR, int(seed)).grid[..., 0].tobytes() for seed in found}
        env = FullyObsWrapper(gymnasium.make(FOUR))
        image = env.reset(seed=int(found[0]))[0]["image"]
        grid, agent = split_image(image)
        assert (grid == layout(FOUR, int(found[0])).grid).all()
        assert (agent == layout(FOUR, int(found[0])).agent).all()
    # Geometry alone decides: two layouts of one geometry have one owner, wherever goals are.
    geometry: dict[bytes, set[int]] = {}
    for seed in range(150):
        each = layout(FOUR, seed)
        geometry.setdefault((each.grid[..., 0] == 2).tobytes(), set()).add(each.content)
    assert all(len(owners) == 1 for owners in geometry.values())


@pytest.mark.parametrize("kind", ["own", "uniform"])
@pytest.mark.parametrize("task_id", [FOUR, MULTI])
def test_episodes(task_id: str, kind: str) -> None:
    spec = tasks.task_spec(task_id)
    batch = tasks.sample_episodes(task_id, "test", kind, episodes=8, seed=1)
    again = tasks.sample_episodes(task_id, "test", kind, episodes=3, seed=1)
    assert (again.plan_seed == batch.plan_seed[:3]).all() and (again.goal == batch.goal[:3]).all()
    assert batch.doors == spec.doors and len(set(batch.plan_seed)) == 8
    assert (batch.oracle_steps > 0).all() and batch.oracle_steps.max() <= spec.step_budget
    assert (batch.start[:, 3:] == (CLOSED if spec.doors else 0)).all()
    # The goal object is where the goal is, and nowhere else.
    rows = np.arange(8)
    assert (batch.grid[rows, batch.goal[:, 0], batch.goal[:, 1], 0] == 8).all()
    assert ((batch.grid[..., 0] == 8).sum((1, 2)) == 1).all()
    if kind == "own":
        for i in range(3):
            env = FullyObsWrapper(gymnasium.make(task_id))
            image = env.reset(seed=int(batch.plan_seed[i]))[0]["image"]
            assert (image == batch.start_image[i]).all()
    if kind == "own" and task_id == MULTI:
        assert (batch.goal[:, 3:] == OPEN).all(), "on arrival, every door between first and last room is open"
    # Perception: the first image tells the floor plan, later ones the agent.
    floor, start = perceive(batch.start_observation, spec.doors)
    assert (floor == batch.grid).all() and (start == batch.start).all()
    _, goal = perceive(batch.goal_observation, spec.doors, floor)
    assert (goal == batch.goal).all()


@pytest.mark.parametrize("task_id", [FOUR, MULTI])
def test_the_oracle_reaches_the_goal_in_the_twin(task_id: str) -> None:
    batch = tasks.sample_episodes(task_id, "train", episodes=20, seed=4)
    twin = tasks.make_batched(tasks.task_spec(task_id), 20)
    twin.reset(options={"episodes": batch})
    table = distances(batch.barriers, batch.goal, batch.start[:, 3:])
    floor = batch.grid
    arrived = np.zeros(20, dtype=int)
    for step in range(1, batch.oracle_steps.max() + 1):
        observation, reward, terminated, _, _ = twin.step(shortest_actions(batch.barriers, table, twin.agent))
        assert (split_image(observation["image"], batch.doors, floor)[1] == twin.agent).all()
        assert (terminated == (step >= batch.oracle_steps)).all()
        arrived += reward > 0
    assert (arrived == 1).all() and (twin.agent[:, 3:] == batch.goal[:, 3:]).all()
    assert tasks.random_success(batch, 120, repeats=3) < 0.4


def test_data_hold_agents_with_door_states_and_one_grid_per_layout(tmp_path: Path) -> None:
    store = collect(MULTI, tmp_path / "s", 6, 8, 60, seed=0)
    assert store.grids.shape == (6, 25, 25, 3) and store.agent.shape == (6 * 8 * 60, 8)
    assert (store.grid_index == np.repeat(np.arange(6), 480)).all()
    assert all(owned(MULTI, int(seed)) and int(seed) in SPLITS["train"] for seed in set(store.plan.tolist()))
    windows = store.windows(np.random.default_rng(0), 32, 20, plans=4)
    grid = store.grids[windows.grid_index]
    barriers = tasks.grid_to_barriers(grid, 5)
    after = step_agents(barriers[:, :-1], windows.agent[:, :-1].astype(int), windows.action)
    assert (after == windows.agent[:, 1:]).all(), "floor plan, agent and action tell what happens"
    change = np.diff(store.agent.reshape(48, 60, 8)[..., 3:].astype(int), axis=1)
    assert (change < 0).sum() > 30 and (change > 0).sum() > 5
    assert store.agent[:, 3:].max() == CLOSED
    assert (door_cells(store.grids, 5) > 0).all()
    again = collect(MULTI, tmp_path / "t", 6, 8, 60, seed=0)
    assert again.sha256 == store.sha256
    assert collect(FOUR, tmp_path / "u", 3, 2, 10, seed=0).agent.shape == (60, 3)


def test_the_default_budget_grows_with_the_steps_that_have_to_be_planned() -> None:
    short, long = minigrid_spec("MiniGrid-Empty-5x5-v0"), minigrid_spec("MiniGrid-Empty-16x16-v0")
    assert (short.step_budget, short.default_budget_tflops) == (100, 0.03)
    assert (long.step_budget, long.default_budget_tflops) == (1024, 0.3072)
    assert minigrid_spec("MiniGrid-Empty-16x16-v0", default_budget_tflops=0.5).default_budget_tflops == 0.5


def test_other_stock_environments_work_without_being_registered() -> None:
    spec = tasks.task_spec("MiniGrid-MultiRoom-N2-S4-v0")
    assert (spec.doors, spec.step_budget, spec.width) == (1, 40, 25)
    batch = tasks.sample_episodes(spec.id, "train", episodes=3)
    assert batch.start.shape == (3, 4) and (batch.oracle_steps > 0).all()
    crossing = tasks.task_spec("MiniGrid-SimpleCrossingS9N1-v0")
    assert crossing.doors == 0 and crossing.step_budget == 4 * 9 * 9
    assert compare("MiniGrid-SimpleCrossingS9N2-v0", 300, seed=0)["steps"] == 300


@pytest.mark.parametrize(
    ("task_id", "message"),
    [
        ("MiniGrid-DoorKey-5x5-v0", "neither wall, floor, door nor goal|a locked door"),
        ("MiniGrid-LavaCrossingS9N1-v0", "neither wall, floor, door nor goal"),
        ("MiniGrid-GoToDoor-5x5-v0", "rules of its own|0 goal objects"),
        ("MiniGrid-Dynamic-Obstacles-5x5-v0", "rules of its own"),
        ("MiniGrid-Nowhere-v0", "unknown MiniGrid environment"),
    ],
)
def test_unsupported_environments_are_refused(task_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.task_spec(task_id)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown tasks 'far'; choose one of own, uniform"):
        tasks.sample_episodes(FOUR, "test", "far", episodes=2)
    with pytest.raises(ValueError, match="too few layouts: 1 different in 500 seeds of the"):
        for split in SPLITS:  # one geometry: only one split owns it
            layout_seeds("MiniGrid-Empty-5x5-v0", split, 2, "x")
    with pytest.raises(ValueError, match="has 5 doors, the task 2 door slots"):
        BatchedMiniGrid(1, task_id=MULTI, doors=2).reset(seed=0)
    twin = BatchedMiniGrid(2, task_id=FOUR)
    with pytest.raises(ValueError, match="unknown reset option 'start'"):
        twin.reset(options={"start": (1, 1, 0)})
    with pytest.raises(ValueError, match="agents of 8 int64 numbers|episodes are 25x25"):
        twin.reset(options={"episodes": tasks.sample_episodes(MULTI, "train", episodes=2)})


OWN = """
import gymnasium
from minigrid.envs.fourrooms import FourRoomsEnv

gymnasium.register("Mine-v0", entry_point=FourRoomsEnv)
"""


def test_an_environment_of_ones_own_is_imported_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_rooms.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own, stock = "my_rooms:Mine-v0", minigrid_spec(FOUR)
    assert tasks.task_spec(own) == dataclasses.replace(stock, id=own)
    episodes = tasks.sample_episodes(own, "test", episodes=2, seed=0)
    assert (episodes.oracle_steps > 0).all() and episodes.grid.shape == (2, stock.width, stock.height, 3)
    with pytest.raises(ValueError, match="put its folder on PYTHONPATH"):
        tasks.task_spec("no_such_module:Mine-v0")
    with pytest.raises(ValueError, match="not a MiniGrid environment"):
        tasks.task_spec("CartPole-v1")
