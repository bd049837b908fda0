"""The critic: fields are shortest paths over its own costs, hindsight is the first arrival, levels stay as they are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor, nn

from levels.costs.hindsight import FAR
from levels.grid.critic import Critic, hindsight
from levels.settings import World

NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))


@pytest.fixture(scope="module")
def critic(toys: SimpleNamespace) -> Critic:
    torch.manual_seed(3)
    made = Critic(6, toys.WORLD, hidden=8).eval().requires_grad_(False)
    # A goal that is believed to be in one cell, and costs that differ from cell to cell.
    made.head[-1].weight.mul_(200)
    made.reader[-1].weight.mul_(6)
    return made


def shortest(critic: Critic, grid: Tensor, goal: Tensor) -> np.ndarray:
    """Steps to go (C, W, H) by Dijkstra's algorithm over the critic's own costs."""
    width, height = critic.size
    moves, turns = (part[0].double().numpy() for part in critic.costs(grid))
    number = np.arange(critic.headings * width * height).reshape(critic.headings, width, height)
    edges: list[tuple[int, int, float]] = []
    for mode, x, y in np.ndindex(*number.shape):
        here = int(number[mode, x, y])
        for way, (right, down) in enumerate(NEIGHBOURS):
            if 0 <= x + right < width and 0 <= y + down < height:
                edges.append((here, int(number[mode, x + right, y + down]), moves[mode, way, x, y]))
        edges += [
            (here, int(number[other, x, y]), turns[mode, other, x, y])
            for other in range(critic.headings)
            if other != mode
        ]
    begin, end, cost = zip(*edges)
    graph = csr_array((cost, (end, begin)), shape=(number.size, number.size))
    targets = number[:, int(goal[0]), int(goal[1])]
    return dijkstra(graph, indices=targets).min(0).reshape(number.shape)


def test_a_field_holds_the_shortest_ways_over_its_own_costs(critic: Critic, toys: SimpleNamespace) -> None:
    for seed in range(3):
        grid = toys.grids(1, seed)
        guesses = torch.randn(64, 6, generator=torch.Generator().manual_seed(seed))
        along_x, along_y, _ = critic._where(guesses)
        surest = int((along_x.amax(-1) + along_y.amax(-1)).argmax())
        goal, cell = guesses[surest, None], torch.stack([along_x[surest].argmax(), along_y[surest].argmax()])
        assert float(along_x[surest].max() + along_y[surest].max()) > -1e-4
        field = critic.field(grid, goal, sweeps=40)[0]
        assert np.allclose(field.numpy(), shortest(critic, grid, cell), atol=1e-2)


@pytest.mark.parametrize(("continuous", "headings"), [(True, 1), (False, 4)])
def test_a_field_has_a_layer_for_each_heading_that_an_agent_has(
    toys: SimpleNamespace, continuous: bool, headings: int
) -> None:
    made = Critic(6, World(toys.SIZE, 2, continuous=continuous), hidden=8)
    assert made.field(toys.grids(2), torch.zeros(2, 6), 2).shape == (2, headings, *toys.SIZE)
    assert [part.shape[-1] for part in made.place(torch.zeros(2, 6))] == [*toys.SIZE, headings]


def test_few_sweeps_see_no_further(critic: Critic, toys: SimpleNamespace) -> None:
    grid, goal = toys.grids(1), torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    few, enough = critic.field(grid, goal, 2)[0], critic.field(grid, goal, 40)[0]
    assert bool((few >= enough - 1e-4).all())
    assert float(few.max()) == FAR > float(enough.max())


def test_a_row_does_not_depend_on_the_others(critic: Critic, toys: SimpleNamespace) -> None:
    grid = toys.grids(4)
    latent = torch.randn(4, 8, 6, generator=torch.Generator().manual_seed(1))
    field = critic.field(grid, latent[:, 0], 12)
    order = torch.tensor([2, 0, 3, 1])
    again = critic.field(grid[order], latent[order, 0], 12)
    assert torch.equal(again, field[order])
    assert torch.equal(critic(latent[order], again), critic(latent, field)[order])
    shaped = critic(latent.view(4, 2, 4, 6), field)
    assert torch.equal(shaped.flatten(1), critic(latent, field))


def test_the_gradient_points_to_the_goal(critic: Critic, toys: SimpleNamespace) -> None:
    grid = toys.grids(1)
    latent = torch.randn(1, 8, 6, generator=torch.Generator().manual_seed(2)) / 20
    field = critic.field(grid, latent[:, 0], 40)
    leaf = latent.clone().requires_grad_()
    before = critic(leaf, field)
    (gradient,) = torch.autograd.grad(before.sum(), leaf)
    after = critic(latent - 1e-4 * gradient, field)
    assert bool((after <= before + 1e-6).all())
    assert float(after.sum()) < float(before.detach().sum())


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_hindsight_is_the_first_arrival(data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=12))
    goal = data.draw(st.integers(0, 3))
    place = torch.tensor([[x, 1] for x in places])[None, None]
    found = hindsight(place, torch.tensor([[goal, 1]]))[0, 0].tolist()
    for moment, steps in enumerate(found):
        later = [after for after, x in enumerate(places[moment:]) if x == goal]
        assert steps == (later[0] if later else float("inf"))


def test_it_learns_what_a_wall_costs() -> None:
    """A corridor with a wall across: the way round takes as long as trajectories took, unlike the way through."""
    torch.manual_seed(0)
    width, height = 5, 5
    critic = Critic(2, World((width, height), 2, continuous=True), hidden=16)
    grid = torch.zeros(1, width, height, 3, dtype=torch.int64)
    grid[..., 0] = 1
    grid[0, 2, 1:, 0] = 2
    # Up on the left, across above the wall, down on the right.
    up, down = [(0, y) for y in (4, 3, 2, 1)], [(4, y) for y in (1, 2, 3, 4)]
    back = [(3, y) for y in (4, 3, 2, 1)] + [(x, 0) for x in (3, 2, 1)] + [(1, y) for y in (1, 2, 3, 4)]
    way = torch.tensor(up + [(x, 0) for x in range(5)] + down + back)
    place = torch.stack([way, way.flip(0)])[None]
    latent = (place.float() - 2) / 2
    optimizer = torch.optim.Adam(critic.parameters(), 2e-2)
    for step in range(150):
        generator = torch.Generator().manual_seed(step)
        goal = torch.randint(0, 2, (1,), generator=generator), torch.randint(6, 24, (1,), generator=generator)
        loss, _ = critic.loss(latent, place, grid, goal, 24, 0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    critic.requires_grad_(False)
    right, left = latent[:, :1, 13], latent[:, :1, 23]
    through = float(critic(left, critic.field(grid, right[:, 0], 24)))
    straight = float(critic(latent[:, :1, 5], critic.field(grid, latent[:, 0, 9], 24)))
    assert 8 < through < 13  # ten steps round, two through the wall
    assert 3 < straight < 6
    # Trajectories never stood in the wall; the gradient never reaches what they saw.
    assert latent.grad is None


def test_a_batch_without_any_estimate_has_a_loss_all_the_same(
    toys: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    critic = Critic(6, toys.WORLD, hidden=8)
    monkeypatch.setattr("levels.grid.critic.FAR", 1e-6)  # no estimate is below half of it
    latent, place = torch.randn(2, 2, 5, 6), toys.agents(2, 2, 5)
    goal = torch.tensor([0, 1]), torch.tensor([4, 3])
    loss, terms = critic.loss(latent, place, toys.grids(2), goal, 3, 0.1)
    assert bool(loss.isfinite()) and bool(terms["steps"].isfinite())


@pytest.fixture
def believing(toys: SimpleNamespace) -> Critic:
    """Latents are what it believes: a number per column, row and heading."""
    torch.manual_seed(0)
    made = Critic(sum(toys.SIZE) + 4, toys.WORLD, hidden=8)
    made.head = nn.Identity()  # type: ignore[assignment]
    return made


def test_times_teach_only_where_the_belief_is_right(believing: Critic, toys: SimpleNamespace) -> None:
    """With ``apart``: other beliefs learn from the observations, and long times do not drown it."""
    width, height = toys.SIZE
    x, y = torch.arange(5), torch.arange(5) % 3
    place = torch.stack([x, y, x % 4], -1).expand(1, 3, -1, -1)
    right = torch.cat([F.one_hot(part, n) for part, n in zip(place.unbind(-1), (width, height, 4))], -1)
    latent = 20.0 * right
    latent[:, 1] = latent[:, 1].roll(2, -1)  # this trajectory is believed to be elsewhere
    goal, grid = (torch.tensor([0]), torch.tensor([4])), toys.grids(1)
    loss, terms = believing.loss(latent, place, grid, goal, 12, 0.1, apart=True)
    known, without = believing.loss(latent[:, ::2], place[:, ::2], grid, goal, 12, 0.1, apart=True)
    assert terms["steps"] == without["steps"] > 0
    taught = (loss - terms["look"]).item()
    assert taught == pytest.approx((known - without["look"]).item(), rel=1e-4) and taught > 0
    _, both = believing.loss(latent, place, grid, goal, 12, 0.1)
    assert both["steps"] > terms["steps"], "without, the error of the wrong belief counts"
    lost, look = believing.loss(latent[:, 1:2], place[:, 1:2], grid, goal, 12, 0.1, apart=True)
    assert lost == look["look"] > 20, "who nowhere knows where he is learns that first"


def test_a_field_leads_around_what_is_closed(critic: Critic, toys: SimpleNamespace) -> None:
    grid = toys.grids(1, 0)
    guesses = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    along_x, along_y, _ = critic._where(guesses)
    goal = guesses[int((along_x.amax(-1) + along_y.amax(-1)).argmax()), None]
    free = critic.field(grid, goal, 40)
    closed = torch.zeros(1, *critic.size, dtype=torch.bool)
    closed[0, 2, 1:] = True
    around = critic.field(grid, goal, 40, closed)
    assert (around[closed.unsqueeze(1).expand_as(around)] == FAR).all()
    assert (around >= free).all() and (around > free + 1)[~closed.unsqueeze(1).expand_as(around)].any()
    assert torch.equal(critic.field(grid, goal, 40, torch.zeros_like(closed)), free)


def test_claims_that_no_action_bears_out_raise_the_costs_and_nothing_else(toys: SimpleNamespace) -> None:
    torch.manual_seed(5)
    made = Critic(6, toys.WORLD, hidden=8)
    now, grid = torch.randn(2, 4, 6), toys.grids(2, 1)
    made.head.requires_grad_(False)  # where the goal is believed to be
    field = made.field(grid, torch.randn(2, 6), 20) + 20
    made.head.requires_grad_(True)
    nowhere = now.unsqueeze(2).expand(-1, -1, 3, -1)
    loss = made.claims(now, nowhere, field)
    assert loss > 0, "who can only stay where he is claims too much by the steps that staying takes"
    loss.backward()
    assert all(part.grad is None for part in made.head.parameters()), "not the belief where a latent is"
    assert any(part.grad is not None and part.grad.abs().sum() > 0 for part in made.reader.parameters())
    with torch.no_grad():
        near = torch.zeros_like(field)
        assert made.claims(now, nowhere, near) == 0, "a step from the goal nothing is tested"
        falling = torch.cat([nowhere, torch.randn(2, 4, 61, 6)], 2)
        steep = 100.0 * torch.arange(field[0, 0].numel()).view_as(field[0, 0]).expand_as(field) % 400
        assert made.claims(now, falling, steep) < made.claims(now, nowhere, steep + 0)
