"""The commute-time metric orders states as true commute times do, whatever the latent's coordinates."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from levels.metrics import commute_metric, squared_distance
from levels.metrics_names import DISTANCES, METRICS


def ring(count: int = 16) -> Tensor:
    """Adjacency (S, S) of places in a circle."""
    step = torch.eye(count).roll(1, 0)
    return step + step.T


def path(count: int = 16) -> Tensor:
    """Adjacency of places in a row."""
    step = torch.diag(torch.ones(count - 1), 1)
    return step + step.T


def two_rooms(side: int = 3) -> Tensor:
    """Adjacency of the cells of two square rooms with one door between them."""
    count = side * side
    row, across = path(side), torch.eye(side)
    room = torch.kron(row, across) + torch.kron(across, row)
    both = torch.block_diag(room, room)
    both[count - 1, count] = both[count, count - 1] = 1
    return both


WORLDS = {"ring": ring(), "path": path(), "two rooms": two_rooms()}


def walk(adjacency: Tensor, trajectories: int = 64, length: int = 1500) -> Tensor:
    """Lazy random walks (T, L): all neighbours have the same chance, so all places are equally likely."""
    count = len(adjacency)
    step = adjacency / (2 * adjacency.sum(1).max())
    cumulative = (step + torch.diag(1 - step.sum(1))).cumsum(1)
    generator = torch.Generator().manual_seed(0)
    here = torch.randint(0, count, (trajectories,), generator=generator)
    walked = [here]
    noise = torch.rand(length - 1, trajectories, 1, generator=generator)
    for draw in noise:
        here = (draw > cumulative[here]).sum(-1).clamp_max(count - 1)
        walked.append(here)
    return torch.stack(walked, 1)


def commute_times(adjacency: Tensor) -> Tensor:
    """Effective resistances (S, S), which are commute times up to a factor (Chandra et al., 1996)."""
    laplacian = torch.diag(adjacency.sum(1)) - adjacency
    inverse = torch.linalg.pinv(laplacian.double())
    diagonal = inverse.diagonal()
    return diagonal[:, None] + diagonal - 2 * inverse


def rank_correlation(features: Tensor, metric: Tensor | None, truth: Tensor) -> float:
    """Of the distances of all pairs of places (S, D) with the truth (S, S)."""
    count = len(features)
    pairs = torch.combinations(torch.arange(count))
    distance = squared_distance(features[pairs[:, 0]], features[pairs[:, 1]], metric)
    return float(spearmanr(distance.numpy(), truth[pairs[:, 0], pairs[:, 1]].numpy()).statistic)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("features", ["one-hot", "random"])
@pytest.mark.parametrize("lag", [1, 3])
def test_distances_are_ordered_as_commute_times(world: str, features: str, lag: int) -> None:
    adjacency = WORLDS[world]
    count = len(adjacency)
    table = torch.eye(count)
    if features == "random":
        table = torch.randn(count, count + 4, generator=torch.Generator().manual_seed(1))
    metric = commute_metric(table[walk(adjacency)], lag)
    truth = commute_times(adjacency)
    assert rank_correlation(table, metric, truth) > 0.95
    if features == "random":
        assert rank_correlation(table, None, truth) < 0.4, "plain L2 knows nothing of the walls"


def test_commute_times_of_a_path_and_a_ring_by_hand() -> None:
    assert torch.allclose(commute_times(path(5))[0], torch.arange(5.0).double())
    around = torch.arange(6.0).double()
    assert torch.allclose(commute_times(ring(6))[0], around * (6 - around) / 6)


def test_the_map_is_that_of_independent_modes() -> None:
    """Two autoregressive coordinates: each is weighed by sqrt(r / (1 - r)) over its standard deviation."""
    generator = torch.Generator().manual_seed(0)
    memory, scale = torch.tensor([0.9, 0.5]), torch.tensor([3.0, 0.5])
    state, states = torch.randn(256, 2, generator=generator), []
    for _ in range(1000):
        noise = torch.randn(256, 2, generator=generator)
        state = memory * state + (1 - memory.square()).sqrt() * noise
        states.append(scale * state + 7.0)
    metric = commute_metric(torch.stack(states, 1))
    weight = (memory / (1 - memory)).sqrt() / scale
    assert metric.dtype == torch.float32 and metric.shape == (2, 2)
    assert torch.allclose(metric @ metric.T, torch.diag(weight.square()), atol=0.05, rtol=0.05)


def test_slow_modes_weigh_the_same_whatever_the_lag() -> None:
    """lag * r^lag / (1 - r^lag) of a mode with autocorrelation r is its decay time, less so for fast modes."""
    generator = torch.Generator().manual_seed(0)
    memory = torch.tensor([0.98, 0.5])
    state, states = torch.randn(256, 2, generator=generator), []
    for _ in range(1000):
        state = memory * state + (1 - memory.square()).sqrt() * torch.randn(256, 2, generator=generator)
        states.append(state)
    latents = torch.stack(states, 1)
    single, apart = (commute_metric(latents, lag) for lag in (1, 5))
    near, far = ((m @ m.T).diagonal() for m in (single, apart))
    assert torch.isclose(near[0], far[0], rtol=0.1) and abs(near[0] - 49) < 5
    assert far[1] < 0.3 * near[1], "a fast mode has died out over the larger lag"


def test_distances_do_not_depend_on_the_latent_s_coordinates() -> None:
    table = torch.randn(16, 6, generator=torch.Generator().manual_seed(2)).double()
    latents = table[walk(path(), 16, 400)]
    mixing = (
        torch.randn(6, 6, generator=torch.Generator().manual_seed(3)).double() + 2 * torch.eye(6).double()
    )
    offset = torch.arange(6.0).double()
    plain = squared_distance(table[:, None], table, commute_metric(latents))
    moved = table @ mixing + offset
    mixed = squared_distance(moved[:, None], moved, commute_metric(latents @ mixing + offset))
    assert torch.allclose(mixed, plain, rtol=1e-6, atol=1e-9)
    assert plain.max() > 1


def test_directions_without_variance_are_left_out() -> None:
    slow = walk(path(), 16, 300).double()
    latents = torch.stack([slow, torch.full_like(slow, 5.0), 1e-4 * torch.randn_like(slow)], -1)
    metric = commute_metric(latents)
    assert metric.isfinite().all()
    assert metric[1].abs().max() < 1e-9 and metric[2].abs().max() < 1e-2 * metric[0].abs().max()
    assert commute_metric(torch.zeros(3, 4, 2)).eq(0).all(), "a collapsed latent has no metric"


def test_a_mode_that_never_moves_is_capped() -> None:
    constant = torch.randn(64, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 50, -1)
    metric = commute_metric(constant, largest=0.9)
    deviation = constant.std(correction=0)
    assert metric.abs().item() == pytest.approx(3.0 / deviation.item(), rel=1e-4)


def test_modes_that_alternate_count_for_nothing() -> None:
    alternating = torch.tensor([1.0, -1.0]).repeat(50).view(1, 100, 1).expand(8, -1, -1)
    assert commute_metric(alternating).abs().max() == 0


def test_squared_distance_by_hand() -> None:
    first, second = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([3.0, 1.0])
    assert squared_distance(first, second).tolist() == [5.0, 10.0]
    assert squared_distance(first, second, torch.tensor([[2.0], [1.0]])).tolist() == [9.0, 49.0]


def test_every_episode_may_have_its_own_map() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(3, 5, 4, 2, generator=generator)
    second = torch.randn(3, 1, 1, 2, generator=generator)
    maps = torch.randn(3, 2, 6, generator=generator)
    together = squared_distance(first, second, maps)
    assert together.shape == (3, 5, 4)
    for episode in range(3):
        alone = squared_distance(first[episode], second[episode], maps[episode])
        assert torch.allclose(together[episode], alone, atol=1e-5)


def test_what_cannot_work_is_refused() -> None:
    assert (*DISTANCES, "critic") == METRICS == ("l2", "commute", "imagined", "critic")
    with pytest.raises(ValueError, match="trajectories of 3 latents are too short for lag 3"):
        commute_metric(torch.randn(2, 3, 4), lag=3)
    with pytest.raises(ValueError, match="lag is 0"):
        commute_metric(torch.randn(2, 3, 4), lag=0)
