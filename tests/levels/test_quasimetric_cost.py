"""The quasimetric head: what a quasimetric is, unions of intervals against counting, ways that single steps teach."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hjepa.model.level_model import count_flops
from levels.costs.base import Ahead
from levels.costs.kinds import Given, make_head
from levels.costs.quasimetric import QuasimetricCost, interval_distance, make_quasimetric
from levels.encoders.picture import PLACE
from levels.settings import Sight, World

VECTOR = World((1, 1), 2, continuous=True, sight=Sight("vector", (2,)))
PIXELS = World((1, 1), 3, sight=Sight("image", (12, 8, 3)))
SYMBOLS = World((5, 4), 3, sight=Sight("symbols", (5, 4, 1), (2,)))


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_lengths_of_unions_are_what_counting_fine_marks_gives(seed: int) -> None:
    made = torch.Generator().manual_seed(seed)
    # On a grid of tenths, so that the middle of every tenth is inside of an interval or outside.
    first, second = torch.randint(-20, 20, (2, 7, 3, 4), generator=made)
    marks = torch.arange(-20, 20) + 0.5
    inside = (marks > first[..., None]) & (marks < second[..., None])
    counted = inside.any(-2).sum(-1) / 10
    assert interval_distance(first / 10, second / 10).numpy() == pytest.approx(counted.numpy(), abs=1e-5)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_it_is_a_quasimetric_whatever_its_numbers(seed: int) -> None:
    torch.manual_seed(seed)
    head = QuasimetricCost(3, 16, unit=7.0)
    with torch.no_grad():
        points = head.embedded(3 * torch.randn(1, 6, 3), None)[0]
        apart = head.between(points[:, None], points[None])
    assert (apart >= 0).all()
    assert apart.diagonal().abs().max() < 1e-6
    by_a_third = apart[:, :, None] + apart[None]
    assert (apart[:, None] <= by_a_third + 1e-4).all(), "no way is longer than one by a third state"
    assert (apart - apart.T).abs().max() > 1e-3, "there and back may differ"


def test_steps_to_go_are_read_alike_for_one_latent_and_many() -> None:
    torch.manual_seed(0)
    for world in (VECTOR, SYMBOLS):
        head = make_head("quasimetric", Given(world, 3, 2, 1, 8, unit=4.0))
        picture = torch.randint(0, 2, (2, 5, 4, 1), dtype=torch.uint8)
        latent, goal = torch.randn(2, 6, 3, 3), torch.randn(2, 3)
        with torch.no_grad():
            field = head.field(picture, goal, 1)
            together = head(latent, field)
            assert together.shape == (2, 6, 3)
            assert torch.allclose(together[:, 4, 1:2], head(latent[:, 4, 1:2], field), atol=1e-4)
            assert head(goal[:, None], field).abs().max() < 1e-4, "nothing is left to go at the goal"


def test_layouts_are_told_apart_by_their_pictures_alone() -> None:
    torch.manual_seed(0)
    head = make_head("quasimetric", Given(SYMBOLS, 3, 2, 1, 8))
    pictures = torch.zeros(2, 5, 4, 1, dtype=torch.uint8)
    pictures[1, 2] = 1
    latent, goal = torch.randn(1, 6, 3).expand(2, -1, -1), torch.randn(1, 3).expand(2, -1)
    with torch.no_grad():
        steps = head(latent, head.field(pictures, goal, 1))
    assert (steps[0] - steps[1]).abs().max() > 1e-4


@torch.no_grad()
def test_what_stands_at_a_latents_own_places_is_read() -> None:
    """Places are in the encoder's units from the middle; between two the read lies between, outside it is an edge's."""
    torch.manual_seed(0)
    head = make_head("quasimetric", Given(SYMBOLS, 6, 4, 1, 8))
    tokens = head.costs(torch.randint(0, 2, (1, 5, 4, 1), dtype=torch.uint8))
    values = tokens[0, 8:]
    places = torch.tensor([[[0.0, 3.0], [4.0, 0.0]], [[1.0, 2.0], [2.5, 1.0]], [[-3.0, 9.0], [4.0, 3.0]]])
    latent = torch.zeros(1, 3, 6)
    middle = torch.tensor([2.0, 1.5])
    latent[0, :, :2], latent[0, :, 2:4] = (PLACE * (places - middle)).unbind(-1)
    read = head.seen(latent, tokens)[0, :, 8:].unflatten(-1, (2, 8))
    for row, map_, expected in (
        (0, 0, values[:, 0, 3]),
        (0, 1, values[:, 4, 0]),
        (1, 0, values[:, 1, 2]),
        (1, 1, (values[:, 2, 1] + values[:, 3, 1]) / 2),
        (2, 0, values[:, 0, 3]),
        (2, 1, values[:, 4, 3]),
    ):
        assert torch.allclose(read[row, map_], expected, atol=1e-5), (row, map_)


def hole(count: int) -> tuple[Tensor, Tensor]:
    """Pictures (2, 5, 1, 1) of where a corridor has a hole, and latents (2, count, 8, 3) of walks that end in it."""
    holes = torch.tensor([1, 3])
    where = torch.randint(0, 5, (2, count, 1)).expand(-1, -1, 8).clone()
    for step in range(1, 8):
        fallen = where[..., step - 1] == holes[:, None]
        moved = (where[..., step - 1] + torch.randint(0, 2, (2, count)) * 2 - 1).clamp(0, 4)
        where[..., step] = torch.where(fallen, where[..., step - 1], moved)
    pictures = F.one_hot(holes, 5).to(torch.uint8)[..., None, None]
    x = PLACE * (where - 2.0)
    return pictures, torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], -1)


def test_a_place_that_nobody_leaves_is_far_from_everything_wherever_the_picture_shows_it() -> None:
    torch.manual_seed(0)
    corridor = World((5, 1), 2, sight=Sight("symbols", (5, 1, 1), (2,)))
    head = make_head("quasimetric", Given(corridor, 3, 2, 1, 32))
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3)
    goal = (torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    for _ in range(120):
        pictures, walks = hole(32)
        loss, _ = head.loss(walks, pictures, goal, 1, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = PLACE * (torch.arange(5) - 2.0)
    states = torch.stack([x, torch.zeros(5), torch.zeros(5)], -1).expand(2, -1, -1)
    with torch.no_grad():
        embedded = head.embedded(states, head.costs(pictures))
        apart = head.between(embedded[:, :, None], embedded[:, None])
    for layout, (fallen, free) in enumerate(((1, 3), (3, 1))):
        assert apart[layout, fallen, 2] > 5 * apart[layout, free, 2], "the same place leads on in the other layout"


@pytest.mark.parametrize("world", [VECTOR, SYMBOLS, PIXELS])
@torch.no_grad()
def test_what_planning_spends_on_it_is_counted(world: World) -> None:
    """By torch's own counter, one latent's embedding is what is said, and reading one takes as much."""
    head = make_head("quasimetric", Given(world, 3, 2, 4, 8))
    picture = torch.zeros(1, *world.sight.shape, dtype=torch.uint8)
    made = count_flops(lambda: head.field(picture, torch.zeros(1, 3), 1))
    assert made == count_flops(lambda: head.costs(picture)) + head.field_operations(1, world.size)
    field = head.field(picture, torch.zeros(1, 3), 1)
    assert count_flops(lambda: head(torch.zeros(1, 8, 3), field)) == 8 * head.field_operations(1, world.size)
    if world is not VECTOR:
        attention = 2 * 2 * 8 * head.seen.tokens_seen
        assert head.field_operations(1, world.size) > attention > 0


def one_way_ring(length: int) -> Tensor:
    """Latents (1, 1, 4 * length + 1, 2) of an agent that goes around a ring, never back."""
    angle = torch.arange(4 * length + 1) * (2 * torch.pi / length)
    return torch.stack([angle.cos(), angle.sin()], -1)[None, None]


def test_single_steps_teach_the_way_around_which_is_longer_back_than_there() -> None:
    """On a ring of 12 states that is walked one way, 3 ahead is 3 steps there and 9 back."""
    torch.manual_seed(0)
    head = QuasimetricCost(2, 64, unit=1.0)
    ring, nothing = one_way_ring(12), torch.zeros(1, 1)
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3)
    goal = (torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    for _ in range(500):
        loss, terms = head.loss(ring, nothing, goal, 1, 1.0, farthest=40)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        there = head(ring[:, 0, :1], head.field(nothing, ring[:, 0, 3], 1)).item()
        back = head(ring[:, 0, 3:4], head.field(nothing, ring[:, 0, 0], 1)).item()
    assert there == pytest.approx(3, abs=0.9)
    assert back == pytest.approx(9, abs=2.5)
    assert terms["steps"] < 0.3


def test_claims_that_no_imagined_step_bears_out_cost() -> None:
    """Steps that lead nowhere say that a state is further than it claims, and one that leads to the goal does not."""
    torch.manual_seed(0)
    head = QuasimetricCost(2, 16)
    with torch.no_grad():
        head.embed[-1].weight *= 300  # so that claims are of more than a few steps
    ring, nothing = one_way_ring(12), torch.zeros(1, 1)
    goal = (torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    here = ring[:, 0, 4:8]
    stays, arrives = here[:, :, None].expand(-1, -1, 3, -1), ring[:, 0, :1, None].expand(-1, 4, 3, -1)

    def loss(ahead: Ahead | None) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(1)
        return head.loss(ring, nothing, goal, 1, 1.0, ahead=ahead)

    plain, tested = loss(None)[0], loss((here, stays, 2.0))
    assert tested[1]["ahead"] > 0
    assert tested[0].item() == pytest.approx(plain.item() + 2 * tested[1]["ahead"].item(), rel=1e-4)
    assert loss((here, arrives, 2.0))[1]["ahead"] == 0


def test_what_it_cannot_be_made_of_or_do_is_refused() -> None:
    with pytest.raises(ValueError, match="quasimetric of a level that is told; choose grid"):
        make_quasimetric(Given(World((5, 4), 3), 3, 2, 1, 8))
    with pytest.raises(ValueError, match="critic.hidden is 30 .* give a multiple of 4"):
        make_head("quasimetric", Given(SYMBOLS, 3, 2, 1, 30))
    head = QuasimetricCost(2, 8)
    with pytest.raises(ValueError, match="closed places.*kind field"):
        head.field(torch.zeros(1, 1), torch.zeros(1, 2), 1, torch.ones(1, 1, 1, dtype=torch.bool))
