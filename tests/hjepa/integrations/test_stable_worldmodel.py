"""The contract of a policy of stable-worldmodel, against a small world that keeps its side of it as documented."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.integrations.stable_worldmodel import WorldPolicy, as_policy
from hjepa.model.checkpoints import save_stack
from hjepa.model.stack import Stack
from levels.settings import Sight, World

SIDE = 4
BOX = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 4.0], np.float32))


class Scripted:
    """An agent that moves right by how far the goal is, and notes what it is asked."""

    def __init__(self, continuous: bool = True) -> None:
        actions = 2 if continuous else 3
        sight = Sight("image", (SIDE, SIDE, 3))
        self.stack = SimpleNamespace(world=World((1, 1), actions, continuous=continuous, sight=sight))
        self.begun: list[tuple[np.ndarray, list[int]]] = []
        self.asked: list[list[bool]] = []

    def begin(self, observation: Any, goal: Any, keys: torch.Tensor) -> dict[str, Any]:
        assert observation["image"].shape[1:] == (SIDE, SIDE, 3)
        self.begun.append((goal["image"][:, 0, 0, 0].copy(), keys.tolist()))
        return {"goal": goal["image"][:, 0, 0, 0].astype(int), "steps": 0}

    def act(self, episodes: dict[str, Any], observation: Any, active: torch.Tensor) -> np.ndarray:
        self.asked.append(active.tolist())
        episodes["steps"] += 1
        left = episodes["goal"] - observation["image"][:, 0, 0, 0].astype(int)
        if not self.stack.world.continuous:
            return np.sign(left) + 1
        return np.stack([np.sign(left) * 0.5, np.full(len(left), -1.0)], 1).astype(np.float32)


class Line:
    """A vectorised environment and its ``World``: places on a line in the pixels, arrays (n, 1, ...) in ``infos``.

    Args:
        goals: (n,) of each environment, one after another.
        newer: whether environments that begin anew are flagged.
    """

    def __init__(self, goals: list[list[int]], newer: bool, space: spaces.Space[Any] = BOX) -> None:
        self.goals, self.newer = goals, newer
        self.single_action_space = space
        self.num_envs = len(goals)
        self.place = np.zeros(self.num_envs, int)
        self.episode, self.clock = np.zeros((2, self.num_envs), int)
        self.ended = np.zeros(self.num_envs, bool)
        self.infos: dict[str, Any] = {}
        self.actions: list[np.ndarray] = []
        self._tell()

    def run(self, policy: WorldPolicy, steps: int, wait: bool = False) -> None:
        policy.set_env(self)
        for _ in range(steps):
            action = policy.get_action(self.infos)
            self.actions.append(action)
            moved = np.sign(action[:, 0]).astype(int) if action.ndim == 2 else action - 1
            self.place += np.where(self.ended, 0, moved)
            self.clock += ~self.ended
            self.ended = self.place == self._goal()
            fresh = self.ended & ~wait
            for row in np.flatnonzero(fresh):
                self.episode[row] += 1
                self.place[row] = self.clock[row] = self.ended[row] = 0
            self._tell(fresh)

    def _goal(self) -> np.ndarray:
        return np.array([goals[number % len(goals)] for goals, number in zip(self.goals, self.episode)])

    def _tell(self, fresh: np.ndarray | None = None) -> None:
        def drawn(value: np.ndarray) -> np.ndarray:
            return np.broadcast_to(value[:, None, None, None, None], (len(value), 1, SIDE, SIDE, 3)).astype(
                np.uint8
            )

        self.infos = {
            "pixels": drawn(self.place),
            "goal": drawn(self._goal()),
            "step_idx": self.clock[:, None].copy(),
            "terminated": self.ended[:, None].copy(),
        }
        if self.newer and fresh is not None and fresh.any():
            self.infos["_needs_flush"] = fresh


@pytest.mark.parametrize("newer", [True, False])
def test_episodes_begin_one_by_one(newer: bool) -> None:
    """The first environment needs two steps an episode, the second three; the third's goal is always the same."""
    agent = Scripted()
    world = Line([[2, 2], [3, 4], [1]], newer)
    world.run(WorldPolicy(agent, seed=7), 6)  # type: ignore[arg-type]
    assert [len(goals) for goals, _ in agent.begun] == [3, 1, 2, 2, 2, 1]
    assert agent.begun[0][0].tolist() == [2, 3, 1] and agent.begun[3][0].tolist() == [4, 1]
    keys = [key for _, keys in agent.begun for key in keys]
    assert len(set(keys)) == len(keys), "every episode has noise of its own"
    assert world.episode.tolist() == [3, 1, 6]
    again = Scripted()
    Line([[2, 2], [3, 4], [1]], newer).run(WorldPolicy(again, seed=7), 6)  # type: ignore[arg-type]
    assert [keys for _, keys in again.begun] == [keys for _, keys in agent.begun]


def test_actions_are_between_their_bounds() -> None:
    world = Line([[2], [5]], True)
    world.run(WorldPolicy(Scripted()), 1)  # type: ignore[arg-type]
    (action,) = world.actions
    assert action.shape == (2, 2) and action.dtype == np.float32
    assert action.tolist() == [[1.0, 0.0], [1.0, 0.0]], "0.5 of -2 to 2, and -1 of 0 to 4"
    discrete = Line([[2], [5]], True, spaces.Discrete(3))
    discrete.run(WorldPolicy(Scripted(continuous=False)), 2)  # type: ignore[arg-type]
    assert discrete.actions[0].dtype == np.int64 and discrete.actions[0].tolist() == [2, 2]


def test_who_has_ended_waits() -> None:
    agent = Scripted()
    world = Line([[1], [3]], True)
    world.run(WorldPolicy(agent), 4, wait=True)  # type: ignore[arg-type]
    assert len(agent.begun) == 1 and agent.asked == [[True, True], [False, True], [False, True]]
    assert world.actions[3].tolist() == [[0.0, 2.0]] * 2, "nobody is asked, and the middle is taken"


def test_what_does_not_fit_is_refused() -> None:
    policy = WorldPolicy(Scripted())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="call set_env"):
        policy.get_action({})
    for space in (spaces.Discrete(3), spaces.Box(-1, 1, (3,)), spaces.MultiDiscrete([2, 2])):
        with pytest.raises(InputError, match="the agent has 2 continuous ones"):
            policy.set_env(SimpleNamespace(single_action_space=space, num_envs=1))
    policy.set_env(Line([[1]], True))
    good = np.zeros((1, 1, SIDE, SIDE, 3), np.uint8)
    for info, reason in (
        ({"goal": good}, "no entry 'pixels'.*name one of goal"),
        ({"pixels": good, "goal": np.zeros((1, 1, 9, 9, 3), np.uint8)}, r"image_shape=\(4, 4\)"),
        ({"pixels": good / 255, "goal": good}, "pictures of uint8"),
    ):
        with pytest.raises(InputError, match=reason):
            policy.get_action(info)
    first = torch.zeros(1, 1, 3, SIDE, SIDE, dtype=torch.uint8)
    assert policy.get_action({"pixels": first, "goal": good}).shape == (1, 2), "channels first, in a tensor"
    told = SimpleNamespace(stack=SimpleNamespace(world=World((5, 5), 3)))
    with pytest.raises(InputError, match="an agent that is told"):
        WorldPolicy(told)  # type: ignore[arg-type]


def test_a_checkpoint_is_a_policy_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_worldmodel", None)  # as where it is not installed
    monkeypatch.delitem(sys.modules, "stable_worldmodel.policy", raising=False)
    with pytest.raises(InputError, match="stable_worldmodel cannot be imported.*install stable-worldmodel"):
        as_policy(tmp_path, 10)

    class BasePolicy:
        """As theirs begins."""

        def __init__(self, **more: Any) -> None:
            raise AssertionError("ours needs none of it")

    theirs = ModuleType("stable_worldmodel.policy")
    theirs.BasePolicy = BasePolicy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stable_worldmodel", ModuleType("stable_worldmodel"))
    monkeypatch.setitem(sys.modules, "stable_worldmodel.policy", theirs)
    torch.manual_seed(0)
    small = ["levels.0.hidden=8", "levels.1.hidden=8", "plan.iterations=1", "plan.max_candidates=8"]
    stack = Stack(
        load_preset("vector", small), World((1, 1), 2, continuous=True, sight=Sight("vector", (3,)))
    )
    save_stack(stack, tmp_path, {"task": "their world", "train_seed": 0})
    policy = as_policy(tmp_path, 10, budget_tflops=0.01, observation="proprio", goal="goal_proprio", seed=3)
    assert isinstance(policy, BasePolicy) and policy.seed == 3
    policy.set_env(SimpleNamespace(single_action_space=BOX, num_envs=2))
    info = {"proprio": np.zeros((2, 1, 3), np.float32), "goal_proprio": np.ones((2, 1, 3), np.float32)}
    first = policy.get_action(info)
    policy.set_seed(3)
    assert np.array_equal(policy.get_action(info), first), "a function of the seed"
    assert all(BOX.contains(row) for row in first)
