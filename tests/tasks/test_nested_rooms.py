"""The MiniGrid environment: interface, options, rewards, and MiniGrid's own wrappers on it."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from minigrid import wrappers
from minigrid.minigrid_env import MiniGridEnv

import tasks
from tasks.nested_rooms import NestedRooms
from tasks.observations import AGENT, FORWARD, GOAL_CELL, LEFT, split_image
from tasks.oracles import distances, shortest_actions

IDS = [spec["id"] for spec in tasks.list_tasks() if spec["family"] == "nested-rooms"]
D3 = "hjepa/NestedRooms-d3-v0"


def walk_to_goal(env: NestedRooms) -> list[int]:
    """The shortest actions from where the agent stands to the goal."""
    walls = env.plan.walls
    table = distances(walls, np.array([env.goal]))
    agent, actions = np.array([[*env.agent_pos, env.agent_dir]]), []
    while table[0][tuple(agent[0])] > 0:
        actions.append(int(shortest_actions(walls, table, agent)[0]))
        agent = tasks.step_agents(walls, agent, np.array(actions[-1:]))
    return actions


@pytest.mark.parametrize("task_id", IDS)
def test_gymnasium_makes_it_from_the_module_name(task_id: str) -> None:
    spec = tasks.task_spec(task_id)
    env = gymnasium.make(f"tasks:{task_id}")
    assert isinstance(env.unwrapped, NestedRooms) and isinstance(env.unwrapped, MiniGridEnv)
    assert env.unwrapped.step_budget == spec.step_budget
    observation, info = env.reset(seed=1)
    assert observation["image"].shape == (7, 7, 3) and observation["mission"] == "reach the goal"
    if spec.view:
        pose = tuple(observation["pose"])
        assert pose[:3] == env.unwrapped.episode.start and len(pose) == 3 + spec.doors + spec.keys
        assert tuple(info["goal"])[:3] == env.unwrapped.goal
    else:
        assert info["goal"].shape == (spec.width, spec.height, 3) and info["goal"].dtype == np.uint8
    assert info["plan_seed"] == (tasks.SPLITS["train"].start + 7 if spec.fixed_plan else info["plan_seed"])
    assert env.action_space == gymnasium.spaces.Discrete(7)


def test_it_passes_gymnasiums_checker() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*not within the observation space.*mission.*")
        check_env(NestedRooms(depth=2), skip_render_check=True)


def test_the_walls_are_the_floor_plan_and_the_goal_image_shows_the_agent_there() -> None:
    env = wrappers.FullyObsWrapper(NestedRooms(depth=3))
    observation, info = env.reset(seed=4)
    plan = tasks.floor_plan(info["plan_seed"], 3)
    grid, agent = split_image(observation["image"])
    assert ((grid[..., 0] == 2) == plan.walls).all()
    assert tuple(agent) == env.unwrapped.episode.start
    goal_grid, goal = split_image(info["goal"])
    assert (goal_grid == grid).all() and tuple(goal) == env.unwrapped.goal


def test_the_same_seed_gives_the_same_episodes_and_none_goes_on() -> None:
    first, second = NestedRooms(), NestedRooms()
    episodes = []
    for env in (first, second):
        env.reset(seed=11)
        now = [env.episode]
        env.reset()
        episodes.append([*now, env.episode])
    for one, two in zip(*episodes, strict=True):
        assert (one.plan.seed, one.start, one.goal) == (two.plan.seed, two.start, two.goal)
    assert episodes[0][0].plan.seed != episodes[0][1].plan.seed


@pytest.mark.parametrize("show_goal", [False, True])
def test_success_at_any_heading_terminates_with_minigrids_reward(show_goal: bool) -> None:
    env = NestedRooms(depth=2, step_budget=64, show_goal=show_goal)
    for seed in range(8):
        env.reset(seed=seed)
        actions = walk_to_goal(env)
        for step, action in enumerate(actions, start=1):
            _, reward, terminated, truncated, _ = env.step(action)
            assert isinstance(reward, float) and not truncated
            assert terminated == (step == len(actions))
            assert reward == ((1 - 0.9 * (step / 64)) if terminated else 0.0)


def test_the_step_budget_truncates() -> None:
    env = NestedRooms(depth=2, step_budget=5)
    env.reset(seed=0)
    assert [env.step(LEFT)[3] for _ in range(5)] == [False] * 4 + [True]


def test_arriving_with_the_last_step_is_both() -> None:
    env = NestedRooms(depth=2, step_budget=1)
    env.reset(seed=0, options={"start": (1, 1, 0), "goal": (2, 1, 3)})
    assert env.step(FORWARD)[2:4] == (True, True)


def test_the_goal_object_is_only_there_when_asked_for() -> None:
    for show_goal in (False, True):
        env = wrappers.FullyObsWrapper(NestedRooms(show_goal=show_goal))
        observation, info = env.reset(seed=3)
        x, y, heading = env.unwrapped.goal
        assert (tuple(observation["image"][x, y]) == GOAL_CELL) == show_goal
        assert tuple(info["goal"][x, y]) == (AGENT, 0, heading)


def test_options_fix_everything() -> None:
    env = NestedRooms(tasks="uniform")
    options = {"plan_seed": 1_700_000_000, "start": (1, 1, 3), "goal": (15, 15, 2)}
    observation, info = env.reset(seed=0, options=options)
    assert info["plan_seed"] == 1_700_000_000 and env.plan.split == "test"
    assert (env.agent_pos, env.agent_dir, env.goal) == ((1, 1), 3, (15, 15, 2))
    env.reset()
    assert env.plan.split == "train", "options hold for one episode"
    assert observation["direction"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plan": 3}, "unknown reset option 'plan'; known: plan_seed, start, goal"),
        ({"start": (0, 0, 0)}, "inside a wall"),
        ({"start": (1, 1, 4)}, "outside"),
        ({"goal": (1, 1)}, "give \\(x, y, heading\\)"),
        ({"plan_seed": 2**33}, "outside every split"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NestedRooms().reset(seed=0, options=options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "split"),
        ({"tasks": "near"}, "tasks"),
        ({"step_budget": 0}, "budget"),
        ({"depth": 0}, "depth"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NestedRooms(**arguments)  # type: ignore[arg-type]


def test_asking_for_the_plan_before_reset_says_so() -> None:
    with pytest.raises(ValueError, match="call reset"):
        _ = NestedRooms().plan


@pytest.mark.parametrize(
    "wrap",
    [
        wrappers.FullyObsWrapper,
        wrappers.FlatObsWrapper,
        wrappers.ImgObsWrapper,
        wrappers.OneHotPartialObsWrapper,
        wrappers.RGBImgObsWrapper,
        wrappers.RGBImgPartialObsWrapper,
        wrappers.SymbolicObsWrapper,
        wrappers.DictObservationSpaceWrapper,
        wrappers.DirectionObsWrapper,
        lambda env: wrappers.ViewSizeWrapper(env, agent_view_size=5),
        lambda env: wrappers.ReseedWrapper(env, seeds=[3]),
        lambda env: wrappers.ActionBonus(env),
        lambda env: wrappers.PositionBonus(env),
        lambda env: gymnasium.wrappers.RecordEpisodeStatistics(env),
    ],
)
@pytest.mark.filterwarnings("ignore:.*ReseedWrapper.*is ignored")
def test_wrappers_work(wrap: object) -> None:
    env = wrap(gymnasium.make(D3, show_goal=True))  # type: ignore[operator]
    observation, _ = env.reset(seed=0)
    for action in (0, 1, 2, 3, 4, 5, 6, 2, 2):
        observation, *_ = env.step(action)
    if isinstance(observation, np.ndarray):
        assert observation.shape == env.observation_space.shape


def test_pictures_show_the_goal_and_pixel_observations_do_not() -> None:
    pictures, observations = [], []
    for goal in ((15, 15, 0), (13, 13, 0)):
        env = NestedRooms(render_mode="rgb_array", tile_size=8, highlight=False)
        pixels = wrappers.RGBImgObsWrapper(env)
        observation, _ = pixels.reset(seed=0, options={"plan_seed": 0, "start": (1, 1, 0), "goal": goal})
        pictures.append(env.render())
        observations.append(observation["image"])
        assert env.grid.get(*goal[:2]) is None, "drawing leaves the world alone"
        green = pictures[-1][goal[1] * 8 + 4, goal[0] * 8 + 4]
        assert green[1] > 200 and green[0] < 50
    assert (pictures[0] != pictures[1]).any()
    assert (observations[0] == observations[1]).all()
    assert pictures[0].shape == (17 * 8, 17 * 8, 3)
