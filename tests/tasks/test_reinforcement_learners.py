"""Environments as libraries of reinforcement learning meet them: spaces that policies take, and goals in sight.

What is taken for a picture is Stable-Baselines3's published rule, written anew, so that it holds without that package;
where it is installed, its agents learn here.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FilterObservation
from minigrid.minigrid_env import MiniGridEnv
from minigrid.wrappers import FlatObsWrapper, FullyObsWrapper, ImgObsWrapper, RGBImgObsWrapper

import tasks
from tasks.gymnasium_world import GymnasiumWorld, gymnasium_spec
from tasks.nested_rooms import NestedRooms
from tasks.observations import GOAL_CELL
from tasks.senses import leaves, sense_of, symbol_space

OURS = [env_id for env_id in gymnasium.registry if env_id.startswith("hjepa/")]
STOCK = [spec["id"] for spec in tasks.list_tasks() if spec["family"] == "minigrid"]
LEAST = 36
"""Pixels a side that three convolutions of 8, 4 and 3 pixels in strides of 4, 2 and 1 need."""

Env = gymnasium.Env[Any, Any]


def flat(env: Env) -> Env:
    """For ``MlpPolicy``."""
    return FlatObsWrapper(FullyObsWrapper(env))


def entries(env: Env) -> Env:
    """For ``MultiInputPolicy``."""
    return FilterObservation(env, [name for name in env.observation_space if name != "mission"])


def picture(env: Env) -> Env:
    """For ``CnnPolicy``."""
    return ImgObsWrapper(RGBImgObsWrapper(env))


def made(env_id: str, **arguments: Any) -> Env:
    return gymnasium.make(env_id, disable_env_checker=True, **arguments)


def is_grid(env_id: str) -> bool:
    return isinstance(made(env_id).unwrapped, MiniGridEnv)


GRIDS, OTHERS = (list(filter(is_grid, OURS)), [each for each in OURS if not is_grid(each)])
WAYS: list[tuple[str, str, Callable[[Env], Env] | None]] = [
    *[(env_id, "MlpPolicy", flat) for env_id in GRIDS + STOCK],
    *[(env_id, "MultiInputPolicy", entries) for env_id in GRIDS],
    *[(env_id, "CnnPolicy", picture) for env_id in GRIDS + STOCK],
    *[(env_id, "MultiInputPolicy", None) for env_id in OTHERS],
]
"""What docs/environments.md says to wrap each environment in, for each policy."""


def taken_for_picture(space: spaces.Space[Any]) -> bool:
    """Three axes of bytes from 0 to 255."""
    return (
        isinstance(space, spaces.Box)
        and len(space.shape) == 3
        and space.dtype == np.uint8
        and bool((space.low == 0).all() and (space.high == 255).all())
    )


def is_small(space: spaces.Space[Any]) -> bool:
    """Too small a grid for the network of pictures, channels first or last."""
    return space.shape is not None and len(space.shape) == 3 and sorted(space.shape)[1] < LEAST


def why_refused(space: spaces.Space[Any], policy: str) -> str | None:
    """Why a policy does not take a space; None: it does."""
    if policy == "MultiInputPolicy":
        if not isinstance(space, spaces.Dict):
            return "is no Dict"
        each = [part for _, part in leaves(space)]
        if any(isinstance(part, spaces.Dict) for part in space.values()):
            return "has a Dict in a Dict"
    else:
        each = [space]
        if isinstance(space, spaces.Dict):
            return "is a Dict"
        if policy == "CnnPolicy" and not taken_for_picture(space):
            return "is no picture"
    for part in each:
        if not isinstance(part, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
            return f"holds {part}"
        if policy != "MlpPolicy" and is_small(part) and taken_for_picture(part):
            return f"has a grid of {part.shape} that is taken for a picture"
    return None


def test_the_rule_knows_what_fits() -> None:
    """The space that was registered once, and its neighbours."""
    fits = {
        ((9, 9, 3), 255): False,
        ((9, 9, 3), 10): True,
        ((36, 36, 3), 255): True,
        ((3, 35, 40), 255): False,
    }
    for (shape, high), well in fits.items():
        space = spaces.Dict({"image": spaces.Box(0, high, shape, np.uint8)})
        assert (why_refused(space, "MultiInputPolicy") is None) == well, shape
    assert why_refused(spaces.Dict({"mission": spaces.Text(3)}), "MultiInputPolicy")
    assert why_refused(spaces.Box(0, 10, (9, 9, 3), np.uint8), "CnnPolicy")


@pytest.mark.parametrize("env_id", OURS)
def test_no_small_grid_is_taken_for_a_picture(env_id: str) -> None:
    for show_goal in (False, True):
        for path, space in leaves(made(env_id, show_goal=show_goal).observation_space):
            assert not (is_small(space) and taken_for_picture(space)), path


@pytest.mark.parametrize(("env_id", "policy", "wrap"), WAYS)
def test_policies_take_what_the_page_wraps(
    env_id: str, policy: str, wrap: Callable[[Env], Env] | None
) -> None:
    env = made(env_id, **({} if env_id in STOCK else {"show_goal": True}))
    env = env if wrap is None else wrap(env)
    assert why_refused(env.observation_space, policy) is None
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)


@pytest.mark.parametrize("env_id", OURS)
def test_gymnasiums_checker_finds_nothing(env_id: str) -> None:
    for show_goal in (False, True)[: 1 if is_grid(env_id) else 2]:  # a grid's spaces are the same
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*not within the observation space.*mission.*")
            check_env(made(env_id, show_goal=show_goal).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", OURS)
def test_a_goal_that_is_shown_is_there_and_changes_nothing_else(env_id: str) -> None:
    plain, shown = made(env_id), made(env_id, show_goal=True)
    if is_grid(env_id):
        plain, shown = FullyObsWrapper(plain), FullyObsWrapper(shown)
    first, _ = plain.reset(seed=5)
    second, told = shown.reset(seed=5)
    plain.action_space.seed(5)
    for _ in range(12):
        if isinstance(shown.unwrapped, NestedRooms):
            x, y = shown.unwrapped.goal[:2]
            assert tuple(second["image"][x, y]) == GOAL_CELL
            different = np.argwhere((first["image"] != second["image"]).any(-1)).tolist()
            assert different == [[x, y]], "nothing but the goal's cell"
        else:
            goal = told["goal"] if isinstance(told["goal"], dict) else {"position": told["goal"]}
            expected = first | {f"goal_{name}": value for name, value in goal.items()}
            assert second.keys() == expected.keys()
            for name, value in expected.items():
                np.testing.assert_array_equal(second[name], value)
        action = plain.action_space.sample()
        first, _, over, _, _ = plain.step(action)
        second, *_ = shown.step(action)
        if over:
            break


@pytest.mark.parametrize("env_id", OURS)
def test_the_first_line_says_how_to_see_the_goal(env_id: str) -> None:
    text = inspect.getdoc(type(made(env_id).unwrapped))
    assert text is not None and "show_goal=True" in text.splitlines()[0]


def test_twins_show_the_goal_of_a_point_with_and_without_copies() -> None:
    spec = tasks.task_spec("hjepa/NestedPoint-d2-v0")
    for copy in (True, False):
        world = tasks.make_batched(spec, 3, show_goal=True, copy=copy)
        seen, info = world.reset(seed=2)
        assert seen in world.observation_space
        np.testing.assert_array_equal(seen["goal_position"], info["goal"])
    many = gymnasium.make_vec(spec.id, num_envs=2, show_goal=True)
    seen, info = many.reset(seed=2)
    np.testing.assert_array_equal(seen["goal_position"], info["goal"])


@pytest.mark.parametrize("codes", [(11, 6, 4), (4,), (256, 1, 2)])
def test_symbols_come_back_from_their_space(codes: tuple[int, ...]) -> None:
    space = symbol_space((5, 4, len(codes)), codes)
    sense = sense_of(space, "symbols")
    assert sense is not None and sense.codes == codes and sense.shape == (5, 4, len(codes))


def test_what_was_stored_of_a_space_with_more_codes_still_opens() -> None:
    now = gymnasium_spec("hjepa/NestedPoint-d2-v0", step_budget=9)
    assert now.senses["image"].codes == (11, 6, 4)
    wide, narrow = (
        now.senses | {"image": replace(now.senses["image"], codes=codes)}
        for codes in ((256, 256, 256), (11, 6, 3))
    )
    world = GymnasiumWorld(replace(now, senses=wide))
    assert world.reset(tasks.plain_tasks(np.arange(2)))["image"].max() < 11
    with pytest.raises(ValueError, match="make the spec anew"):
        GymnasiumWorld(replace(now, senses=narrow))


ALIKE = ("Layouts", "-d3-", "-d4-", "MultiRoom")
"""In ids of environments that are like others, or larger."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env_id", "policy", "wrap"), [way for way in WAYS if not any(part in way[0] for part in ALIKE)]
)
def test_proximal_policies_learn_from_it(env_id: str, policy: str, wrap: Callable[[Env], Env] | None) -> None:
    learners = pytest.importorskip("stable_baselines3")
    env = made(env_id, **({} if env_id in STOCK else {"show_goal": True}))
    env = env if wrap is None else wrap(env)
    agent = learners.PPO(policy, env, n_steps=128, batch_size=64, n_epochs=1, device="cpu", seed=0)
    before = [value.clone() for value in agent.policy.parameters()]
    agent.learn(256)
    assert agent.num_timesteps == 256
    assert any((now != then).any() for now, then in zip(agent.policy.parameters(), before))
