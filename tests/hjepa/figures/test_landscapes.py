"""Energy landscapes: the numbers of every cell and how they are drawn, from stacks whose latents are positions."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import tasks
from hjepa import figures
from hjepa.errors import InputError
from hjepa.figures.landscape import rank_correlation


@pytest.fixture(scope="module")
def batch() -> tasks.EpisodeBatch:
    return tasks.sample_episodes("hjepa/NestedRoomsFixed-d3-v0", "test", episodes=1, seed=0)


def maps_of(figure: Figure) -> list[Any]:
    return figure.findobj(lambda artist: artist.get_gid() == "energy")


def render(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png", dpi=30)


def plane_stack(depth: int = 2) -> Any:
    """A stack whose latents are the position: the energy is the squared straight-line distance."""

    def encode(agent: torch.Tensor, memories: Any, upto: int) -> list[torch.Tensor]:
        return [agent[..., :2].float()] * upto

    return SimpleNamespace(
        depth=depth,
        sees=False,
        step_distance=torch.ones(()),
        write=lambda grid: None,
        encode=encode,
        metric=lambda name, k: None,
    )


def test_energy_is_the_distance_in_the_latent(batch: tasks.EpisodeBatch) -> None:
    goal, walls = batch.goal[0], batch.walls[0]
    found = figures.landscape(plane_stack(), batch.grid[0], goal, 1, "l2")
    cells = np.argwhere(~walls)
    expected = ((cells - goal[:2]) ** 2).sum(-1)
    np.testing.assert_allclose(found.energy[cells[:, 0], cells[:, 1]], expected)
    assert np.isnan(found.energy[walls]).all() and np.isnan(found.path[walls]).all()
    assert found.path[goal[0], goal[1]] == 0
    assert 0.3 < found.rank_correlation < 0.99
    figure = figures.landscapes(plane_stack(), batch.grid[0], goal, "l2")
    render(figure)
    maps = maps_of(figure)
    np.testing.assert_allclose(maps[0].get_array().filled(np.nan), found.energy.T)
    assert len(maps) == 3  # two levels and the true path
    assert f"rank correlation with true path: {found.rank_correlation:.2f}" in figure.axes[0].get_title()
    render(figures.energy_landscape(plane_stack(), batch.grid[0], goal, 2))


def test_the_critic_and_the_truth_share_a_scale(batch: tasks.EpisodeBatch) -> None:
    class Doubling:
        """Says twice the straight line."""

        def field(self, grid: Any, goal: torch.Tensor, sweeps: int) -> torch.Tensor:
            return goal

        def __call__(self, latents: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
            return 2 * (latents - field).norm(dim=-1)

    stack = plane_stack()
    stack.critic, stack.config = lambda k: Doubling(), SimpleNamespace(critic=SimpleNamespace(sweeps=1))
    grid, goal = batch.grid[0], batch.goal[0]
    maps = maps_of(figures.landscapes(stack, grid, goal, "critic"))
    values = np.concatenate([image.get_array().compressed() for image in maps])
    assert {image.get_clim() for image in maps} == {(0.0, values.max())}


def test_landscape_of_a_real_stack(batch: tasks.EpisodeBatch) -> None:
    from hjepa.config import load_preset
    from hjepa.model.stack import Stack
    from levels.settings import World

    stack = Stack(load_preset("told-demo"), World((17, 17), 7)).eval()
    goal = batch.goal[0]
    for level in range(1, stack.depth + 1):
        found = figures.landscape(stack, batch.grid[0], goal, level, "l2")
        assert found.energy[goal[0], goal[1]] < 1e-6  # one of its headings is the goal itself


def test_landscape_refuses() -> None:
    grid, goal = np.zeros((3, 3, 3), dtype=np.uint8), np.zeros(3, dtype=np.int64)
    with pytest.raises(InputError, match="level 3 of a stack of 2"):
        figures.landscape(plane_stack(), grid, goal, 3)
    with pytest.raises(InputError, match="metric 'taxi'"):
        figures.landscape(plane_stack(), grid, goal, 1, "taxi")


def test_rank_correlation_is_spearmans() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    first = rng.integers(0, 9, 200).astype(float)
    second = first + rng.normal(size=200)
    assert rank_correlation(first, second) == pytest.approx(scipy_stats.spearmanr(first, second).statistic)
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
