"""The field over a picture's own feature map: known ways, walls, reads between places, and what trajectories teach."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from levels.costs.field import CLIFF, FieldCost
from levels.costs.hindsight import FAR, times_taken
from levels.encoders.picture import PLACE
from levels.settings import Sight

WIDTH, HEIGHT = 7, 5
SIGHT = Sight("symbols", (WIDTH, HEIGHT, 1), (2,))


def latent_at(*cells: tuple[float, float]) -> Tensor:
    """Latents (1, n, 3) of one map that are at these places."""
    places = [[PLACE * (x - (WIDTH - 1) / 2), PLACE * (y - (HEIGHT - 1) / 2), 0.0] for x, y in cells]
    return torch.tensor([places])


def sure(head: FieldCost) -> FieldCost:
    """A head that takes the first place."""
    head.share[0] = 1.0
    return head


@pytest.fixture
def cost() -> FieldCost:
    """A head to which every move costs 1, and one into a wall (code 1) far more."""
    torch.manual_seed(0)
    head = sure(FieldCost(SIGHT, 2, 1))

    def costs(picture: Tensor) -> Tensor:
        wall = (picture[..., 0] == 1).float()
        padded = torch.nn.functional.pad(wall, (1, 1, 1, 1), value=1.0)
        ahead = (padded[:, 2:, 1:-1], padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 1:-1, :-2])
        return 1 + 400 * torch.stack(ahead, 1)

    head.costs = costs  # type: ignore[method-assign]
    return head


def test_steps_to_go_are_the_shortest_way_around_a_wall(cost: FieldCost) -> None:
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    picture[0, 3, : HEIGHT - 1] = 1  # a wall with one gap, at the bottom
    field = cost.field(picture, latent_at((6, 0))[:, 0], 40)
    read = cost(latent_at((6, 0), (6, 4), (4, 0), (2, 0), (0, 0)), field)
    assert read[0].tolist() == pytest.approx([0, 4, 2, 12, 14], abs=1e-4)


def test_a_field_that_begins_everywhere_has_no_way_longer_than_eight_a_place(cost: FieldCost) -> None:
    """Two places apart through a wall, ten moves around it of three steps each."""
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    picture[0, 5, : HEIGHT - 1] = 1
    one, goal, start = cost.costs, latent_at((6, 0))[:, 0], latent_at((4, 0))
    cost.costs = lambda picture: 3 * one(picture)  # type: ignore[method-assign]
    assert cost(start, cost.field(picture, goal, 40)).item() == pytest.approx(16, abs=1e-4)
    cost.begins = 1.0
    assert cost(start, cost.field(picture, goal, 40)).item() == pytest.approx(30, abs=1e-4)
    between = cost(start, cost.field(picture, latent_at((5.7, 0.3))[:, 0], 40)).item()
    assert 26 < between < 38, "a goal between places: from those around it"
    assert cost(start, cost.field(picture, goal, 6)).item() == FAR, "more moves than sweeps: nothing is known"


def test_what_the_sweeps_do_not_reach_is_neither_learned_from_nor_claimed(cost: FieldCost) -> None:
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    cost.begins = 1.0
    field = cost.field(picture, latent_at((0, 2))[:, 0], 3)
    inside, edge, beyond = latent_at((2.0, 2.0)), latent_at((3.4, 2.0)), latent_at((2.55, 2.55))
    assert [cost.knows(each, field).item() for each in (inside, edge, beyond)] == [True, True, False]
    assert cost(edge, field).item() < 8, "the unknown is a cliff"
    assert 100 < cost(beyond, field).item() < FAR / 2, "a mean of steps and none"
    # The walk ends at the goal; one moment of it is where nothing is known, and its mean of nothing is not learned.
    walk = latent_at((2, 2), (2.55, 2.55), (1, 2), (0, 2))[:, None]
    goal = torch.tensor([0]), torch.tensor([3])
    _, terms = cost.loss(walk, picture, goal, 3, 1.0)
    assert terms["steps"] < 3
    assert cost.claims(beyond, latent_at((4.0, 2.0))[:, :, None], field).item() == 0
    assert cost.claims(latent_at((3.0, 2.0)), beyond[:, :, None], field).item() == 0


@pytest.mark.parametrize("goal", [(-1.4, 2.0), (6.0, 5.3), (9.0, -2.0)])
def test_goals_off_the_map_are_begun_at_its_edge(cost: FieldCost, goal: tuple[float, float]) -> None:
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    cost.begins = 1.0
    field = cost.field(picture, latent_at(goal)[:, 0], 40)
    assert field.max() < 20
    cost.begins = None
    assert torch.equal(cost.field(picture, latent_at((3.0, 2.0))[:, 0], 40).argmin(), torch.tensor(3 * HEIGHT + 2))


def test_closed_places_lead_nowhere(cost: FieldCost) -> None:
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    closed = torch.zeros(1, WIDTH, HEIGHT, dtype=torch.bool)
    closed[0, 3] = True
    field = cost.field(picture, latent_at((6, 0))[:, 0], 40, closed)
    assert cost(latent_at((3, 2)), field).item() == FAR


def test_between_places_a_read_is_a_mean_and_stops_at_walls(cost: FieldCost) -> None:
    field = torch.arange(float(WIDTH))[None, None, :, None].expand(1, 1, WIDTH, HEIGHT).clone()
    assert cost(latent_at((2.25, 1.5)), field).item() == pytest.approx(2.25)
    field[0, 0, 3:] = FAR
    assert cost(latent_at((2.25, 1.0)), field).item() == pytest.approx(2 + 0.25 * CLIFF)
    assert cost(latent_at((-3.0, 9.0)), field).item() == pytest.approx(0.0), "outside: the nearest place"


def test_times_are_to_the_next_time_there() -> None:
    there = torch.tensor([[False, True, False, False, True, False]])
    assert times_taken(there)[0].tolist() == [1, 0, 2, 1, 0, math.inf]


def test_it_learns_a_wall_from_trajectories_that_walk_around_it() -> None:
    """Ways through a gap alone: what leads there is near, what is behind the wall far."""
    torch.manual_seed(0)
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    picture[0, 3, : HEIGHT - 1] = 1
    way = [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4), (3, 4), (4, 4), (4, 3), (4, 2), (4, 1), (4, 0)]
    there, back = latent_at(*way)[0], latent_at(*reversed(way))[0]
    latent = torch.stack([there, back])[None]
    head = sure(FieldCost(SIGHT, 2, 1, hidden=16))
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-2)
    for step in range(200):
        goal = (torch.tensor([step % 2]), torch.tensor([10 - step % 5]))
        loss, terms = head.loss(latent, picture, goal, 16, 0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert terms["steps"] < 1.5
    field = head.field(picture, latent_at((4, 0))[:, 0], 16)
    read = head(latent_at((2, 0), (2, 4), (4, 4)), field)[0]
    assert read[0] > 7 and read[0] > read[1] > read[2]


def test_a_unit_of_several_steps_measures_a_slow_world_as_one_step_does_a_fast_one() -> None:
    torch.manual_seed(0)
    fast = sure(FieldCost(SIGHT, 2, 1, hidden=16))
    slow = sure(FieldCost(SIGHT, 2, 1, hidden=16, unit=8.0))
    slow.load_state_dict(fast.state_dict())
    picture = torch.randint(0, 2, (1, WIDTH, HEIGHT, 1), dtype=torch.uint8)
    goal = latent_at((1, 1))[:, 0]
    field = fast.field(picture, goal, 16)
    assert torch.equal(slow.field(picture, goal, 16), field)
    ends = latent_at((0, 0), (4, 3))
    assert torch.allclose(slow(ends, field), 8 * fast(ends, field))
    way = latent_at(*[(1, y / 8) for y in range(33)])[None]  # an eighth of a place a step
    optimiser = torch.optim.Adam(slow.parameters(), lr=1e-2)
    for _ in range(150):
        loss, terms = slow.loss(way, picture, (torch.tensor([0]), torch.tensor([32])), 16, 0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert terms["steps"] < 4, "of 16 on average"


def test_a_sweep_adds_and_compares_four_neighbours_of_every_place(cost: FieldCost) -> None:
    assert cost.field_operations(3, (WIDTH, HEIGHT)) == 3 * WIDTH * HEIGHT * 4 * 2


@pytest.mark.parametrize(("farthest", "error"), [(None, 9 / 7), (4, 4 / 5), (2, 1 / 3), (0, 0.0)])
def test_times_that_are_longer_than_what_is_learned_from_do_not_count(
    cost: FieldCost, farthest: int | None, error: float
) -> None:
    """A walker who rests at every place is there half as fast as the field says: by 3, 2, 2, 1, 1, 0, 0 steps."""
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    way = latent_at(*[(x, 2) for x in (0, 0, 1, 1, 2, 2, 3)])[None]
    goal = (torch.tensor([0]), torch.tensor([6]))
    _, terms = cost.loss(way, picture, goal, 16, 0.1, farthest=farthest)
    assert terms["steps"].item() == pytest.approx(error, abs=1e-4)


def test_gradients_never_reach_the_latents() -> None:
    latent = latent_at((0, 0), (1, 0), (2, 0))[None].requires_grad_(True)
    head = sure(FieldCost(SIGHT, 2, 1))
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    loss, _ = head.loss(latent, picture, (torch.tensor([0]), torch.tensor([2])), 8, 0.1)
    loss.backward()
    assert latent.grad is None
    assert all(weight.grad is not None for weight in head.parameters())


def test_the_place_that_wanders_as_actions_have_it_is_taken() -> None:
    """Of four: one that stands still, one that jumps, one that walks by itself, one that actions move."""
    generator = torch.Generator().manual_seed(0)
    steps = 0.25 * torch.randint(-1, 2, (2, 3, 40, 2), generator=generator).float().cumsum(2)
    drifting = torch.linspace(0, 4, 40)[:, None].expand(2, 3, 40, 2)
    still, jumping = torch.zeros_like(steps), torch.randn(steps.shape, generator=generator)
    along = torch.stack([still, jumping, drifting, steps], -1).flatten(-2)  # x of each, y of each
    now = along[:, :, 0].unsqueeze(-2).expand(-1, -1, 3, -1).clone()
    later = now.unflatten(-1, (2, 4)).clone()
    later[..., 0, 3] += torch.tensor([-0.25, 0.0, 0.25])  # three actions
    later[..., 0, 1] += torch.tensor([-1.0, 0.0, 1.0])
    later[..., 0, 2] += 0.1
    head = FieldCost(SIGHT, 8, 1)
    assert not head.chosen
    head.choose(along, later.flatten(-2))
    assert head.chosen and head.share.tolist() == [0, 0, 0, 1]


def test_latents_without_places_are_refused() -> None:
    with pytest.raises(ValueError, match="latents with places"):
        FieldCost(SIGHT, 0, 1)
