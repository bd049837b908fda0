"""Worlds with a batched twin against the environments themselves, seen through the adapter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tasks
from tasks.gymnasium_world import draw_actions
from tasks.key_oracles import key_actions, key_distances
from tasks.observations import FORWARD, TOGGLE
from tasks.oracles import distances
from tasks.point_pictures import draw_points
from tasks.twin_worlds import has_twin
from tasks.worlds import World

# Layouts have tests of their own.
IDS = [
    spec["id"]
    for spec in tasks.list_tasks()
    if not spec["view"] and spec["actions"] == 7 and spec["family"] != "layouts"
]
FEW = [
    "hjepa/NestedRooms-d2-v0",
    "hjepa/NestedKeys-d2-v0",
    "hjepa/NestedLava-d3-v0",
    "MiniGrid-MultiRoom-N6-v0",
]


@pytest.mark.parametrize(
    ("env_id", "observe"), [(each, "symbols") for each in IDS] + [(each, "image") for each in FEW]
)
def test_equals_the_environment_itself(env_id: str, observe: str) -> None:
    twin, real = tasks.make_world(env_id, observe), tasks.make_world(env_id, observe, real=True)
    assert twin.spec == real.spec and isinstance(twin, World) and type(twin) is not type(real)
    rng, episodes = np.random.default_rng(1), 4
    given = tasks.plain_tasks(np.arange(30, 30 + episodes))
    given = replace(
        given,
        prefix=rng.integers(0, 7, (episodes, 12)),
        prefix_length=rng.integers(0, 13, episodes),
    )
    seen, wanted = twin.reset(given)["image"], real.reset(given)["image"]
    goals, shown = twin.goal(), real.goal()
    assert goals is not None
    if not ("Keys" in env_id and observe == "image"):
        assert shown is not None and np.array_equal(goals["image"], shown["image"])
    for _ in range(70):
        assert np.array_equal(seen, wanted)
        action = rng.choice([0, 1, FORWARD, FORWARD, FORWARD, TOGGLE, 3, 4, 6], episodes)
        one, other = twin.step(action), real.step(action)
        for name in ("success", "terminated", "truncated"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        seen, wanted = one.observation["image"], other.observation["image"]
    agents = twin.state()["agent"], real.state()["agent"]
    assert np.array_equal(agents[0][:, :3], agents[1])


@pytest.mark.parametrize(
    ("env_id", "kind"),
    [
        ("hjepa/NestedRooms-d2-v0", "uniform"),
        ("hjepa/NestedKeys-d2-v0", "far"),
        ("MiniGrid-FourRooms-v0", "own"),
    ],
)
def test_a_walk_to_the_goal_succeeds_in_both(env_id: str, kind: str) -> None:
    given = tasks.split_tasks(env_id, "test", kind, episodes=6)
    episodes = given.episodes
    assert episodes is not None and np.array_equal(given.group, episodes.plan_seed)
    twin, real = tasks.make_world(env_id), tasks.make_world(env_id, real=True)
    seen = twin.reset(given)["image"]
    assert np.array_equal(seen, real.reset(given)["image"]) and np.array_equal(seen, episodes.start_image)
    goal = twin.goal()
    assert goal is not None and np.array_equal(goal["image"], episodes.goal_image)
    barriers = episodes.barriers
    table = (key_distances if episodes.keys else distances)(barriers, episodes.goal[:, :2])
    way = key_actions if episodes.keys else tasks.shortest_actions
    walked = []
    for _ in range(int(episodes.oracle_steps.max())):
        action = way(barriers, table, twin.state()["agent"])
        walked.append(action)
        one, other = twin.step(action), real.step(action)
        assert np.array_equal(one.observation["image"], other.observation["image"])
        assert np.array_equal(one.success, other.success) and np.array_equal(one.success, one.terminated)
    assert one.success.all()
    whole = replace(given, prefix=np.stack(walked, 1).astype(np.int64), prefix_length=episodes.oracle_steps)
    for world in (twin, real):
        with pytest.raises(ValueError, match=r"prefix of task \d .* ends the episode"):
            world.reset(whole)
        world.reset(replace(whole, prefix_length=episodes.oracle_steps - 1))
        assert world.step(whole.prefix[np.arange(6), episodes.oracle_steps - 1]).success.all()
    few = given.select([4, 1])
    assert np.array_equal(twin.reset(few)["image"], seen[[4, 1]]) and len(few) == 2


def test_given_episodes_that_the_environment_cannot_begin_are_refused() -> None:
    for env_id, kind in (("hjepa/NestedLava-d3-v0", "far"), ("MiniGrid-FourRooms-v0", "uniform")):
        given = tasks.split_tasks(env_id, "test", kind, episodes=3)
        assert tasks.make_world(env_id).reset(given)["image"].shape[0] == 3
        with pytest.raises(ValueError, match="itself does not begin episode"):
            tasks.make_world(env_id, real=True).reset(given)


def test_goals_that_are_given_end_episodes_and_they_stay() -> None:
    world = tasks.make_world("hjepa/NestedRooms-d2-v0")
    given = tasks.plain_tasks(np.array([1, 2]))
    start = world.reset(given)["image"]
    turned = world.step(np.array([1, 1])).observation["image"]
    rule = tasks.success_rule(world.spec)
    world.reset(replace(given, goal={"image": turned}, reached=rule))
    goal = world.goal()
    assert goal is not None and np.array_equal(goal["image"], turned)
    step = world.step(np.array([1, 0]))
    assert step.success.tolist() == step.terminated.tolist() == [True, False]
    step = world.step(np.array([1, 1]))
    assert np.array_equal(step.observation["image"][0], turned[0]), "it has turned no further"
    assert np.array_equal(step.observation["image"][1], start[1])


def test_a_point_is_seen_where_it_is() -> None:
    floor = np.zeros((2, 4, 3, 3), dtype=np.uint8)
    floor[..., 0] = 1
    floor[:, 0, 1] = (2, 5, 0)
    picture = draw_points(floor, np.array([[2.5, 1.5], [2.53, 1.5]], dtype=np.float32), 8).astype(int)
    assert picture.shape == (2, 24, 32, 3)
    assert (
        (picture[:, 8:16, :8] == 100).all() and (picture[:, 16:] == 0).all() and (picture[:, :8] == 0).all()
    )
    assert (picture[0, 10:14, 18:22] == (255, 0, 0)).all(), "half a cell wide"
    red = picture[..., 0] * (picture[..., 1] == 0)
    assert red[0].sum() == 16 * 255 and abs(red[1].sum() - 16 * 255) <= 8
    assert red[1, 10, 18] < 255 and red[1, 10, 22] > 0, "places closer than a pixel look different"
    mass = (red[:, 10:14].sum(1) * (np.arange(32) + 0.5)).sum(1) / red[:, 10:14].sum((1, 2))
    assert np.allclose(mass, [20.0, 20.24], atol=0.02)


def test_a_point_walks_and_is_drawn_at_its_goal() -> None:
    world = tasks.make_world("hjepa/NestedPoint-d2-v0", tile=4)
    assert world.spec.senses["image"].shape == (36, 36, 3) and world.spec.actions.continuous
    given = tasks.split_tasks("hjepa/NestedPoint-d2-v0", episodes=3)
    world.reset(given)
    goal = world.goal()
    assert goal is not None and given.episodes is not None
    assert np.array_equal(goal["image"], draw_points(given.episodes.grid, given.episodes.goal, 4))
    rng = np.random.default_rng(0)
    env = tasks.make_batched(tasks.task_spec("hjepa/NestedPoint-d2-v0"), 3)
    env.reset(options={"episodes": given.episodes})
    for _ in range(20):
        action = draw_actions(world.spec.actions, rng, 3)
        step = world.step(action)
        env.step(action)
        assert np.array_equal(step.observation["image"], draw_points(env.floor, env.agent, 4))
    prefix = rng.uniform(-1, 1, (3, 6, 2)).astype(np.float32)
    moved = world.reset(replace(given, prefix=prefix, prefix_length=np.array([0, 3, 6])))["image"]
    world.reset(given)
    for time in range(6):
        seen = world.step(prefix[:, time]).observation["image"]
        if time == 2:
            assert np.array_equal(seen[1], moved[1])
    assert np.array_equal(seen[2], moved[2])


def test_the_choice_of_a_world() -> None:
    assert has_twin("hjepa/NestedRooms-d3-v0") and not has_twin("hjepa/NestedPartial-d3-v0")
    assert type(tasks.make_world("Pendulum-v1")).__name__ == "GymnasiumWorld"
    spec = tasks.world_spec("hjepa/NestedRooms-d3-v0", "image", tile=2, split="validation")
    world = tasks.open_world(spec)
    assert world.reset(tasks.plain_tasks(np.array([1])))["image"].shape == (1, 34, 34, 3)
    for wrong, match in (
        ({"observe": "vector"}, "observed as vector; choose from symbols, image"),
        ({"highlight": True}, "takes no argument 'highlight'; known: tile, split, tasks"),
        ({"tile": 0}, "whole numbers from 1 up"),
    ):
        with pytest.raises(ValueError, match=match):
            tasks.make_world("hjepa/NestedRooms-d3-v0", **wrong)
    with pytest.raises(ValueError, match="has no batched twin"):
        tasks.twin_spec("Pendulum-v1")
