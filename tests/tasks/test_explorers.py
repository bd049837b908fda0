"""Explorers: their habits, that they cover plans, and that a generator decides everything."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.dynamics import step_agents
from tasks.explorers import EXPLORERS, Mixture, NoisyGoalSeeking, PersistentRandom, make_explorer
from tasks.floorplans import plan_walls
from tasks.observations import FORWARD, LEFT, RIGHT
from tasks.walks import random_states, walk


@pytest.fixture(scope="module")
def walls() -> np.ndarray:
    return np.repeat(plan_walls(np.arange(50), 3, 3), 4, 0)


def distinct_cells(agent: np.ndarray) -> np.ndarray:
    return np.array([len(np.unique(path[:, 0] * 100 + path[:, 1])) for path in agent])


@pytest.mark.parametrize("name", EXPLORERS)
def test_trajectories_follow_the_dynamics_and_their_generator(name: str, walls: np.ndarray) -> None:
    agent, action = walk(walls, 40, name, np.random.default_rng(1))
    again, _ = walk(walls, 40, name, np.random.default_rng(1))
    other, _ = walk(walls, 40, name, np.random.default_rng(2))
    assert (agent == again).all() and (agent != other).any()
    assert agent.dtype == np.int16 and action.dtype == np.uint8 and agent.shape == (200, 40, 3)
    for step in range(39):
        after = step_agents(walls, agent[:, step].astype(int), action[:, step])
        assert (after == agent[:, step + 1]).all()
    assert not walls[np.arange(200)[:, None], agent[..., 0], agent[..., 1]].any()


def test_persistent_walks_on_turns_one_way_and_away_from_walls(walls: np.ndarray) -> None:
    agent, action = walk(walls, 200, "persistent", np.random.default_rng(0))
    action = action[:, :-1]
    ahead = step_agents(walls[:, None], agent[:, :-1].astype(int), np.array(FORWARD))
    free = (ahead[..., :2] != agent[:, :-1, :2]).any(-1)
    assert (action[free] == FORWARD).mean() > 0.6
    # Before a wall it turns, but for the bumps (0.3) and the random actions (0.08).
    assert np.isin(action[~free], (LEFT, RIGHT)).mean() == pytest.approx(0.92 * 0.7 + 0.08 * 2 / 7, abs=0.03)
    assert (action[~free] == FORWARD).mean() == pytest.approx(0.92 * 0.3 + 0.08 / 7, abs=0.03)
    turns = [row[np.isin(row, (LEFT, RIGHT))] for row in action]
    same = np.concatenate([row[1:] == row[:-1] for row in turns])
    assert 0.6 < same.mean() < 0.95, "the way of turning persists, but not for ever"
    other = ~np.isin(action, (LEFT, RIGHT, FORWARD))
    assert other.mean() == pytest.approx(0.08 * 4 / 7, rel=0.15)


def test_goal_seeking_without_noise_reaches_one_goal_after_another(walls: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    explorer = NoisyGoalSeeking(walls, rng, noise=(0.0,))
    now, reached = random_states(walls, rng), np.zeros(len(walls), dtype=int)
    for _ in range(150):
        action = explorer.act(now)
        goal = explorer.goal.copy()
        assert (goal != now[:, :2]).any(-1).all() and not walls[
            np.arange(len(walls)), goal[:, 0], goal[:, 1]
        ].any()
        now = step_agents(walls, now, action)
        reached += (now[:, :2] == goal).all(-1)
    assert reached.min() >= 3 and 150 / reached.mean() < 30


def test_noise_is_drawn_per_episode(walls: np.ndarray) -> None:
    explorer = NoisyGoalSeeking(walls, np.random.default_rng(0))
    assert set(explorer.eps) == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}


def test_goal_seeking_covers_more_than_persistent(walls: np.ndarray) -> None:
    cells = {
        name: distinct_cells(walk(walls, 150, name, np.random.default_rng(0))[0]).mean() for name in EXPLORERS
    }
    assert cells["persistent"] < cells["mixture"] < cells["goal-seeking"]
    assert cells["goal-seeking"] > 50 and cells["persistent"] > 20


def test_a_mixture_deals_its_parts_out_evenly_and_goes_on_across_batches(walls: np.ndarray) -> None:
    def kinds(count: int, first: int, share: float) -> np.ndarray:
        marks = [lambda w, r, k=k: Constant(len(w), k) for k in (0, 1)]
        parts = ((marks[0], share), (marks[1], 1 - share))
        return Mixture(walls[:count], np.random.default_rng(0), parts, first).act(np.zeros((count, 3), int))

    for share in (0.5, 0.25):
        whole = kinds(100, 0, share)
        assert (whole == 0).sum() == pytest.approx(100 * share, abs=2)
        assert min((whole[i : i + 8] == 0).sum() for i in range(92)) >= 1
        assert (np.r_[kinds(40, 0, share), kinds(60, 40, share)] == whole).all()


class Constant:
    def __init__(self, count: int, action: int) -> None:
        self.action = np.full(count, action, dtype=np.uint8)

    def act(self, agent: np.ndarray) -> np.ndarray:
        return self.action[: len(agent)]


def test_random_states_are_free_and_cover_the_plan() -> None:
    walls = np.repeat(plan_walls(np.array([3]), 2, 3), 4000, 0)
    states = random_states(walls, np.random.default_rng(0))
    assert not walls[0][states[:, 0], states[:, 1]].any()
    assert len(np.unique(states, axis=0)) == (~walls[0]).sum() * 4


def test_unknown_explorers_and_shares_are_refused(walls: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="unknown explorer 'clever'; choose one of persistent"):
        make_explorer("clever", walls, rng)
    with pytest.raises(ValueError, match="mixture shares"):
        Mixture(walls, rng, ((PersistentRandom, 0.0),))
