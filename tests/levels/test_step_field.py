"""The field that learns from single steps: trajectories that know no way teach the shortest one, on maps never seen."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from torch import Tensor

from levels.costs.hindsight import FAR
from levels.costs.kinds import Given, make_head
from levels.costs.single_steps import farthest_apart, first_price, price_of
from levels.costs.step_field import CLIFF, StepField, make_step_field
from levels.encoders.picture import PLACE
from levels.settings import Sight, World

WIDTH, HEIGHT = 7, 6
SIGHT = Sight("symbols", (WIDTH, HEIGHT, 1), (2,))
STEPS = [(1, 0), (-1, 0), (0, 1), (0, -1)]


def latents(cells: np.ndarray) -> Tensor:
    """Latents (..., 3) of one map that are at these cells (..., 2)."""
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    places = torch.from_numpy(PLACE * (cells - middle)).float()
    return torch.cat([places, torch.zeros(*places.shape[:-1], 1)], -1)


def layout(rng: np.random.Generator) -> np.ndarray:
    """Walls (W, H) all around, one across and a gap in it."""
    walls = np.ones((WIDTH, HEIGHT), dtype=bool)
    walls[1:-1, 1:-1] = False
    across = rng.integers(2, WIDTH - 2)
    walls[across] = True
    walls[across, rng.integers(1, HEIGHT - 1)] = False
    return walls


def wander(walls: np.ndarray, count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Cells (count, length, 2) of agents that step anywhere they can."""
    free = np.argwhere(~walls)
    cells = [free[rng.integers(len(free), size=count)]]
    for _ in range(length - 1):
        ahead = cells[-1] + np.array(STEPS)[rng.integers(4, size=count)]
        met = walls[tuple(ahead.T)]
        cells.append(np.where(met[:, None], cells[-1], ahead))
    return np.stack(cells, 1)


def moves_to(walls: np.ndarray, goal: tuple[int, int]) -> dict[tuple[int, int], int]:
    """Moves from every cell to the goal."""
    found, queue = {goal: 0}, deque([goal])
    while queue:
        x, y = queue.popleft()
        for dx, dy in STEPS:
            to = (x + dx, y + dy)
            if not walls[to] and to not in found:
                found[to] = found[x, y] + 1
                queue.append(to)
    return found


@pytest.fixture(scope="module")
def learned() -> StepField:
    """A head that has seen wanderers on many layouts."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    head = StepField(SIGHT, 2, 1, hidden=16, begins=1.0)
    head.share[0] = 1.0
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(300):
        walls = [layout(rng) for _ in range(8)]
        walks = np.stack([wander(each, 24, 6, rng) for each in walls])
        picture = torch.from_numpy(np.stack(walls)[..., None].astype(np.uint8))
        goal = (torch.randint(24, (8,)), torch.randint(6, (8,)))
        loss, _ = head.loss(latents(walks), picture, goal, 24, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.eval()


def test_wanderers_teach_the_shortest_way_on_layouts_never_seen(learned: StepField) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        walls = layout(rng)
        picture = torch.from_numpy(walls[None, ..., None].astype(np.uint8))
        cells = np.argwhere(~walls)
        goal = tuple(map(int, cells[rng.integers(len(cells))]))
        true = moves_to(walls, goal)
        with torch.no_grad():
            field = learned.field(picture, latents(np.array([goal])), 24)
            steps = learned(latents(cells[None]), field)[0].numpy()
        wanted = np.array([true[tuple(map(int, cell))] for cell in cells])
        assert np.corrcoef(steps, wanted)[0, 1] > 0.97
        # A move is too long as long as the price of that still rises, everywhere alike.
        scale = np.median(steps[wanted > 0] / wanted[wanted > 0])
        assert 0.8 < scale < 1.6
        assert np.abs(steps / scale - wanted).mean() < 0.25 * wanted.mean()


def test_the_price_rises_while_steps_are_too_long_and_falls_while_they_are_not() -> None:
    for excess, sign in ((torch.ones(8), -1), (torch.zeros(8), 1)):
        price = first_price()
        assert price_of(price).item() == pytest.approx(1)
        farthest_apart(torch.ones(8), excess, price, 100.0).backward()
        assert price.grad is not None and sign * price.grad.item() > 0, "descent turns the sign"


def test_more_distance_gains_and_an_excess_costs_its_price() -> None:
    far, excess = torch.zeros(4, requires_grad=True), torch.ones(4, requires_grad=True)
    farthest_apart(far, excess, first_price(), 100.0).backward()
    assert far.grad is not None and excess.grad is not None
    assert far.grad.sum().item() == pytest.approx(-1, abs=1e-3), "near states gain one for one"
    assert excess.grad.sum().item() == pytest.approx(2.0)


def test_what_the_sweeps_do_not_reach_teaches_nothing() -> None:
    torch.manual_seed(0)
    head = StepField(SIGHT, 2, 1, hidden=8, begins=1.0)
    head.share[0] = 1.0
    way = latents(np.array([[[1, 1], [2, 1], [3, 1], [4, 1], [5, 1]]]))[None]
    picture = torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    loss, terms = head.loss(way, picture, (torch.tensor([0]), torch.tensor([0])), 1, 1.0)
    assert terms["apart"] < FAR / 2 and terms["steps"] < 5, "a read where nothing spread to would be as far as can be"
    assert loss.isfinite()


def test_pairs_several_steps_apart_do_not_ask_what_eyes_get_wrong() -> None:
    """A walk that goes nowhere, seen half a place off at every second moment: no step of it is too long in four."""
    torch.manual_seed(0)
    cells = np.zeros((1, 9, 2)) + 2
    cells[0, ::2, 0] += 1.5
    walk, picture = latents(cells)[None], torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8)
    excess = {}
    for lag in (1, 4):
        head = StepField(SIGHT, 2, 1, begins=1.0, lag=lag)
        head.share[0] = 1.0
        head.costs = lambda picture: torch.ones(1, 4, WIDTH, HEIGHT)  # type: ignore[method-assign]
        _, terms = head.loss(walk, picture, (torch.tensor([0]), torch.tensor([1])), 16, 1.0)
        excess[lag] = terms["steps"].item()
    assert excess[1] > 0.1 and excess[4] == 0


def test_between_places_a_way_climbs_as_steeply_as_a_move() -> None:
    """So that a step away from a wall is no longer than one."""
    head = StepField(SIGHT, 2, 1)
    head.share[0] = 1.0
    field = torch.arange(float(WIDTH))[None, None, :, None].expand(1, 1, WIDTH, HEIGHT).clone()
    field[0, 0, 3:] = FAR
    read = head(latents(np.array([[[2.25, 1.0]]])), field)
    assert read.item() == pytest.approx(2 + 0.25 * CLIFF)


def test_gradients_never_reach_the_latents() -> None:
    head = StepField(SIGHT, 2, 1)
    head.share[0] = 1.0
    way = latents(np.array([[[1, 1], [1, 2], [1, 3]]]))[None].requires_grad_()
    loss, _ = head.loss(way, torch.zeros(1, WIDTH, HEIGHT, 1, dtype=torch.uint8), (torch.tensor([0]),) * 2, 4, 1.0)
    loss.backward()
    assert way.grad is None


def test_it_is_chosen_by_name_and_refused_where_nothing_is_seen() -> None:
    seen = Given(World((WIDTH, HEIGHT), 3, sight=SIGHT), 3, 2, 1, 8)
    assert isinstance(make_head("step_field", seen), StepField)
    with pytest.raises(ValueError, match="step_field of a level that is told"):
        make_step_field(Given(World((WIDTH, HEIGHT), 3), 3, 2, 1, 8))


IMAGE = Sight("image", (16, 24, 3))


def test_a_field_may_be_finer_than_the_places_of_latents() -> None:
    """Places of 8 pixels, a field of 4: where a latent is on the picture stays where it is."""
    coarse = make_head("step_field", Given(World((3, 2), 2, sight=IMAGE), 3, 2, 8, 8))
    fine = make_head("step_field", Given(World((3, 2), 2, sight=IMAGE), 3, 2, 4, 8, scale=2.0))
    coarse.share[0] = fine.share[0] = 1.0
    # The middle of the second place from the left in the upper row: pixel 12 of 24 from the left, 4 of 16 from above.
    latent = torch.tensor([[[0.0, -0.5 * PLACE, 0.0]]])
    assert coarse.where(latent)[0, 0].tolist() == pytest.approx([0.0, -0.5])
    assert fine.where(latent)[0, 0].tolist() == pytest.approx([0.0, -1.0])
    picture = torch.zeros(1, 16, 24, 3, dtype=torch.uint8)
    assert coarse.costs(picture).shape[-2:] == (3, 2) and fine.costs(picture).shape[-2:] == (6, 4)
    assert fine.field_operations(5, (3, 2)) == 4 * coarse.field_operations(5, (3, 2))
    with torch.no_grad():
        closed = torch.zeros(1, 3, 2, dtype=torch.bool)
        closed[0, 1, 0] = True
        field = fine.field(picture, latent[:, 0] + 10.0, 20, closed)
    assert (field[0, 0, 2:4, :2] == FAR).all(), "all four of a closed place"


def test_places_that_do_not_fit_the_picture_are_refused() -> None:
    with pytest.raises(ValueError, match=r"critic.patch is 5 of pictures of 24 x 16; choose a divisor"):
        make_head("step_field", Given(World((3, 2), 2, sight=IMAGE), 3, 2, 5, 8, scale=8 / 5))


def test_the_shift_of_eyes_is_found_in_mirrored_pictures() -> None:
    """Eyes that are off by (0.75, -1.25) places everywhere, in pictures and in mirrored ones alike."""
    head = StepField(SIGHT, 2, 1)
    head.share[0] = 1.0
    cells = np.random.default_rng(0).uniform(0, [WIDTH - 1, HEIGHT - 1], (64, 2))
    other_side = np.array([WIDTH - 1, HEIGHT - 1]) - cells
    off = np.array([0.75, -1.25])
    head.centre(latents(cells + off), latents(other_side + off))
    assert head.shift.tolist() == pytest.approx([0.75, -1.25], abs=1e-5)
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    assert np.allclose(head.where(latents(cells + off)).numpy(), cells - middle, atol=1e-5)
