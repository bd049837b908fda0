"""Policies that collect: their statistics, a world's own explorer, a user's function and its mistakes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tasks import make_world
from tasks.curiosity import Curious
from tasks.goals import plain_tasks
from tasks.policies import CORRELATION, REPEAT, Policy, headlong, persistent
from tasks.store_files import StoreError
from tasks.world_collection import collect_world
from tasks.worlds import Actions

PENDULUM, EMPTY = "Pendulum-v1", "MiniGrid-Empty-5x5-v0"


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("my_policies")
    monkeypatch.setitem(sys.modules, "my_policies", module)
    return module


def test_persistent_integers_go_on_and_are_uniform() -> None:
    act = persistent(Actions(4), 500, np.random.default_rng(0))
    drawn = np.stack([act({}) for _ in range(200)])
    assert abs((drawn[1:] == drawn[:-1]).mean() - (REPEAT + (1 - REPEAT) / 4)) < 0.01
    assert np.abs(np.bincount(drawn.ravel(), minlength=4) / drawn.size - 0.25).max() < 0.01


def test_persistent_numbers_drift_and_are_uniform() -> None:
    act = persistent(Actions(2, (-2.0, 0.0), (2.0, 5.0)), 500, np.random.default_rng(0))
    drawn = np.stack([act({}) for _ in range(200)])
    assert drawn.dtype == np.float32
    for number, (low, high) in enumerate(((-2, 2), (0, 5))):
        share = (drawn[..., number] - low) / (high - low)
        assert share.min() >= 0 and share.max() <= 1
        assert np.abs(np.histogram(share, 10, (0, 1))[0] / share.size - 0.1).max() < 0.01
        correlation = np.corrcoef(share[1:].ravel(), share[:-1].ravel())[0, 1]
        # Of uniform numbers made of normal ones that correlate by c: 6 / pi arcsin(c / 2).
        assert abs(correlation - 6 / np.pi * np.arcsin(CORRELATION / 2)) < 0.01
    assert abs(np.corrcoef(drawn[..., 0].ravel(), drawn[..., 1].ravel())[0, 1]) < 0.05


def test_headlong_numbers_are_at_a_bound_half_of_the_time_and_drift() -> None:
    act = headlong(Actions(2, (-2.0, 0.0), (2.0, 5.0)), 500, np.random.default_rng(0))
    drawn = np.stack([act({}) for _ in range(200)])
    share = (drawn - [0.0, 2.5]) / [2.0, 2.5]
    assert drawn.dtype == np.float32 and np.abs(share).max() <= 1
    assert abs((np.abs(share).max(-1) > 0.999).mean() - 0.5) < 0.02
    for number in (0, 1):
        assert np.corrcoef(share[1:, :, number].ravel(), share[:-1, :, number].ravel())[0, 1] > 0.9
    assert abs(share.mean()) < 0.05


def test_headlong_pushes_lead_further_than_persistent_ones() -> None:
    actions = Actions(2, (-1.0, -1.0), (1.0, 1.0))
    ends = []
    for policy in (persistent, headlong):
        act = policy(actions, 500, np.random.default_rng(0))
        ends.append(np.linalg.norm(sum(act({}) for _ in range(16)), axis=1).mean())
    assert ends[1] > 1.2 * ends[0]


def test_headlong_is_for_numbers() -> None:
    with pytest.raises(ValueError, match="headlong goes as far as numbers can, and these are integers; choose persist"):
        Policy("headlong", make_world("MiniGrid-DoorKey-5x5-v0"))


@pytest.mark.parametrize("world_id", ["MiniGrid-DoorKey-5x5-v0", "MiniGrid-SimpleCrossingS9N1-v0"])
def test_a_curious_policy_sees_far_more_than_a_persistent_one(world_id: str) -> None:
    world, counts = make_world(world_id), {}
    for name in ("persistent", "curious"):
        seen = world.reset(plain_tasks(np.arange(12)))
        act = Policy(name, world).begin(12, np.random.default_rng(0))
        shown = [{image.tobytes()} for image in seen["image"]]
        for _ in range(80):
            seen = world.step(act(seen)).observation
            for known, image in zip(shown, seen["image"]):
                known.add(image.tobytes())
        counts[name] = np.mean([len(known) for known in shown])
    world.close()
    assert counts["curious"] > 1.8 * counts["persistent"], counts


def test_a_curious_policy_tries_all_and_then_what_leads_away() -> None:
    """A corridor of six places: 0 and 1 lead along it, 2 and 3 do nothing."""
    place, visits = np.zeros(50, dtype=np.int64), np.zeros((50, 6), dtype=np.int64)
    act, done = Curious(Actions(4), 50, np.random.default_rng(0)), np.zeros((50, 4), dtype=np.int64)
    for _ in range(60):
        visits[np.arange(50), place] += 1
        action = act({"image": place[:, None]})
        done[np.arange(50), action] += 1
        place = np.clip(place + (action == 0) - (action == 1), 0, 5)
    assert (visits > 0).all() and (done > 0).all()
    assert visits.std(1).mean() < 4, "it is everywhere about as often"
    assert (done[:, 2:].sum(1) / 60).mean() < 0.35, "what does nothing is done less than half of the time"


def test_a_curious_policy_needs_actions_that_can_be_counted() -> None:
    with pytest.raises(ValueError, match="policy curious counts actions, .*; choose persistent or random"):
        Policy("curious", make_world(PENDULUM))


def test_a_function_of_a_user_acts_on_what_is_seen(functions: ModuleType, tmp_path: Path) -> None:
    def against(seen: Any, rng: np.random.Generator) -> np.ndarray:
        return np.clip(-seen["vector"][:, 2:] + rng.uniform(-0.1, 0.1, (len(seen["vector"]), 1)), -2, 2)

    functions.against = against  # type: ignore[attr-defined]
    store = collect_world(make_world(PENDULUM), tmp_path / "s", "my_policies:against", episodes=3, length=9)
    inner = np.delete(np.arange(27), store.start + 8)
    wanted = np.clip(-store.observation["vector"][inner, 2:], -2, 2)
    assert np.abs(store.action[inner] - wanted).max() <= 0.11
    again = collect_world(make_world(PENDULUM), tmp_path / "t", "my_policies:against", episodes=3, length=9)
    assert again.sha256 == store.sha256


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            lambda seen, rng: np.full((4, 1), 3.0),
            StoreError,
            "policy my_policies:f have 3.0 .*choose from -2.0 to 2.0",
        ),
        (lambda seen, rng: np.full((4, 1), np.nan), StoreError, "policy my_policies:f are not finite"),
        (
            lambda seen, rng: np.zeros((3, 1)),
            ValueError,
            r"policy my_policies:f gave actions \(3, 1\) for 4 episodes",
        ),
        (
            lambda seen, rng: np.zeros(4),
            StoreError,
            r"policy my_policies:f are float64 \(4,\); \(4, 1\) is needed",
        ),
        (lambda seen, rng: 1, ValueError, r"gave actions \(\)"),
        (lambda seen: 1, ValueError, "policy my_policies:f failed with TypeError"),
        (
            lambda seen, rng: seen["picture"],
            ValueError,
            "policy my_policies:f failed with KeyError: 'picture'",
        ),
        (7, ValueError, "my_policies has no function 'f'"),
    ],
)
def test_mistakes_of_a_function_are_named(
    functions: ModuleType, tmp_path: Path, function: Any, error: type, message: str
) -> None:
    functions.f = function  # type: ignore[attr-defined]
    with pytest.raises(error, match=message):
        collect_world(make_world(PENDULUM), tmp_path / "s", "my_policies:f", episodes=4, length=5)
    assert not [*tmp_path.iterdir()]


def test_a_module_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(
        ValueError, match="policy no_such_module:f: module 'no_such_module' cannot be imported"
    ):
        Policy("no_such_module:f", make_world(PENDULUM))


@pytest.mark.parametrize(
    "world_id",
    ["hjepa/NestedRooms-d2-v0", "hjepa/NestedPoint-d3-v0", "hjepa/NestedKeys-d2-v0", "MiniGrid-FourRooms-v0"],
)
def test_explorers_of_our_worlds_go_further_than_random_ones(world_id: str) -> None:
    world = make_world(world_id)
    reach = {}
    for name in ("random", "explorer"):
        world.reset(plain_tasks(np.arange(40)))
        act, seen = Policy(name, world).begin(40, np.random.default_rng(0)), {}
        begun, far = world.state()["agent"][:, :2], np.zeros(40)
        for _ in range(60):
            seen = dict(world.step(act(seen)).observation)
            far = np.maximum(far, np.abs(world.state()["agent"][:, :2] - begun).sum(1))
        reach[name] = far.mean()
    assert reach["explorer"] > 1.5 * reach["random"], reach


def test_an_explorer_of_a_users_world_is_asked() -> None:
    world: Any = make_world(EMPTY)
    world.explorer = lambda rng: lambda seen: np.full(len(seen["image"]), 2)
    assert (
        Policy("explorer", world).begin(3, np.random.default_rng(0))({"image": np.zeros(3)}).tolist()
        == [2] * 3
    )
