"""The grid value map: greedy descent of a field is the shortest way where the field is true, and a control only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import hjepa
from hjepa.agent.options import AgentOptions
from hjepa.config import with_plan
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.value_map import NEIGHBOURS, action_values
from levels.costs.hindsight import FAR
from levels.grid.critic import Critic
from levels.settings import World
from tasks import distances, sample_episodes, shortest_actions, step_agents, task_spec
from tasks.observations import FORWARD, HEADINGS, LEFT, RIGHT

D3 = "hjepa/NestedRooms-d3-v0"


class TrueCosts(Critic):
    """A critic that has learned everything: a step ahead or a turn to the side costs one, all else is far."""

    def costs(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        walls = grid[..., 0] == 2
        moves = torch.full((len(grid), 4, 4, *self.size), FAR)
        turns = torch.full((len(grid), 4, 4, *self.size), FAR)
        for heading, step in enumerate(HEADINGS.tolist()):
            moves[:, heading, NEIGHBOURS.index(tuple(step))] = 1.0
            for side in (1, 3):
                turns[:, heading, (heading + side) % 4] = 1.0
        return moves.masked_fill(walls[:, None, None], FAR), turns.masked_fill(walls[:, None, None], FAR)


def exact(walls: np.ndarray, goal: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """Values of actions where costs are true, and the true steps (E, W, H, 4)."""
    steps = distances(walls, goal)
    field = torch.from_numpy(np.where(steps < 0, FAR, steps)).float().permute(0, 3, 1, 2)
    grid = torch.from_numpy(np.where(walls, 2, 1))[..., None].expand(-1, -1, -1, 3)
    return action_values(TrueCosts(4, World(walls.shape[1:], 7)), grid, field), steps


def test_actions_of_least_value_walk_the_shortest_way_from_everywhere() -> None:
    episodes = sample_episodes(D3, "test", "far", episodes=6, seed=0)
    values, steps = exact(episodes.walls, episodes.goal)
    cells = np.argwhere(~episodes.walls[..., None] & (steps > 0))
    plan, agent = cells[:, 0], cells[:, 1:].copy()
    left = steps[plan, agent[:, 0], agent[:, 1], agent[:, 2]]
    for _ in range(int(left.max())):
        least = values[plan, :, agent[:, 2], agent[:, 0], agent[:, 1]].argmin(-1).numpy()
        moved = step_agents(episodes.walls[plan], agent, np.array([LEFT, RIGHT, FORWARD])[least])
        there = (agent[:, :2] == episodes.goal[plan, :2]).all(-1)
        agent = np.where(there[:, None], agent, moved)
        now = steps[plan, agent[:, 0], agent[:, 1], agent[:, 2]]
        assert (now == np.maximum(left - 1, 0)).all()
        left = now
    assert (agent[:, :2] == episodes.goal[plan, :2]).all()


def test_values_are_true_steps_after_each_action() -> None:
    episodes = sample_episodes(D3, "test", "far", episodes=2, seed=1)
    values, steps = exact(episodes.walls, episodes.goal)
    best = shortest_actions(episodes.walls, steps, episodes.start)
    for row, (start, action) in enumerate(zip(episodes.start, best)):
        x, y, heading = start
        own = values[row, [LEFT, RIGHT, FORWARD].index(action), heading, x, y]
        assert own == steps[row, x, y, heading] == values[row, :, heading, x, y].min()


def test_a_turn_costs_what_the_critic_says_of_its_side() -> None:
    class Dear(TrueCosts):
        """To turn right from the first heading costs four more."""

        def costs(self, grid: Tensor) -> tuple[Tensor, Tensor]:
            moves, turns = super().costs(grid)
            turns[:, 0, 1] += 4
            return moves, turns

    grid = torch.ones(1, 3, 3, 3, dtype=torch.long)
    field = torch.arange(36.0).view(1, 4, 3, 3)
    cheap, dear = (action_values(kind(4, World((3, 3), 7)), grid, field) for kind in (TrueCosts, Dear))
    more = (dear - cheap)[0]
    right = [LEFT, RIGHT, FORWARD].index(RIGHT)
    assert (more[right, 0] == 4).all()
    more[right, 0] = 0
    assert (more == 0).all()


def test_the_shipped_field_needs_no_world_model() -> None:
    stack = hjepa.load_stack("told-nested-d3")
    settings = with_plan(stack.config, ["plan.planner=value-map"]).plan
    record = hjepa.evaluate(stack, D3, levels=1, episodes=16, seed=0, settings=settings)
    assert record["planner"] == "value-map" and record["success_rate"] == 1 and record["path_ratio"] < 1.01
    assert record["active_share"] == [0.0] and 0 < record["tflops_per_episode"] < 1e-4
    one = hjepa.evaluate(stack, D3, levels=1, episodes=16, seed=0, settings=settings, episode_batch=5)
    assert one["steps"] == record["steps"]


@pytest.mark.parametrize(
    ("task", "levels", "metric", "match"),
    [
        (D3, 2, "critic", "2 levels under critic"),
        (D3, 1, "l2", "1 levels under l2"),
        ("hjepa/NestedLava-d3-v0", 1, "critic", "planner value-map on hjepa/NestedLava"),
    ],
)
def test_what_it_cannot_do_is_refused(task: str, levels: int, metric: str, match: str) -> None:
    stack = hjepa.load_stack("told-nested-d3")
    settings = replace(stack.config.plan, planner="value-map", metric=metric, flat={})
    with pytest.raises(InputError, match=match):
        make_agent(stack, task_spec(task), AgentOptions(levels, settings=settings))
