"""Layouts as tasks: registered, stepped by MiniGrid, with a batched twin, sampled, explored and collected."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from minigrid.core.grid import Grid
from minigrid.core.world_object import Wall
from minigrid.minigrid_env import MiniGridEnv
from minigrid.wrappers import FullyObsWrapper

import tasks
from tasks.batched import BatchedNestedRooms
from tasks.episodes import draw_episode, quadrant
from tasks.floorplans import split_of
from tasks.layouts import FAMILIES, MIXTURES, family_of, layout_plan
from tasks.layouts.registered import STEPS
from tasks.nested_rooms import NestedRooms
from tasks.observations import FORWARD, grid_to_walls
from tasks.oracles import distances, shortest_actions

SPECS = {spec["id"]: spec for spec in tasks.list_tasks() if spec["family"] == "layouts"}
SMALL = [task for task, spec in SPECS.items() if spec["width"] == 9]
MIXED = "hjepa/Layouts-mixed-s9-v0"


def test_every_family_and_mixture_is_registered_at_the_sides_of_nested_rooms() -> None:
    assert set(SPECS) == {
        f"hjepa/Layouts-{layout}-s{side}-v0" for layout in (*FAMILIES, *MIXTURES) for side in (9, 17, 33)
    }
    for depth, side in ((2, 9), (3, 17), (4, 33)):
        nested = tasks.task_spec(f"hjepa/NestedRooms-d{depth}-v0")
        for layout in (*FAMILIES, *MIXTURES):
            spec = tasks.task_spec(f"hjepa/Layouts-{layout}-s{side}-v0")
            assert (spec.width, spec.height, spec.actions) == (nested.width, nested.height, nested.actions)
            assert spec.step_budget >= nested.step_budget == STEPS["nested"][side]
            per_step = spec.default_budget_tflops / spec.step_budget
            assert per_step == pytest.approx(nested.default_budget_tflops / nested.step_budget, rel=0.02)
        for layout, parts in MIXTURES.items():
            most = max(STEPS[part][side] for part in parts)
            assert tasks.task_spec(f"hjepa/Layouts-{layout}-s{side}-v0").step_budget == most


@pytest.mark.parametrize("task_id", [task for task in SPECS if SPECS[task]["width"] < 33])
@pytest.mark.parametrize("kind", ["far", "uniform"])
def test_episodes_can_be_solved_within_the_step_budget(task_id: str, kind: str) -> None:
    spec, batch = tasks.task_spec(task_id), tasks.sample_episodes(task_id, "test", kind, episodes=40)
    again = tasks.sample_episodes(task_id, "test", kind, episodes=7)
    assert (again.grid == batch.grid[:7]).all() and (again.start == batch.start[:7]).all()
    assert batch.oracle_steps.min() >= 1 and batch.oracle_steps.max() <= 0.6 * spec.step_budget
    rows = np.arange(len(batch))
    assert not batch.walls[rows, batch.start[:, 0], batch.start[:, 1]].any()
    assert not batch.walls[rows, batch.goal[:, 0], batch.goal[:, 1]].any()
    assert {split_of(int(seed)) for seed in batch.plan_seed} == {"test"}
    for row, seed in enumerate(batch.plan_seed.tolist()):
        plan = layout_plan(seed, spec.layout, spec.width)
        assert (plan.walls == batch.walls[row]).all()
        ends = quadrant(plan, np.stack([batch.start[row], batch.goal[row]]))
        assert kind == "uniform" or (ends.sum() == 3 and ends.min() >= 0)


class ByHand(MiniGridEnv):
    """MiniGrid itself with given walls, written without our environment."""

    def __init__(self, walls: np.ndarray, agent: np.ndarray) -> None:
        self.given = walls, agent
        from minigrid.core.mission import MissionSpace

        super().__init__(
            mission_space=MissionSpace(mission_func=lambda: "walk"), grid_size=len(walls), max_steps=10_000
        )

    def _gen_grid(self, width: int, height: int) -> None:
        self.grid = Grid(width, height)
        walls, agent = self.given
        for x, y in np.argwhere(walls):
            self.put_obj(Wall(), int(x), int(y))
        self.agent_pos, self.agent_dir = (int(agent[0]), int(agent[1])), int(agent[2])
        self.mission = "walk"


@pytest.mark.parametrize("layout", [*FAMILIES, "mixed"])
def test_walls_stop_turns_turn_and_ways_are_free_as_in_minigrid(layout: str) -> None:
    """Random walks in our twin and in MiniGrid itself on the same walls, with both kinds of ends counted."""
    batch = tasks.sample_episodes(f"hjepa/Layouts-{layout}-s17-v0", "train", episodes=3)
    rng, agent, events = np.random.default_rng(3), batch.start, Counter[str]()
    envs = [ByHand(batch.walls[i], batch.start[i]) for i in range(3)]
    for env in envs:
        env.reset(seed=0)
    for _ in range(150):
        action = rng.choice([0, 1, FORWARD, FORWARD, FORWARD, 3, 4, 5, 6], 3)
        before, agent = agent, tasks.step_agents(batch.walls, agent, action)
        for i, env in enumerate(envs):
            env.step(int(action[i]))
            assert [*map(int, env.agent_pos), int(env.agent_dir)] == agent[i].tolist()
            moved = (before[i, :2] != agent[i, :2]).any()
            events["moved" if moved else "blocked" if action[i] == FORWARD else "stayed"] += 1
    assert min(events["moved"], events["blocked"], events["stayed"]) > 20


@pytest.mark.parametrize("task_id", SMALL)
def test_the_twin_shows_what_the_environment_shows(task_id: str) -> None:
    ours, real = tasks.make_world(task_id), tasks.make_world(task_id, real=True)
    assert ours.spec == real.spec
    given = tasks.plain_tasks(np.arange(70, 73))
    seen, wanted = ours.reset(given)["image"], real.reset(given)["image"]
    goals, shown = ours.goal(), real.goal()
    assert goals is not None and shown is not None and (goals["image"] == shown["image"]).all()
    rng = np.random.default_rng(5)
    for _ in range(40):
        assert (seen == wanted).all()
        action = rng.choice([0, 1, FORWARD, FORWARD], 3)
        one, other = ours.step(action), real.step(action)
        assert (one.success == other.success).all() and (one.truncated == other.truncated).all()
        seen, wanted = one.observation["image"], other.observation["image"]


@pytest.mark.parametrize("task_id", ["hjepa/Layouts-spiral-s17-v0", "hjepa/Layouts-maze-s33-v0"])
def test_the_registered_environment_ends_on_the_goal_after_the_shortest_path(task_id: str) -> None:
    batch = tasks.sample_episodes(task_id, "validation", episodes=2, seed=4)
    env = FullyObsWrapper(gymnasium.make(f"tasks:{task_id}"))
    for i in range(2):
        _, info = env.reset(
            options={
                "plan_seed": int(batch.plan_seed[i]),
                "start": tuple(batch.start[i].tolist()),
                "goal": tuple(batch.goal[i].tolist()),
            }
        )
        assert (info["goal"] == batch.goal_image[i]).all()
        table, agent, steps, terminated = (
            distances(batch.walls[[i]], batch.goal[[i]]),
            batch.start[[i]],
            0,
            False,
        )
        while not terminated:
            action = shortest_actions(batch.walls[[i]], table, agent)
            agent = tasks.step_agents(batch.walls[[i]], agent, action)
            _, _, terminated, truncated, _ = env.step(int(action[0]))
            steps += 1
            assert not truncated and steps <= batch.oracle_steps[i]
        assert steps == batch.oracle_steps[i]


def test_a_mixture_holds_as_many_floor_plans_of_every_family(tmp_path: Path) -> None:
    store = tasks.collect(MIXED, tmp_path / "store", plans=40, episodes_per_plan=2, length=12, seed=1)
    assert store.plans == 40 and store.episodes == 80
    spec = tasks.task_spec(MIXED)
    seeds = np.unique(store.plan)
    families = Counter(family_of("mixed", int(seed)) for seed in seeds)
    assert families == dict.fromkeys(MIXTURES["mixed"], 8)
    shown = {walls.tobytes() for walls in grid_to_walls(np.asarray(store.grids))}
    assert shown == {layout_plan(int(seed), "mixed", spec.width).walls.tobytes() for seed in seeds}
    batch = tasks.sample_episodes(MIXED, "test", episodes=50)
    assert set(Counter(family_of("mixed", s) for s in batch.plan_seed.tolist()).values()) == {10}


def test_what_is_seen_is_collected_with_the_layouts_as_groups(tmp_path: Path) -> None:
    spec = tasks.world_spec("hjepa/Layouts-leftout-s9-v0", split="train")
    store = tasks.collect_world(
        tasks.open_world(spec), tmp_path / "seen", "explorer", episodes=12, layouts=6, length=10
    )
    floors = dict(zip(store.group.tolist(), store.observation["image"][store.start]))
    assert store.groups == 6
    for seed, picture in floors.items():
        assert split_of(seed) == "train"
        assert (grid_to_walls(picture) == layout_plan(seed, "leftout", 9).walls).all()
    with pytest.raises(ValueError, match="draws its floor plans from split train, not test"):
        tasks.collect_world(tasks.open_world(spec), tmp_path / "no", episodes=2, split="test")


def test_random_actions_hardly_ever_arrive_and_the_shortest_path_always_does() -> None:
    for layout in MIXTURES:
        spec = tasks.task_spec(f"hjepa/Layouts-{layout}-s17-v0")
        batch = tasks.sample_episodes(spec.id, "test", episodes=60)
        assert tasks.random_success(batch, spec.step_budget) < 0.2
        assert (batch.oracle_steps <= spec.step_budget).all()


def test_what_layouts_do_not_have_is_refused() -> None:
    rng = np.random.default_rng(0)
    world = {"depth": 1, "room": 7, "split": "train", "tasks": "far", "layout": "maze"}
    with pytest.raises(ValueError, match="layout maze has no locked plans and no fixed one"):
        draw_episode(rng, **world, keys=1)  # type: ignore[arg-type]
    for make in (NestedRooms, lambda **kwargs: BatchedNestedRooms(2, **kwargs)):
        with pytest.raises(ValueError, match="unknown layout 'hills'; choose one of maze"):
            make(depth=1, room=7, layout="hills")
        with pytest.raises(ValueError, match="a side of 10 cells does not fit layout maze"):
            make(depth=1, room=8, layout="maze")
